//! Who may join, at which position, and what the producer does while nobody is there.

use std::time::{Duration, Instant};

use millstream::{
    Buffer, JoinPosition, OnNoConsumer, PutDeadlineError, SubscribeError, TryNext, TryPutError,
};

use super::consumers;
use crate::stage::{Ground, eventually, soon};

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
