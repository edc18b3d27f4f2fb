//! The consumer closes: by cancelling, by dropping its source, by leaving a loop, by a panic.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel as mpsc;
use std::thread;

use millstream::{CloseReason, End, PutError, PutSliceError, TryPutError, WaitStrategy};

use crate::support::{Config, STRATEGIES, Setting, joined, protocol, within};

protocol! {
    c15_cancel_discards_what_is_there
    c15_cancel_is_idempotent
    c15_dropping_the_source_cancels
    c20_the_silent_form_is_one_line
    c22_a_put_that_loses_against_a_close_says_so
    c22_a_closed_stream_takes_nothing
    c22_a_slice_says_how_much_was_taken
    c39_leaving_a_loop_over_the_source_cancels
    c39_leaving_a_loop_by_reference_keeps_the_stream
    c39_a_panic_in_the_body_cancels
    c39_a_panic_in_the_body_releases_a_waiting_put
}

fn c15_cancel_discards_what_is_there<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(8, 8));
    sink.put_slice(&[1, 2, 3, 4]).unwrap();
    assert_eq!(source.next(), Some(1));
    source.cancel();
    assert_eq!(source.next(), None);
    assert_eq!(source.end(), Some(End::Cancelled));
    assert!(sink.is_closed());
}

fn c15_cancel_is_idempotent<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(8, 8));
    for _ in 0..3 {
        source.cancel();
    }
    assert_eq!(source.end(), Some(End::Cancelled));
    drop(source);
    assert_eq!(
        sink.try_put(1),
        Err(TryPutError::Closed(1, CloseReason::Cancelled))
    );

    let (mut sink, mut source) = S::pair(Config::new(8, 8));
    sink.complete().unwrap();
    assert_eq!(source.next(), None);
    source.cancel();
    assert_eq!(source.end(), Some(End::Completed), "an end stays as it is");
    // The sink has completed and stays so.
    assert_eq!(
        sink.try_put(1),
        Err(TryPutError::Closed(1, CloseReason::Completed))
    );
}

fn c15_dropping_the_source_cancels<S: Setting>() {
    let (mut sink, source) = S::pair(Config::new(8, 8));
    sink.put(1).unwrap();
    drop(source);
    assert!(sink.is_closed());
    assert_eq!(sink.put(2), Err(PutError::Closed(2, CloseReason::Cancelled)));
}

fn c20_the_silent_form_is_one_line<S: Setting>() {
    let (mut sink, source) = S::pair(Config::new(8, 8));
    drop(source);
    let _ = sink.put(2);
}

/// Whatever `put` accepted before the close is either taken or discarded; from the first refusal on, all are.
fn c22_a_put_that_loses_against_a_close_says_so<S: Setting>() {
    for take in (0..40).chain([100, 333]) {
        for cancel in [false, true] {
            let (mut sink, mut source) =
                S::pair(Config::new(16, 16).waits(WaitStrategy::BusySpin, WaitStrategy::BusySpin));
            let (told, closed) = mpsc();
            let producer = thread::spawn(move || {
                let mut accepted = 0;
                while sink.put(accepted).is_ok() {
                    accepted += 1;
                }
                closed.recv().unwrap();
                for _ in 0..40 {
                    assert!(matches!(sink.put(accepted), Err(PutError::Closed(back, _)) if back == accepted));
                }
                accepted
            });
            let got: Vec<u64> = source.by_ref().take(take).collect();
            if cancel {
                source.cancel();
            } else {
                drop(source);
            }
            told.send(()).unwrap();
            let accepted = joined(producer);
            assert_eq!(got, (0..take as u64).collect::<Vec<_>>());
            assert!(accepted >= take as u64, "what was delivered was not returned");
        }
    }
}

/// Once the consumer has closed, and the producer can know it, no put is accepted any more.
fn c22_a_closed_stream_takes_nothing<S: Setting>() {
    for take in 1..400 {
        let (mut sink, mut source) =
            S::pair(Config::new(600, 600).waits(WaitStrategy::BusySpin, WaitStrategy::BusySpin));
        let gate = Arc::new(std::sync::Barrier::new(2));
        let closer = gate.clone();
        let consumer = thread::spawn(move || {
            // Takes the very last element, so that the close comes just after a publication.
            assert_eq!(source.by_ref().take(take).count(), take);
            drop(source);
            closer.wait();
        });
        let mut put = 0;
        while put < take as u64 {
            sink.put(put).unwrap();
            put += 1;
        }
        gate.wait();
        for _ in 0..9 {
            assert_eq!(sink.put(7), Err(PutError::Closed(7, CloseReason::Cancelled)));
        }
        joined(consumer);
    }
}

/// `written` counts exactly those elements of the slice that belong to the consumer: it covers what was taken.
fn c22_a_slice_says_how_much_was_taken<S: Setting>() {
    for take in 1..200 {
        let (mut sink, mut source) = S::pair(Config::new(50, 50));
        let consumer = thread::spawn(move || source.by_ref().take(take).count());
        let elements: Vec<u64> = (0..1000).collect();
        let Err(PutSliceError { written, reason }) = sink.put_slice(&elements) else {
            panic!("closed after {take}")
        };
        assert_eq!(reason, CloseReason::Cancelled);
        assert_eq!(joined(consumer), take);
        assert!(written >= take, "{take} were taken, {written} counted as written");
    }
}

fn c39_leaving_a_loop_over_the_source_cancels<S: Setting>() {
    let (mut sink, source) = S::pair(Config::new(8, 8));
    sink.put_slice(&[1, 2, 3]).unwrap();
    for element in source {
        if element == 2 {
            break;
        }
    }
    assert_eq!(
        sink.try_put(4),
        Err(TryPutError::Closed(4, CloseReason::Cancelled))
    );
}

fn c39_leaving_a_loop_by_reference_keeps_the_stream<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(8, 8));
    sink.put_slice(&[1, 2, 3]).unwrap();
    for element in source.by_ref() {
        if element == 2 {
            break;
        }
    }
    sink.put(4).unwrap();
    sink.complete().unwrap();
    assert_eq!(source.by_ref().collect::<Vec<_>>(), [3, 4]);
    assert_eq!(source.end(), Some(End::Completed));
}

fn c39_a_panic_in_the_body_cancels<S: Setting>() {
    let (mut sink, source) = S::pair(Config::new(8, 8));
    sink.put_slice(&[1, 2, 3]).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        for element in source {
            if element == 2 {
                resume_unwind(Box::new("on purpose"));
            }
        }
    }));
    assert!(panicked.is_err());
    assert_eq!(
        sink.try_put(4),
        Err(TryPutError::Closed(4, CloseReason::Cancelled))
    );
}

fn c39_a_panic_in_the_body_releases_a_waiting_put<S: Setting>() {
    for strategy in STRATEGIES {
        S::apart(
            Config::new(1, 1).waits(strategy, strategy),
            |mut sink| {
                let mut i = 0;
                while sink.put(i).is_ok() {
                    i += 1;
                }
                assert!((3..=5).contains(&i), "{i}");
            },
            |source| {
                let panicked = catch_unwind(AssertUnwindSafe(move || {
                    for element in source {
                        if element == 2 {
                            resume_unwind(Box::new("on purpose"));
                        }
                    }
                }));
                assert!(panicked.is_err());
            },
        );
    }
}

/// Each element is delivered, returned or dropped, exactly once.
#[test]
fn c22_an_element_is_never_lost_or_doubled_by_a_close() {
    within(|| {
        for round in 0..600 {
            let strategy = STRATEGIES[round % STRATEGIES.len()];
            let (mut sink, mut source) = millstream::channel::<Arc<()>>()
                .buffer_size(round % 5)
                .initial_demand(1 + (round % 3) as u64)
                .sink_wait(strategy)
                .source_wait(strategy)
                .build()
                .unwrap();
            let token = Arc::new(());
            let mine = token.clone();
            let producer = thread::spawn(move || {
                let mut accepted = 0;
                loop {
                    // By turns: one that waits, one that does not, a claim.
                    match accepted % 3 {
                        0 => match sink.put(mine.clone()) {
                            Ok(()) => accepted += 1,
                            Err(PutError::Closed(back, _)) => {
                                assert!(Arc::ptr_eq(&back, &mine));
                                break;
                            }
                            Err(_) => unreachable!(),
                        },
                        1 => match sink.try_put(mine.clone()) {
                            Ok(()) => accepted += 1,
                            Err(TryPutError::Full(_)) => thread::yield_now(),
                            Err(_) => break,
                        },
                        _ => {
                            let Ok(mut claim) = sink.claim(1) else {
                                if sink.is_closed() {
                                    break;
                                }
                                thread::yield_now();
                                continue;
                            };
                            claim.push(mine.clone()).unwrap();
                            if claim.commit().is_err() {
                                break;
                            }
                            accepted += 1;
                        }
                    }
                }
                accepted
            });
            let delivered: Vec<_> = source.by_ref().take(round % 17).collect();
            if round % 2 == 0 {
                source.cancel();
            }
            drop(source);
            assert!(joined(producer) >= delivered.len());
            // Both ends are gone: what is left is ours and what was delivered.
            assert_eq!(Arc::strong_count(&token), 1 + delivered.len(), "round {round}");
        }
    });
}

#[test]
fn frames_that_are_there_after_the_end_are_not_waited_for() {
    within(|| {
        let (mut sink, mut source) = millstream::channel::<[u8]>().build().unwrap();
        sink.put(&[1; 8]).unwrap();
        source.cancel();
        assert!(source.next().is_none());
        assert!(!source.wait_readable());
        assert_eq!(source.end(), Some(End::Cancelled));
    });
}
