//! kill -9, and SIGSTOP: nothing that was published is lost, nobody waits for the dead, and nothing is left.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use millstream::{CloseReason, End, PutError, PutFrameError};
use rustix::process::Signal;

use crate::stage::{Ground, LONGEST, Random, Role, Shared, Stage, eventually, say, soon, strategy};

pub(crate) const ROLES: &[(&str, Role)] = &[
    ("bursts", bursts),
    ("bursts_frames", bursts_frames),
    ("takes", takes),
    ("takes_frames", takes_frames),
];

/// The issue asks for 100 ms; this bound only keeps a loaded machine from failing.
const BOUND: Duration = Duration::from_secs(5);

/// The bytes of the frame at a position: its length and every byte tell which one it is.
fn frame(position: u64) -> Vec<u8> {
    let mut bytes = position.to_le_bytes().to_vec();
    bytes.resize(8 + (position * 37 % 250) as usize, position as u8);
    bytes
}

/// Publishes without an end, and notes in a file what the sink has taken.
fn bursts(stage: &Stage) {
    let (name, how, wait): (String, String, String) = (stage.arg(0), stage.arg(1), stage.arg(2));
    let count: u64 = stage.arg(3);
    let published = Shared::open(&stage.ground.beside(&name));
    let builder = stage
        .ground
        .publish::<u64>(&name)
        .buffer_size(256)
        .sink_wait(strategy(&wait));
    let mut sink = builder.open().unwrap();
    say("HERE");
    let mut next = 0;
    while next < count {
        match how.as_str() {
            "put" => {
                sink.put(next).unwrap();
                next += 1;
            }
            "slice" => {
                let batch: Vec<u64> = (next..next + 100).collect();
                sink.put_slice(&batch).unwrap();
                next += 100;
            }
            // Claims are written and committed, and every other one is not.
            _ => {
                if let Ok(mut claim) = sink.claim(10) {
                    for element in next..next + 10 {
                        claim.push(element).unwrap();
                    }
                    assert_eq!(claim.commit().unwrap(), 10);
                    next += 10;
                }
                if let Ok(mut claim) = sink.claim(5) {
                    for _ in 0..5 {
                        claim.push(u64::MAX).unwrap();
                    }
                    if how == "held" && next > 500 {
                        published.set(next);
                        say("HELD");
                        stage.stay();
                    }
                }
            }
        }
        published.set(next);
    }
    say("DONE");
    stage.stay();
}

fn bursts_frames(stage: &Stage) {
    let name: String = stage.arg(0);
    let published = Shared::open(&stage.ground.beside(&name));
    let mut sink = stage
        .ground
        .publish::<[u8]>(&name)
        .max_frame(300)
        .buffer_size(64)
        .open()
        .unwrap();
    say("HERE");
    for next in 0.. {
        if next % 3 == 0 {
            let bytes = frame(next);
            let mut claim = loop {
                if let Ok(claim) = sink.claim(bytes.len()) {
                    break claim;
                }
            };
            claim.copy_from_slice(&bytes);
            claim.commit().unwrap();
        } else {
            sink.put(&frame(next)).unwrap();
        }
        published.set(next + 1);
    }
}

/// Takes so many elements, then none.
fn takes(stage: &Stage) {
    let (name, wait, window, count): (String, String, u64, u64) =
        (stage.arg(0), stage.arg(1), stage.arg(2), stage.arg(3));
    let taken = Shared::open(&stage.ground.beside(&name));
    let builder = stage
        .ground
        .subscribe::<u64>(&name)
        .initial_demand(window)
        .source_wait(strategy(&wait));
    let mut source = builder.open().unwrap();
    say("HERE");
    for expected in 0..count {
        assert_eq!(source.next(), Some(expected));
        taken.set(expected + 1);
    }
    say("DONE");
    stage.stay();
}

fn takes_frames(stage: &Stage) {
    let (name, count): (String, u64) = (stage.arg(0), stage.arg(1));
    let mut source = stage.ground.subscribe::<[u8]>(&name).open().unwrap();
    say("HERE");
    for expected in 0..count {
        assert_eq!(&*source.next().unwrap(), frame(expected));
    }
    say("DONE");
    stage.stay();
}

#[test]
fn a_producer_killed_in_mid_burst_loses_nothing_that_it_published() {
    let mut random = Random::new("a producer killed in mid-burst");
    let ground = Ground::new();
    for round in 0..40 {
        let how = ["put", "slice", "claim", "put"][round % 4];
        let (theirs, ours) = (
            random.of(&["park", "spin", "yield", "default"]),
            random.of(&["park", "spin", "yield"]),
        );
        let name = format!("burst{round}");
        let mut producer = ground.start("bursts", &[&name, &how, &theirs, &u64::MAX]);
        producer.expect("HERE");
        let (window, kill_at) = (1 + random.below(200), random.below(30_000));
        let builder = ground
            .subscribe::<u64>(&name)
            .initial_demand(window)
            .source_wait(strategy(ours));
        let mut source = builder.open().unwrap();
        let mut taken = 0;
        for element in source.by_ref() {
            assert_eq!(
                element, taken,
                "round {round}: {how}, {theirs}, {ours}, {window}, {kill_at}"
            );
            if taken == kill_at {
                producer.shoot();
            }
            taken += 1;
        }
        assert_eq!(source.end(), Some(End::PeerGone));
        producer.kill();
        let published = Shared::open(&ground.beside(&name)).get();
        let uncertain = if how == "put" { 1 } else { 100 };
        assert!(
            (published..=published + uncertain).contains(&taken),
            "{taken} of {published} ({how})"
        );
        assert_eq!(source.next(), None);
        drop(source);
        assert_eq!(ground.files(), [""; 0]);
    }
}

#[test]
fn an_uncommitted_claim_of_the_dead_is_never_seen() {
    let ground = Ground::new();
    let mut producer = ground.start("bursts", &[&"held", &"held", &"park", &u64::MAX]);
    producer.expect("HERE");
    let mut source = ground.subscribe::<u64>("held").open().unwrap();
    let mut taken = 0;
    while taken <= 500 {
        assert_eq!(source.next(), Some(taken));
        taken += 1;
    }
    producer.expect("HELD");
    producer.kill();
    let published = Shared::open(&ground.beside("held")).get();
    assert!(source.by_ref().eq(taken..published));
    assert_eq!(source.end(), Some(End::PeerGone));
}

#[test]
fn a_producer_killed_in_mid_frame_tears_none() {
    let mut random = Random::new("a producer killed in mid-frame");
    let ground = Ground::new();
    for round in 0..20 {
        let name = format!("frames{round}");
        let mut producer = ground.start("bursts_frames", &[&name]);
        producer.expect("HERE");
        let mut source = ground
            .subscribe::<[u8]>(&name)
            .initial_demand(1 + random.below(60))
            .open()
            .unwrap();
        let (kill_at, mut taken) = (random.below(3000), 0);
        while let Some(bytes) = source.next() {
            assert_eq!(&*bytes, frame(taken));
            if taken == kill_at {
                producer.shoot();
            }
            taken += 1;
        }
        assert_eq!(source.end(), Some(End::PeerGone));
        producer.kill();
        let published = Shared::open(&ground.beside(&name)).get();
        assert!(
            (published..=published + 1).contains(&taken),
            "{taken} of {published}"
        );
    }
}

#[test]
fn a_consumer_that_waits_learns_of_a_death() {
    for wait in ["park", "spin", "yield", "default"] {
        let mut latencies = Vec::new();
        for _ in 0..5 {
            let ground = Ground::new();
            let mut producer = ground.start("bursts", &[&"idle", &"put", &wait, &3]);
            producer.expect("HERE");
            let mut source = ground
                .subscribe::<u64>("idle")
                .source_wait(strategy(wait))
                .open()
                .unwrap();
            producer.expect("DONE");
            assert!(source.by_ref().take(3).eq(0..3));
            let (told, waits) = mpsc::channel();
            let waiter = thread::spawn(move || {
                told.send(()).unwrap();
                assert_eq!(source.next(), None);
                (Instant::now(), source.end())
            });
            waits.recv().unwrap();
            if wait == "park" {
                let mut seen = millstream::observe("idle", Some(ground.dir.clone())).unwrap();
                eventually(|| {
                    seen.refresh();
                    seen.consumer().is_some_and(|consumer| consumer.parked)
                });
            }
            let killed = Instant::now();
            producer.kill();
            let (ended, end) = waiter.join().unwrap();
            assert_eq!(end, Some(End::PeerGone));
            latencies.push(ended.saturating_duration_since(killed));
        }
        println!("producer killed, consumer in {wait}: {latencies:?}");
        assert!(latencies.iter().all(|latency| *latency < BOUND));
    }
}

#[test]
fn a_producer_that_waits_learns_of_a_death_and_has_its_element_back() {
    for wait in ["park", "spin", "yield", "default"] {
        let mut latencies = Vec::new();
        for _ in 0..5 {
            let ground = Ground::new();
            let mut sink = ground
                .publish::<u64>("full")
                .buffer_size(2)
                .sink_wait(strategy(wait))
                .open()
                .unwrap();
            let mut consumer = ground.start("takes", &[&"full", &wait, &4, &0]);
            consumer.expect("HERE");
            for element in 0..6 {
                sink.put_deadline(element, soon()).unwrap();
            }
            let (told, waits) = mpsc::channel();
            let waiter = thread::spawn(move || {
                told.send(()).unwrap();
                let refused = sink.put(6);
                (Instant::now(), refused)
            });
            waits.recv().unwrap();
            if wait == "park" {
                let mut seen = millstream::observe("full", Some(ground.dir.clone())).unwrap();
                eventually(|| {
                    seen.refresh();
                    seen.is_producer_parked()
                });
            }
            let killed = Instant::now();
            consumer.kill();
            let (ended, refused) = waiter.join().unwrap();
            assert_eq!(refused, Err(PutError::Closed(6, CloseReason::PeerGone)));
            latencies.push(ended.saturating_duration_since(killed));
        }
        println!("consumer killed, producer in {wait}: {latencies:?}");
        assert!(latencies.iter().all(|latency| *latency < BOUND));
    }
}

#[test]
fn a_consumer_killed_at_any_time_ends_the_stream() {
    let mut random = Random::new("a consumer killed at any time");
    let ground = Ground::new();
    for round in 0..30 {
        let name = format!("takes{round}");
        let (theirs, ours) = (
            random.of(&["park", "spin", "default"]),
            random.of(&["park", "yield", "default"]),
        );
        let mut sink = ground
            .publish::<u64>(&name)
            .buffer_size(16)
            .sink_wait(strategy(ours))
            .open()
            .unwrap();
        let mut consumer = ground.start("takes", &[&name, &theirs, &(1 + random.below(100)), &u64::MAX]);
        consumer.expect("HERE");
        let kill_at = random.below(20_000);
        let refused = (0u64..).find_map(|element| {
            if element == kill_at {
                consumer.shoot();
            }
            sink.put(element).err().map(|error| (element, error))
        });
        let (element, error) = refused.unwrap();
        assert_eq!(
            error,
            PutError::Closed(element, CloseReason::PeerGone),
            "round {round}, {kill_at}"
        );
        consumer.kill();
        assert!(Shared::open(&ground.beside(&name)).get() <= element + 1);
        drop(sink);
        assert_eq!(ground.files(), [""; 0]);
    }
}

#[test]
fn a_consumer_of_frames_is_killed() {
    let ground = Ground::new();
    let mut sink = ground.publish::<[u8]>("frames").max_frame(300).open().unwrap();
    let mut consumer = ground.start("takes_frames", &[&"frames", &100]);
    consumer.expect("HERE");
    for position in 0..100 {
        sink.put(&frame(position)).unwrap();
    }
    consumer.expect("DONE");
    consumer.shoot();
    let refused = (100..).find_map(|position| sink.put(&frame(position)).err());
    assert_eq!(refused, Some(PutFrameError::Closed(CloseReason::PeerGone)));
    consumer.kill();
}

#[test]
fn a_producer_that_is_stopped_and_goes_on_loses_nothing() {
    let ground = Ground::new();
    let producer = ground.start("bursts", &[&"stopped", &"put", &"park", &20_000]);
    producer.expect("HERE");
    let mut source = ground
        .subscribe::<u64>("stopped")
        .source_wait(strategy("park"))
        .open()
        .unwrap();
    for expected in 0..20_000 {
        if expected % 4000 == 100 {
            producer.signal(Signal::STOP);
        }
        // A stopped producer is neither gone nor corrupt; there is only nothing to take.
        let element = source
            .next_deadline(Instant::now() + Duration::from_millis(20))
            .or_else(|_| {
                producer.signal(Signal::CONT);
                source.next_deadline(Instant::now() + LONGEST)
            });
        assert_eq!(element, Ok(Some(expected)));
    }
    producer.signal(Signal::CONT);
    producer.expect("DONE");
}

#[test]
fn a_consumer_that_is_stopped_and_goes_on_loses_nothing() {
    let ground = Ground::new();
    let mut sink = ground
        .publish::<u64>("stopped")
        .sink_wait(strategy("park"))
        .open()
        .unwrap();
    let consumer = ground.start("takes", &[&"stopped", &"park", &16, &20_000]);
    consumer.expect("HERE");
    for element in 0..20_000 {
        if element % 4000 == 100 {
            consumer.signal(Signal::STOP);
        }
        if sink
            .put_deadline(element, Instant::now() + Duration::from_millis(20))
            .is_err()
        {
            consumer.signal(Signal::CONT);
            sink.put_deadline(element, soon()).unwrap();
        }
    }
    consumer.signal(Signal::CONT);
    consumer.expect("DONE");
}
