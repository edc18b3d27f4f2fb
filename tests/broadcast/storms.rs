//! Consumers that come and go while the producer runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use millstream::{JoinPosition, OnNoConsumer, TryNext, broadcast};

use crate::support::{WAITS, watched};

/// Takes a run of elements, and checks that each is what lies at its position.
fn visit(source: &mut millstream::SourceRef<u64>, run: usize) -> bool {
    let first = millstream::SourceRef::position(source);
    for expected in (first..).take(run) {
        match source.next() {
            Some(element) => assert_eq!(element, expected),
            None => return false,
        }
    }
    true
}

#[test]
fn joining_and_leaving_loses_nothing_for_those_who_stay() {
    for wait in WAITS {
        watched(move || {
            let count = 60_000;
            let (mut sink, subscribers) = broadcast::<u64>()
                .buffer_size(5)
                .max_demand(24)
                .history(40)
                .sink_wait(wait)
                .build()
                .unwrap();
            let stayers: Vec<_> = (0..2)
                .map(|_| {
                    let source = subscribers.subscribe().source_wait(wait).open().unwrap();
                    thread::spawn(move || source.eq(0..count))
                })
                .collect();
            let over = Arc::new(AtomicBool::new(false));
            let visitors: Vec<_> = (0..2)
                .map(|n| {
                    let (subscribers, over) = (subscribers.clone(), Arc::clone(&over));
                    thread::spawn(move || {
                        let mut visits = 0;
                        let mut last = 0;
                        while !over.load(Ordering::Relaxed) {
                            let from = match (visits + n) % 3 {
                                0 => JoinPosition::Live,
                                1 => JoinPosition::Oldest,
                                _ => JoinPosition::At(last),
                            };
                            let builder = subscribers.subscribe().source_wait(wait);
                            if let Ok(mut source) = builder.initial_demand(1 + visits % 24).from(from).open()
                            {
                                visit(&mut source, (visits * 7 % 50) as usize);
                                last = source.position();
                            }
                            visits += 1;
                        }
                        visits
                    })
                })
                .collect();
            for i in 0..count {
                sink.put(i).unwrap();
            }
            over.store(true, Ordering::Relaxed);
            sink.complete().unwrap();
            for stayer in stayers {
                assert!(stayer.join().unwrap());
            }
            for visitor in visitors {
                assert!(visitor.join().unwrap() > 0);
            }
        });
    }
}

#[test]
fn a_producer_that_waits_for_nobody_meets_those_who_join() {
    for absence in [OnNoConsumer::Drop, OnNoConsumer::KeepLatest, OnNoConsumer::Wait] {
        watched(move || {
            let (mut sink, subscribers) = broadcast::<u64>()
                .buffer_size(2)
                .max_demand(6)
                .history(10)
                .on_no_consumer(absence)
                .build()
                .unwrap();
            let over = Arc::new(AtomicBool::new(false));
            let producer = {
                let over = Arc::clone(&over);
                thread::spawn(move || {
                    let mut next = 0;
                    while !over.load(Ordering::Relaxed) {
                        if sink.try_put(next).is_ok() {
                            next += 1;
                        }
                    }
                    sink.complete().unwrap();
                })
            };
            for visit_number in 0..3_000 {
                let from = if visit_number % 2 == 0 {
                    JoinPosition::Live
                } else {
                    JoinPosition::Oldest
                };
                let mut source = subscribers
                    .subscribe()
                    .initial_demand(6)
                    .from(from)
                    .open()
                    .unwrap();
                visit(&mut source, visit_number % 9);
            }
            over.store(true, Ordering::Relaxed);
            producer.join().unwrap();
        });
    }
}

#[test]
fn a_parked_crowd_is_woken_by_each_put() {
    watched(|| {
        let (mut sink, subscribers) = broadcast::<u64>().build().unwrap();
        let readers: Vec<_> = (0..5)
            .map(|_| {
                let wait = millstream::WaitStrategy::park();
                let source = subscribers
                    .subscribe()
                    .replenish_each()
                    .initial_demand(1)
                    .source_wait(wait);
                let source = source.open().unwrap();
                thread::spawn(move || source.eq(0..300))
            })
            .collect();
        for i in 0..300 {
            sink.put(i).unwrap();
        }
        sink.complete().unwrap();
        for reader in readers {
            assert!(reader.join().unwrap());
        }
    });
}

#[test]
fn batches_and_claims_go_to_everybody() {
    watched(|| {
        let (mut sink, subscribers) = broadcast::<u32>().buffer_size(100).build().unwrap();
        let mut one = subscribers.subscribe().initial_demand(200).open().unwrap();
        let mut other = subscribers.subscribe().initial_demand(200).open().unwrap();
        sink.put_slice(&(0..150).collect::<Vec<_>>()).unwrap();
        let mut claim = sink.claim(20).unwrap();
        for i in 150..170 {
            claim.push(i).unwrap();
        }
        claim.commit().unwrap();
        let peek = one.peek(170);
        let shown = peek.len();
        assert!(peek.iter().copied().eq(0..shown as u32));
        peek.release(shown);
        let mut rest = Vec::new();
        one.drain(1000, |element| rest.push(element));
        assert!(rest.into_iter().eq(shown as u32..170));
        let mut all = Vec::new();
        while let TryNext::Item(element) = other.try_next() {
            all.push(element);
        }
        assert!(all.into_iter().eq(0..170));
    });
}
