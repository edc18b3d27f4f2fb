//! A slow consumer's policy: the latest of each key, in the order in which the keys came, with every loss counted.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use millstream::{ConflateError, End, Latest, StreamFault, TimedOut, TryNext, WaitStrategy, conflate};
use proptest::prelude::*;

use crate::support::{Counted, joined, until, within};

/// A key and a value.
type Price = (u8, u64);

#[test]
fn the_latest_of_each_key_comes_in_the_order_of_the_keys() {
    within(|| {
        let (mut sink, source) = millstream::channel::<Price>().build().unwrap();
        let mut prices = conflate(source, |price| price.0).build().unwrap();
        for price in [(1, 10), (2, 20), (1, 11), (3, 30), (2, 21), (1, 12)] {
            sink.put(price).unwrap();
        }
        // Nobody takes meanwhile, and the sink has had room.
        until(|| prices.merged_total() == 3);
        assert_eq!(prices.pending(), 3);
        let latest = |element, merged| Some(Latest { element, merged });
        assert_eq!(prices.next(), latest((1, 12), 2));
        // A key that was delivered comes behind the others again.
        sink.put((1, 13)).unwrap();
        sink.complete().unwrap();
        assert_eq!(prices.next(), latest((2, 21), 1));
        assert_eq!(prices.next(), latest((3, 30), 0));
        assert_eq!(prices.end(), None);
        assert_eq!(prices.next(), latest((1, 13), 0));
        assert_eq!(prices.next(), None);
        assert_eq!(prices.end(), Some(End::Completed));
        assert_eq!(prices.try_next(), TryNext::End(End::Completed));
        assert_eq!(prices.next_deadline(Instant::now()), Ok(None));
        assert_eq!(prices.merged_total(), 3);
    });
}

#[test]
fn the_consumer_does_not_pace_the_producer() {
    within(|| {
        for wait in [WaitStrategy::park(), WaitStrategy::default()] {
            let (mut sink, source) = millstream::channel::<Price>()
                .buffer_size(1)
                .initial_demand(1)
                .source_wait(wait)
                .build()
                .unwrap();
            let mut prices = conflate(source, |price| price.0).wait(wait).build().unwrap();
            for value in 0..20_000 {
                sink.put((0, value)).unwrap();
            }
            let fault = StreamFault::new(1, "over");
            sink.fail(fault.clone()).unwrap();
            let all: Vec<_> = prices.by_ref().collect();
            assert_eq!(all.last().unwrap().element, (0, 19_999));
            let merged: u64 = all.iter().map(|latest| latest.merged).sum();
            assert_eq!(all.len() as u64 + merged, 20_000);
            assert_eq!(prices.end(), Some(End::Failed(fault)));
        }
    });
}

#[test]
fn a_key_too_many_waits_and_holds_back_what_comes_after_it() {
    within(|| {
        let (mut sink, source) = millstream::channel::<Price>().build().unwrap();
        let mut prices = conflate(source, |price| price.0)
            .max_keys(2)
            .wait(WaitStrategy::park())
            .build()
            .unwrap();
        for price in [(1, 0), (2, 0), (1, 1), (3, 0), (1, 2)] {
            sink.put(price).unwrap();
        }
        until(|| prices.merged_total() == 1);
        assert_eq!(prices.pending(), 2);
        assert_eq!(
            prices.next(),
            Some(Latest {
                element: (1, 1),
                merged: 1
            })
        );
        sink.complete().unwrap();
        let rest: Vec<Price> = prices.by_ref().map(|latest| latest.element).collect();
        assert_eq!(rest, [(2, 0), (3, 0), (1, 2)]);
        let none = conflate(millstream::channel::<u64>().build().unwrap().1, |n| *n)
            .max_keys(0)
            .build();
        assert!(matches!(none, Err(ConflateError::NoKeys)));
    });
}

#[test]
fn dropping_it_cancels_the_source_wherever_the_thread_waits() {
    within(|| {
        for most in [1, 10] {
            let alive = Arc::new(AtomicU64::new(0));
            let (mut sink, source) = millstream::channel::<Counted>()
                .source_wait(WaitStrategy::park())
                .build()
                .unwrap();
            let counted = conflate(source, |element: &Counted| element.number)
                .max_keys(most)
                .wait(WaitStrategy::park())
                .build()
                .unwrap();
            for number in 0..3 {
                sink.put(Counted::new(number, &alive)).unwrap();
            }
            // With a table of one row it waits for another row; else for elements.
            until(|| counted.pending() == most.min(3));
            drop(counted);
            assert!(sink.is_closed());
            drop(sink);
            assert_eq!(alive.load(Ordering::SeqCst), 0);
        }
    });
}

#[test]
fn a_key_function_that_panics_fails_the_stream_behind_what_came_before() {
    within(|| {
        let (mut sink, source) = millstream::channel::<u64>().build().unwrap();
        let mut numbers = conflate(source, |n| {
            assert!(*n < 3, "no key for {n}, which is expected here");
            *n
        })
        .build()
        .unwrap();
        for n in 0..4 {
            sink.put(n).unwrap();
        }
        assert_eq!(
            numbers.by_ref().map(|latest| latest.element).collect::<Vec<_>>(),
            [0, 1, 2]
        );
        let Some(End::Failed(fault)) = numbers.end() else {
            panic!()
        };
        assert_eq!(fault.code(), StreamFault::PRODUCER_PANICKED);
        assert!(fault.message().contains("no key for 3"), "{fault}");
        assert!(sink.is_closed());
    });
}

/// A key that panics when it is compared with itself, if it is told to.
#[derive(Clone)]
struct Touchy(u64, Arc<AtomicU64>);

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        assert!(self.1.load(Ordering::SeqCst) == 0, "as is expected here");
        self.0 == other.0
    }
}

impl Eq for Touchy {}

impl Hash for Touchy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[test]
fn a_key_that_panics_in_its_own_code_hangs_nobody() {
    within(|| {
        let touched = Arc::new(AtomicU64::new(0));
        let (mut sink, source) = millstream::channel::<u64>().build().unwrap();
        let key = touched.clone();
        let mut numbers = conflate(source, move |n| Touchy(*n, key.clone()))
            .build()
            .unwrap();
        sink.put_slice(&[1, 2]).unwrap();
        until(|| numbers.pending() == 2);
        touched.store(1, Ordering::SeqCst);
        sink.put(1).unwrap();
        until(|| sink.is_closed());
        touched.store(0, Ordering::SeqCst);
        assert_eq!(numbers.by_ref().count(), 2);
        assert!(matches!(numbers.end(), Some(End::Failed(_))));
    });
}

#[test]
fn a_deadline_bounds_the_wait_and_an_element_ends_it() {
    within(|| {
        let (mut sink, source) = millstream::channel::<u64>().build().unwrap();
        let mut numbers = conflate(source, |n| *n)
            .wait(WaitStrategy::park())
            .build()
            .unwrap();
        let soon = Instant::now() + Duration::from_millis(5);
        assert_eq!(numbers.next_deadline(soon), Err(TimedOut));
        let (told, waits) = mpsc::channel();
        let reader = thread::spawn(move || {
            told.send(()).unwrap();
            numbers.next().map(|latest| latest.element)
        });
        waits.recv().unwrap();
        sink.put(5).unwrap();
        assert_eq!(joined(reader), Some(5));
    });
}

#[test]
fn the_idle_timeout_is_the_source_s() {
    within(|| {
        let (_sink, source) = millstream::channel::<u64>()
            .idle_timeout(Some(Duration::from_millis(3)))
            .build()
            .unwrap();
        let mut numbers = conflate(source, |n| *n).build().unwrap();
        assert_eq!(numbers.next(), None);
        assert_eq!(numbers.end(), Some(End::IdleTimeout));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_source_from_another_process_is_conflated_and_let_go() {
    within(|| {
        let (mut sink, source) = crate::support::published();
        let mut numbers = conflate(source, |n| n % 3).build().unwrap();
        for n in 0..9_000 {
            sink.put(n).unwrap();
        }
        let mut seen = HashMap::new();
        while seen.values().copied().max() != Some(8_999) {
            let latest = numbers.next().unwrap();
            seen.insert(latest.element % 3, latest.element);
        }
        // While it sleeps at descriptors.
        drop(numbers);
        until(|| sink.is_closed());
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_pace_nothing_is_lost_but_older_values_and_each_is_counted(
        keys in prop::collection::vec(0u8..6, 1..400),
        most in prop_oneof![Just(usize::MAX), 1usize..5],
        takes in prop::collection::vec(any::<bool>(), 1..50),
    ) {
        let (mut sink, source) = millstream::channel::<Price>().build().unwrap();
        let mut prices = conflate(source, |price| price.0).max_keys(most).build().unwrap();
        let elements: Vec<Price> = keys.iter().zip(0..).map(|(key, at)| (*key, at)).collect();
        let feed = elements.clone();
        let feeder = thread::spawn(move || {
            for element in feed {
                sink.put(element).unwrap();
            }
            sink.complete().unwrap();
        });
        let mut delivered: Vec<Latest<Price>> = Vec::new();
        for waits in takes.iter().cycle() {
            if *waits {
                match prices.next() {
                    Some(latest) => delivered.push(latest),
                    None => break,
                }
            } else {
                delivered.extend(prices.try_next().item());
                prop_assert!(prices.pending() <= most);
            }
            if prices.end().is_some() {
                break;
            }
        }
        joined(feeder);
        // By key: what came between two deliveries was merged into the later one, and the last is the last.
        let mut merged_total = 0;
        for key in 0..6u8 {
            let came: Vec<u64> = elements.iter().filter(|one| one.0 == key).map(|one| one.1).collect();
            let mut at = 0;
            for latest in delivered.iter().filter(|latest| latest.element.0 == key) {
                at += latest.merged as usize;
                prop_assert_eq!(latest.element.1, came[at]);
                at += 1;
                merged_total += latest.merged;
            }
            prop_assert_eq!(at, came.len());
        }
        prop_assert_eq!(prices.merged_total(), merged_total);
        prop_assert_eq!(prices.end(), Some(End::Completed));
    }
}
