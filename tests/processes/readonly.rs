//! What a process cannot write of the memory that it was passed, tried in every way that the kernel has.

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use millstream::TryNext;
use rustix::fs::{FallocateFlags, OFlags, SealFlags};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

use crate::stage::{Ground, Mapping, Role, Stage, eventually, say, soon};

pub(crate) const ROLES: &[(&str, Role)] = &[("prober", prober), ("probing_producer", probing_producer)];

/// Through the descriptor that it was passed, and its mapping.
pub(crate) const PASSED: &str = "mprotect EACCES, /proc/self/mem EIO, mmap EACCES, pwrite EBADF, shrink EINVAL, grow EINVAL, \
                      punch EBADF, allocate EBADF, seal EPERM";
/// Through one opened anew for writing, which its owner can have.
const REOPENED: &str =
    "mmap EPERM, pwrite EPERM, shrink EPERM, grow EPERM, punch EPERM, allocate EPERM, seal EPERM";

/// The descriptors of this process that lead to memfds of that name.
fn descriptors(name: &str) -> Vec<RawFd> {
    let wanted = format!("/memfd:{name} (deleted)");
    let entries = fs::read_dir("/proc/self/fd").unwrap().map(Result::unwrap);
    entries
        .filter(|entry| fs::read_link(entry.path()).is_ok_and(|to| to == Path::new(&wanted)))
        .map(|entry| entry.file_name().to_str().unwrap().parse().unwrap())
        .collect()
}

fn borrowed<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: a descriptor of a stream that the caller holds meanwhile.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

fn outcome<T>(what: &str, tried: Result<T, rustix::io::Errno>) -> String {
    match tried {
        Ok(_) => format!("{what} DONE"),
        Err(errno) => {
            let name = match errno {
                rustix::io::Errno::ACCESS => "EACCES".into(),
                rustix::io::Errno::PERM => "EPERM".into(),
                rustix::io::Errno::BADF => "EBADF".into(),
                rustix::io::Errno::INVAL => "EINVAL".into(),
                rustix::io::Errno::IO => "EIO".into(),
                other => format!("{other:?}"),
            };
            format!("{what} {name}")
        }
    }
}

fn errno(error: &std::io::Error) -> rustix::io::Errno {
    rustix::io::Errno::from_io_error(error).unwrap()
}

/// What becomes of writing the memory behind a descriptor.
fn by_descriptor(fd: BorrowedFd<'_>, len: u64) -> Vec<String> {
    let flags = MapFlags::SHARED;
    // SAFETY: a mapping at an address of the kernel's choice, of which nothing is used.
    let mapped = unsafe {
        rustix::mm::mmap(
            std::ptr::null_mut(),
            4096,
            ProtFlags::READ | ProtFlags::WRITE,
            flags,
            fd,
            0,
        )
    };
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    vec![
        outcome("mmap", mapped),
        outcome("pwrite", rustix::io::pwrite(fd, &[0xff; 8], len - 4096)),
        outcome("shrink", rustix::fs::ftruncate(fd, len - 4096)),
        outcome("grow", rustix::fs::ftruncate(fd, len + 4096)),
        outcome("punch", rustix::fs::fallocate(fd, hole, len - 4096, 4096)),
        outcome(
            "allocate",
            rustix::fs::fallocate(fd, FallocateFlags::empty(), 0, len + 4096),
        ),
        outcome("seal", rustix::fs::fcntl_add_seals(fd, SealFlags::WRITE)),
    ]
}

/// What becomes of writing a mapping.
fn by_mapping(mapping: &Mapping) -> Vec<String> {
    let begin = std::ptr::with_exposed_provenance_mut(mapping.address());
    // SAFETY: if it succeeds, the pages can be written besides being read; nobody writes them here.
    let protected =
        unsafe { rustix::mm::mprotect(begin, mapping.len, MprotectFlags::READ | MprotectFlags::WRITE) };
    let memory = OpenOptions::new().write(true).open("/proc/self/mem").unwrap();
    let end = mapping.address() + mapping.len;
    let written = memory.write_at(&[0xff; 8], end as u64 - 8);
    vec![
        outcome("mprotect", protected),
        outcome("/proc/self/mem", written.map_err(|error| errno(&error))),
    ]
}

fn reopened(fd: RawFd) -> Result<File, rustix::io::Errno> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(format!("/proc/self/fd/{fd}"));
    file.map_err(|error| errno(&error))
}

/// A consumer, or an observer, which tries to write what is not its own, and says what came of it.
fn prober(stage: &Stage) {
    let (what, name, user): (String, String, u32) = (stage.arg(0), stage.arg(1), stage.arg(2));
    let (mut source, mut seen) = (None, None);
    if what == "consumer" {
        let builder = stage.ground.subscribe::<u64>(&name).from_user(user);
        source = Some(builder.open().unwrap());
    } else {
        let dir = Some(stage.ground.dir.clone());
        seen = Some(millstream::observe_from_user(&name, user, dir).unwrap());
    }
    let foreign = if what == "consumer" {
        vec![name]
    } else {
        vec![name, "millstream-credit".into()]
    };
    for memory in foreign {
        let (mappings, fds) = (Mapping::of(&memory), descriptors(&memory));
        assert_eq!((mappings.len(), fds.len()), (1, 1), "{memory}");
        assert!(!mappings[0].writable);
        let (fd, len) = (fds[0], mappings[0].len as u64);
        let mut passed = by_mapping(&mappings[0]);
        passed.extend(by_descriptor(borrowed(fd), len));
        say(passed.join(", "));
        match reopened(fd) {
            Ok(file) => say(by_descriptor(file.as_fd(), len).join(", ")),
            refused => say(outcome("open", refused)),
        }
    }
    say("tried");
    let line = stage.hear();
    if let Some(source) = &mut source {
        let sum: u64 = source.by_ref().take(line.parse().unwrap()).sum();
        say(sum);
    }
    let _ = seen;
    stage.stay();
}

/// Whether this process may open what its mode denies to everybody.
fn overrides_modes() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_consumer_cannot_write_the_stream_in_any_way() {
    let ground = Ground::new();
    let mut sink = ground.publish::<u64>("sealed").buffer_size(64).open().unwrap();
    let user = rustix::process::geteuid().as_raw();
    let mut prober = ground.start("prober", &[&"consumer", &"sealed", &user]);
    prober.expect(PASSED);
    prober.expect(if overrides_modes() {
        REOPENED
    } else {
        "open EACCES"
    });
    prober.expect("tried");
    for element in 0..40 {
        sink.put_deadline(element, soon()).unwrap();
    }
    assert_eq!(prober.ask(40), (0..40).sum::<u64>().to_string());
}

#[test]
fn an_observer_can_write_neither_the_stream_nor_the_credit() {
    let ground = Ground::new();
    let mut sink = ground.publish::<u64>("seen").buffer_size(64).open().unwrap();
    let mut source = ground.subscribe::<u64>("seen").open().unwrap();
    (0..40).for_each(|element| sink.put(element).unwrap());
    let user = rustix::process::geteuid().as_raw();
    let prober = ground.start("prober", &[&"observer", &"seen", &user]);
    prober.expect(PASSED);
    prober.expect(if overrides_modes() {
        REOPENED
    } else {
        "open EACCES"
    });
    // The credit page has to be writable for its consumer, so what keeps others from it is how its descriptor was opened.
    prober.expect(PASSED);
    let again = prober.hear();
    if overrides_modes() {
        assert!(
            again.starts_with("mmap DONE, pwrite DONE, shrink EPERM, grow EPERM"),
            "{again}"
        );
    } else {
        assert_eq!(again, "open EACCES");
    }
    prober.expect("tried");
    assert!(source.by_ref().take(40).eq(0..40));
    assert_eq!(source.try_next(), TryNext::Empty);
}

#[test]
fn a_producer_cannot_write_a_consumers_page_by_its_mapping() {
    let ground = Ground::new();
    let mut producer = ground.start("probing_producer", &[]);
    producer.expect("HERE");
    let mut source = ground.subscribe::<u64>("credit").open().unwrap();
    assert_eq!(
        producer.ask("probe"),
        "mprotect EACCES, /proc/self/mem EIO, read-only true"
    );
    assert!(source.by_ref().take(100).eq(0..100));
}

fn probing_producer(stage: &Stage) {
    let mut sink = stage
        .ground
        .publish::<u64>("credit")
        .buffer_size(64)
        .open()
        .unwrap();
    say("HERE");
    stage.hear();
    // With this it takes the consumer over.
    sink.put_deadline(0, soon()).unwrap();
    let name = "millstream-credit";
    // The background thread closes the consumer's own when it has passed it, which the consumer may be ahead of.
    eventually(|| descriptors(name).len() == 1);
    let (pages, fds) = (Mapping::of(name), descriptors(name));
    assert_eq!((pages.len(), fds.len()), (1, 1));
    let mut tried = by_mapping(&pages[0]);
    let flags = rustix::fs::fcntl_getfl(borrowed(fds[0])).unwrap();
    tried.push(format!(
        "read-only {}",
        !flags.intersects(OFlags::RDWR | OFlags::WRONLY)
    ));
    say(tried.join(", "));
    for element in 1..100 {
        sink.put_deadline(element, soon()).unwrap();
    }
    stage.stay();
}
