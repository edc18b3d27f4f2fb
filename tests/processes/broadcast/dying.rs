//! What a process that is killed leaves to the others, and to the next of its name.

use std::sync::mpsc::{TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use millstream::{JoinPosition, SubscribeError};

use super::consumers;
use crate::stage::{Actor, Ground, Random, Shared, Stage, eventually, say, soon, strategy};

/// Joins again and again, takes a little, and leaves in one of several ways, until it is killed.
pub(super) fn passes_by(stage: &Stage) {
    let (name, seed): (String, u64) = (stage.arg(0), stage.arg(1));
    let mut random = Random(seed);
    say("HERE");
    loop {
        let from = random.of(&[JoinPosition::Live, JoinPosition::Live, JoinPosition::Oldest]);
        let window = 1 + random.below(40);
        let opened = stage.ground.subscribe::<u64>(&name).from(from);
        let mut source = match opened.initial_demand(window).open() {
            Ok(source) => source,
            // The stream is over.
            Err(error) => return say(error),
        };
        let first = source.position();
        for expected in (first..).take(random.below(300) as usize) {
            match source.next() {
                Some(element) => assert_eq!(element, expected),
                None => return say("END"),
            }
        }
        if random.below(2) == 0 {
            source.cancel();
        }
    }
}

/// Publishes without an end, and notes in a file what the sink has taken.
pub(super) fn publishes(stage: &Stage) {
    let name: String = stage.arg(0);
    let published = Shared::open(&stage.ground.beside(&name));
    let builder = stage.ground.publish::<u64>(&name).consumers(4).buffer_size(100);
    let mut sink = builder.open().unwrap();
    say("HERE");
    stage.hear();
    for next in 0.. {
        sink.put(next).unwrap();
        published.set(next + 1);
    }
}

#[test]
fn a_storm_of_comers_leavers_and_kills_costs_the_survivors_nothing() {
    let mut random = Random::new("a storm over a broadcast");
    let ground = Ground::new();
    let builder = ground.publish::<u64>("storm").consumers(64).buffer_size(50);
    let mut sink = builder.max_demand(64).open().unwrap();
    let steady: Vec<Actor> = [("park", 1), ("default", 16), ("yield", 64), ("park", 33)]
        .into_iter()
        .map(|(wait, window)| ground.start("follows", &[&"storm", &"live", &window, &wait]))
        .collect();
    for consumer in &steady {
        consumer.expect("0");
    }
    let (over, is_over) = channel::<()>();
    let producing = thread::spawn(move || {
        let mut next = 0;
        while is_over.try_recv() == Err(TryRecvError::Empty) {
            sink.put_deadline(next, soon()).unwrap();
            next += 1;
        }
        sink.complete_and_drain(soon()).unwrap();
        next
    });
    for _ in 0..8 {
        let passers: Vec<Actor> = (0..3)
            .map(|_| ground.start("passes_by", &[&"storm", &random.next()]))
            .collect();
        for passer in &passers {
            passer.expect("HERE");
        }
        // Some time, in which they come and go by themselves.
        let late = Instant::now() + Duration::from_micros(random.below(30_000));
        while Instant::now() < late {
            thread::yield_now();
        }
        passers.iter().for_each(Actor::shoot);
    }
    drop(over);
    let put = producing.join().unwrap();
    for consumer in steady {
        consumer.expect(&format!("{put} Some(Completed)"));
        consumer.finish();
    }
}

#[test]
fn killing_the_slowest_frees_a_producer_that_waits() {
    let ground = Ground::new();
    let builder = ground.publish::<u64>("freed").consumers(4).buffer_size(4);
    let mut sink = builder.sink_wait(strategy("park")).open().unwrap();
    let quick = ground.start("follows", &[&"freed", &"live", &"16", &"park"]);
    quick.expect("0");
    let mut slow = consumers(&ground, 1).remove(0);
    for round in 0..10 {
        assert_eq!(slow.ask("open freed window=2"), "ok");
        let from = sink.position();
        let putting = thread::spawn(move || {
            for element in from..from + 100 {
                sink.put_deadline(element, soon()).unwrap();
            }
            sink
        });
        // It fills the window of who takes nothing, and the buffer, and waits.
        let seen = || millstream::observe("freed", Some(ground.dir.clone())).unwrap();
        eventually(|| seen().position() == from + 6);
        match round % 3 {
            0 => {
                slow.kill();
                slow = consumers(&ground, 1).remove(0);
            }
            1 => assert_eq!(slow.ask("cancel"), "ok"),
            _ => assert_eq!(slow.ask("drop"), "ok"),
        }
        sink = putting.join().unwrap();
    }
    sink.complete().unwrap();
    quick.expect("1000 Some(Completed)");
}

#[test]
fn a_killed_producer_leaves_everybody_what_it_had_published() {
    let ground = Ground::new();
    for round in 0..5 {
        let name = format!("dies{round}");
        let published = Shared::open(&ground.beside(&name));
        let mut producer = ground.start("publishes", &[&name]);
        producer.expect("HERE");
        let all: Vec<Actor> = ["park", "default", "yield", "park"]
            .into_iter()
            .map(|wait| ground.start("follows", &[&name, &"live", &"64", &wait]))
            .collect();
        for consumer in &all {
            consumer.expect("0");
        }
        producer.say("go");
        eventually(|| published.get() > 20_000);
        producer.kill();
        let noted = published.get();
        let ends: Vec<String> = all.iter().map(Actor::hear).collect();
        for end in &ends {
            assert_eq!(end, &ends[0], "everybody got the same");
        }
        let (taken, end) = ends[0].split_once(' ').unwrap();
        assert_eq!(end, "Some(PeerGone)");
        let taken: u64 = taken.parse().unwrap();
        assert!(
            (noted..=noted + 1).contains(&taken),
            "{noted} were put, {taken} taken"
        );
        all.into_iter().for_each(Actor::finish);
        eventually(|| ground.files().is_empty());
    }
}

#[test]
fn the_next_of_a_name_goes_on_where_the_dead_one_was() {
    let ground = Ground::new();
    let builder = ground.publish::<u64>("again").consumers(4).buffer_size(4);
    let mut sink = builder.sink_wait(strategy("park")).open().unwrap();
    let other = ground.start("follows", &[&"again", &"live", &"16", &"park"]);
    other.expect("0");
    let mut book = consumers(&ground, 2);
    assert_eq!(book[0].ask("open again resumable=book each window=4"), "ok");
    let mut desk = consumers(&ground, 1).remove(0);
    assert_eq!(desk.ask("open again resumable=desk each window=4"), "ok");
    let refused = book[1].ask("open again resumable=book");
    assert!(
        refused.contains("AlreadySubscribed") && refused.contains("book"),
        "{refused}"
    );
    let putting = thread::spawn(move || {
        for element in 0..500 {
            sink.put_deadline(element, soon()).unwrap();
        }
        sink
    });
    let (mut from, mut at) = (0u64, 0);
    for round in 0..10 {
        // The one whose work was interrupted was not released.
        let last = from + 5;
        assert_eq!(
            book[0].ask(format!("take {}", last - from + 1)),
            format!("Some({from}) Some({last}) true")
        );
        if round % 2 == 0 {
            book[0].kill();
            book[0] = consumers(&ground, 1).remove(0);
        } else {
            assert_eq!(book[0].ask("drop"), "ok");
        }
        // Nobody else's takes its place, and the producer waits for it.
        let taken = desk.ask(format!("take {}", last - at));
        assert_eq!(taken, format!("Some({at}) Some({}) true", last - 1));
        at = last;
        assert_eq!(book[0].ask("open again resumable=book each window=4"), "ok");
        let position: u64 = book[0].ask("position").parse().unwrap();
        assert!(
            (last..=last + 1).contains(&position),
            "{position} after {last} was taken"
        );
        from = position;
    }
    desk.say(format!("take {}", 500 - at));
    book[0].say(format!("take {}", 500 - from));
    let mut sink = putting.join().unwrap();
    desk.expect(&format!("Some({at}) Some(499) true"));
    book[0].expect(&format!("Some({from}) Some(499) true"));
    assert_eq!(book[0].ask("cancel"), "ok");
    assert_eq!(book[0].ask("drop"), "ok");
    assert_eq!(desk.ask("cancel"), "ok");
    sink.complete().unwrap();
    other.expect("500 Some(Completed)");
}

#[test]
fn who_waits_to_be_resumed_has_its_place_and_is_seen() {
    let ground = Ground::new();
    let builder = ground.publish::<u64>("held").consumers(1).buffer_size(2);
    let mut sink = builder.open().unwrap();
    let mut first = consumers(&ground, 1).remove(0);
    assert_eq!(first.ask("open held resumable=book window=2"), "ok");
    first.kill();
    let seen = || millstream::observe("held", Some(ground.dir.clone())).unwrap();
    eventually(|| seen().consumer().is_some_and(|consumer| !consumer.connected));
    let full = ground.subscribe::<u64>("held").open().unwrap_err();
    assert!(matches!(full, SubscribeError::Full { most: 1, .. }), "{full}");
    assert_eq!(sink.try_put_slice(&[0, 1, 2, 3, 4, 5]).unwrap(), 4);
    let mut book = ground
        .subscribe::<u64>("held")
        .resumable("book")
        .initial_demand(2);
    book = book.from(JoinPosition::Live);
    let mut source = book.open().unwrap();
    assert_eq!(source.by_ref().take(4).collect::<Vec<_>>(), [0, 1, 2, 3]);
    source.cancel();
    drop(source);
    eventually(|| sink.consumers() == 0);
}
