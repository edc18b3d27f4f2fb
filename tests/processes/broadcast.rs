//! One producer, many consumers, in several processes: each gets every element that is put after it joined, whoever else comes,
//! leaves or is killed.

use std::sync::mpsc::{TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use millstream::{
    Buffer, End, Gap, JoinPosition, OnNoConsumer, PutDeadlineError, Received, SubscribeError, TryNext,
    TryPutError,
};

use crate::stage::{Actor, Ground, Random, Role, Shared, Stage, eventually, holdings, say, soon, strategy};

pub(crate) const ROLES: &[(&str, Role)] = &[
    ("follows", follows),
    ("publishes", publishes),
    ("crowded", crowded),
    ("passes_by", passes_by),
    ("lags", lags),
];

/// Takes everything from where it joined on, each element one more than the one before, and says where it ended, and how.
fn follows(stage: &Stage) {
    let (name, from, window, wait): (String, String, u64, String) =
        (stage.arg(0), stage.arg(1), stage.arg(2), stage.arg(3));
    let builder = stage.ground.subscribe::<u64>(&name).initial_demand(window);
    let from = match from.as_str() {
        "live" => JoinPosition::Live,
        "oldest" => JoinPosition::Oldest,
        position => JoinPosition::At(position.parse().unwrap()),
    };
    let mut source = builder.from(from).source_wait(strategy(&wait)).open().unwrap();
    let first = source.position();
    say(first);
    let mut next = first;
    for element in source.by_ref() {
        assert_eq!(element, next);
        next += 1;
    }
    say(format_args!("{next} {:?}", source.end()));
}

/// Joins again and again, takes a little, and leaves in one of several ways, until it is killed.
fn passes_by(stage: &Stage) {
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

/// Receives what it can, as a lossy consumer or as one that may be evicted: every position is an element, whole, or belongs to
/// one gap. Says where it ended, how much it missed, and how it ended.
fn lags(stage: &Stage) {
    let (name, patience): (String, u64) = (stage.arg(0), stage.arg(1));
    let builder = stage.ground.subscribe::<[u64; 8]>(&name).initial_demand(4);
    let mut source = match patience {
        0 => builder.lossy().open(),
        millis => builder.evict_after(Duration::from_millis(millis)).open(),
    }
    .unwrap();
    let mut next = source.position();
    say(next);
    stage.hear();
    for received in source.by_ref() {
        match received {
            Received::Element(element) => {
                assert_eq!(element, [next; 8]);
                next += 1;
            }
            Received::Gap(Gap { from, count }) => {
                assert_eq!(from, next);
                assert!(count > 0);
                next += count;
            }
        }
    }
    say(format_args!("{next} {} {:?}", source.missed(), source.end()));
}

/// Publishes without an end, and notes in a file what the sink has taken.
fn publishes(stage: &Stage) {
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

fn consumers(ground: &Ground, count: usize) -> Vec<Actor> {
    (0..count).map(|_| ground.start("consumer", &[])).collect()
}

#[test]
fn four_processes_get_every_element_in_order() {
    let ground = Ground::new();
    let builder = ground.publish::<u64>("all").consumers(64).buffer_size(32);
    let mut sink = builder.open().unwrap();
    let mut all = consumers(&ground, 4);
    for consumer in &mut all {
        assert_eq!(consumer.ask("open all"), "ok");
        consumer.say("take 200000");
    }
    for element in 0..200_000 {
        sink.put_deadline(element, soon()).unwrap();
    }
    for consumer in &mut all {
        consumer.expect("Some(0) Some(199999) true");
    }
    assert_eq!(sink.consumers(), 4);
    all.iter_mut().for_each(|consumer| consumer.say("next"));
    sink.complete_and_drain(soon()).unwrap();
    for consumer in &mut all {
        consumer.expect("none Some(Completed)");
    }
}

#[test]
fn the_last_one_paces_whatever_the_wait_and_the_buffer() {
    let ground = Ground::new();
    for (round, buffer) in [Buffer::Rendezvous, Buffer::Bounded(1), Buffer::Bounded(64)]
        .into_iter()
        .enumerate()
    {
        let name = format!("pace{round}");
        let builder = ground.publish::<u64>(&name).consumers(4).buffer_size(buffer);
        let mut sink = builder.sink_wait(strategy("park")).open().unwrap();
        let all: Vec<Actor> = [("park", 1), ("default", 7), ("yield", 64), ("park", 16)]
            .into_iter()
            .map(|(wait, window)| ground.start("follows", &[&name, &"live", &window, &wait]))
            .collect();
        for consumer in &all {
            consumer.expect("0");
        }
        for element in 0..3000 {
            sink.put_deadline(element, soon()).unwrap();
        }
        sink.complete_and_drain(soon()).unwrap();
        for consumer in all {
            consumer.expect("3000 Some(Completed)");
            consumer.finish();
        }
    }
}

#[test]
fn a_rendezvous_hands_over_to_everybody() {
    let ground = Ground::new();
    let builder = ground.publish::<u64>("hand").consumers(4);
    let mut sink = builder.buffer_size(Buffer::Rendezvous).open().unwrap();
    let mut all = consumers(&ground, 2);
    for consumer in &mut all {
        assert_eq!(consumer.ask("open hand window=1 manual"), "ok");
    }
    assert_eq!(sink.try_put(1), Err(TryPutError::Full(1)));
    assert_eq!(all[0].ask("request 1"), "Ok(())");
    assert_eq!(
        sink.try_put(1),
        Err(TryPutError::Full(1)),
        "the other has not asked"
    );
    all[1].say("request 1");
    sink.put_deadline(1, soon()).unwrap();
    all[1].expect("Ok(())");
    assert_eq!(all[0].ask("next"), "item 1");
    assert_eq!(all[1].ask("next"), "item 1");
    assert_eq!(sink.try_put(2), Err(TryPutError::Full(2)));
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
fn they_join_live_at_the_oldest_and_at_a_position() {
    let ground = Ground::new();
    let builder = ground
        .publish::<u64>("join")
        .consumers(8)
        .buffer_size(4)
        .max_demand(16);
    let builder = builder.history(100).on_no_consumer(OnNoConsumer::Drop);
    let mut sink = builder.start_position(u64::MAX - 500).open().unwrap();
    for element in 0..1000 {
        sink.put(element).unwrap();
    }
    let mut all = consumers(&ground, 4);
    assert_eq!(all[0].ask("open join"), "ok");
    let position: u64 = all[0].ask("position").parse().unwrap();
    assert_eq!(position, sink.position());
    assert_eq!(all[1].ask("open join from=oldest"), "ok");
    let oldest: u64 = all[1].ask("position").parse().unwrap();
    let held = sink.position().wrapping_sub(oldest);
    assert!(held >= 100, "{held}");
    assert_eq!(
        all[2].ask(format!("open join from={}", sink.position() - 50)),
        "ok"
    );
    assert_eq!(all[2].ask("next"), "item 950");
    assert_eq!(all[1].ask("next"), format!("item {}", 1000 - held));
    // What is not held is refused, with what is.
    for asked in [oldest - 1, sink.position() + 1, 0u64.wrapping_sub(400)] {
        let answer = all[3].ask(format!("open join from={asked}"));
        let newest = sink.position();
        assert!(
            answer.contains("NotHeld") && answer.contains(&asked.to_string()),
            "{answer}"
        );
        assert!(
            answer.contains(&oldest.to_string()) && answer.contains(&newest.to_string()),
            "{answer}"
        );
    }
    // Whoever is behind is waited for.
    assert_eq!(sink.try_put(1000), Err(TryPutError::Full(1000)));
    for consumer in &mut all[1..3] {
        consumer.say("take 20");
        consumer.hear();
    }
    assert_eq!(all[1].ask("drop"), "ok");
    assert_eq!(all[2].ask("take 29"), "Some(971) Some(999) true");
    all[2].say("next");
    sink.put_deadline(1000, soon()).unwrap();
    all[2].expect("item 1000");
    assert_eq!(all[0].ask("next"), "item 1000");
}

#[test]
fn only_a_broadcast_is_joined_at_a_position() {
    let ground = Ground::new();
    let _sink = ground.publish::<u64>("one").open().unwrap();
    let _frames = ground.publish::<[u8]>("frames").open().unwrap();
    let error = ground
        .subscribe::<u64>("one")
        .from(JoinPosition::Oldest)
        .open()
        .unwrap_err();
    assert!(matches!(error, SubscribeError::NotABroadcast { .. }), "{error}");
    let error = ground
        .subscribe::<[u8]>("frames")
        .from(JoinPosition::At(0))
        .open()
        .unwrap_err();
    assert!(matches!(error, SubscribeError::NotABroadcast { .. }), "{error}");
    // Nothing has happened to the streams.
    ground.subscribe::<u64>("one").open().unwrap();
}

#[test]
fn a_stream_for_several_must_admit_somebody_and_fit() {
    let ground = Ground::new();
    let none = ground.publish::<u64>("x").consumers(0).open().unwrap_err();
    assert!(
        matches!(none, millstream::PublishError::NoConsumers { .. }),
        "{none}"
    );
    let none = ground.publish::<u64>("x").history(5).open().unwrap_err();
    assert!(
        matches!(none, millstream::PublishError::NoConsumers { .. }),
        "{none}"
    );
    let large = ground
        .publish::<u64>("x")
        .consumers(1)
        .history(1 << 40)
        .open()
        .unwrap_err();
    assert!(
        matches!(large, millstream::PublishError::TooLarge { .. }),
        "{large}"
    );
    assert_eq!(ground.files(), [""; 0]);
}

#[test]
fn when_all_places_are_taken_the_next_is_refused_until_one_leaves() {
    let ground = Ground::new();
    let sink = ground.publish::<u64>("full").consumers(2).open().unwrap();
    let mut all = consumers(&ground, 3);
    assert_eq!(all[0].ask("open full"), "ok");
    assert_eq!(all[1].ask("open full"), "ok");
    let answer = all[2].ask("open full");
    assert!(answer.contains("Full") && answer.contains('2'), "{answer}");
    // However one leaves, its place is free at once, although the producer does nothing.
    all[0].kill();
    assert_eq!(all[2].ask("open full"), "ok");
    for _ in 0..50 {
        assert_eq!(all[1].ask("drop"), "ok");
        assert_eq!(all[1].ask("open full"), "ok");
    }
    assert_eq!(sink.consumers(), 2);
}

#[test]
fn while_nobody_is_there_the_producer_waits_drops_or_keeps_the_latest() {
    let ground = Ground::new();
    let mut consumer = consumers(&ground, 1).remove(0);
    // It waits: also after the last one has gone, and what that left is the next one's.
    let mut sink = ground
        .publish::<u64>("wait")
        .consumers(2)
        .buffer_size(4)
        .open()
        .unwrap();
    assert_eq!(sink.try_put(0), Err(TryPutError::Full(0)));
    assert_eq!(consumer.ask("open wait window=1"), "ok");
    sink.put_deadline(0, soon()).unwrap();
    sink.put_deadline(1, soon()).unwrap();
    assert_eq!(consumer.ask("next"), "item 0");
    consumer.kill();
    let late = Instant::now() + Duration::from_millis(50);
    let refused = (2..1000).find_map(|element| sink.put_deadline(element, late).err());
    assert!(
        matches!(refused, Some(PutDeadlineError::TimedOut(_))),
        "{refused:?}"
    );
    let mut consumer = consumers(&ground, 1).remove(0);
    assert_eq!(consumer.ask("open wait window=1"), "ok");
    let first = consumer.ask("next");
    assert!(["item 0", "item 1"].contains(&first.as_str()), "{first}");
    assert_eq!(sink.unheard(), 0);
    assert_eq!(consumer.ask("drop"), "ok");

    let builder = ground.publish::<u64>("drop").consumers(2).buffer_size(4);
    let mut sink = builder.on_no_consumer(OnNoConsumer::Drop).open().unwrap();
    for element in 0..5000 {
        sink.put(element).unwrap();
    }
    assert_eq!(sink.unheard(), 5000);
    assert_eq!(consumer.ask("open drop"), "ok");
    sink.put(5000).unwrap();
    assert_eq!(consumer.ask("next"), "item 5000");
    assert_eq!(consumer.ask("drop"), "ok");
    eventually(|| sink.consumers() == 0);
    for element in 0..5000 {
        sink.put_deadline(element, soon()).unwrap();
    }
    assert_eq!(sink.unheard(), 10_000);

    let builder = ground.publish::<u64>("latest").consumers(2).buffer_size(4);
    let mut sink = builder.on_no_consumer(OnNoConsumer::KeepLatest).open().unwrap();
    for element in 0..5000 {
        sink.put(element).unwrap();
    }
    assert_eq!(consumer.ask("open latest"), "ok");
    assert_eq!(consumer.ask("next"), "item 4999");
    assert_eq!(sink.unheard(), 4999);
}

/// As the producer is asleep, nobody but the background thread sees the one go and the other come.
#[test]
fn what_the_last_one_left_is_the_next_ones_though_the_producer_does_nothing() {
    let ground = Ground::new();
    let mut sink = ground
        .publish::<u64>("left")
        .consumers(2)
        .buffer_size(10)
        .open()
        .unwrap();
    let mut first = consumers(&ground, 1).remove(0);
    assert_eq!(first.ask("open left each"), "ok");
    sink.put_slice(&[0, 1, 2, 3]).unwrap();
    assert_eq!(first.ask("take 2"), "Some(0) Some(1) true");
    first.kill();
    eventually(|| sink.consumers() == 0);
    let mut second = consumers(&ground, 1).remove(0);
    assert_eq!(second.ask("open left"), "ok");
    assert_eq!(second.ask("next"), "item 2");
    sink.put_deadline(4, soon()).unwrap();
    assert_eq!(second.ask("take 2"), "Some(3) Some(4) true");
}

#[test]
fn records_are_read_by_their_schema_beside_typed_consumers() {
    let ground = Ground::new();
    let mut sink = ground.publish::<u64>("records").consumers(2).open().unwrap();
    let mut typed = ground.subscribe::<u64>("records").open().unwrap();
    let mut bytes = ground.subscribe::<[u8]>("records").open().unwrap();
    for element in 0..100u64 {
        sink.put_deadline(element, soon()).unwrap();
        assert_eq!(typed.next(), Some(element));
        assert_eq!(*bytes.next().unwrap(), element.to_le_bytes());
    }
    drop(sink);
    assert!(typed.next().is_none() && bytes.next().is_none());
    assert!(matches!(typed.end(), Some(End::Failed(_))), "{:?}", typed.end());
}

#[test]
fn whoever_writes_nonsense_is_dismissed_and_the_others_go_on() {
    use crate::hostile::{CONTROL, GRANTED, RELEASED};
    let ground = Ground::new();
    let builder = ground.publish::<u64>("brave").consumers(8).buffer_size(8);
    let mut sink = builder.sink_wait(strategy("park")).open().unwrap();
    let honest: Vec<Actor> = ["park", "default", "yield"]
        .into_iter()
        .map(|wait| ground.start("follows", &[&"brave", &"live", &"16", &wait]))
        .collect();
    honest.iter().for_each(|consumer| consumer.expect("0"));
    let mut hostile = ground.start("scribbling_consumer", &[]);
    let mut next = 0..;
    for (offset, value) in [
        (GRANTED, u64::MAX),
        (GRANTED, 0),
        (GRANTED, 1 << 40),
        (GRANTED, 1 << 63),
        // Whoever says that it has closed has.
        (CONTROL, 2),
    ] {
        assert_eq!(hostile.ask("elements brave"), "ok");
        assert_eq!(sink.consumers(), 4);
        // It asks for more, so that less is a step back.
        let from = sink.position();
        sink.put_deadline(next.next().unwrap(), soon()).unwrap();
        let value = if offset == GRANTED && value == 0 {
            from.wrapping_sub(1)
        } else {
            value
        };
        assert_eq!(
            hostile.ask(format!("write {RELEASED} {} {offset} {value}", u64::MAX)),
            "ok"
        );
        for element in next.by_ref().take(500) {
            sink.put_deadline(element, soon()).unwrap();
        }
        assert_eq!(hostile.ask("drop"), "ok");
        eventually(|| sink.consumers() == 3);
    }
    sink.complete_and_drain(soon()).unwrap();
    for consumer in honest {
        consumer.expect(&format!("{} Some(Completed)", next.start));
        consumer.finish();
    }
}

#[test]
fn a_flood_of_the_attention_word_takes_nothing_from_anybody() {
    let ground = Ground::new();
    for (round, word) in [u64::MAX, 0, 1 << 62, 1 << 61, 1 << 56, 0x5555]
        .into_iter()
        .enumerate()
    {
        let name = format!("flood{round}");
        let builder = ground.publish::<u64>(&name).consumers(4).buffer_size(8);
        let mut sink = builder.sink_wait(strategy("park")).open().unwrap();
        let mut hostile = ground.start("scribbling_consumer", &[]);
        // It takes nothing, and does not get in the way of this, for it says that it has closed.
        assert_eq!(hostile.ask(format!("elements {name}")), "ok");
        assert_eq!(hostile.ask(format!("flood {word}")), "ok");
        let honest: Vec<Actor> = ["park", "default"]
            .into_iter()
            .map(|wait| ground.start("follows", &[&name, &"live", &"3", &wait]))
            .collect();
        honest.iter().for_each(|consumer| consumer.expect("0"));
        assert_eq!(hostile.ask(format!("write {} 2", crate::hostile::CONTROL)), "ok");
        let leaver = ground.subscribe::<u64>(&name).open().unwrap();
        drop(leaver);
        // Where the word is wiped out all the while, a ring may be 100 ms late.
        for element in 0..100 {
            sink.put_deadline(element, soon()).unwrap();
        }
        // The hostile one may not have been heard of: its hang-up is.
        assert_eq!(hostile.ask("drop"), "ok");
        sink.complete_and_drain(soon()).unwrap();
        for consumer in honest {
            consumer.expect("100 Some(Completed)");
            consumer.finish();
        }
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

#[test]
fn lossy_consumers_hold_nobody_up_and_know_what_they_missed() {
    let ground = Ground::new();
    let builder = ground.publish::<[u64; 8]>("lossy").consumers(8).buffer_size(8);
    let mut sink = builder.max_demand(8).history(64).open().unwrap();
    let mut lossy: Vec<Actor> = (0..3).map(|_| ground.start("lags", &[&"lossy", &0])).collect();
    lossy.iter().for_each(|consumer| consumer.expect("0"));
    let gating = ground
        .subscribe::<[u64; 8]>("lossy")
        .initial_demand(8)
        .open()
        .unwrap();
    let reader = thread::spawn(move || gating.map(|element| element[7]).eq(0..200_000));
    // Two begin at once, and one when it is far too late.
    lossy[..2].iter_mut().for_each(|consumer| consumer.say("go"));
    for element in 0..200_000 {
        sink.put_deadline([element; 8], soon()).unwrap();
    }
    lossy[2].say("go");
    sink.complete().unwrap();
    assert!(reader.join().unwrap(), "the gating one has everything");
    for (index, consumer) in lossy.iter().enumerate() {
        let end = consumer.hear();
        let words: Vec<&str> = end.split(' ').collect();
        assert_eq!((words[0], words[2]), ("200000", "Some(Completed)"), "{end}");
        assert!(index < 2 || words[1].parse::<u64>().unwrap() > 199_000, "{end}");
    }
}

#[test]
fn who_lets_the_producer_wait_for_too_long_is_evicted() {
    let ground = Ground::new();
    let builder = ground.publish::<[u64; 8]>("evict").consumers(8).buffer_size(8);
    let mut sink = builder.sink_wait(strategy("park")).open().unwrap();
    let mut stuck = ground.start("lags", &[&"evict", &50]);
    stuck.expect("0");
    let mut prompt = ground.start("lags", &[&"evict", &20_000]);
    prompt.expect("0");
    prompt.say("go");
    assert_eq!(sink.consumers(), 2);
    // It takes nothing, as if it were stopped.
    for element in 0..5000 {
        sink.put_deadline([element; 8], soon()).unwrap();
    }
    eventually(|| sink.consumers() == 1);
    stuck.say("go");
    let end = stuck.hear();
    assert!(
        end.starts_with("5000 ") && end.ends_with("Some(Evicted)"),
        "{end}"
    );
    stuck.finish();
    sink.complete_and_drain(soon()).unwrap();
    prompt.expect("5000 0 Some(Completed)");
    // The evicted one does not take the living producer's files for a dead one's.
    assert_eq!(ground.files().len(), 2);
    let again = ground.publish::<u64>("evict").open();
    assert!(
        matches!(again, Err(millstream::PublishError::NameTaken { .. })),
        "{again:?}"
    );
}

#[test]
fn a_stream_for_one_evicts_nobody() {
    let ground = Ground::new();
    let _sink = ground.publish::<u64>("one").open().unwrap();
    let error = ground.subscribe::<u64>("one").lossy().open().unwrap_err();
    assert!(matches!(error, SubscribeError::NotABroadcast { .. }), "{error}");
    let builder = ground.subscribe::<u64>("one").evict_after(Duration::ZERO);
    let error = builder.open().unwrap_err();
    assert!(matches!(error, SubscribeError::NotABroadcast { .. }), "{error}");
}

#[test]
fn sixty_four_consumers_at_once_and_nothing_is_left() {
    let ground = Ground::new();
    let scene = ground.start("crowded", &[]);
    scene.expect("done");
    scene.finish();
    assert_eq!(ground.files(), [""; 0]);
}

/// In a process of its own, whose holdings nobody else changes.
fn crowded(stage: &Stage) {
    let ground = &stage.ground;
    let mut puppets = consumers(ground, 4);
    let baseline = holdings();
    for round in 0..3 {
        let mut sink = ground.publish::<u64>("crowd").consumers(64).open().unwrap();
        for consumer in &mut puppets {
            assert_eq!(consumer.ask("open crowd"), "ok");
        }
        let mut sources: Vec<_> = (0..60)
            .map(|_| ground.subscribe::<u64>("crowd").open().unwrap())
            .collect();
        let full = ground.subscribe::<u64>("crowd").open().unwrap_err();
        assert!(matches!(full, SubscribeError::Full { most: 64, .. }), "{full}");
        for element in 0..100 {
            sink.put_deadline(element, soon()).unwrap();
            for source in &mut sources {
                assert_eq!(source.next(), Some(element));
            }
            for consumer in &mut puppets {
                assert_eq!(consumer.ask("next"), format!("item {element}"));
            }
        }
        // Both sides leave first in turn.
        if round % 2 == 0 {
            drop(sources);
            for consumer in &mut puppets {
                assert_eq!(consumer.ask("drop"), "ok");
            }
            drop(sink);
        } else {
            drop(sink);
            for source in &mut sources {
                assert_eq!(source.try_next(), TryNext::End(source.end().unwrap()));
            }
            drop(sources);
            for consumer in &mut puppets {
                assert_eq!(consumer.ask("drop"), "ok");
            }
        }
        eventually(|| holdings() == baseline);
        assert_eq!(ground.files(), [""; 0]);
    }
    // A producer that does nothing holds nothing of those who come and go meanwhile.
    let mut sink = ground.publish::<u64>("idle").consumers(2).open().unwrap();
    drop(ground.subscribe::<u64>("idle").open().unwrap());
    eventually(|| sink.consumers() == 0);
    let before = holdings();
    for _ in 0..50 {
        assert_eq!(puppets[0].ask("open idle"), "ok");
        assert_eq!(puppets[0].ask("drop"), "ok");
        eventually(|| sink.consumers() == 0);
    }
    eventually(|| holdings() == before);
    // Nor of one that is killed, before or after the producer knew of it.
    for knows in [false, true] {
        let mut victim = puppets.pop().unwrap();
        assert_eq!(victim.ask("open idle"), "ok");
        if knows {
            assert_eq!(sink.try_put_slice(&[7; 1000]).unwrap(), 32);
        }
        victim.kill();
        eventually(|| sink.consumers() == 0);
        let refused = sink.try_put(1);
        assert_eq!(refused, Err(TryPutError::Full(1)));
    }
    let let_go = |of: (usize, usize, usize)| {
        let (descriptors, threads, memfds) = holdings();
        descriptors <= of.0 && threads <= of.1 && memfds == of.2
    };
    eventually(|| let_go(before));
    sink.complete().unwrap();
    drop(sink);
    eventually(|| let_go(baseline));
    say("done");
}

#[test]
fn the_latest_is_kept_though_no_history_is_asked_for() {
    let ground = Ground::new();
    let builder = ground.publish::<[u64; 8]>("latest").consumers(4);
    let builder = builder.buffer_size(Buffer::Rendezvous).max_demand(1).history(0);
    let mut sink = builder.on_no_consumer(OnNoConsumer::KeepLatest).open().unwrap();
    for element in 0..5 {
        sink.try_put([element; 8]).unwrap();
        // From here on the producer may be writing the next.
        sink.claim(1).unwrap().abort();
        let mut source = ground
            .subscribe::<[u64; 8]>("latest")
            .initial_demand(1)
            .open()
            .unwrap();
        assert_eq!(source.try_next(), TryNext::Item([element; 8]));
    }
}
