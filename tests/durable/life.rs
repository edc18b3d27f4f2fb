//! Producers and consumers of a durable stream come and go, and the stream goes on.

use std::path::PathBuf;

use millstream::{CloseReason, DurableError, End, PublishError, PutError, SubscribeError, TryNext};
use rustix::process::Signal;

use crate::stage::{Actor, Ground, LONGEST, Random, Role, Shared, Stage, eventually, say, soon};

pub(crate) const ROLES: &[(&str, Role)] = &[
    ("puts", puts),
    ("puts_frames", puts_frames),
    ("takes", takes),
    ("takes_frames", takes_frames),
];

fn file(ground: &Ground) -> PathBuf {
    ground.beside("orders")
}

fn frame(position: u64) -> Vec<u8> {
    let mut bytes = position.to_le_bytes().to_vec();
    bytes.resize(8 + (position * 37 % 90) as usize, position as u8);
    bytes
}

/// Puts its positions, one by one, in slices and in claims, and notes what the sink has taken.
fn puts(stage: &Stage) {
    let count: u64 = stage.arg(0);
    let acknowledged = Shared::open(&stage.ground.beside("acknowledged"));
    let builder = stage.ground.publish::<u64>("orders").durable(file(&stage.ground));
    let mut sink = builder.buffer_size(64).open().unwrap();
    let mut next = sink.position();
    // The uncertain one is there or not.
    assert!(next == acknowledged.get() || next > acknowledged.get(), "{next}");
    while next < count {
        let left = (count - next).min(10);
        match next % 3 {
            0 => {
                sink.put(next).unwrap();
                next += 1;
            }
            1 => {
                let batch: Vec<u64> = (next..next + left).collect();
                sink.put_slice(&batch).unwrap();
                next += left;
            }
            _ => {
                if let Ok(mut claim) = sink.claim(left as usize) {
                    for element in next..next + left {
                        claim.push(element).unwrap();
                    }
                    next += claim.commit().unwrap() as u64;
                }
            }
        }
        acknowledged.set(next);
    }
    say("DONE");
    stage.stay();
}

fn puts_frames(stage: &Stage) {
    let count: u64 = stage.arg(0);
    let acknowledged = Shared::open(&stage.ground.beside("acknowledged"));
    let builder = stage
        .ground
        .publish::<[u8]>("orders")
        .durable(file(&stage.ground));
    let mut sink = builder.max_frame(100).open().unwrap();
    let mut next = sink.position();
    assert!(next >= acknowledged.get());
    while next < count {
        sink.put(&frame(next)).unwrap();
        next += 1;
        acknowledged.set(next);
    }
    say("DONE");
    stage.stay();
}

/// Takes everything in order, and notes how far it came.
fn takes(stage: &Stage) {
    let count: u64 = stage.arg(0);
    let done = Shared::open(&stage.ground.beside("done"));
    let builder = stage.ground.subscribe::<u64>("orders").resumable("book");
    let mut source = builder.open().unwrap();
    let mut next = source.position();
    // Nothing is left out: it begins at what was done, or before.
    assert!(next <= done.get(), "{next} {}", done.get());
    while next < count {
        let Some(element) = source.next() else {
            assert_eq!(source.end(), Some(End::PeerGone));
            say("GONE");
            stage.stay();
        };
        assert_eq!(element, next);
        next += 1;
        done.set(done.get().max(next));
    }
    let _ = source.try_next();
    say("ALL");
    stage.stay();
}

fn takes_frames(stage: &Stage) {
    let count: u64 = stage.arg(0);
    let done = Shared::open(&stage.ground.beside("done"));
    let builder = stage.ground.subscribe::<[u8]>("orders").resumable("book");
    let mut source = builder.open().unwrap();
    let mut next = source.position();
    assert!(next <= done.get(), "{next} {}", done.get());
    while next < count {
        let Some(bytes) = source.next() else {
            assert_eq!(source.end(), Some(End::PeerGone));
            say("GONE");
            stage.stay();
        };
        assert_eq!(&*bytes, frame(next));
        next += 1;
        // Before the frame is given back: what the file says was taken has been taken, whenever this is killed.
        done.set(done.get().max(next));
        drop(bytes);
    }
    let _ = source.next_deadline(std::time::Instant::now());
    say("ALL");
    stage.stay();
}

#[test]
fn a_producer_goes_on_where_the_last_one_stopped() {
    let ground = Ground::new();
    let publish = || ground.publish::<u64>("orders").durable(file(&ground)).open();
    let mut sink = publish().unwrap();
    for element in 0..5 {
        sink.put(element).unwrap();
    }
    drop(sink);
    let mut sink = publish().unwrap();
    assert_eq!(sink.position(), 5);
    sink.put(5).unwrap();
    let mut source = ground
        .subscribe::<u64>("orders")
        .resumable("book")
        .open()
        .unwrap();
    for element in 0..6 {
        assert_eq!(source.next(), Some(element));
    }
    assert_eq!(source.try_next(), TryNext::Empty);
    drop(source);
    drop(sink);
    let sink = publish().unwrap();
    assert_eq!(sink.position(), 6);
    let source = ground
        .subscribe::<u64>("orders")
        .resumable("book")
        .open()
        .unwrap();
    assert_eq!(source.position(), 6);
    let report = millstream::verify(file(&ground)).unwrap();
    assert_eq!((report.released, report.published, report.in_use), (6, 6, true));
    assert_eq!(report.subscription, "book");
}

/// Kills one side, the other or both, at random moments, until everything was put and taken.
fn both_are_killed(puts: &str, takes: &str, rounds: u64, random: &mut Random) {
    let ground = Ground::new();
    let count = 100_000;
    let start = |role: &str| -> Actor { ground.start(role, &[&count]) };
    let acknowledged = Shared::open(&ground.beside("acknowledged"));
    let done = Shared::open(&ground.beside("done"));
    let (mut producer, mut consumer) = (start(puts), start(takes));
    for _ in 0..rounds {
        // Until something has moved, and a little longer.
        let (before, more) = (done.get(), random.below(400));
        eventually(|| done.get() >= (before + more).min(count));
        match random.below(3) {
            0 => producer.kill(),
            1 => consumer.kill(),
            _ => {
                producer.kill();
                consumer.kill();
            }
        }
        assert!(done.get() <= acknowledged.get() + 10);
        producer.kill();
        consumer.kill();
        let report = millstream::verify(file(&ground)).unwrap();
        assert!(report.published >= acknowledged.get(), "{report:?}");
        assert!(report.released <= done.get() + 1, "{report:?}");
        (producer, consumer) = (start(puts), start(takes));
    }
    producer.expect("DONE");
    consumer.expect("ALL");
    producer.kill();
    consumer.kill();
    let report = millstream::verify(file(&ground)).unwrap();
    assert_eq!(report.published, count);
    assert!(ground.files().len() <= 2, "{:?}", ground.files());
}

#[test]
fn nothing_is_lost_when_both_are_killed_again_and_again() {
    let mut random = Random::new("durable elements");
    both_are_killed("puts", "takes", 15, &mut random);
}

#[test]
fn no_frame_is_lost_when_both_are_killed_again_and_again() {
    let mut random = Random::new("durable frames");
    both_are_killed("puts_frames", "takes_frames", 15, &mut random);
}

#[test]
fn a_file_has_one_producer_also_while_that_one_is_stopped() {
    let ground = Ground::new();
    let producer = ground.start("puts", &[&10]);
    producer.expect("DONE");
    let second = |name: &str| {
        ground
            .publish::<u64>(name)
            .buffer_size(64)
            .durable(file(&ground))
            .open()
    };
    let taken = |name: &str| {
        matches!(
            second(name),
            Err(PublishError::Durable(DurableError::Taken { .. }))
        )
    };
    assert!(taken("others"));
    producer.signal(Signal::STOP);
    assert!(taken("others"));
    producer.signal(Signal::CONT);
    drop(producer);
    eventually(|| second("others").is_ok_and(|sink| sink.position() == 10));
}

#[test]
fn a_consumer_that_outlives_its_producer_keeps_its_place_until_it_is_done() {
    let ground = Ground::new();
    let mut producer = ground.start("puts", &[&50]);
    producer.expect("DONE");
    let mut orphan = ground
        .subscribe::<u64>("orders")
        .resumable("book")
        .open()
        .unwrap();
    assert_eq!(orphan.next(), Some(0));
    producer.kill();
    let builder = || {
        ground
            .publish::<u64>("orders")
            .buffer_size(64)
            .durable(file(&ground))
    };
    let mut sink = builder().open().unwrap();
    assert_eq!(sink.position(), 50);
    let other = || {
        let subscribe = millstream::subscribe::<u64>("orders").resumable("book");
        subscribe.directory(&ground.dir).open()
    };
    assert!(matches!(other(), Err(SubscribeError::AlreadySubscribed { .. })));
    for element in 1..50 {
        assert_eq!(orphan.next(), Some(element));
    }
    assert_eq!(orphan.next(), None);
    assert_eq!(orphan.end(), Some(End::PeerGone));
    sink.put(50).unwrap();
    let mut successor = other().unwrap();
    assert_eq!(successor.next(), Some(50));
    // What the one that has ended still says changes nothing.
    drop(orphan);
    sink.put(51).unwrap();
    assert_eq!(successor.next(), Some(51));
    assert!(!sink.is_closed());
}

#[test]
fn a_source_that_reconnects_goes_on_in_the_same_file() {
    let ground = Ground::new();
    let mut producer = ground.start("puts", &[&50]);
    producer.expect("DONE");
    let builder = ground.subscribe::<u64>("orders").resumable("book").reconnect();
    let mut source = builder.open().unwrap();
    for element in 0..20 {
        assert_eq!(source.next(), Some(element));
    }
    producer.kill();
    let producer = ground.start("puts", &[&100]);
    for element in 20..100 {
        assert_eq!(source.next(), Some(element));
    }
    assert_eq!(source.epoch(), 1, "a producer was followed");
    producer.expect("DONE");
}

#[test]
fn a_consumer_cannot_end_a_durable_stream() {
    let ground = Ground::new();
    let publish = || {
        ground
            .publish::<u64>("orders")
            .durable(file(&ground))
            .open()
            .unwrap()
    };
    let subscribe = || {
        ground
            .subscribe::<u64>("orders")
            .resumable("book")
            .open()
            .unwrap()
    };
    let mut sink = publish();
    sink.put_slice(&[0, 1, 2]).unwrap();
    let mut source = subscribe();
    assert_eq!(source.next(), Some(0));
    source.cancel();
    assert_eq!(source.end(), Some(End::Cancelled));
    sink.put(3).unwrap();
    assert!(!sink.is_closed());
    drop(source);
    let mut source = subscribe();
    let first = source.next().unwrap();
    assert!(first <= 1, "{first}");
    for element in first + 1..4 {
        assert_eq!(source.next(), Some(element));
    }
    // Nor is an end of the producer's the end.
    sink.complete().unwrap();
    assert_eq!(source.next(), None);
    assert_eq!(source.end(), Some(End::Completed));
    assert!(matches!(
        sink.put(9),
        Err(PutError::Closed(9, CloseReason::Completed))
    ));
    drop((sink, source));
    let mut sink = publish();
    sink.put(4).unwrap();
    assert_eq!(subscribe().next(), Some(4));
}

#[test]
fn the_position_belongs_to_one_name() {
    let ground = Ground::new();
    let sink = ground.publish::<u64>("orders").durable(file(&ground)).open();
    let mut sink = sink.unwrap();
    sink.put_slice(&[0, 1, 2]).unwrap();
    let subscribe = |name: &str| {
        let builder = millstream::subscribe::<u64>("orders").directory(&ground.dir);
        builder.resumable(name).open()
    };
    let nameless = millstream::subscribe::<u64>("orders")
        .directory(&ground.dir)
        .open();
    assert!(matches!(nameless, Err(SubscribeError::Durable { .. })));
    // Who has released nothing has no position to keep.
    drop(subscribe("first").unwrap());
    let wait = ground.subscribe::<u64>("orders").resumable("second");
    let mut source = wait.open().unwrap();
    assert_eq!((source.next(), source.next()), (Some(0), Some(1)));
    drop(source);
    let refused = loop {
        match subscribe("first") {
            Err(SubscribeError::AlreadySubscribed {
                resumable_waiting: false,
                ..
            }) => {}
            other => break other,
        }
    };
    assert!(
        matches!(&refused, Err(SubscribeError::AlreadySubscribed { subscription, .. }) if subscription == "second"),
        "{refused:?}"
    );
    assert_eq!(subscribe("second").unwrap().next(), Some(2));
}

#[test]
fn a_producer_without_a_consumer_fills_the_buffer_and_no_more_whoever_opens_the_file() {
    let ground = Ground::new();
    let publish = || {
        let builder = ground.publish::<u64>("orders").durable(file(&ground));
        builder.buffer_size(10).max_demand(20).open().unwrap()
    };
    let mut sink = publish();
    assert_eq!(sink.try_put_slice(&[7; 100]).unwrap(), 10);
    drop(sink);
    let mut sink = publish();
    assert_eq!(sink.try_put_slice(&[7; 100]).unwrap(), 0);
    let mut source = ground
        .subscribe::<u64>("orders")
        .resumable("book")
        .initial_demand(20);
    source = source.idle_timeout(Some(LONGEST));
    let mut source = source.open().unwrap();
    for _ in 0..10 {
        source.next_deadline(soon()).unwrap().unwrap();
    }
    eventually(|| sink.try_put_slice(&[7; 100]).unwrap() > 0);
}
