//! Consumers that the producer does not wait for, or not for ever.

use std::thread;
use std::time::{Duration, Instant};

use millstream::{End, Gap, JoinPosition, LossySource, Received, TryNext, WaitStrategy, broadcast};
use proptest::prelude::*;

use crate::support::{WAITS, watched};

/// An element of several words, in which a torn copy shows.
type Wide = [u64; 12];

/// Of 12 words, many share a stamp; of 17, each has its own.
fn wide<const N: usize>(i: u64) -> [u64; N] {
    std::array::from_fn(|at| i.wrapping_mul(at as u64 + 1))
}

/// Checks that each position is received as the right element or lies in exactly one gap. Returns the number of elements.
fn account<const N: usize>(source: &mut LossySource<[u64; N]>, mut expected: u64) -> (u64, u64) {
    let mut elements = 0;
    for received in source {
        match received {
            Received::Element(element) => {
                assert_eq!(element, wide(expected));
                expected += 1;
                elements += 1;
            }
            Received::Gap(Gap { from, count }) => {
                assert_eq!(from, expected);
                assert!(count > 0);
                expected += count;
            }
        }
    }
    (elements, expected)
}

#[test]
fn a_lossy_consumer_is_told_exactly_what_it_missed() {
    told_exactly::<12>();
    told_exactly::<17>();
}

fn told_exactly<const N: usize>() {
    for wait in WAITS {
        watched(move || {
            let count = 200_000;
            let (mut sink, subscribers) = broadcast::<[u64; N]>()
                .buffer_size(4)
                .max_demand(12)
                .history(32)
                .build()
                .unwrap();
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    let mut source = subscribers.subscribe().source_wait(wait).lossy().open().unwrap();
                    thread::spawn(move || {
                        let (elements, expected) = account(&mut source, 0);
                        assert_eq!(expected, count);
                        assert_eq!(elements + source.missed(), count);
                        assert_eq!(source.end(), Some(End::Completed));
                        elements
                    })
                })
                .collect();
            for i in 0..count {
                sink.put(wide(i)).unwrap();
            }
            sink.complete().unwrap();
            for reader in readers {
                assert!(reader.join().unwrap() > 0);
            }
        });
    }
}

#[test]
fn beside_one_that_gates_a_lossy_consumer_may_lag_by_the_history() {
    let (mut sink, subscribers) = broadcast::<u64>()
        .buffer_size(4)
        .max_demand(12)
        .history(100)
        .build()
        .unwrap();
    let mut gating = subscribers.subscribe().initial_demand(12).open().unwrap();
    let mut lossy = subscribers.subscribe().lossy().open().unwrap();
    for i in 0..100 {
        sink.put(i).unwrap();
        assert_eq!(gating.next(), Some(i));
    }
    for i in 0..100 {
        assert_eq!(lossy.try_next(), TryNext::Item(Received::Element(i)));
    }
    for i in 100..1_000 {
        sink.put(i).unwrap();
        assert_eq!(gating.next(), Some(i));
    }
    let TryNext::Item(Received::Gap(gap)) = lossy.try_next() else {
        panic!()
    };
    assert_eq!(gap.from, 100);
    let next = gap.from + gap.count;
    assert!(next > 850 && next < 1_000, "{next}");
    let mut rest = Vec::new();
    lossy.drain(1_000, |received| rest.extend(received.element()));
    assert!(rest.into_iter().eq(next..1_000));
    assert_eq!(lossy.missed(), gap.count);
}

#[test]
fn a_consumer_that_holds_the_producer_too_long_is_evicted_and_told() {
    for wait in WAITS {
        watched(move || {
            let (mut sink, subscribers) = broadcast::<Wide>()
                .buffer_size(4)
                .max_demand(12)
                .sink_wait(wait)
                .history(64)
                .build()
                .unwrap();
            let patience = Duration::from_millis(2);
            let mut stuck = subscribers.subscribe().evict_after(patience).open().unwrap();
            let staying = subscribers.subscribe().source_wait(wait);
            let mut staying = staying.evict_after(Duration::from_secs(1000)).open().unwrap();
            let reader = thread::spawn(move || {
                let (elements, expected) = account(&mut staying, 0);
                assert_eq!(
                    (elements, staying.missed(), staying.end()),
                    (5_000, 0, Some(End::Completed))
                );
                assert_eq!(expected, 5_000);
            });
            for i in 0..5_000 {
                sink.put(wide(i)).unwrap();
            }
            assert_eq!(sink.consumers(), 1);
            sink.complete().unwrap();
            reader.join().unwrap();
            let (elements, told) = account(&mut stuck, 0);
            assert_eq!(elements + stuck.missed(), told);
            assert!(told == 5_000, "{told}");
            assert_eq!(stuck.end(), Some(End::Evicted));
            drop(stuck);
            assert_eq!(sink.consumers(), 0);
        });
    }
}

#[test]
fn an_eviction_wakes_a_consumer_that_waits() {
    watched(|| {
        let (mut sink, subscribers) = broadcast::<u64>().buffer_size(2).max_demand(2).build().unwrap();
        let park = WaitStrategy::park();
        let slow = subscribers.subscribe().initial_demand(2).source_wait(park);
        let mut slow = slow.evict_after(Duration::ZERO).open().unwrap();
        let keep = subscribers.subscribe().lossy().open().unwrap();
        assert_eq!(sink.consumers(), 2);
        for i in 0..100 {
            sink.put(i).unwrap();
        }
        assert_eq!(sink.consumers(), 1);
        while slow.next().is_some() {}
        assert_eq!(slow.end(), Some(End::Evicted));
        drop(keep);
    });
}

#[test]
fn a_lossy_consumer_waits_and_times_out_as_others_do() {
    watched(|| {
        let (mut sink, subscribers) = broadcast::<u64>().build().unwrap();
        let idle = Some(Duration::from_millis(5));
        let mut source = subscribers.subscribe().idle_timeout(idle).lossy().open().unwrap();
        assert!(
            source
                .next_deadline(Instant::now() + Duration::from_millis(1))
                .is_err()
        );
        sink.put(1).unwrap();
        assert_eq!(source.next(), Some(Received::Element(1)));
        assert_eq!(source.next(), None);
        assert_eq!(source.end(), Some(End::IdleTimeout));
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// One thread, so that everything is exact: what was put and is held is received, the rest is missed.
    #[test]
    fn every_position_is_an_element_or_in_one_gap(
        start in prop_oneof![Just(0), Just((1 << 32) - 5), Just(u64::MAX - 20)],
        buffer in 1_usize..9,
        demand in 1_u64..9,
        history in 0_u64..40,
        steps in prop::collection::vec((0_u64..60, 0_usize..60), 1..40),
    ) {
        let (mut sink, subscribers) = broadcast::<u64>()
            .buffer_size(buffer)
            .max_demand(demand)
            .history(history)
            .start_position(start)
            .build()
            .unwrap();
        let mut source = subscribers.subscribe().initial_demand(1).from(JoinPosition::Oldest).lossy().open().unwrap();
        let mut expected = start;
        for (puts, takes) in steps {
            for _ in 0..puts {
                let position = sink.position();
                sink.put(position).unwrap();
            }
            for _ in 0..takes {
                match source.try_next() {
                    TryNext::Item(Received::Element(element)) => {
                        prop_assert_eq!(element, expected);
                        expected = expected.wrapping_add(1);
                    }
                    TryNext::Item(Received::Gap(Gap { from, count })) => {
                        prop_assert_eq!(from, expected);
                        prop_assert!(count > 0);
                        expected = expected.wrapping_add(count);
                        prop_assert!(sink.position().wrapping_sub(expected) as i64 >= 0);
                    }
                    TryNext::Empty => {
                        prop_assert_eq!(expected, sink.position());
                        break;
                    }
                    TryNext::End(end) => prop_assert!(false, "{}", end),
                }
            }
            // What it may lag by is never missed.
            if sink.position().wrapping_sub(expected) <= history {
                prop_assert!(!matches!(source.try_next(), TryNext::Item(Received::Gap(_))));
                expected = source.position();
            }
        }
    }
}

#[test]
fn the_producer_waits_for_somebody_once_the_last_lossy_consumer_has_gone() {
    let (mut sink, subscribers) = broadcast::<Wide>().build().unwrap();
    let lossy = subscribers.subscribe().lossy().open().unwrap();
    for i in 0..100 {
        sink.try_put(wide(i)).unwrap();
    }
    drop(lossy);
    // By this one it finds that out, if it was told.
    let _ = sink.try_put(wide(100));
    assert!(sink.try_put(wide(101)).is_err());
}
