//! streamx's stream with its consumers in other processes (rows X1 to X8, X10 to X12, X15): nobody gets ahead.

use std::thread;
use std::time::{Duration, Instant};

use millstream::{End, OnNoConsumer, Publisher, PutDeadlineError, TryPutError};

use crate::stage::{Actor, Ground, Role, Stage, eventually, say, soon};

pub(crate) const ROLES: &[(&str, Role)] = &[("meets", meets)];

/// Takes a value for each line that it hears, and says it; the end, when that comes.
fn meets(stage: &Stage) {
    let patience: u64 = stage.arg(0);
    let builder = stage.ground.subscribe::<u64>("meeting").idle_timeout(None);
    let mut consumer = match patience {
        0 => builder.subscriber(),
        millis => builder.evict_after(Duration::from_millis(millis)).subscriber(),
    }
    .unwrap();
    say("HERE");
    loop {
        match stage.hear().as_str() {
            "next" => match consumer.next() {
                Some(value) => say(value),
                None => say(format_args!("{:?}", consumer.end())),
            },
            "all" => {
                for (value, expected) in consumer.by_ref().zip(0..) {
                    assert_eq!(value, expected);
                }
                say(format_args!("{:?}", consumer.end()));
            }
            _ => return,
        }
    }
}

fn meeting(ground: &Ground, consumers: usize) -> (Publisher<u64>, Vec<Actor>) {
    let publisher = ground.publish("meeting").publisher().unwrap();
    let actors: Vec<_> = (0..consumers).map(|_| ground.start("meets", &[&0])).collect();
    for actor in &actors {
        actor.expect("HERE");
    }
    (publisher, actors)
}

/// Too soon for anything but what is there.
fn shortly() -> Instant {
    Instant::now() + Duration::from_millis(5)
}

/// A put that must come to something.
fn put(publisher: &mut Publisher<u64>, value: u64) -> u64 {
    publisher.put_deadline(value, soon()).unwrap()
}

#[test]
fn x1_to_x4_four_processes_get_every_value_in_order() {
    let ground = Ground::new();
    let (mut publisher, mut actors) = meeting(&ground, 4);
    actors.iter_mut().for_each(|actor| actor.say("all"));
    for value in 0..500 {
        assert_eq!(put(&mut publisher, value), 4);
    }
    assert!(publisher.close_deadline(soon()).unwrap());
    for actor in actors {
        actor.expect("Some(Completed)");
        actor.finish();
    }
}

#[test]
fn x2_x3_x5_a_put_waits_for_every_process_to_ask() {
    let ground = Ground::new();
    let (mut publisher, mut actors) = meeting(&ground, 2);
    // Registered, and asked for nothing yet.
    assert_eq!(
        publisher.put_deadline(1, shortly()),
        Err(PutDeadlineError::TimedOut(1))
    );
    actors[0].say("next");
    assert_eq!(
        publisher.put_deadline(1, shortly()),
        Err(PutDeadlineError::TimedOut(1))
    );
    actors[1].say("next");
    assert_eq!(put(&mut publisher, 1), 2);
    actors.iter().for_each(|actor| actor.expect("1"));
    // Both work on the first.
    assert_eq!(publisher.try_put(2), Err(TryPutError::Full(2)));
    actors.iter_mut().for_each(|actor| actor.say("next"));
    assert_eq!(put(&mut publisher, 2), 2);
    actors.iter().for_each(|actor| actor.expect("2"));
}

#[test]
fn x6_without_a_process_the_newest_value_is_kept() {
    let ground = Ground::new();
    let builder = ground
        .publish::<u64>("meeting")
        .on_no_consumer(OnNoConsumer::KeepLatest);
    let mut publisher = builder.publisher().unwrap();
    for value in 0..10 {
        assert_eq!(publisher.put(value), Ok(0));
    }
    let mut late = ground.start("meets", &[&0]);
    late.expect("HERE");
    late.say("next");
    late.expect("9");
}

#[test]
fn x7_x10_who_joins_late_sees_what_comes_and_after_the_close_the_end() {
    let ground = Ground::new();
    let (mut publisher, mut actors) = meeting(&ground, 1);
    actors[0].say("next");
    put(&mut publisher, 1);
    actors[0].expect("1");
    let late = ground.start("meets", &[&0]);
    late.expect("HERE");
    actors.push(late);
    actors.iter_mut().for_each(|actor| actor.say("next"));
    assert_eq!(put(&mut publisher, 2), 2);
    actors.iter().for_each(|actor| actor.expect("2"));
    publisher.close_now();
    let too_late = ground.start("meets", &[&0]);
    too_late.expect("HERE");
    actors.push(too_late);
    for mut actor in actors {
        actor.say("next");
        actor.expect("Some(Completed)");
        actor.finish();
    }
}

#[test]
fn x8_close_waits_for_the_processes() {
    let ground = Ground::new();
    let (mut publisher, mut actors) = meeting(&ground, 2);
    actors[0].say("next");
    assert_eq!(publisher.close_deadline(shortly()), Ok(false));
    let closing = thread::spawn(move || publisher.close_deadline(soon()));
    actors[1].say("next");
    actors.iter().for_each(|actor| actor.expect("Some(Completed)"));
    assert_eq!(closing.join().unwrap(), Ok(true));
}

#[test]
fn x11_a_publisher_that_is_dropped_closes() {
    let ground = Ground::new();
    let (publisher, mut actors) = meeting(&ground, 1);
    actors[0].say("next");
    drop(publisher);
    actors[0].expect("Some(Completed)");
}

#[test]
fn x12_a_process_that_is_killed_or_ends_holds_nobody() {
    let ground = Ground::new();
    let (mut publisher, mut actors) = meeting(&ground, 3);
    actors.iter_mut().for_each(|actor| actor.say("next"));
    assert_eq!(put(&mut publisher, 1), 3);
    actors.iter().for_each(|actor| actor.expect("1"));
    // One is killed at work, while the publisher waits; one ends by itself.
    actors[0].say("next");
    let waiting = thread::spawn(move || {
        assert_eq!(put(&mut publisher, 2), 1);
        publisher
    });
    actors.pop().unwrap().kill();
    actors.pop().unwrap().finish();
    actors[0].expect("2");
    let publisher = waiting.join().unwrap();
    eventually(|| publisher.consumers() == 1);
}

#[test]
fn x15_a_process_that_is_too_slow_is_evicted_and_told() {
    let ground = Ground::new();
    let (mut publisher, mut actors) = meeting(&ground, 1);
    let mut slow = ground.start("meets", &[&50]);
    slow.expect("HERE");
    actors[0].say("next");
    assert_eq!(put(&mut publisher, 1), 1);
    actors[0].expect("1");
    let evicted = format!("{:?}", Some(End::Evicted));
    let mut answer = slow.ask("next");
    if answer == "1" {
        // It asked before it was told, and the ring still held the value.
        answer = slow.ask("next");
    }
    assert_eq!(answer, evicted);
}
