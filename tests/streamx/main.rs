//! The rows that come from streamx (X1 to X17), within one process: one producer, and consumers of whom nobody gets ahead.
#![forbid(unsafe_code)]

#[path = "../broadcast/support.rs"]
mod support;

use std::sync::mpsc::{channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use millstream::{
    AsyncStream, CloseReason, End, OnNoConsumer, Publisher, PutDeadlineError, PutError, StreamFault, TryNext,
    TryPutError, WaitStrategy, rendezvous,
};
use support::{WAITS, watched};

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(5)
}

/// Both sides wait in this way.
fn waiting(wait: WaitStrategy) -> (Publisher<u64>, AsyncStream<u64>) {
    let builder = rendezvous().put_wait(wait).next_wait(wait);
    builder.build().unwrap()
}

#[test]
fn x1_x4_every_consumer_gets_every_value_in_order() {
    for wait in WAITS {
        watched(move || {
            let (mut publisher, stream) = waiting(wait);
            let consumers: Vec<_> = (0..2)
                .map(|_| {
                    let consumer = stream.subscribe().unwrap();
                    thread::spawn(move || consumer.collect::<Vec<_>>())
                })
                .collect();
            for i in 0..100 {
                assert_eq!(publisher.put(i).unwrap(), 2);
            }
            publisher.close().unwrap();
            for consumer in consumers {
                assert!(consumer.join().unwrap().into_iter().eq(0..100));
            }
        });
    }
}

#[test]
fn x2_put_returns_at_hand_off_and_the_next_one_waits_for_the_bodies() {
    watched(|| {
        let (mut publisher, stream) = rendezvous::<u64>().build().unwrap();
        let mut consumer = stream.subscribe().unwrap();
        let (working, worked) = sync_channel(0);
        let reader = thread::spawn(move || {
            assert_eq!(consumer.next(), Some(1));
            // The body of the loop, which goes on until it is told to end.
            worked.recv().unwrap();
            assert_eq!(consumer.next(), Some(2));
        });
        assert_eq!(publisher.put(1).unwrap(), 1);
        assert_eq!(
            publisher.put_deadline(2, soon()),
            Err(PutDeadlineError::TimedOut(2))
        );
        working.send(()).unwrap();
        assert_eq!(publisher.put(2).unwrap(), 1);
        reader.join().unwrap();
    });
}

#[test]
fn x3_nobody_gets_ahead_by_more_than_one() {
    let (mut publisher, stream) = rendezvous::<u64>().build().unwrap();
    let mut fast = stream.subscribe().unwrap();
    let mut slow = stream.subscribe().unwrap();
    assert_eq!(fast.try_next(), TryNext::Empty);
    assert_eq!(publisher.try_put(1), Err(TryPutError::Full(1)));
    assert_eq!(slow.try_next(), TryNext::Empty);
    assert_eq!(publisher.try_put(1), Ok(2));
    assert_eq!(fast.try_next(), TryNext::Item(1));
    assert_eq!(fast.try_next(), TryNext::Empty);
    // The slow one has not taken the first value, let alone asked for the second.
    assert_eq!(publisher.try_put(2), Err(TryPutError::Full(2)));
    assert_eq!(slow.try_next(), TryNext::Item(1));
    assert_eq!(publisher.try_put(2), Err(TryPutError::Full(2)));
    assert_eq!(slow.try_next(), TryNext::Empty);
    assert_eq!(publisher.try_put(2), Ok(2));
}

#[test]
fn x5_who_registers_holds_the_producer_before_the_first_next() {
    watched(|| {
        let (mut publisher, stream) = rendezvous::<u64>().build().unwrap();
        let mut registered = stream.subscribe().unwrap();
        assert_eq!(
            publisher.put_deadline(1, soon()),
            Err(PutDeadlineError::TimedOut(1))
        );
        let waiting = thread::spawn(move || publisher.put(1));
        assert_eq!(registered.next(), Some(1));
        assert_eq!(waiting.join().unwrap(), Ok(1));
    });
}

#[test]
fn x6_without_consumers_the_publisher_does_what_it_was_built_to_do() {
    let (mut publisher, stream) = rendezvous::<u64>().build().unwrap();
    assert_eq!(publisher.try_put(1), Err(TryPutError::Full(1)));
    assert_eq!(
        publisher.put_deadline(1, soon()),
        Err(PutDeadlineError::TimedOut(1))
    );
    drop(stream);

    let (mut publisher, stream) = rendezvous().on_no_consumer(OnNoConsumer::Drop).build().unwrap();
    for i in 0..10 {
        assert_eq!(publisher.put(i), Ok(0));
    }
    assert_eq!(stream.subscribe().unwrap().try_next(), TryNext::Empty);

    let (mut publisher, stream) = rendezvous()
        .on_no_consumer(OnNoConsumer::KeepLatest)
        .build()
        .unwrap();
    for kept in 0..30 {
        assert_eq!(publisher.put(kept), Ok(0));
        let mut late = stream.subscribe().unwrap();
        assert_eq!(late.try_next(), TryNext::Item(kept));
        assert_eq!(late.try_next(), TryNext::Empty);
    }
}

#[test]
fn x7_a_late_joiner_sees_what_is_put_after_it_joined() {
    let (mut publisher, stream) = rendezvous::<u64>().build().unwrap();
    let mut early = stream.subscribe().unwrap();
    for i in 1..=2 {
        assert_eq!(early.try_next(), TryNext::Empty);
        publisher.put(i).unwrap();
        assert_eq!(early.try_next(), TryNext::Item(i));
    }
    let mut late = stream.subscribe().unwrap();
    for i in 3..=4 {
        assert_eq!(early.try_next(), TryNext::Empty);
        assert_eq!(late.try_next(), TryNext::Empty);
        assert_eq!(publisher.put(i), Ok(2));
        assert_eq!(early.try_next(), TryNext::Item(i));
        assert_eq!(late.try_next(), TryNext::Item(i));
    }
}

#[test]
fn x8_close_waits_until_everybody_is_ready_and_ends_everybody() {
    watched(|| {
        let (mut publisher, stream) = rendezvous::<u64>().build().unwrap();
        let mut one = stream.subscribe().unwrap();
        let mut other = stream.subscribe().unwrap();
        assert_eq!(one.try_next(), TryNext::Empty);
        assert_eq!(publisher.close_deadline(soon()), Ok(false));
        let closing = thread::spawn(move || {
            publisher.close().unwrap();
            publisher
        });
        assert_eq!(other.next(), None);
        assert_eq!(one.next(), None);
        assert_eq!(
            (one.end(), other.end()),
            (Some(End::Completed), Some(End::Completed))
        );
        assert_eq!(closing.join().unwrap().closed(), Some(CloseReason::Completed));
        // Without consumers there is nobody to wait for.
        let (mut lonely, _stream) = rendezvous::<u64>().build().unwrap();
        lonely.close().unwrap();
    });
}

#[test]
fn x8_close_does_not_wait_for_who_leaves() {
    watched(|| {
        let (mut publisher, stream) = rendezvous::<u64>().build().unwrap();
        let busy = stream.subscribe().unwrap();
        let closing = thread::spawn(move || publisher.close());
        drop(busy);
        closing.join().unwrap().unwrap();
    });
}

#[test]
fn x9_closing_twice_is_closing_once_and_a_put_after_it_comes_back() {
    let (mut publisher, _stream) = rendezvous::<u64>().build().unwrap();
    publisher.close().unwrap();
    publisher.close().unwrap();
    publisher.close_now();
    assert_eq!(publisher.put(1), Err(PutError::Closed(1, CloseReason::Completed)));
    assert_eq!(
        publisher.try_put(1),
        Err(TryPutError::Closed(1, CloseReason::Completed))
    );
}

#[test]
fn x10_who_registers_after_the_close_finds_the_end() {
    let (mut publisher, stream) = rendezvous::<u64>().build().unwrap();
    publisher.close().unwrap();
    let mut late = stream.subscribe().unwrap();
    assert_eq!(late.next(), None);
    assert_eq!(late.end(), Some(End::Completed));
    assert_eq!((&stream).into_iter().next(), None);
    drop(publisher);
    assert_eq!(stream.subscribe().unwrap().next(), None);
}

#[test]
fn x11_a_dropped_publisher_closes_and_one_that_panics_fails() {
    watched(|| {
        let (publisher, stream) = rendezvous::<u64>().build().unwrap();
        let mut consumer = stream.subscribe().unwrap();
        drop(publisher);
        assert_eq!(consumer.next(), None);
        assert_eq!(consumer.end(), Some(End::Completed));

        let (publisher, stream) = rendezvous::<u64>().build().unwrap();
        let mut consumer = stream.subscribe().unwrap();
        let panicking = thread::spawn(move || {
            let _held = publisher;
            panic!("on purpose");
        });
        assert_eq!(consumer.next(), None);
        let Some(End::Failed(fault)) = consumer.end() else {
            panic!()
        };
        assert_eq!(fault.code(), StreamFault::PRODUCER_PANICKED);
        assert!(panicking.join().is_err());
    });
}

#[test]
fn x12_a_consumer_that_breaks_off_or_panics_holds_nobody() {
    for wait in WAITS {
        for panics in [false, true] {
            watched(move || {
                let (mut publisher, stream) = waiting(wait);
                let staying = stream.subscribe().unwrap();
                let mut leaving = stream.subscribe().unwrap();
                let leaver = thread::spawn(move || {
                    for value in &mut leaving {
                        if value == 2 {
                            assert!(!panics, "on purpose");
                            break;
                        }
                    }
                });
                let stayer = thread::spawn(move || staying.count());
                for i in 0..50 {
                    publisher.put(i).unwrap();
                }
                assert_eq!(publisher.consumers(), 1);
                publisher.close().unwrap();
                assert_eq!(stayer.join().unwrap(), 50);
                assert_eq!(leaver.join().is_err(), panics);
            });
        }
    }
}

#[test]
fn x14_a_put_that_was_given_up_consumes_no_readiness() {
    let (mut publisher, stream) = rendezvous::<u64>().build().unwrap();
    let mut ready = stream.subscribe().unwrap();
    let mut busy = stream.subscribe().unwrap();
    assert_eq!(ready.try_next(), TryNext::Empty);
    for _ in 0..3 {
        assert_eq!(
            publisher.put_deadline(1, soon()),
            Err(PutDeadlineError::TimedOut(1))
        );
    }
    assert_eq!(busy.try_next(), TryNext::Empty);
    // The first one was not asked again.
    assert_eq!(publisher.try_put(1), Ok(2));
    assert_eq!(
        (ready.try_next(), busy.try_next()),
        (TryNext::Item(1), TryNext::Item(1))
    );
}

#[test]
fn x14_a_next_that_was_given_up_stays_asked() {
    let (mut publisher, stream) = rendezvous::<u64>().build().unwrap();
    let mut consumer = stream.subscribe().unwrap();
    assert!(consumer.next_deadline(soon()).is_err());
    assert!(consumer.next_deadline(soon()).is_err());
    assert_eq!(publisher.try_put(1), Ok(1));
    assert_eq!(publisher.try_put(2), Err(TryPutError::Full(2)));
    assert_eq!(consumer.next_deadline(soon()), Ok(Some(1)));
}

#[test]
fn x15_a_consumer_that_is_too_slow_is_evicted_and_the_others_go_on() {
    watched(|| {
        let patience = Duration::from_millis(20);
        let (mut publisher, stream) = rendezvous::<u64>().evict_after(patience).build().unwrap();
        let quick = stream.subscribe().unwrap();
        let mut stuck = stream.subscribe().unwrap();
        let reader = thread::spawn(move || quick.take(3).collect::<Vec<_>>());
        assert_eq!(stuck.try_next(), TryNext::Empty);
        assert_eq!(publisher.put(1), Ok(2));
        assert_eq!(stuck.try_next(), TryNext::Item(1));
        assert_eq!(publisher.put(2), Ok(1));
        assert_eq!(publisher.put(3), Ok(1));
        assert_eq!(reader.join().unwrap(), [1, 2, 3]);
        assert_eq!(stuck.next(), None);
        assert_eq!(stuck.end(), Some(End::Evicted));
    });
}

#[test]
fn x15_a_publisher_may_fail_its_stream() {
    let (mut publisher, stream) = rendezvous::<u64>().build().unwrap();
    let mut consumer = stream.subscribe().unwrap();
    publisher.fail(StreamFault::new(9, "no line")).unwrap();
    assert_eq!(consumer.next(), None);
    assert!(matches!(consumer.end(), Some(End::Failed(fault)) if fault.code() == 9));
}

#[test]
fn x17_values_at_irregular_intervals_find_everybody_parked() {
    watched(|| {
        let park = WaitStrategy::park();
        let (mut publisher, stream) = waiting(park);
        let (told, tell) = channel();
        let consumers: Vec<_> = (0..4)
            .map(|_| {
                let (consumer, told) = (stream.subscribe().unwrap(), told.clone());
                thread::spawn(move || consumer.for_each(|value| told.send(value).unwrap()))
            })
            .collect();
        for i in 0..20 {
            assert_eq!(publisher.put(i), Ok(4));
            for _ in 0..4 {
                assert_eq!(tell.recv().unwrap(), i);
            }
            // Everybody has gone to sleep by then, or is about to.
            assert!(tell.recv_timeout(Duration::from_millis(i % 5)).is_err());
        }
        publisher.close().unwrap();
        for consumer in consumers {
            consumer.join().unwrap();
        }
    });
}
