use super::*;

fn memory(len: usize) -> SharedMemory {
    SharedMemory::create("test", len, MemoryOptions::default()).unwrap()
}

#[test]
fn words_and_bytes_stay_inside() {
    let memory = memory(4096);
    assert!(memory.copy_in(8, b"hello, mapped world"));
    assert_eq!(memory.copy_out(8, 19).unwrap(), b"hello, mapped world");
    assert_eq!(memory.load(8), Some(u64::from_ne_bytes(*b"hello, m")));
    assert!(memory.store(4088, 7));
    assert_eq!(memory.load(4088), Some(7));
    for outside in [4, 4092, 4096, usize::MAX - 7, usize::MAX] {
        assert_eq!(memory.load(outside), None);
        assert!(!memory.store(outside, 1));
    }
    assert!(!memory.copy_in(4088, &[0; 9]));
    assert_eq!(memory.copy_out(4088, 9), None);
    assert_eq!(memory.copy_out(0, usize::MAX), None);
    assert_eq!(memory.copy_out(4096, 0), Some(vec![]));
}

#[test]
fn another_mapping_sees_the_same_bytes_and_cannot_write() {
    let memory = memory(8192);
    memory.seal_for_writer_only().unwrap();
    assert!(memory.store(4096, 99));
    let read = SharedMemory::from_fd(
        memory.reopen_read_only().unwrap(),
        8192,
        Access::ReadOnly,
        WRITER_ONLY_SEALS,
    )
    .unwrap();
    assert_eq!(read.load(4096), Some(99));
    assert!(!read.store(4096, 1));
    assert!(
        memory.store(4096, 100),
        "the mapping made before the seal goes on writing"
    );
    assert_eq!(read.load(4096), Some(100));
}

#[test]
fn seals_hold() {
    let memory = memory(8192);
    memory.seal_for_writer_only().unwrap();
    assert_eq!(rustix::fs::ftruncate(memory.fd(), 4096), Err(Errno::PERM));
    assert_eq!(rustix::fs::ftruncate(memory.fd(), 16384), Err(Errno::PERM));
    assert_eq!(rustix::io::write(memory.fd(), b"x"), Err(Errno::PERM));
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    assert_eq!(
        rustix::fs::fallocate(memory.fd(), hole, 0, 4096),
        Err(Errno::PERM)
    );
    assert_eq!(
        rustix::fs::fcntl_add_seals(memory.fd(), SealFlags::WRITE),
        Err(Errno::PERM)
    );
    let again = memory.fd().try_clone_to_owned().unwrap();
    let error = SharedMemory::from_fd(again, 8192, Access::ReadWrite, SIZE_SEALS).unwrap_err();
    assert!(matches!(error, MemoryError::NotPermitted { .. }), "{error}");

    let credit = self::memory(4096);
    credit.seal_size().unwrap();
    assert_eq!(rustix::fs::ftruncate(credit.fd(), 0), Err(Errno::PERM));
    let again = credit.fd().try_clone_to_owned().unwrap();
    let writer = SharedMemory::from_fd(again, 4096, Access::ReadWrite, SIZE_SEALS).unwrap();
    let (reader, _writer) = credit.into_read_only().unwrap();
    assert!(writer.store(0, 5));
    assert_eq!(reader.load(0), Some(5));
    assert!(!reader.store(0, 6));
}

#[test]
fn foreign_memory_must_keep_its_word() {
    let memory = memory(8192);
    let again = || memory.fd().try_clone_to_owned().unwrap();
    let error = SharedMemory::from_fd(again(), 8192, Access::ReadOnly, SIZE_SEALS).unwrap_err();
    assert!(
        matches!(&error, MemoryError::NotSealed { missing } if missing.contains("SHRINK")),
        "{error}"
    );
    memory.seal_size().unwrap();
    let error = SharedMemory::from_fd(again(), 8192, Access::ReadOnly, WRITER_ONLY_SEALS).unwrap_err();
    assert!(
        matches!(&error, MemoryError::NotSealed { missing } if missing == "SealFlags(FUTURE_WRITE)"),
        "{error}"
    );
    for want in [0, 4096, 8193, u64::MAX] {
        let error = SharedMemory::from_fd(again(), want, Access::ReadOnly, SIZE_SEALS).unwrap_err();
        assert!(
            matches!(error, MemoryError::WrongLength { found: 8192, .. }),
            "{error}"
        );
    }
    let pipe = rustix::pipe::pipe().unwrap().0;
    let error = SharedMemory::from_fd(pipe, 0, Access::ReadOnly, SIZE_SEALS).unwrap_err();
    assert!(matches!(error, MemoryError::WrongLength { .. }), "{error}");
    let null = fs::File::open("/dev/null").unwrap().into();
    let error = SharedMemory::from_fd(null, 0, Access::ReadOnly, SIZE_SEALS).unwrap_err();
    assert!(matches!(error, MemoryError::WrongLength { .. }), "{error}");
}

#[test]
fn an_absurd_length_is_an_error() {
    let none = MemoryOptions::default();
    for len in [1 << 50, isize::MAX as usize] {
        let error = SharedMemory::create("test", len, none).unwrap_err();
        assert!(
            matches!(error, MemoryError::NoSpace { need, have } if need == len as u64 && have < need),
            "{error}"
        );
    }
    for len in [0, isize::MAX as usize + 1, usize::MAX] {
        let error = SharedMemory::create("test", len, none).unwrap_err();
        assert!(matches!(error, MemoryError::Length { .. }), "{error}");
    }
}

#[test]
fn any_name_will_do() {
    for name in ["", "a\0b", &"ä".repeat(300)] {
        SharedMemory::create(name, 1, MemoryOptions::default()).unwrap();
    }
}

#[test]
fn pages_on_request() {
    let options = MemoryOptions {
        prefault: true,
        huge_pages: true,
    };
    let memory = SharedMemory::create("test", 4 << 20, options).unwrap();
    assert_ne!(memory.huge_pages(), HugePages::NotAsked);
    assert_eq!(self::memory(4096).huge_pages(), HugePages::NotAsked);
    let stat = rustix::fs::fstat(memory.fd()).unwrap();
    assert_eq!(stat.st_blocks * 512, 4 << 20, "every page is reserved");
    let stat = rustix::fs::fstat(self::memory(12 << 20).fd()).unwrap();
    assert_eq!(stat.st_blocks * 512, 12 << 20, "every page is reserved");
}

#[test]
fn huge_pages_are_read_from_the_right_mapping() {
    let smaps = "1000-2000 rw-s 00 00:01 1 /memfd:a\nSize: 4 kB\nShmemPmdMapped: 2048 kB\n\
                 2000-4000 rw-s 00 00:01 1 /memfd:b\nFilePmdMapped: 1 kB\nShmemPmdMapped: 4096 kB\nVmFlags: rd\n\
                 5000-6000 rw-p\nShmemPmdMapped: 8 kB\n";
    assert_eq!(huge_bytes_in(smaps, 0x1000), 2 << 20);
    assert_eq!(huge_bytes_in(smaps, 0x3fff), (4 << 20) + 1024);
    assert_eq!(huge_bytes_in(smaps, 0x4000), 0);
    assert_eq!(huge_bytes_in("nonsense", 0), 0);
}
