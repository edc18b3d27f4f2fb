//! The file beside a durable stream: nobody deletes what is not theirs, and a name that stands there stays.

use std::fs;
use std::sync::Barrier;
use std::sync::mpsc::{TryRecvError, channel};
use std::thread;
use std::time::Instant;

use millstream::{CloseReason, DurableError, PublishError, SinkRef, SourceRef, SubscribeError, TryPutError};

use crate::power::{beside, write};
use crate::stage::{Ground, Shared, eventually};

/// Offset of the length of the subscription's name in the position's file.
const SUBSCRIPTION: usize = 384;
const LONGEST_NAME: usize = 80;

#[test]
fn what_is_no_leftover_of_a_making_is_not_deleted() {
    let ground = Ground::new();
    let file = ground.beside("orders");
    let position = beside(&file, ".position");
    let open = || match ground.publish::<u64>("orders").durable(&file).open() {
        Ok(_) => panic!("it was made over what lay there"),
        Err(PublishError::Durable(error)) => error,
        Err(other) => panic!("{other}"),
    };
    // Traders have positions, too.
    let mut foreign = b"account,instrument,position\n1,XYZ,-300\n".to_vec();
    for len in [foreign.len(), 4096] {
        foreign.resize(len, b'\n');
        fs::write(&position, &foreign).unwrap();
        assert!(matches!(open(), DurableError::Foreign { path, .. } if path == position));
        assert!(fs::read(&position).unwrap() == foreign);
        assert!(!file.exists());
    }
    fs::remove_file(&position).unwrap();
    fs::write(&position, []).unwrap();
    assert!(matches!(open(), DurableError::Foreign { found, .. } if found.is_empty()));
    fs::remove_file(&position).unwrap();
    // A consumer's position is its own, though the stream has been deleted.
    let mut sink = ground.publish::<u64>("orders").durable(&file).open().unwrap();
    sink.put_slice(&[0, 1, 2]).unwrap();
    let mut source = ground
        .subscribe::<u64>("orders")
        .resumable("book")
        .open()
        .unwrap();
    assert_eq!(source.next(), Some(0));
    drop((source, sink));
    let kept = fs::read(&position).unwrap();
    fs::remove_file(&file).unwrap();
    assert!(
        matches!(open(), DurableError::Position { path, why } if path == position && why.contains("stream is not"))
    );
    assert!(fs::read(&position).unwrap() == kept);
    // One more deleted by hand, and it begins anew.
    fs::remove_file(&position).unwrap();
    assert_eq!(
        ground
            .publish::<u64>("orders")
            .durable(&file)
            .open()
            .unwrap()
            .position(),
        0
    );
}

#[test]
fn producers_that_race_for_a_file_make_one_whole_stream() {
    let ground = Ground::new();
    let leftover = {
        let file = ground.beside("made");
        drop(ground.publish::<u64>("made").durable(&file).open().unwrap());
        fs::read(beside(&file, ".position")).unwrap()
    };
    for round in 0..40 {
        let file = ground.beside(&format!("orders{round}"));
        if round % 2 == 0 {
            // Somebody was killed between naming the position and the stream.
            fs::write(beside(&file, ".position"), &leftover).unwrap();
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(beside(&file, ".position"), private).unwrap();
        }
        let barrier = Barrier::new(3);
        thread::scope(|scope| {
            let racers: Vec<_> = (0..3)
                .map(|racer| {
                    let (ground, file, barrier) = (&ground, &file, &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        let builder = ground.publish::<u64>(&format!("racer{racer}"));
                        builder.durable(file).buffer_size(8).open()
                    })
                })
                .collect();
            let opened: Vec<_> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
            let won = opened.iter().filter(|opened| opened.is_ok()).count();
            assert_eq!(won, 1, "round {round}: {opened:?}");
            for lost in opened.iter().filter_map(|opened| opened.as_ref().err()) {
                assert!(
                    matches!(lost, PublishError::Durable(DurableError::Taken { .. })),
                    "round {round}: {lost}"
                );
            }
        });
        millstream::verify(&file).unwrap();
        fs::remove_file(beside(&file, ".position")).unwrap();
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn the_name_of_a_position_stays_while_its_consumers_come_and_go() {
    let ground = Ground::new();
    let file = ground.beside("orders");
    // As long as names may be: it takes the longest to write.
    let name = "n".repeat(LONGEST_NAME);
    let mut sink = ground.publish::<u64>("orders").durable(&file).open().unwrap();
    sink.put_slice(&[0, 1, 2]).unwrap();
    let subscribe = || ground.subscribe::<u64>("orders").resumable(&name).open();
    let mut source = subscribe().unwrap();
    assert_eq!((source.next(), source.next()), (Some(0), Some(1)));
    drop(source);
    let page = fs::File::open(beside(&file, ".position")).unwrap();
    let page = memmap2::MmapOptions::new().map_raw_read_only(&page).unwrap();
    let length = || {
        // SAFETY: within the page, aligned.
        unsafe { page.as_ptr().add(SUBSCRIPTION).cast::<u64>().read_volatile() }
    };
    assert_eq!(length(), LONGEST_NAME as u64);
    let (leash, over) = channel::<()>();
    let lost = thread::scope(|scope| {
        // A kill would leave what this one sees.
        let looks = scope.spawn(move || {
            let mut lost = false;
            while over.try_recv() == Err(TryRecvError::Empty) {
                lost |= length() != LONGEST_NAME as u64;
            }
            lost
        });
        for _ in 0..2000 {
            eventually(|| match subscribe() {
                Ok(_) => true,
                Err(SubscribeError::AlreadySubscribed { .. }) => false,
                Err(other) => panic!("{other}"),
            });
        }
        drop(leash);
        looks.join().unwrap()
    });
    assert!(!lost, "for a moment nobody's name stood there");
}

#[test]
fn a_consumer_that_scribbles_on_its_position_and_dies_costs_others_nothing_of_theirs() {
    for (offset, value) in [
        (264, 9),
        (264, 10_000),
        (264, u64::MAX),
        (264, 1 << 63),
        (256, 0),
        (256, 1 << 40),
        (256, u64::MAX),
        (128, 2),
        (128, u64::MAX),
        (384, 0),
        (384, 121),
        (384, u64::MAX),
        (392, 0),
        (512, 7),
        (512, u64::MAX),
        (0, 0),
        (16, 0),
        (40, u64::MAX),
    ] {
        let what = format!("{offset} {value:#x}");
        let ground = Ground::new();
        let file = ground.beside("orders");
        let open = |name: &str| {
            let builder = ground.publish::<u64>(name).durable(&file);
            builder.buffer_size(8).open()
        };
        let mut sink = open("orders").unwrap();
        sink.put_slice(&[0, 1, 2, 3, 4, 5, 6, 7]).unwrap();
        drop(Shared::open(&ground.beside("done")));
        let subscribe = || {
            let builder = millstream::subscribe::<u64>("orders").directory(&ground.dir);
            builder.resumable("book").initial_demand(4).open()
        };
        let mut source = ground.start("takes", &[&2]);
        source.expect("ALL");
        write(&beside(&file, ".position"), offset, &value.to_le_bytes());
        let _ = (8..30).find_map(|element| sink.put_deadline(element, Instant::now()).err());
        source.kill();
        let mut came = None;
        eventually(|| match subscribe() {
            Err(SubscribeError::AlreadySubscribed {
                resumable_waiting: false,
                ..
            }) => false,
            other => {
                came = Some(other);
                true
            }
        });
        let came = came.unwrap();
        let refused = |sink: &mut SinkRef<u64>| match sink.try_put(sink.position()) {
            Err(TryPutError::Closed(_, reason)) => Some(reason),
            _ => None,
        };
        let mut ended = (0..40).find_map(|_| refused(&mut sink));
        // One that stands where nothing was published yet is found out as soon as the sink has heard of it.
        let stands = came.as_ref().map_or(0, SourceRef::position);
        if ended.is_none() && stands > sink.position() {
            eventually(|| {
                ended = refused(&mut sink);
                ended.is_some()
            });
        }
        let is_corrupt = matches!(ended, Some(CloseReason::PeerCorrupt(_)));
        assert!(ended.is_none() || is_corrupt, "{what}: {ended:?}");
        let came = came.map(|mut source| {
            let begun = source.position();
            let mut next = begun;
            while next - begun < 20
                && let Ok(Some(element)) = source.next_deadline(Instant::now())
            {
                // Nothing is left out, torn, or made up.
                assert_eq!(element, next, "{what}");
                next += 1;
                let _ = sink.try_put(sink.position());
            }
            begun
        });
        let published = sink.position();
        drop(sink);
        let (opened, verified) = (open("again"), millstream::verify(&file));
        match (came, &opened) {
            // A consumer may say that it has done what is there: then that is where it stands.
            (Ok(begun), Ok(sink)) => {
                assert!(begun == 0 || begun == value, "{what}: {begun}");
                assert_eq!(sink.position(), published, "{what}");
            }
            (Ok(0), Err(error)) => assert!(matches!(error, PublishError::Durable(_)), "{what}: {error}"),
            (Ok(begun), Err(_)) => assert!(begun == value && is_corrupt, "{what}: {begun} {ended:?}"),
            (Err(SubscribeError::PeerCorrupt { .. } | SubscribeError::AlreadySubscribed { .. }), _) => {}
            (Err(error), _) => panic!("{what}: {error}"),
        }
        assert_eq!(opened.is_ok(), verified.is_ok(), "{what}");
    }
}
