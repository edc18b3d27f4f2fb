//! Too little memory, of every kind: an error that says so, nothing left behind, and no death by a signal.

use std::fs;
use std::path::{Path, PathBuf};

use millstream::{Buffer, MemoryError, PublishError, SubscribeError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::stage::{Ground, Mapping, Role, Stage, say};
use crate::{alone, is_root, skipped};

pub(crate) const ROLES: &[(&str, Role)] = &[
    ("few_addresses", few_addresses),
    ("small_group", small_group),
    ("full_disks", full_disks),
    ("full_disk_of_files", full_disk_of_files),
    ("small_files", small_files),
];

/// Elements of 8 bytes that make 64 MiB.
const LARGE: usize = 8 << 20;

fn limit(resource: Resource, current: Option<u64>) {
    let maximum = getrlimit(resource).maximum;
    setrlimit(resource, Rlimit { current, maximum }).unwrap();
}

#[test]
fn a_limit_on_addresses_is_an_error_to_either_side() {
    alone("few_addresses");
}

fn few_addresses(stage: &Stage) {
    let ground = &stage.ground;
    let mut large = ground.start("producer", &[]);
    assert_eq!(large.ask(format_args!("open large buffer={LARGE}")), "ok");
    assert_eq!(large.ask("put 0 3"), "ok");
    // Warm, so that nothing but the mapping needs new addresses.
    drop(ground.publish::<u64>("warm").open().unwrap());
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmSize:"))
        .unwrap();
    let size: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    limit(Resource::As, Some(size * 1024 + (32 << 20)));
    let files = ground.files().len();
    let error = ground
        .publish::<u64>("ours")
        .buffer_size(Buffer::Bounded(LARGE))
        .open()
        .map(drop)
        .unwrap_err();
    assert!(
        matches!(error, PublishError::Memory(MemoryError::AddressSpace { need }) if need >= 64 << 20),
        "{error:?}"
    );
    assert!(error.to_string().contains("ulimit -v"), "{error}");
    assert_eq!(ground.files().len(), files);
    let error = ground.subscribe::<u64>("large").open().map(drop).unwrap_err();
    assert!(
        matches!(error, SubscribeError::Memory(MemoryError::AddressSpace { need }) if need >= 64 << 20),
        "{error:?}"
    );
    assert_eq!(Mapping::of("large").len(), 0);
    // A small stream has room, and whoever failed halfway has ended nobody's stream.
    drop(ground.publish::<u64>("small").open().unwrap());
    limit(Resource::As, None);
    let mut source = ground.subscribe::<u64>("large").open().unwrap();
    assert!(source.by_ref().take(3).eq(0..3));
    drop((source, large));
    millstream::list(Some(ground.dir.clone())).unwrap();
    say("done");
}

#[test]
fn a_limit_on_file_sizes_leaves_nothing_and_may_be_lifted() {
    alone("small_files");
}

fn small_files(stage: &Stage) {
    let ground = &stage.ground;
    limit(Resource::Fsize, Some(1 << 20));
    // The signal that comes with the limit has its default, which would end this process.
    let mut running = ground.publish::<u64>("running").open().unwrap();
    let error = ground
        .publish::<u64>("large")
        .buffer_size(Buffer::Bounded(LARGE))
        .open()
        .map(drop)
        .unwrap_err();
    assert!(
        matches!(error, PublishError::Memory(MemoryError::FileSizeLimit { limit, .. }) if limit == 1 << 20),
        "{error:?}"
    );
    assert!(error.to_string().contains("ulimit -f"), "{error}");
    assert_eq!((ground.files().len(), Mapping::of("large").len()), (2, 0));
    running.put(1).unwrap();
    limit(Resource::Fsize, None);
    let builder = ground.publish::<u64>("large");
    drop(builder.buffer_size(Buffer::Bounded(LARGE)).open().unwrap());
    drop(running);
    say("done");
}

/// A memory control group of this test; removed when nobody is in it any more.
struct Group {
    path: PathBuf,
    limit: &'static str,
}

impl Group {
    /// In whichever version of control groups has the memory on this machine.
    fn new() -> Option<Self> {
        let name = format!("millstream-test-{}", std::process::id());
        let first = Path::new("/sys/fs/cgroup/memory");
        let (parent, limit) = if first.join("memory.limit_in_bytes").exists() {
            (first, "memory.limit_in_bytes")
        } else {
            (Path::new("/sys/fs/cgroup"), "memory.max")
        };
        let path = parent.join(name);
        fs::create_dir(&path).ok()?;
        let group = Self { path, limit };
        group.path.join(limit).exists().then_some(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel may still count the last process in for a moment.
        for _ in 0..10_000 {
            match fs::remove_dir(&self.path) {
                Ok(()) => return,
                Err(_) => std::thread::yield_now(),
            }
        }
        eprintln!("the control group {:?} stays", self.path);
    }
}

#[test]
fn a_control_group_refuses_instead_of_killing() {
    const TEST: &str = "a_control_group_refuses_instead_of_killing";
    if !is_root(TEST) {
        return;
    }
    let Some(group) = Group::new() else {
        skipped(TEST, "no control group for memory can be made here");
        return;
    };
    let ground = Ground::new();
    let mut scene = ground.start("small_group", &[]);
    fs::write(group.path.join("cgroup.procs"), scene.pid.to_string()).unwrap();
    fs::write(group.path.join(group.limit), (48u64 << 20).to_string()).unwrap();
    scene.say("go");
    scene.expect("done");
    scene.finish();
    assert_eq!(ground.files(), [""; 0]);
}

fn small_group(stage: &Stage) {
    assert_eq!(stage.hear(), "go");
    let ground = &stage.ground;
    let error = ground
        .publish::<u64>("large")
        .buffer_size(Buffer::Bounded(LARGE))
        .open()
        .map(drop)
        .unwrap_err();
    assert!(
        matches!(error, PublishError::Memory(MemoryError::NoSpace { need, have })
            if need >= 64 << 20 && have < 48 << 20),
        "{error:?}"
    );
    assert_eq!(ground.files(), [""; 0]);
    let mut sink = ground.publish::<u64>("small").open().unwrap();
    sink.put(1).unwrap();
    let source = ground.subscribe::<u64>("small").open().unwrap();
    drop(sink);
    assert!(source.eq([1]));
    say("done");
}

#[test]
fn full_file_systems_are_an_error_or_no_matter() {
    if is_root("full_file_systems_are_an_error_or_no_matter") {
        let ground = Ground::new();
        let scene = ground.start("full_disks", &[]);
        scene.expect("done");
        scene.finish();
    }
}

/// Mounts a small file system in memory where only this process and its children see it.
fn mount(at: &Path, options: &str) {
    let text = |text: &str| std::ffi::CString::new(text).unwrap();
    let (at, options) = (text(at.to_str().unwrap()), text(options));
    // SAFETY: strings that end, and are alive; no memory is passed to be written.
    let done = unsafe {
        libc::mount(
            c"none".as_ptr(),
            at.as_ptr(),
            c"tmpfs".as_ptr(),
            0,
            options.as_ptr().cast(),
        )
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

/// What this process mounts from here on is seen by nobody else.
fn leave_namespace() {
    // SAFETY: a process with several threads may leave its mount namespace; it shares no other state by this.
    let alone = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    assert_eq!(alone, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: as in `mount`; nothing that happens here is seen outside of the namespace.
    let private = unsafe {
        libc::mount(
            c"none".as_ptr(),
            c"/".as_ptr(),
            std::ptr::null(),
            libc::MS_REC | libc::MS_PRIVATE,
            std::ptr::null(),
        )
    };
    assert_eq!(private, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_full_or_closed_disk_refuses_a_durable_stream_and_leaves_nothing() {
    if is_root("a_full_or_closed_disk_refuses_a_durable_stream_and_leaves_nothing") {
        let ground = Ground::new();
        let scene = ground.start("full_disk_of_files", &[]);
        scene.expect("done");
        scene.finish();
    }
}

fn full_disk_of_files(stage: &Stage) {
    leave_namespace();
    let ground = &stage.ground;
    let disk = ground.beside("disk");
    fs::create_dir(&disk).unwrap();
    mount(&disk, "size=1m,nr_inodes=16,mode=700");
    let names = || fs::read_dir(&disk).unwrap().count();
    let publish = |name: &str, elements: usize| {
        let builder = ground.publish::<u64>(name).durable(disk.join(name));
        builder.buffer_size(Buffer::Bounded(elements)).open()
    };
    let mut running = publish("running", 1 << 14).unwrap();
    let before = names();
    let error = publish("large", 1 << 17).map(drop).unwrap_err();
    assert!(error.to_string().contains("not to be had"), "{error}");
    assert_eq!((names(), ground.files().len()), (before, 2), "{error}");
    // What a stream has of the disk is its own, however full it gets.
    let filler = disk.join("filler");
    let mut byte = fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut byte, &[1; 512]).is_ok() {}
    for element in 0..1 << 14 {
        running.put(element).unwrap();
    }
    let error = running.sync().unwrap_err();
    assert!(error.to_string().contains("No space"), "{error}");
    let error = publish("small", 1).map(drop).unwrap_err();
    assert!(error.to_string().contains("not to be had"), "{error}");
    drop(running);
    // It is opened again all the same.
    assert_eq!(publish("running", 1 << 14).unwrap().position(), 1 << 14);
    drop(byte);
    fs::remove_file(&filler).unwrap();
    assert_eq!((names(), ground.files().len()), (before, 0));
    // Names have run out.
    let mut file = 0;
    while fs::write(disk.join(file.to_string()), "").is_ok() {
        file += 1;
    }
    let error = publish("small", 1).map(drop).unwrap_err();
    assert!(error.to_string().contains("not to be had"), "{error}");
    for name in 0..file {
        fs::remove_file(disk.join(name.to_string())).unwrap();
    }
    assert_eq!((names(), ground.files().len()), (before, 0));
    // Nothing may be written there any more.
    mount_again(&disk, libc::MS_RDONLY);
    for name in ["running", "small"] {
        let error = publish(name, 1 << 14).map(drop).unwrap_err();
        assert!(error.to_string().contains("Read-only file system"), "{error}");
    }
    mount_again(&disk, 0);
    let mut running = publish("running", 1 << 14).unwrap();
    running.sync().unwrap();
    assert_eq!(running.position(), 1 << 14);
    say("done");
}

/// Changes how a file system is mounted.
fn mount_again(at: &Path, flags: libc::c_ulong) {
    let at = std::ffi::CString::new(at.to_str().unwrap()).unwrap();
    // SAFETY: strings that end, and are alive; the other two are not looked at.
    let done = unsafe {
        libc::mount(
            std::ptr::null(),
            at.as_ptr(),
            std::ptr::null(),
            libc::MS_REMOUNT | flags,
            std::ptr::null(),
        )
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

fn full_disks(stage: &Stage) {
    leave_namespace();
    // Nowhere is a byte left that others could use; streams have memory of their own.
    mount(Path::new("/dev/shm"), "size=4k");
    fs::write("/dev/shm/full", [1; 4096]).unwrap();
    assert!(fs::write("/dev/shm/more", [1; 4096]).is_err());
    let ground = &stage.ground;
    let mut running = ground
        .publish::<u64>("running")
        .buffer_size(1 << 18)
        .open()
        .unwrap();
    let mut source = ground.subscribe::<u64>("running").open().unwrap();

    // In the runtime directory there is no room for another name.
    let disk = ground.beside("disk");
    fs::create_dir(&disk).unwrap();
    mount(&disk, "nr_inodes=4,mode=700");
    let publish = |name: &str| {
        let stream = millstream::publish::<u64>(name).directory(disk.join("run"));
        stream.open()
    };
    let first = publish("first").map(drop);
    for file in 0.. {
        if fs::write(disk.join(file.to_string()), "").is_err() {
            break;
        }
    }
    let error = publish("second").map(drop).unwrap_err();
    assert!(
        error.to_string().contains("no space is left"),
        "{first:?} {error:?}"
    );
    let left = fs::read_dir(disk.join("run")).map(Iterator::count).unwrap_or(0);
    assert_eq!(left, 0, "{error}");
    for element in 0..1000 {
        running.put(element).unwrap();
        assert_eq!(source.next(), Some(element));
    }
    for file in fs::read_dir(&disk).unwrap().flatten() {
        if file.file_type().unwrap().is_file() {
            fs::remove_file(file.path()).unwrap();
        }
    }
    drop(publish("second").unwrap());
    say("done");
}
