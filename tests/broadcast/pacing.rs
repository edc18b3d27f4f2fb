//! Who paces whom.

use std::thread;
use std::time::{Duration, Instant};

use millstream::{Buffer, End, OnNoConsumer, PutDeadlineError, TryNext, TryPutError, broadcast};

use crate::support::{WAITS, watched};

#[test]
fn every_consumer_gets_every_element_in_order_however_it_waits() {
    for wait in WAITS {
        watched(move || {
            let (mut sink, subscribers) = broadcast::<u64>().sink_wait(wait).build().unwrap();
            let readers: Vec<_> = (0..4)
                .map(|n| {
                    let source = subscribers
                        .subscribe()
                        .initial_demand(1 + n * 5)
                        .source_wait(wait);
                    let mut source = source.open().unwrap();
                    thread::spawn(move || {
                        let got: Vec<u64> = source.by_ref().collect();
                        (got, source.end())
                    })
                })
                .collect();
            for i in 0..2_000 {
                sink.put(i).unwrap();
            }
            sink.complete().unwrap();
            for reader in readers {
                let (got, end) = reader.join().unwrap();
                assert!(got.iter().copied().eq(0..2_000));
                assert_eq!(end, Some(End::Completed));
            }
        });
    }
}

#[test]
fn large_elements_travel_too() {
    watched(|| {
        let (mut sink, subscribers) = broadcast::<[u64; 40]>().build().unwrap();
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let source = subscribers.subscribe().open().unwrap();
                thread::spawn(move || {
                    for (i, element) in source.enumerate() {
                        assert_eq!(element, [i as u64; 40]);
                    }
                })
            })
            .collect();
        for i in 0..3_000 {
            sink.put([i; 40]).unwrap();
        }
        sink.complete().unwrap();
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn the_slowest_consumer_paces_the_producer_exactly() {
    let (mut sink, subscribers) = broadcast::<u64>().buffer_size(3).build().unwrap();
    let mut slow = subscribers
        .subscribe()
        .initial_demand(2)
        .replenish_each()
        .open()
        .unwrap();
    let mut fast = subscribers
        .subscribe()
        .initial_demand(64)
        .replenish_each()
        .open()
        .unwrap();
    assert_eq!(sink.demand(), 2);
    assert_eq!(sink.try_put_slice(&[7; 100]).unwrap(), 5);
    assert_eq!(fast.drain(100, |_| ()), 5);
    assert_eq!(sink.try_put(0), Err(TryPutError::Full(0)));
    assert_eq!(slow.next(), Some(7));
    assert_eq!(sink.try_put_slice(&[8; 100]).unwrap(), 1);
    drop(slow);
    assert_eq!(sink.try_put_slice(&[9; 200]).unwrap(), 66);
}

#[test]
fn a_rendezvous_puts_only_what_everybody_asked_for() {
    let (mut sink, subscribers) = broadcast::<u64>()
        .buffer_size(Buffer::Rendezvous)
        .build()
        .unwrap();
    let mut one = subscribers.subscribe().initial_demand(1).open().unwrap();
    let mut other = subscribers.subscribe().initial_demand(1).open().unwrap();
    sink.try_put(1).unwrap();
    assert!(sink.try_put(2).is_err());
    assert_eq!(one.next(), Some(1));
    assert_eq!(one.try_next(), TryNext::Empty);
    assert!(sink.try_put(2).is_err());
    assert_eq!(other.next(), Some(1));
    assert_eq!(other.try_next(), TryNext::Empty);
    sink.try_put(2).unwrap();
}

#[test]
fn a_put_that_waits_goes_on_when_the_consumer_it_waits_for_is_dropped_or_panics() {
    for wait in WAITS {
        for panics in [false, true] {
            watched(move || {
                let (mut sink, subscribers) = broadcast::<u64>().sink_wait(wait).build().unwrap();
                let slow = subscribers.subscribe().open().unwrap();
                let mut fast = subscribers.subscribe().initial_demand(1024).open().unwrap();
                while sink.try_put(0).is_ok() {}
                let put = sink.position();
                let waiting = thread::spawn(move || {
                    sink.put(1).unwrap();
                    sink
                });
                let leaving = thread::spawn(move || {
                    let _held = slow;
                    assert!(!panics, "on purpose");
                });
                assert_eq!(leaving.join().is_err(), panics);
                let sink = waiting.join().unwrap();
                assert_eq!(sink.position(), put + 1);
                assert_eq!(sink.consumers(), 1);
                let mut got = 0;
                while let TryNext::Item(_) = fast.try_next() {
                    got += 1;
                }
                assert_eq!(got, put + 1);
            });
        }
    }
}

#[test]
fn without_a_consumer_the_producer_waits_until_one_comes() {
    for wait in WAITS {
        watched(move || {
            let (mut sink, subscribers) = broadcast::<u64>().sink_wait(wait).build().unwrap();
            assert_eq!(sink.try_put(1), Err(TryPutError::Full(1)));
            let soon = Instant::now() + Duration::from_millis(5);
            assert_eq!(sink.put_deadline(1, soon), Err(PutDeadlineError::TimedOut(1)));
            let waiting = thread::spawn(move || sink.put(1).map(|()| sink));
            let mut source = subscribers.subscribe().open().unwrap();
            assert_eq!(source.next(), Some(1));
            drop(source);
            let mut sink = waiting.join().unwrap().unwrap();
            // One element may be put before the sink knows that it is alone. It waits for the next consumer.
            let early = sink.try_put(2).is_ok();
            assert_eq!(sink.try_put(3), Err(TryPutError::Full(3)));
            let mut next = subscribers.subscribe().open().unwrap();
            sink.put(4).unwrap();
            sink.complete().unwrap();
            let expected: &[u64] = if early { &[2, 4] } else { &[4] };
            assert_eq!(next.by_ref().collect::<Vec<_>>(), expected);
            assert_eq!(sink.unheard(), 0);
        });
    }
}

#[test]
fn without_a_consumer_elements_are_dropped_and_counted() {
    let (mut sink, subscribers) = broadcast::<u64>()
        .on_no_consumer(OnNoConsumer::Drop)
        .build()
        .unwrap();
    for i in 0..10_000 {
        sink.put(i).unwrap();
    }
    assert_eq!(sink.unheard(), 10_000);
    let mut source = subscribers.subscribe().open().unwrap();
    sink.put(10_000).unwrap();
    assert_eq!(source.next(), Some(10_000));
    assert_eq!(sink.unheard(), 10_000);
    drop(source);
    assert_eq!(sink.consumers(), 0);
    for i in 0..50 {
        sink.put(i).unwrap();
    }
    assert_eq!(sink.unheard(), 10_050);
}

#[test]
fn without_a_consumer_the_newest_element_is_kept_for_the_next() {
    let (mut sink, subscribers) = broadcast::<u64>()
        .on_no_consumer(OnNoConsumer::KeepLatest)
        .build()
        .unwrap();
    let mut first = subscribers.subscribe().open().unwrap();
    assert_eq!(first.try_next(), TryNext::Empty);
    sink.put_slice(&[1, 2, 3]).unwrap();
    drop(first);
    sink.put_slice(&[4, 5, 6]).unwrap();
    let mut late = subscribers.subscribe().open().unwrap();
    let mut later = subscribers.subscribe().open().unwrap();
    sink.put(7).unwrap();
    assert_eq!(late.next(), Some(6));
    assert_eq!(late.next(), Some(7));
    assert_eq!(later.next(), Some(7));
}

#[test]
fn completing_waits_for_the_slowest_to_release() {
    watched(|| {
        let (mut sink, subscribers) = broadcast::<u64>().build().unwrap();
        let mut one = subscribers.subscribe().open().unwrap();
        let mut other = subscribers.subscribe().open().unwrap();
        sink.put_slice(&[1, 2, 3]).unwrap();
        assert_eq!(one.by_ref().take(3).count(), 3);
        assert_eq!(one.try_next(), TryNext::Empty);
        let soon = Instant::now() + Duration::from_millis(5);
        assert_eq!(sink.complete_and_drain(soon).unwrap_err().left, 3);
        assert_eq!(other.by_ref().count(), 3);
        assert_eq!(one.next(), None);
    });
}
