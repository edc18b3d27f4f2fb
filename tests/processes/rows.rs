//! The rows C3 to C50 of the feature list, between two processes.

use std::time::{Duration, Instant};

use millstream::{CloseReason, End, PutDeadlineError, PutError, StreamFault, TryNext, TryPutError};

use crate::stage::{Actor, Ground, LONGEST, eventually, soon};

fn consumer(ground: &Ground, settings: &str) -> Actor {
    let mut consumer = ground.start("consumer", &[]);
    assert_eq!(consumer.ask(format!("open {settings}")), "ok");
    consumer
}

fn producer(ground: &Ground, settings: &str) -> Actor {
    let mut producer = ground.start("producer", &[]);
    assert_eq!(producer.ask(format!("open {settings}")), "ok");
    producer
}

#[test]
fn c3_c20_c33_exactly_the_buffer_and_the_window() {
    for (buffer, window) in [(5u64, 3u64), (0, 1), (1, 7), (7, 16), (16, 9)] {
        let ground = Ground::new();
        let mut sink = ground
            .publish::<u64>("c3")
            .buffer_size(millstream::Buffer::Bounded(buffer as usize))
            .open()
            .unwrap();
        for element in 0..buffer {
            sink.try_put(element).unwrap();
        }
        assert_eq!(
            sink.try_put(buffer),
            Err(TryPutError::Full(buffer)),
            "before anybody subscribed"
        );
        let mut consumer = consumer(&ground, &format!("c3 window={window} each"));
        for element in buffer..buffer + window {
            sink.put_deadline(element, soon()).unwrap();
        }
        let next = buffer + window;
        assert_eq!(
            sink.try_put(next),
            Err(TryPutError::Full(next)),
            "a reader that takes nothing"
        );
        assert_eq!(
            sink.put_deadline(next, Instant::now()),
            Err(PutDeadlineError::TimedOut(next)),
            "a wait that ends without room"
        );
        // Every element taken makes room for one.
        for taken in 0..20 {
            assert_eq!(consumer.ask("next"), format!("item {taken}"));
            sink.put_deadline(next + taken, soon()).unwrap();
            assert!(
                matches!(sink.try_put(0), Err(TryPutError::Full(0))),
                "after {taken}"
            );
        }
        assert_eq!(sink.position(), next + 20);
    }
}

#[test]
fn c7_what_was_put_before_anybody_came_is_there_in_order() {
    let ground = Ground::new();
    let mut producer = producer(&ground, "c7 buffer=10");
    assert_eq!(producer.ask("put 0 10"), "ok");
    let source = ground.subscribe::<u64>("c7").open().unwrap();
    assert_eq!(source.take(10).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
}

#[test]
fn c8_c13_the_end_comes_behind_the_buffer_and_the_buffer_behind_the_demand() {
    let ground = Ground::new();
    let mut sink = ground.publish::<u64>("c13").open().unwrap();
    let mut consumer = consumer(&ground, "c13 manual");
    assert_eq!(consumer.ask("request 1"), "Ok(())");
    eventually(|| sink.demand() == 1);
    for element in [10, 20, 30] {
        sink.put(element).unwrap();
    }
    sink.complete().unwrap();
    assert_eq!(consumer.ask("next"), "item 10");
    assert_eq!(consumer.ask("try"), "empty", "no more was asked for");
    assert_eq!(consumer.ask("request 2"), "Ok(())");
    assert_eq!(consumer.ask("next"), "item 20");
    assert_eq!(consumer.ask("next"), "item 30");
    assert_eq!(consumer.ask("try"), "end Completed");
}

#[test]
fn c9_demand_adds_up_and_saturates() {
    let ground = Ground::new();
    let sink = ground.publish::<u64>("c9").open().unwrap();
    let mut consumer = consumer(&ground, "c9 manual window=16");
    assert_eq!(sink.demand(), 0);
    for (count, sum) in [(2, 2), (3, 5), (1, 6), (u64::MAX, 16), (u64::MAX, 16)] {
        assert_eq!(consumer.ask(format!("request {count}")), "Ok(())");
        eventually(|| sink.demand() == sum);
    }
    assert_eq!(consumer.ask("granted"), "16");
}

#[test]
fn c12_c14_c42_completed_once_and_for_all() {
    let ground = Ground::new();
    let mut producer = producer(&ground, "c12 buffer=3");
    assert_eq!(producer.ask("put 0 3"), "ok");
    assert_eq!(producer.ask("complete"), "Ok(())");
    assert_eq!(producer.ask("complete"), "Ok(())");
    assert_eq!(producer.ask("try 9"), "closed 9 Completed");
    assert_eq!(producer.ask("put 9 10"), "closed 9 Completed");
    assert_eq!(producer.ask("fail 1 late"), "Err(EndError { reason: Completed })");
    let mut source = ground.subscribe::<u64>("c12").open().unwrap();
    assert_eq!(source.by_ref().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(source.end(), Some(End::Completed));
    assert_eq!(producer.ask("position"), "3");
}

#[test]
fn c15_c31_cancelled_once_and_for_all() {
    let ground = Ground::new();
    let mut sink = ground.publish::<u64>("c15").open().unwrap();
    let mut consumer = consumer(&ground, "c15 window=4");
    sink.put_slice(&[0, 1, 2, 3]).unwrap();
    assert_eq!(consumer.ask("next"), "item 0");
    for _ in 0..2 {
        assert_eq!(consumer.ask("cancel"), "ok");
        assert_eq!(consumer.ask("try"), "end Cancelled");
        assert_eq!(consumer.ask("next"), "none Some(Cancelled)");
        assert_eq!(consumer.ask("position"), "1", "what was buffered is gone");
    }
    assert!(consumer.ask("request 1").starts_with("Err("));
    // Also when the sink has not looked at its consumer yet.
    eventually(|| sink.is_closed());
    assert_eq!(
        sink.try_put(4),
        Err(TryPutError::Closed(4, CloseReason::Cancelled))
    );
    assert_eq!(sink.complete().unwrap_err().reason, CloseReason::Cancelled);
    drop(sink);
    assert_eq!(ground.files(), [""; 0]);
    assert_eq!(consumer.ask("end"), "Some(Cancelled)");
}

#[test]
fn c16_c39_a_blocked_put_is_released_by_every_way_to_leave() {
    for (wait, leave) in [
        ("park", "cancel"),
        ("park", "drop"),
        ("spin", "cancel"),
        ("yield", "drop"),
        ("default", "panic 0"),
        ("park", "panic 3"),
    ] {
        let ground = Ground::new();
        let strategy = crate::stage::strategy(wait);
        let mut sink = ground
            .publish::<u64>("c16")
            .buffer_size(2)
            .sink_wait(strategy)
            .open()
            .unwrap();
        let mut consumer = consumer(&ground, "c16 window=4");
        for element in 0..6 {
            sink.put_deadline(element, soon()).unwrap();
        }
        let (told, blocked) = std::sync::mpsc::channel();
        let putter = std::thread::spawn(move || {
            told.send(()).unwrap();
            (6..)
                .find_map(|element| sink.put(element).err().map(|error| (element, error)))
                .unwrap()
        });
        blocked.recv().unwrap();
        consumer.say(leave);
        let (element, error) = putter.join().unwrap();
        assert_eq!(
            error,
            PutError::Closed(element, CloseReason::Cancelled),
            "{wait}, {leave}"
        );
        assert_eq!(
            consumer.hear(),
            if leave.starts_with("panic") { "true" } else { "ok" }
        );
    }
}

#[test]
fn c17_c29_a_second_subscriber_is_refused_at_once_and_told_who_has_it() {
    let ground = Ground::new();
    let mut sink = ground.publish::<u64>("c17").open().unwrap();
    let mut first = consumer(&ground, "c17");
    let mut second = ground.start("consumer", &[]);
    let holder = format!("process {}", first.pid);
    let before = Instant::now();
    for who in [&mut second, &mut first] {
        let answer = who.ask("another c17");
        assert!(answer.starts_with("error AlreadySubscribed"), "{answer}");
        assert!(answer.contains(&holder), "{answer}");
    }
    let took = before.elapsed();
    println!("two refusals took {took:?}");
    assert!(took < Duration::from_secs(5));
    for element in 0..40 {
        sink.put_deadline(element, soon()).unwrap();
        assert_eq!(first.ask("next"), format!("item {element}"));
    }
}

#[test]
fn c17_of_ten_that_race_one_wins() {
    let ground = Ground::new();
    let mut racers: Vec<Actor> = (0..10).map(|_| ground.start("consumer", &[])).collect();
    for round in 0..10 {
        let name = format!("race{round}");
        let mut sink = ground.publish::<u64>(&name).open().unwrap();
        for racer in &mut racers {
            racer.say(format!("open {name}"));
        }
        let answers: Vec<String> = racers.iter().map(Actor::hear).collect();
        let winners: Vec<usize> = (0..10).filter(|racer| answers[*racer] == "ok").collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        let winner = &mut racers[winners[0]];
        for answer in answers.iter().filter(|answer| *answer != "ok") {
            assert!(answer.starts_with("error AlreadySubscribed"), "{answer}");
            assert!(answer.contains(&format!("process {}", winner.pid)), "{answer}");
        }
        sink.put(round).unwrap();
        assert_eq!(winner.ask("next"), format!("item {round}"));
        assert_eq!(winner.ask("drop"), "ok");
    }
}

#[test]
fn c22_an_element_is_delivered_or_comes_back_never_both() {
    let ground = Ground::new();
    let mut consumer = ground.start("consumer", &[]);
    for round in 0..60u64 {
        let name = format!("c22-{round}");
        let mut sink = ground.publish::<u64>(&name).buffer_size(8).open().unwrap();
        assert_eq!(consumer.ask(format!("open {name} window=8")), "ok");
        consumer.say(format!("take {}", 1 + round * 7));
        consumer.say("cancel");
        consumer.say("position");
        let came_back = if round % 2 == 0 {
            (0..)
                .find_map(|element| sink.put(element).err())
                .unwrap()
                .into_inner()
        } else {
            let all: Vec<u64> = (0..10_000).collect();
            sink.put_slice(&all).unwrap_err().written as u64
        };
        assert!(consumer.hear().ends_with("true"), "in order");
        consumer.expect("ok");
        let delivered: u64 = consumer.heard();
        assert!(
            came_back >= delivered,
            "{came_back} came back after {delivered} were delivered (round {round})"
        );
        assert_eq!(consumer.ask("drop"), "ok");
    }
}

#[test]
fn c24_complete_waits_for_nobody_unless_told_to() {
    let ground = Ground::new();
    let mut producer = producer(&ground, "c24 buffer=8");
    assert_eq!(producer.ask("put 0 8"), "ok");
    let mut source = ground.subscribe::<u64>("c24").initial_demand(4).open().unwrap();
    assert_eq!(producer.ask("complete"), "Ok(())", "nobody has read yet");
    producer.say("drain");
    assert_eq!(source.by_ref().count(), 8);
    producer.expect("Ok(())");
    drop(source);

    let mut producer = self::producer(&ground, "c24b buffer=8");
    assert_eq!(producer.ask("put 0 8"), "ok");
    let mut source = ground.subscribe::<u64>("c24b").initial_demand(4).open().unwrap();
    assert_eq!(source.by_ref().take(3).count(), 3);
    producer.say("drain");
    drop(source);
    producer.expect("Err(NotDrained { left: 5, reason: Some(Cancelled) })");
}

#[test]
fn c25_a_sink_that_is_dropped() {
    let ground = Ground::new();
    for (settings, expected) in [("", None), ("complete_on_drop", Some(End::Completed))] {
        let mut producer = producer(&ground, &format!("c25 {settings}"));
        let mut source = ground.subscribe::<u64>("c25").open().unwrap();
        assert_eq!(producer.ask("put 0 3"), "ok");
        assert_eq!(producer.ask("drop"), "ok");
        assert_eq!(source.by_ref().collect::<Vec<_>>(), [0, 1, 2]);
        match (expected, source.end()) {
            (Some(expected), Some(end)) => assert_eq!(end, expected),
            (None, Some(End::Failed(fault))) => assert_eq!(fault.code(), StreamFault::SINK_DROPPED),
            (_, end) => panic!("{end:?}"),
        }
    }
}

#[test]
fn c27_who_comes_after_the_end_sees_the_end() {
    let ground = Ground::new();
    let mut producer = producer(&ground, "c27");
    assert_eq!(producer.ask("complete"), "Ok(())");
    let before = Instant::now();
    let mut source = ground.subscribe::<u64>("c27").open().unwrap();
    assert_eq!(source.next(), None);
    assert_eq!(source.end(), Some(End::Completed));
    assert!(
        before.elapsed() < Duration::from_secs(5),
        "at once, not by a timeout"
    );

    let mut producer = self::producer(&ground, "c27b");
    assert_eq!(producer.ask("put 0 2"), "ok");
    assert_eq!(producer.ask("fail 7 broken line"), "Ok(())");
    let mut source = ground.subscribe::<u64>("c27b").open().unwrap();
    assert_eq!(source.by_ref().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(
        source.end(),
        Some(End::Failed(StreamFault::new(7, "broken line")))
    );
}

#[test]
fn c28_c30_c36_c37_demand_begins_with_the_window_and_follows_what_is_taken() {
    let ground = Ground::new();
    let mut sink = ground
        .publish::<u64>("c28")
        .buffer_size(millstream::Buffer::Rendezvous)
        .open()
        .unwrap();
    let mut consumer = consumer(&ground, "c28 window=6 each");
    assert_eq!(consumer.ask("granted"), "6");
    eventually(|| sink.demand() == 6);
    for taken in 1..=50u64 {
        sink.put_deadline(taken, soon()).unwrap();
        assert_eq!(consumer.ask("next"), format!("item {taken}"));
        assert_eq!(
            consumer.ask("granted"),
            (6 + taken).to_string(),
            "requested when taken"
        );
        eventually(|| sink.demand() == 6);
    }
}

#[test]
fn c38_idle_time_ends_a_wait_and_only_a_wait() {
    let ground = Ground::new();
    let mut sink = ground.publish::<u64>("c38").open().unwrap();
    let mut consumer = consumer(&ground, "c38 idle=40");
    sink.put(0).unwrap();
    assert_eq!(consumer.ask("next"), "item 0");
    let before = Instant::now();
    assert_eq!(consumer.ask("next"), "none Some(IdleTimeout)");
    assert!(before.elapsed() >= Duration::from_millis(40));
    eventually(|| sink.is_closed());
    assert_eq!(
        sink.try_put(1),
        Err(TryPutError::Closed(1, CloseReason::Cancelled))
    );
}

#[test]
fn c39_c40_a_loop_left_early_and_a_source_that_has_ended() {
    let ground = Ground::new();
    let mut producer = producer(&ground, "c39");
    assert_eq!(producer.ask("put 0 8"), "ok");
    let mut source = ground.subscribe::<u64>("c39").open().unwrap();
    for element in &mut source {
        if element == 2 {
            break;
        }
    }
    assert_eq!(source.next(), Some(3), "a break keeps the source");
    assert_eq!(producer.ask("complete"), "Ok(())");
    assert_eq!(source.by_ref().count(), 4);
    for _ in 0..3 {
        assert_eq!(source.next(), None);
        assert_eq!(source.try_next(), TryNext::End(End::Completed));
    }
    drop(source);
    let mut producer = self::producer(&ground, "c39b");
    let source = ground.subscribe::<u64>("c39b").open().unwrap();
    producer.say("put 0 1000000");
    assert_eq!(source.take(5).count(), 5);
    assert!(producer.hear().ends_with("Cancelled"));
    assert_eq!(producer.ask("closed"), "true");
}

#[test]
fn c43_a_fault_travels_with_its_code_and_message() {
    let long = "ä".repeat(200);
    for (code, message) in [(0u32, ""), (7, "no line"), (u32::MAX - 1, long.as_str())] {
        let ground = Ground::new();
        let mut producer = producer(&ground, "c43");
        assert_eq!(producer.ask("put 0 3"), "ok");
        assert_eq!(producer.ask(format!("fail {code} {message}")), "Ok(())");
        let mut source = ground.subscribe::<u64>("c43").open().unwrap();
        assert_eq!(source.by_ref().count(), 3);
        let Some(End::Failed(fault)) = source.end() else {
            panic!("{:?}", source.end())
        };
        assert_eq!(fault.code(), code);
        assert!(message.starts_with(fault.message()));
        assert_eq!(fault.message().len(), message.len().min(256));
    }
}

#[test]
fn c45_c48_a_million_each_way_at_once() {
    const COUNT: u64 = 1_000_000;
    let ground = Ground::new();
    let mut sink = ground.publish::<u64>("there").buffer_size(512).open().unwrap();
    let mut other = ground.start("producer", &[]);
    assert_eq!(other.ask("open back buffer=512"), "ok");
    let mut taker = consumer(&ground, "there window=512");
    let mut source = ground
        .subscribe::<u64>("back")
        .initial_demand(512)
        .open()
        .unwrap();
    other.say(format!("put 0 {COUNT}"));
    other.say("complete");
    taker.say(format!("take {COUNT}"));
    let putter = std::thread::spawn(move || {
        for element in 0..COUNT {
            sink.put(element).unwrap();
        }
        sink.complete().unwrap();
        sink
    });
    let mut next = 0;
    for element in &mut source {
        assert_eq!(element, next);
        next += 1;
    }
    assert_eq!((next, source.end()), (COUNT, Some(End::Completed)));
    taker.expect(&format!("Some(0) Some({}) true", COUNT - 1));
    assert_eq!(taker.ask("next"), "none Some(Completed)");
    putter.join().unwrap();
    other.expect("ok");
    other.expect("Ok(())");
}

#[test]
fn c47_streams_are_found_by_name() {
    let ground = Ground::new();
    let names = ["a", "A.b-c_9", "quotes", &"n".repeat(80)];
    let mut producers: Vec<Actor> = names.iter().map(|name| producer(&ground, name)).collect();
    let mut listed = millstream::list(Some(ground.dir.clone())).unwrap();
    listed.sort_unstable();
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    assert_eq!(listed, sorted);
    for (name, producer) in names.iter().zip(&mut producers) {
        let seen = millstream::observe(name, Some(ground.dir.clone())).unwrap();
        assert_eq!(seen.pid(), Some(producer.pid));
        let mut source = ground.subscribe::<u64>(name).open().unwrap();
        assert_eq!(producer.ask("put 5 6"), "ok");
        assert_eq!(source.next(), Some(5));
    }
}

#[test]
fn c49_an_endless_stream() {
    let ground = Ground::new();
    let mut producer = producer(&ground, "c49 buffer=64");
    let mut source = ground.subscribe::<u64>("c49").initial_demand(64).open().unwrap();
    producer.say("put 0 18446744073709551615");
    for expected in 0..100_000 {
        assert_eq!(source.next_deadline(Instant::now() + LONGEST), Ok(Some(expected)));
    }
    drop(source);
    let answer = producer.hear();
    assert!(
        answer.starts_with("closed ") && answer.ends_with(" Cancelled"),
        "{answer}"
    );
}
