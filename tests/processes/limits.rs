//! Too little memory, too few descriptors, too small files: errors that say so, and nothing left behind.

use std::thread;
use std::time::Instant;

use millstream::{Buffer, DirectoryError, MemoryError, PublishError, SubscribeError, SystemError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::stage::{Ground, Role, Stage, eventually, holdings, say, soon};

pub(crate) const ROLES: &[(&str, Role)] = &[("few_files", few_files), ("small_file_limit", small_file_limit)];

#[test]
fn more_than_there_is_is_an_error() {
    let ground = Ground::new();
    for elements in [1usize << 40, usize::MAX, (1 << 32) + 1] {
        let error = ground
            .publish::<u64>("x")
            .buffer_size(Buffer::Bounded(elements))
            .open()
            .map(drop)
            .unwrap_err();
        assert!(matches!(error, PublishError::TooLarge { .. }), "{error}");
    }
    let error = ground
        .publish::<u64>("x")
        .max_demand(u64::MAX)
        .open()
        .map(drop)
        .unwrap_err();
    assert!(matches!(error, PublishError::TooLarge { .. }), "{error}");
    for elements in [1usize << 31, 1 << 26] {
        let error = ground
            .publish::<[u64; 1024]>("x")
            .buffer_size(Buffer::Bounded(elements))
            .open()
            .map(drop)
            .unwrap_err();
        assert!(
            matches!(error, PublishError::Memory(MemoryError::NoSpace { need, have }) if need > have),
            "{error}"
        );
    }
    let error = ground
        .publish::<[u8]>("x")
        .buffer_size(1 << 31)
        .max_frame(1 << 29)
        .open()
        .map(drop)
        .unwrap_err();
    assert!(
        matches!(error, PublishError::Memory(_) | PublishError::TooLarge { .. }),
        "{error}"
    );
    let error = ground
        .publish::<[u8]>("x")
        .max_frame(usize::MAX)
        .open()
        .map(drop)
        .unwrap_err();
    assert!(
        matches!(
            error,
            PublishError::FrameTooLong { .. } | PublishError::TooLarge { .. }
        ),
        "{error}"
    );
    assert_eq!(ground.files(), [""; 0]);
    // With nothing at all asked for, there is nothing to hold.
    let error = ground
        .publish::<u64>("x")
        .buffer_size(Buffer::Rendezvous)
        .max_demand(0)
        .open()
        .map(drop)
        .unwrap_err();
    assert!(
        matches!(error, PublishError::TooLarge { elements: 0, .. }),
        "{error}"
    );
}

#[test]
fn without_descriptors_every_error_says_so() {
    let ground = Ground::new();
    let scene = ground.start("few_files", &[]);
    scene.expect("done");
    scene.finish();
    assert_eq!(ground.files(), [""; 0]);
}

/// In a process of its own, whose limit is lowered until everything was refused once.
fn few_files(stage: &Stage) {
    let ground = &stage.ground;
    let mut producer = ground.start("producer", &[]);
    assert_eq!(producer.ask("open theirs"), "ok");
    assert_eq!(producer.ask("put 0 5"), "ok");
    drop(ground.publish::<u64>("warm").open().unwrap());
    let baseline = holdings();
    let old = getrlimit(Resource::Nofile);
    // Room for so many descriptors more; the listing itself holds one.
    let with = |more: usize| {
        let limit = Rlimit {
            current: Some((baseline.0 - 1 + more) as u64),
            maximum: old.maximum,
        };
        setrlimit(Resource::Nofile, limit).unwrap();
    };
    let said = |error: &dyn std::error::Error| {
        let text = error.to_string();
        assert!(
            text.contains("ulimit -n") || text.to_lowercase().contains("too many open files"),
            "{error:?}: {text}"
        );
    };
    let (mut published, mut subscribed) = (0, 0);
    for more in 0..30 {
        with(more);
        match ground.publish::<u64>("ours").open() {
            Ok(mut sink) => {
                published += 1;
                sink.put(1).unwrap();
            }
            Err(error) => {
                assert_eq!(published, 0, "with more room it works");
                assert!(
                    matches!(
                        error,
                        PublishError::Memory(MemoryError::TooManyFiles { .. })
                            | PublishError::System(SystemError::TooManyFiles { .. })
                            | PublishError::Directory(DirectoryError::System(
                                SystemError::TooManyFiles { .. }
                            ))
                    ),
                    "with {more} more: {error:?}"
                );
                said(&error);
            }
        }
        match millstream::subscribe::<u64>("theirs")
            .directory(&ground.dir)
            .resumable("again")
            .open()
        {
            Ok(source) => {
                subscribed += 1;
                drop(source);
            }
            Err(error) => {
                assert_eq!(subscribed, 0, "with more room it works");
                assert!(
                    matches!(
                        error,
                        SubscribeError::Memory(MemoryError::TooManyFiles { .. })
                            | SubscribeError::System(SystemError::TooManyFiles { .. })
                            | SubscribeError::Directory(DirectoryError::System(
                                SystemError::TooManyFiles { .. }
                            ))
                    ),
                    "with {more} more: {error:?}"
                );
                said(&error);
            }
        }
        setrlimit(Resource::Nofile, old).unwrap();
        let end = soon();
        while holdings() != baseline {
            assert!(
                Instant::now() < end,
                "with {more} more: {:?} and was {baseline:?}",
                holdings()
            );
            thread::yield_now();
        }
    }
    assert!(published > 0 && subscribed > 0);
    // Who fails halfway has not been a consumer: the stream does not end with the attempt.
    assert_eq!(producer.ask("drop"), "ok");
    assert_eq!(producer.ask("open plain"), "ok");
    let mut source = (0..30).find_map(|more| {
        with(more);
        let subscribed = millstream::subscribe::<u64>("plain")
            .directory(&ground.dir)
            .open();
        setrlimit(Resource::Nofile, old).unwrap();
        subscribed.map_err(|error| said(&error)).ok()
    });
    assert_eq!(producer.ask("put 3 4"), "ok");
    assert_eq!(source.as_mut().and_then(Iterator::next), Some(3));
    drop(source);
    drop(producer);
    // A dead producer's files are swept by whoever looks.
    eventually(|| {
        millstream::list(Some(ground.dir.clone())).unwrap();
        ground.files().is_empty()
    });
    say("done");
}

#[test]
fn a_limit_on_file_sizes_does_not_kill() {
    let ground = Ground::new();
    let scene = ground.start("small_file_limit", &[]);
    scene.expect("done");
    scene.finish();
}

fn small_file_limit(stage: &Stage) {
    let old = getrlimit(Resource::Fsize);
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: Some(8192),
            maximum: old.maximum,
        },
    )
    .unwrap();
    let error = stage.ground.publish::<u64>("x").open().map(drop).unwrap_err();
    assert!(
        matches!(
            error,
            PublishError::Memory(MemoryError::FileSizeLimit { limit: 8192, .. })
        ),
        "{error}"
    );
    say("done");
}
