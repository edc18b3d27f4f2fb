//! Resumable subscriptions, and sources that go on with the next producer of a name.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Instant;

use millstream::{End, SubscribeError, TryPutError, TryPutFrameError};

use crate::stage::{Ground, LONGEST, Random, Role, Stage, say, soon};

pub(crate) const ROLES: &[(&str, Role)] =
    &[("night", night), ("night_frames", night_frames), ("epoch", epoch)];

const WINDOW: u64 = 12;

/// A resumable consumer of elements; what it has worked on stands in a file, one number of eight bytes after another.
fn night(stage: &Stage) {
    let name: String = stage.arg(0);
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(stage.ground.beside(&name))
        .unwrap();
    let builder = stage
        .ground
        .subscribe::<u64>(&name)
        .resumable("night")
        .initial_demand(WINDOW);
    let mut source = builder.open().unwrap();
    say("HERE");
    for element in &mut source {
        log.write_all(&element.to_le_bytes()).unwrap();
    }
    say(format_args!("{:?}", source.end()));
    stage.stay();
}

fn night_frames(stage: &Stage) {
    let name: String = stage.arg(0);
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(stage.ground.beside(&name))
        .unwrap();
    let builder = stage
        .ground
        .subscribe::<[u8]>(&name)
        .resumable("night")
        .initial_demand(WINDOW);
    let mut source = builder.open().unwrap();
    say("HERE");
    while let Some(frame) = source.next() {
        let position = u64::from_le_bytes(frame[..8].try_into().unwrap());
        assert_eq!(*frame, frame_of(position));
        log.write_all(&position.to_le_bytes()).unwrap();
    }
    say(format_args!("{:?}", source.end()));
    stage.stay();
}

fn frame_of(position: u64) -> Vec<u8> {
    let mut bytes = position.to_le_bytes().to_vec();
    bytes.resize(8 + (position * 31 % 120) as usize, position as u8);
    bytes
}

/// One incarnation of a publisher.
fn epoch(stage: &Stage) {
    let (name, from, count): (String, u64, u64) = (stage.arg(0), stage.arg(1), stage.arg(2));
    let mut sink = stage.ground.publish::<u64>(&name).open().unwrap();
    say("HERE");
    for element in from..from + count {
        sink.put(element).unwrap();
    }
    if stage.arg::<String>(3) == "complete" {
        sink.complete().unwrap();
    }
    say("DONE");
    stage.stay();
}

/// Kills consumers at random points of their work while `put` goes on, then completes; returns what was worked on.
/// `put(None)` completes. It never waits long, so that the work is looked at again.
fn relay(role: &str, ground: &Ground, mut put: impl FnMut(Option<u64>) -> bool) -> Vec<u64> {
    let mut random = Random::new(role);
    let log = ground.beside("relay");
    let logged = || fs::metadata(&log).map_or(0, |log| log.len() / 8);
    let mut next = 0u64;
    for round in 0..30 {
        let mut consumer = ground.start(role, &[&"relay"]);
        consumer.expect("HERE");
        let kill_at = logged() + random.below(400);
        let end = soon();
        while logged() < kill_at {
            if put(Some(next)) {
                next += 1;
            }
            assert!(
                Instant::now() < end,
                "round {round}: nothing is worked on, at {next}"
            );
        }
        consumer.kill();
    }
    let consumer = ground.start(role, &[&"relay"]);
    consumer.expect("HERE");
    put(None);
    consumer.expect("Some(Completed)");
    let bytes = fs::read(&log).unwrap();
    let worked: Vec<u64> = bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|bytes| u64::from_le_bytes(*bytes))
        .collect();
    assert_eq!(worked.last(), Some(&(next - 1)), "the last ones were worked on");
    worked
}

#[track_caller]
fn without_a_gap(worked: &[u64]) {
    let (mut expected, mut seams, mut again) = (0, 0, 0);
    for position in worked {
        assert!(
            *position <= expected,
            "{expected} to {position} were never worked on"
        );
        if *position != expected {
            assert!(
                expected - position <= WINDOW,
                "{expected} goes back to {position}, beyond the window"
            );
            seams += 1;
            again += expected - position;
        }
        expected = position + 1;
    }
    assert!(seams <= 31, "only a successor does things again");
    println!(
        "{} worked on, {again} of them again, at {seams} seams",
        worked.len()
    );
}

#[test]
fn every_successor_goes_on_where_the_dead_one_was() {
    let ground = Ground::new();
    let mut sink = ground.publish::<u64>("relay").buffer_size(32).open().unwrap();
    let worked = relay("night", &ground, |element| match element {
        None => sink.complete().is_ok(),
        Some(element) => match sink.try_put(element) {
            Ok(()) => true,
            Err(TryPutError::Full(back)) => back != element,
            Err(error) => panic!("{error}"),
        },
    });
    without_a_gap(&worked);
}

#[test]
fn every_successor_goes_on_with_frames_where_the_dead_one_was() {
    let ground = Ground::new();
    let mut sink = ground
        .publish::<[u8]>("relay")
        .buffer_size(32)
        .max_frame(200)
        .open()
        .unwrap();
    let worked = relay("night_frames", &ground, |position| match position {
        None => sink.complete().is_ok(),
        Some(position) => match sink.try_put(&frame_of(position)) {
            Ok(()) => true,
            Err(TryPutFrameError::Full) => false,
            Err(error) => panic!("{error}"),
        },
    });
    without_a_gap(&worked);
}

#[test]
fn who_leaves_in_order_is_followed_in_order() {
    let ground = Ground::new();
    let mut sink = ground.publish::<u64>("relay").buffer_size(8).open().unwrap();
    let mut put = 0;
    for round in 0..5u64 {
        let mut consumer = ground.start("consumer", &[]);
        assert_eq!(consumer.ask("open relay window=4 resumable=night"), "ok");
        for element in round * 10..(round + 1) * 10 {
            while sink.try_put(put).is_ok() {
                put += 1;
            }
            if put == element {
                // This process had not heard yet that the consumer came, whose demand makes room.
                sink.put(put).unwrap();
                put += 1;
            }
            assert_eq!(
                consumer.ask("next"),
                format!("item {element}"),
                "no element twice, and none left out"
            );
        }
        assert_eq!(consumer.ask("drop"), "ok");
        consumer.finish();
    }
    assert!(!sink.is_closed(), "the next one is awaited");
}

#[test]
fn only_the_same_name_resumes_and_a_cancel_ends_it() {
    let ground = Ground::new();
    let mut sink = ground.publish::<u64>("relay").open().unwrap();
    let mut first = ground.start("consumer", &[]);
    assert_eq!(first.ask("open relay resumable=night"), "ok");
    sink.put(0).unwrap();
    assert_eq!(first.ask("next"), "item 0");
    let pid = first.pid;
    first.kill();
    for other in ["", "resumable=day"] {
        let mut stranger = ground.start("consumer", &[]);
        let answer = stranger.ask(format!("open relay {other}"));
        assert!(answer.starts_with("error AlreadySubscribed"), "{answer}");
        assert!(
            answer.contains("night") && answer.contains(&pid.to_string()),
            "{answer}"
        );
        assert!(answer.contains("resumable_waiting: true"), "{answer}");
    }
    let mut second = ground.start("consumer", &[]);
    assert_eq!(second.ask("open relay resumable=night"), "ok");
    assert_eq!(
        second.ask("next"),
        "item 0",
        "what the dead one may not have finished"
    );
    sink.put(1).unwrap();
    assert_eq!(second.ask("next"), "item 1");
    assert_eq!(second.ask("cancel"), "ok");
    // This process may not have heard yet that the second one came, and so not that it went.
    let refused =
        (2..1000).find_map(|element| sink.put(element).err().map(|error| (element, error.into_inner())));
    let (element, back) = refused.expect("a cancel ends the stream");
    assert_eq!(back, element);
    assert_eq!(second.ask("drop"), "ok");
    let third = millstream::subscribe::<u64>("relay")
        .directory(&ground.dir)
        .resumable("night")
        .open();
    let error = third.unwrap_err();
    assert!(matches!(error, SubscribeError::Ended { .. }), "{error}");
}

#[test]
fn a_producer_that_dies_between_two_consumers_ends_it() {
    let ground = Ground::new();
    let mut producer = ground.start("producer", &[]);
    assert_eq!(producer.ask("open relay"), "ok");
    let mut source = ground
        .subscribe::<u64>("relay")
        .resumable("night")
        .open()
        .unwrap();
    assert_eq!(producer.ask("put 0 3"), "ok");
    assert_eq!(source.next(), Some(0));
    producer.kill();
    assert!(source.by_ref().eq(1..3));
    assert_eq!(source.end(), Some(End::PeerGone));
}

#[test]
fn subscribing_before_there_is_anybody() {
    let ground = Ground::new();
    let mut consumer = ground.start("consumer", &[]);
    consumer.say("open later");
    let mut source = {
        let dir = ground.dir.clone();
        let waiting = std::thread::spawn(move || {
            millstream::subscribe::<u64>("later too")
                .directory(&dir)
                .wait_for(LONGEST)
                .open()
                .map(drop)
                .unwrap_err()
        });
        let error = waiting.join().unwrap();
        assert!(matches!(error, SubscribeError::InvalidName(_)), "{error}");
        ground.publish::<u64>("later").open().unwrap()
    };
    consumer.expect("ok");
    source.put(9).unwrap();
    assert_eq!(consumer.ask("next"), "item 9");
}

#[test]
fn a_killed_producer_frees_its_name_at_once() {
    let ground = Ground::new();
    for round in 0..20u64 {
        let mut producer = ground.start("epoch", &[&"name", &round, &1, &"stay"]);
        producer.expect("HERE");
        let mut source = ground.subscribe::<u64>("name").open().unwrap();
        producer.kill();
        let mut sink = ground.publish::<u64>("name").open().unwrap();
        sink.put(77).unwrap();
        assert!(
            source.all(|element| element == round),
            "the old source stays with the old stream"
        );
        assert_eq!(source.end(), Some(End::PeerGone));
        drop(source);
        let mut consumer = ground.start("consumer", &[]);
        assert_eq!(consumer.ask("open name"), "ok");
        assert_eq!(consumer.ask("next"), "item 77");
    }
}

#[test]
fn a_source_that_reconnects_counts_the_epochs() {
    let ground = Ground::new();
    let mut source = None;
    for round in 0..6u64 {
        let last = round == 5;
        let how = if last { "complete" } else { "stay" };
        let mut producer = ground.start("epoch", &[&"name", &(round * 100), &10, &how]);
        producer.expect("HERE");
        let source =
            source.get_or_insert_with(|| ground.subscribe::<u64>("name").reconnect().open().unwrap());
        for expected in round * 100..round * 100 + 10 {
            assert_eq!(source.next_deadline(soon()), Ok(Some(expected)));
        }
        assert_eq!((source.epoch(), source.end()), (round, None));
        if last {
            assert_eq!(source.next(), None);
            assert_eq!(source.end(), Some(End::Completed));
        }
        producer.expect("DONE");
        producer.kill();
    }
}

#[test]
fn without_reconnect_a_restart_is_the_end() {
    let ground = Ground::new();
    let mut first = ground.start("epoch", &[&"name", &0, &3, &"stay"]);
    first.expect("HERE");
    let mut source = ground.subscribe::<u64>("name").open().unwrap();
    first.expect("DONE");
    first.kill();
    let second = ground.start("epoch", &[&"name", &100, &3, &"stay"]);
    second.expect("HERE");
    assert!(source.by_ref().eq(0..3));
    assert_eq!((source.end(), source.epoch()), (Some(End::PeerGone), 0));
}

#[test]
fn a_resumable_source_reconnects_too() {
    let ground = Ground::new();
    let mut producer = ground.start("epoch", &[&"name", &0, &4, &"stay"]);
    producer.expect("HERE");
    let mut consumer = ground.start("consumer", &[]);
    assert_eq!(consumer.ask("open name resumable=night reconnect"), "ok");
    producer.expect("DONE");
    assert_eq!(consumer.ask("take 4"), "Some(0) Some(3) true");
    producer.kill();
    let producer = ground.start("epoch", &[&"name", &50, &4, &"complete"]);
    producer.expect("HERE");
    assert_eq!(consumer.ask("take 4"), "Some(50) Some(53) true");
    assert_eq!(consumer.ask("epoch"), "1");
    assert_eq!(consumer.ask("next"), "none Some(Completed)");
}
