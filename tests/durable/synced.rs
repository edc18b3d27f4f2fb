//! Back to the last sync, after the machine itself has ended.

use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;

use millstream::{
    DurableError, Element, PublishBuilder, PublishError, Schema, SyncError, Synced, TryNext, verify,
    verify_synced,
};

use crate::power::{Disk, beside, names, restart, write};
use crate::stage::{Ground, Random, Role, Shared, Stage, eventually, say};
use crate::transactional::Sums;

pub(crate) const ROLES: &[(&str, Role)] =
    &[("commits", commits), ("syncs_under_a_limit", syncs_under_a_limit)];

/// A stream of some kind.
pub(crate) struct Scene {
    pub(crate) ground: Ground,
    pub(crate) file: PathBuf,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let ground = Ground::new();
        let file = ground.beside("orders");
        Self { ground, file }
    }

    pub(crate) fn builder<P: millstream::Travel + ?Sized>(&self) -> PublishBuilder<P> {
        let builder = self.ground.publish::<P>("orders").durable(&self.file);
        builder.buffer_size(16).max_demand(32).recover_synced()
    }

    /// Some elements, a sync, and some elements more; a state of 6.
    pub(crate) fn synced() -> Self {
        let scene = Self::new();
        let mut sink = scene.builder::<u64>().open().unwrap();
        let subscribe = || scene.ground.subscribe::<u64>("orders").resumable("book");
        let mut source = subscribe().transactional::<u64>().open().unwrap();
        for element in 0..10 {
            sink.put(element).unwrap();
        }
        for _ in 0..6 {
            source.next().unwrap();
        }
        source.commit(&6);
        assert_eq!(sink.sync().unwrap(), 10);
        sink.put(10).unwrap();
        source.next().unwrap();
        source.commit(&7);
        scene
    }

    /// Removes what going back has put aside.
    pub(crate) fn forget_what_was_kept(&self) {
        for name in names(&self.file) {
            if name.contains("before-recovery") {
                fs::remove_file(self.file.with_file_name(name)).unwrap();
            }
        }
    }

    #[track_caller]
    pub(crate) fn refusal(&self) -> DurableError {
        let files = || {
            let of = |suffix: &str| fs::read(beside(&self.file, suffix)).ok();
            [of(""), of(".position"), of(".synced")]
        };
        let before = (files(), names(&self.file));
        let error = match self.builder::<u64>().open() {
            Err(PublishError::Durable(error)) => error,
            other => panic!("{other:?}"),
        };
        assert!(
            before == (files(), names(&self.file)),
            "what is refused is left as it was"
        );
        error
    }
}

/// Puts, takes, syncs and loses power, again and again. `make` makes the element of a position.
fn goes_back<T: Element + Copy + PartialEq + Debug>(base: u64, make: impl Fn(u64) -> T) {
    let mut random = Random::new("power loss");
    let scene = Scene::new();
    let open = || scene.builder::<T>().start_position(base).open().unwrap();
    let subscribe = || {
        let builder = scene.ground.subscribe::<T>("orders").resumable("book");
        builder.initial_demand(32).transactional::<u64>().open().unwrap()
    };
    let mut synced = None;
    for _ in 0..30 {
        let (mut sink, mut source) = (open(), subscribe());
        let mut next = sink.position();
        let disk = Disk::of(&scene.file);
        let mut taken = source.position();
        for _ in 0..random.below(40) {
            for _ in 0..random.below(10) {
                if sink.try_put(make(next)).is_ok() {
                    next = next.wrapping_add(1);
                }
            }
            for _ in 0..random.below(12) {
                if let TryNext::Item(element) = source.try_next() {
                    assert_eq!(element, make(taken));
                    taken = taken.wrapping_add(1);
                }
            }
            if random.below(2) == 0 {
                source.commit(&taken);
            }
            if random.below(4) == 0 {
                assert_eq!(sink.sync().unwrap(), next);
                let report = verify_synced(&scene.file).unwrap();
                assert_eq!(report.published, next);
                synced = Some((next, source.committed(), source.state()));
            }
        }
        drop((sink, source));
        let Some((position, committed, state)) = synced else {
            continue;
        };
        disk.fail(&mut random);
        let (sink, mut source) = (open(), subscribe());
        assert_eq!(sink.position(), position);
        assert_eq!((source.position(), source.state()), (committed, state));
        for at in 0..position.wrapping_sub(committed) {
            let next = committed.wrapping_add(at);
            if source.uncommitted() == 32 {
                source.commit(&next);
            }
            assert_eq!(source.try_next(), TryNext::Item(make(next)));
        }
        assert_eq!(source.try_next(), TryNext::Empty);
        let kept = names(&scene.file)
            .iter()
            .filter(|name| name.contains("before-recovery"))
            .count();
        assert!(kept >= 2 && kept % 2 == 0, "{kept}");
        scene.forget_what_was_kept();
    }
}

#[test]
fn power_loss_goes_back_to_the_last_sync() {
    goes_back(0, |position| position.wrapping_mul(31));
}

#[test]
fn so_do_elements_of_odd_sizes_and_positions() {
    goes_back(u64::MAX - 100, |position| [position as u8; 3]);
    goes_back(5, |position| [position; 9]);
    goes_back((1 << 32) - 3, |position| (position as u8).wrapping_mul(3));
}

pub(crate) fn frame(position: u64) -> Vec<u8> {
    vec![position as u8; (position * 37 % 90) as usize]
}

/// As [`goes_back`], of frames, which are released without a state.
fn frames_go_back(schema: Option<&Schema>, make: impl Fn(u64) -> Vec<u8>) {
    let mut random = Random::new("power loss, frames");
    let scene = Scene::new();
    let open = || {
        let builder = scene.builder::<[u8]>().max_frame(100);
        match schema {
            Some(schema) => builder.schema(schema.clone()).open().unwrap(),
            None => builder.open().unwrap(),
        }
    };
    let subscribe = || {
        let builder = scene.ground.subscribe::<[u8]>("orders").resumable("book");
        builder.initial_demand(32).replenish_each().open().unwrap()
    };
    let mut synced = None;
    for _ in 0..30 {
        let (mut sink, mut source) = (open(), subscribe());
        let mut next = sink.position();
        let disk = Disk::of(&scene.file);
        let mut taken = source.position();
        for _ in 0..random.below(40) {
            for _ in 0..random.below(10) {
                if sink.try_put(&make(next)).is_ok() {
                    next += 1;
                }
            }
            for _ in 0..random.below(12) {
                if let TryNext::Item(bytes) = source.try_next() {
                    assert_eq!(&*bytes, make(taken));
                    taken += 1;
                }
            }
            if random.below(4) == 0 {
                assert_eq!(sink.sync().unwrap(), next);
                let report = verify_synced(&scene.file).unwrap();
                assert!(report.released <= taken, "{report:?} {taken}");
                synced = Some((next, report.released));
            }
        }
        drop((sink, source));
        let Some((position, released)) = synced else {
            continue;
        };
        disk.fail(&mut random);
        let (sink, mut source) = (open(), subscribe());
        assert_eq!((sink.position(), source.position()), (position, released));
        for at in released..position {
            match source.try_next() {
                TryNext::Item(bytes) => assert_eq!(&*bytes, make(at)),
                other => panic!("{at}: {other:?}"),
            }
        }
        assert!(matches!(source.try_next(), TryNext::Empty));
    }
}

#[test]
fn frames_go_back_to_the_last_sync() {
    frames_go_back(None, frame);
}

#[test]
fn elements_known_by_their_schema_go_back_to_the_last_sync() {
    frames_go_back(Some(&u64::schema()), |position| position.to_le_bytes().into());
}

#[test]
fn in_the_same_boot_nothing_is_gone_back_to() {
    let scene = Scene::synced();
    let sink = scene.builder::<u64>().open().unwrap();
    assert_eq!(sink.position(), 11, "a kill loses nothing");
    let report = verify(&scene.file).unwrap();
    assert_eq!((report.released, report.commits), (7, 2));
    assert!(matches!(report.synced, Synced::Whole(synced) if (synced.released, synced.published) == (6, 10)));
    assert_eq!(
        names(&scene.file),
        ["orders", "orders.position", "orders.synced"],
        "and nothing is put aside"
    );
}

#[test]
fn another_boot_is_refused_until_it_is_asked_for_and_what_was_found_is_kept() {
    let scene = Scene::synced();
    restart(&scene.file);
    let found = (
        fs::read(&scene.file).unwrap(),
        fs::read(beside(&scene.file, ".position")).unwrap(),
    );
    let unasked = || {
        let builder = scene.ground.publish::<u64>("orders").durable(&scene.file);
        builder.buffer_size(16).max_demand(32).open()
    };
    for offset in [None, Some(8192), Some(200)] {
        // Whatever of it is damaged besides.
        if let Some(offset) = offset {
            write(&scene.file, offset, &[0x55; 8]);
        }
        let error = unasked().unwrap_err();
        assert!(
            matches!(
                error,
                PublishError::Durable(DurableError::OtherBoot { .. } | DurableError::Contradiction { .. })
            ),
            "{error}"
        );
    }
    write(&scene.file, 0, &found.0);
    let sink = scene.builder::<u64>().open().unwrap();
    assert_eq!(sink.position(), 10);
    let kept = beside(&scene.file, ".before-recovery");
    assert!(fs::read(&kept).unwrap() == found.0);
    assert!(fs::read(beside(&kept, ".position")).unwrap() == found.1);
    let report = verify(&kept).unwrap();
    assert_eq!(
        (report.published, report.released, report.other_boot),
        (11, 7, true)
    );
    drop(sink);
    // From then on it is a stream like any other, and the snapshot still its own.
    assert_eq!(unasked().unwrap().position(), 10);
    restart(&scene.file);
    assert_eq!(scene.builder::<u64>().open().unwrap().position(), 10);
    assert!(beside(&scene.file, ".before-recovery.1").exists());
}

#[test]
fn a_sync_that_fails_leaves_the_one_before_and_the_stream_goes_on() {
    let (mut sink, _source) = millstream::channel::<u64>().build().unwrap();
    assert!(matches!(sink.sync(), Err(SyncError::NotDurable)));
    let scene = Scene::synced();
    let mut sink = scene.builder::<u64>().open().unwrap();
    let unfinished = beside(&scene.file, ".synced.millstream-unfinished");
    fs::create_dir(&unfinished).unwrap();
    let error = sink.sync().unwrap_err();
    assert!(
        matches!(error, SyncError::Durable(DurableError::Io { .. })),
        "{error}"
    );
    assert_eq!(verify_synced(&scene.file).unwrap().published, 10);
    fs::remove_dir(&unfinished).unwrap();
    sink.put(11).unwrap();
    assert_eq!(sink.sync().unwrap(), 12);
    assert_eq!(verify_synced(&scene.file).unwrap().published, 12);
}

fn syncs_under_a_limit(stage: &Stage) {
    let builder = stage.ground.publish::<u64>("orders").recover_synced();
    let builder = builder.durable(stage.ground.beside("orders"));
    let mut sink = builder.buffer_size(16).max_demand(32).open().unwrap();
    for bytes in [4096, 100] {
        let limit = rustix::process::Rlimit {
            current: Some(bytes),
            maximum: None,
        };
        rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
        let error = sink.sync().unwrap_err();
        assert!(error.to_string().contains("File too large"), "{error}");
    }
    sink.put(11).unwrap();
    say("ALIVE");
}

#[test]
fn a_limit_on_the_size_of_files_fails_a_sync_and_ends_nobody() {
    let scene = Scene::synced();
    let producer = scene.ground.start("syncs_under_a_limit", &[]);
    producer.expect("ALIVE");
    producer.finish();
    assert_eq!(verify_synced(&scene.file).unwrap().published, 10);
    assert_eq!(scene.builder::<u64>().open().unwrap().position(), 12);
}

/// Commits after each element, until it is killed.
fn commits(stage: &Stage) {
    let progress = Shared::open(&stage.ground.beside("progress"));
    let builder = stage.ground.subscribe::<u64>("orders").resumable("book");
    let mut source = builder.initial_demand(32).transactional::<Sums>().open().unwrap();
    let mut sums = source.state().unwrap_or_default();
    say("HERE");
    while let Some(element) = source.next().unwrap() {
        sums.add(element);
        source.commit(&sums);
        progress.set(sums.count);
    }
    stage.stay();
}

#[test]
fn a_consumer_goes_on_while_the_stream_is_synced_and_each_sync_is_of_one_moment() {
    let scene = Scene::new();
    let progress = Shared::open(&scene.ground.beside("progress"));
    let mut sink = scene.builder::<u64>().open().unwrap();
    let consumer = scene.ground.start("commits", &[]);
    consumer.expect("HERE");
    let copy = scene.ground.beside("copy");
    let (mut next, mut moved) = (0_u64, 0);
    for _ in 0..200 {
        let before = progress.get();
        for _ in 0..40 {
            sink.put(next * next).unwrap();
            next += 1;
        }
        assert_eq!(sink.sync().unwrap(), next);
        moved += u64::from(progress.get() > before);
        // The power fails on a copy of it.
        for suffix in ["", ".position", ".synced"] {
            fs::copy(beside(&scene.file, suffix), beside(&copy, suffix)).unwrap();
        }
        restart(&copy);
        {
            let builder = scene.ground.publish::<u64>("copy").durable(&copy);
            let builder = builder.buffer_size(16).max_demand(32).recover_synced();
            let sink = builder.open().unwrap();
            assert_eq!(sink.position(), next);
            let builder = scene.ground.subscribe::<u64>("copy").resumable("book");
            let mut source = builder.initial_demand(32).transactional::<Sums>().open().unwrap();
            let mut sums = source.state().unwrap_or_default();
            assert_eq!(sums, Sums::of(source.position()), "state and position agree");
            while let TryNext::Item(element) = source.try_next() {
                sums.add(element);
                source.commit(&sums);
            }
            assert_eq!(sums, Sums::of(next));
        }
        for name in names(&copy) {
            fs::remove_file(copy.with_file_name(name)).unwrap();
        }
    }
    eventually(|| progress.get() == next);
    assert!(moved > 0, "the consumer took while the stream was synced");
}
