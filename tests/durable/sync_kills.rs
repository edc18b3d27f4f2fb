//! A producer is killed while it syncs, or while it goes back to a sync: at each of its system calls, and at any moment.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use millstream::{DurableError, PublishBuilder, PublishError, TryNext};

use crate::power::{Disk, beside, names, restart};
use crate::stage::{Ground, LONGEST, Random, Role, Shared, Stage, eventually};

pub(crate) const ROLES: &[(&str, Role)] = &[
    ("syncs", syncs),
    ("syncs_twice", syncs_twice),
    ("goes_back", goes_back),
];

/// Which calls of the system are counted, one kind at a time: all that change a file, its names or who has it.
const CALLS: &[&str] = &[
    "flock",
    "ftruncate",
    "fallocate",
    "write",
    "pwrite64",
    "fdatasync",
    "fsync",
    "link,linkat",
    "unlink,unlinkat",
    "rename,renameat,renameat2",
];

fn builder(ground: &Ground) -> PublishBuilder<u64> {
    let builder = ground.publish::<u64>("orders").durable(file(ground));
    builder.buffer_size(100).max_demand(32).recover_synced()
}

fn file(ground: &Ground) -> PathBuf {
    ground.beside("orders")
}

/// What was put before a sync began, and what a sync has returned.
struct Said {
    begun: Shared,
    synced: Shared,
}

impl Said {
    fn of(ground: &Ground) -> Self {
        Self {
            begun: Shared::open(&ground.beside("begun")),
            synced: Shared::open(&ground.beside("synced")),
        }
    }

    /// After a loss of power there is one of the syncs: the last that has returned, or the one after it.
    #[track_caller]
    fn check(&self, ground: &Ground) {
        restart_if_there(&file(ground));
        let (begun, synced) = (self.begun.get(), self.synced.get());
        let sink = match builder(ground).open() {
            Err(PublishError::Durable(DurableError::Synced {
                why: "is missing", ..
            })) => {
                assert_eq!(synced, 0, "a sync was lost");
                return;
            }
            sink => sink.unwrap(),
        };
        let position = sink.position();
        assert!(
            position == synced || position == begun,
            "{position}: neither {synced} nor {begun}"
        );
        let builder = ground.subscribe::<u64>("orders").resumable("book");
        let mut source = builder.open().unwrap();
        // At least all that nobody has released.
        for at in source.position()..position {
            loop {
                match source.try_next() {
                    TryNext::Item(element) => break assert_eq!(element, at * 3),
                    TryNext::Empty => thread::yield_now(),
                    TryNext::End(end) => panic!("{end}"),
                }
            }
        }
        let left = names(&file(ground));
        assert!(!left.iter().any(|name| name.contains("unfinished")), "{left:?}");
    }
}

fn restart_if_there(file: &Path) {
    if file.exists() {
        restart(file);
    }
}

/// Syncs after some elements each, again and again, until it is killed.
fn syncs(stage: &Stage) {
    let said = Said::of(&stage.ground);
    let mut sink = builder(&stage.ground).open().unwrap();
    let mut source = stage.ground.subscribe::<u64>("orders").resumable("book");
    source = source.idle_timeout(Some(LONGEST));
    let mut source = source.open().unwrap();
    let mut next = sink.position();
    loop {
        for _ in 0..next % 40 + 1 {
            if sink.try_put(next * 3).is_err() {
                break;
            }
            next += 1;
        }
        while source.position() + 30 < next && source.next().is_some() {}
        said.begun.set(next);
        said.synced.set(sink.sync().unwrap());
    }
}

/// Syncs twice, and ends.
fn syncs_twice(stage: &Stage) {
    let said = Said::of(&stage.ground);
    let mut sink = builder(&stage.ground).open().unwrap();
    for _ in 0..2 {
        for _ in 0..20 {
            sink.put(sink.position() * 3).unwrap();
        }
        said.begun.set(sink.position());
        said.synced.set(sink.sync().unwrap());
    }
}

/// Goes back to a sync, and ends.
fn goes_back(stage: &Stage) {
    let sink = builder(&stage.ground).open().unwrap();
    assert_eq!(sink.position(), Said::of(&stage.ground).synced.get());
}

/// Plays a role, and kills it as it makes its `number`th call of these. Whether it came to its end before.
fn plays(ground: &Ground, role: &str, calls: &str, number: u32) -> bool {
    let inject = format!("inject={calls}:signal=KILL:when={number}");
    let mut child = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .arg(format!("trace={calls}"))
        .args(["-e", &inject])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "role", "--nocapture", "--test-threads=1"])
        .env("MILLSTREAM_TEST_ROLE", role)
        .env("MILLSTREAM_TEST_ARGS", "")
        .env("MILLSTREAM_TEST_DIR", &ground.dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + LONGEST;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(
                status.code().is_none_or(|code| code == 0 || code > 128),
                "{role} failed by itself: {status}"
            );
            return status.success();
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{role} hangs at {calls} {number}");
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a process can be killed at its system calls here.
fn has_strace() -> bool {
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/null", "true"]);
    let status = strace.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let has = status.is_ok_and(|status| status.success());
    if !has {
        println!("SKIPPED: strace is not installed, or may not trace here: no kill at each system call");
    }
    has
}

/// Calls `scene` for each of the calls and each number, until the role came to its end. Prints how many points that were of
/// each, and must have been as many of these at least.
fn at_each_call(least: &[(&str, u32)], mut scene: impl FnMut(&str, u32) -> bool) {
    for calls in CALLS {
        let points = (1..).take_while(|number| !scene(calls, *number)).count();
        println!("{points} points of {calls}");
        let least = least
            .iter()
            .find(|(call, _)| calls.split(',').any(|each| each == *call));
        assert!(
            least.is_none_or(|(_, least)| points >= *least as usize),
            "{calls}: {points}"
        );
    }
}

#[test]
fn killed_at_each_system_call_a_sync_is_there_or_the_one_before() {
    if !has_strace() {
        return;
    }
    // Of each of the two syncs at least one, and of the first two for the stream's own files.
    let least = [
        ("fdatasync", 4),
        ("fsync", 3),
        ("linkat", 4),
        ("renameat", 2),
        ("pwrite64", 2),
    ];
    at_each_call(&least, |calls, number| {
        let ground = Ground::new();
        let said = Said::of(&ground);
        let is_over = plays(&ground, "syncs_twice", calls, number);
        said.check(&ground);
        is_over
    });
}

#[test]
fn killed_at_each_system_call_going_back_is_begun_again() {
    if !has_strace() {
        return;
    }
    // Both files are made, kept, and put in place.
    let least = [("fdatasync", 2), ("fsync", 1), ("linkat", 4), ("renameat", 2)];
    at_each_call(&least, |calls, number| {
        let ground = Ground::new();
        let said = Said::of(&ground);
        let path = file(&ground);
        let mut sink = builder(&ground).open().unwrap();
        for _ in 0..20 {
            sink.put(sink.position() * 3).unwrap();
        }
        let subscribe = || {
            let builder = ground.subscribe::<u64>("orders").resumable("book");
            builder.transactional::<u64>().open().unwrap()
        };
        let mut source = subscribe();
        let mut commit = |state: u64| {
            while source.position() < state {
                source.next().unwrap();
            }
            source.commit(&state);
        };
        commit(5);
        said.synced.set(sink.sync().unwrap());
        said.begun.set(said.synced.get());
        sink.put(999).unwrap();
        commit(13);
        drop((sink, source));
        restart(&path);
        let found = fs::read(&path).unwrap();
        let is_over = plays(&ground, "goes_back", calls, number);
        // Who does not ask for it gets it whole, or not at all.
        let unasked = || {
            let builder = ground.publish::<u64>("orders").durable(&path);
            builder.buffer_size(100).max_demand(32).open()
        };
        let sink = match unasked() {
            Err(PublishError::Durable(DurableError::OtherBoot { .. })) => builder(&ground).open(),
            whole => whole,
        };
        let sink = sink.unwrap_or_else(|error| panic!("{calls} {number}: {error}"));
        let source = subscribe();
        assert_eq!(
            (sink.position(), source.position(), source.state()),
            (20, 5, Some(5)),
            "{calls} {number}"
        );
        drop((sink, source));
        let kept = beside(&path, ".before-recovery");
        assert!(fs::read(&kept).unwrap() == found, "{calls} {number}");
        assert_eq!(
            names(&path),
            [
                "orders",
                "orders.before-recovery",
                "orders.before-recovery.position",
                "orders.position",
                "orders.synced"
            ],
            "{calls} {number}"
        );
        is_over
    });
}

#[test]
fn killed_at_any_moment_a_sync_is_there_or_the_one_before() {
    let mut random = Random::new("killed while it syncs");
    let ground = Ground::new();
    let said = Said::of(&ground);
    let path = file(&ground);
    for _ in 0..30 {
        let before = said.synced.get();
        let mut producer = ground.start("syncs", &[]);
        eventually(|| said.synced.get() > before);
        let disk = Disk::of(&path);
        let aim = said.synced.get() + random.below(200);
        eventually(|| said.synced.get() >= aim);
        for _ in 0..random.below(3000) {
            std::hint::spin_loop();
        }
        producer.kill();
        disk.fail(&mut random);
        said.check(&ground);
        let position = builder(&ground).open().unwrap().position();
        said.begun.set(position);
        said.synced.set(position);
    }
}
