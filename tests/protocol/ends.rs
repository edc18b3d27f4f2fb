//! How a stream ends, and that everything before the end comes first.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use millstream::{
    ClaimError, CloseReason, End, EndError, NotDrained, PutDeadlineError, PutError, PutSliceError,
    RequestError, StreamFault, TryNext, TryPutError,
};

use crate::support::{Config, STRATEGIES, Setting, Sink, Source, protocol, taken};

protocol! {
    c6_after_a_completion_every_call_says_so
    c6_after_a_failure_every_call_says_so
    c6_after_a_cancel_every_call_says_so
    c12_completion_of_an_empty_stream_needs_no_demand
    c12_completing_twice_is_completing_once
    c13_completion_waits_for_the_buffer
    c14_nothing_is_accepted_after_completion
    c16_a_dropped_sink_wakes_a_waiting_source
    c16_a_panicking_producer_wakes_a_waiting_source
    c24_complete_does_not_wait
    c24_complete_and_drain_waits
    c24_complete_and_drain_says_what_is_left
    what_a_batch_gives_back_was_not_put
    c25_a_dropped_sink_is_a_failure_after_its_elements
    c25_a_dropped_sink_can_complete
    c27_completion_is_seen_by_a_late_reader
    c40_an_ended_source_stays_ended
    c42_every_batch_comes_before_the_end
    c43_a_failure_is_delivered_in_order
    c43_a_fault_arrives_whole
    c43_a_failure_is_sticky
    an_end_tells_itself_apart
}

pub(crate) const SOON: Duration = Duration::from_millis(3);

pub(crate) fn assert_closed(sink: &mut Sink, reason: CloseReason) {
    let position = sink.position();
    assert!(sink.is_closed());
    for _ in 0..2 {
        assert_eq!(sink.try_put(7), Err(TryPutError::Closed(7, reason)));
        assert_eq!(sink.put(7), Err(PutError::Closed(7, reason)));
        assert_eq!(
            sink.put_deadline(7, Instant::now()),
            Err(PutDeadlineError::Closed(7, reason))
        );
        assert_eq!(sink.put_slice(&[7, 8]), Err(PutSliceError { written: 0, reason }));
        assert_eq!(
            sink.try_put_slice(&[7, 8]),
            Err(PutSliceError { written: 0, reason })
        );
        assert_eq!(sink.claim(1).err(), Some(ClaimError::Closed(reason)));
        let completed = sink.complete();
        let failed = sink.fail(StreamFault::new(1, "late"));
        let error = Err(EndError { reason });
        assert_eq!(
            completed,
            if reason == CloseReason::Completed {
                Ok(())
            } else {
                error
            }
        );
        assert_eq!(
            failed,
            if reason == CloseReason::Failed {
                Ok(())
            } else {
                error
            }
        );
    }
    assert_eq!(sink.position(), position, "nothing was put");
}

fn c6_after_a_completion_every_call_says_so<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(4, 4));
    sink.put(1).unwrap();
    sink.complete().unwrap();
    assert_closed(&mut sink, CloseReason::Completed);
    assert_eq!(taken(&mut source), [1]);
    assert_closed(&mut sink, CloseReason::Completed);
    assert_eq!(source.end(), Some(End::Completed));
}

fn c6_after_a_failure_every_call_says_so<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(4, 4));
    sink.put(1).unwrap();
    sink.fail(StreamFault::new(9, "first")).unwrap();
    assert_closed(&mut sink, CloseReason::Failed);
    assert_eq!(taken(&mut source), [1]);
    assert_eq!(source.end(), Some(End::Failed(StreamFault::new(9, "first"))));
}

fn c6_after_a_cancel_every_call_says_so<S: Setting>() {
    for put in [0, 1, 6, 7, 8] {
        let (mut sink, mut source) = S::pair(Config::new(4, 4));
        for i in 0..put {
            sink.put(i).unwrap();
        }
        source.cancel();
        assert_closed(&mut sink, CloseReason::Cancelled);
        drop(source);
        assert_closed(&mut sink, CloseReason::Cancelled);
    }
}

fn c12_completion_of_an_empty_stream_needs_no_demand<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(4, 4).manual());
    sink.complete().unwrap();
    assert_eq!(source.try_next(), TryNext::End(End::Completed));

    let (mut sink, mut source) = S::pair(Config::new(4, 4).manual());
    source.request(NonZeroU64::MIN).unwrap();
    sink.put(1).unwrap();
    assert_eq!(source.next(), Some(1));
    sink.complete().unwrap();
    assert_eq!(source.next(), None);
    assert_eq!(source.end(), Some(End::Completed));
}

fn c12_completing_twice_is_completing_once<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(4, 4));
    sink.put(1).unwrap();
    assert_eq!(sink.complete(), Ok(()));
    assert_eq!(sink.complete(), Ok(()));
    assert_eq!(source.by_ref().collect::<Vec<_>>(), [1]);
    assert_eq!(sink.complete(), Ok(()));
    assert_eq!(
        sink.fail(StreamFault::new(1, "")),
        Err(EndError {
            reason: CloseReason::Completed
        })
    );
    assert_eq!(source.end(), Some(End::Completed));
}

fn c13_completion_waits_for_the_buffer<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(4, 4).manual());
    source.request(NonZeroU64::MIN).unwrap();
    for element in [10, 20, 30] {
        sink.put(element).unwrap();
    }
    sink.complete().unwrap();
    assert_eq!(taken(&mut source), [10]);
    assert_eq!(source.try_next(), TryNext::Empty);
    assert_eq!(source.end(), None);
    source.request(NonZeroU64::new(2).unwrap()).unwrap();
    assert_eq!(source.try_next(), TryNext::Item(20));
    assert_eq!(source.end(), None);
    assert_eq!(source.try_next(), TryNext::Item(30));
    assert_eq!(source.end(), None);
    assert_eq!(source.try_next(), TryNext::End(End::Completed));
}

fn c14_nothing_is_accepted_after_completion<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(8, 8));
    sink.put(1).unwrap();
    sink.complete().unwrap();
    assert_eq!(
        sink.try_put(2),
        Err(TryPutError::Closed(2, CloseReason::Completed))
    );
    assert_eq!(sink.put(3), Err(PutError::Closed(3, CloseReason::Completed)));
    assert_eq!(source.by_ref().collect::<Vec<_>>(), [1]);
}

fn c16_a_dropped_sink_wakes_a_waiting_source<S: Setting>() {
    for strategy in STRATEGIES {
        S::apart(
            Config::new(4, 4).waits(strategy, strategy),
            |mut sink| sink.put(1).unwrap(),
            |mut source| {
                assert_eq!(source.next(), Some(1));
                assert_eq!(source.next(), None);
                assert!(
                    matches!(source.end(), Some(End::Failed(fault)) if fault.code() == StreamFault::SINK_DROPPED)
                );
            },
        );
    }
}

fn c16_a_panicking_producer_wakes_a_waiting_source<S: Setting>() {
    S::apart(
        Config::new(4, 4),
        |mut sink| {
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                sink.put(1).unwrap();
                std::panic::resume_unwind(Box::new("on purpose"));
            }));
            assert!(panicked.is_err());
        },
        |mut source| {
            assert_eq!(source.by_ref().collect::<Vec<_>>(), [1]);
            assert!(matches!(source.end(), Some(End::Failed(_))));
        },
    );
}

fn c24_complete_does_not_wait<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(0, 2));
    sink.put_slice(&[1, 2]).unwrap();
    // Full, and nobody reads.
    sink.complete().unwrap();
    assert_eq!(source.by_ref().collect::<Vec<_>>(), [1, 2]);
}

fn c24_complete_and_drain_waits<S: Setting>() {
    for strategy in STRATEGIES {
        S::apart(
            Config::new(100, 16).waits(strategy, strategy),
            |mut sink| {
                sink.put_slice(&[5; 100]).unwrap();
                let never = Instant::now() + Duration::from_secs(1000);
                assert_eq!(sink.complete_and_drain(never), Ok(()));
                assert!(sink.is_closed());
            },
            |mut source| {
                assert_eq!(source.by_ref().count(), 100);
                assert_eq!(source.end(), Some(End::Completed));
            },
        );
    }
}

fn c24_complete_and_drain_says_what_is_left<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(8, 8).each());
    sink.put_slice(&[1, 2, 3, 4, 5]).unwrap();
    assert_eq!(source.next(), Some(1));
    assert_eq!(
        sink.complete_and_drain(Instant::now()),
        Err(NotDrained {
            left: 4,
            reason: None
        })
    );
    assert_eq!(source.next(), Some(2));
    source.cancel();
    let never = Instant::now() + Duration::from_secs(1000);
    let left = sink.complete_and_drain(never);
    assert_eq!(
        left,
        Err(NotDrained {
            left: 3,
            reason: Some(CloseReason::Cancelled)
        })
    );
    drop(source);
    assert_eq!(sink.complete_and_drain(never), left);
}

fn what_a_batch_gives_back_was_not_put<S: Setting>() {
    let reason = CloseReason::Cancelled;
    let (mut sink, mut source) = S::pair(Config::new(8, 8).each());
    sink.put_slice(&[1, 2, 3]).unwrap();
    assert_eq!(source.next(), Some(1));
    source.cancel();
    let given_back = sink.put_slice(&[4, 5, 6, 7]);
    assert_eq!(given_back, Err(PutSliceError { written: 0, reason }));
    assert_eq!(sink.position(), 3);
    assert_eq!(
        sink.complete_and_drain(Instant::now()),
        Err(NotDrained {
            left: 2,
            reason: Some(reason)
        })
    );
}

fn c25_a_dropped_sink_is_a_failure_after_its_elements<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(8, 8));
    sink.put_slice(&[1, 2, 3]).unwrap();
    drop(sink);
    assert_eq!(source.by_ref().collect::<Vec<_>>(), [1, 2, 3]);
    let Some(End::Failed(fault)) = source.end() else {
        panic!("{:?}", source.end())
    };
    assert_eq!(fault.code(), StreamFault::SINK_DROPPED);
    assert!(!fault.message().is_empty());
}

fn c25_a_dropped_sink_can_complete<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(8, 8).complete_on_drop());
    sink.put_slice(&[1, 2, 3]).unwrap();
    drop(sink);
    assert_eq!(source.by_ref().collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(source.end(), Some(End::Completed));

    let (mut sink, mut source) = S::pair(Config::new(8, 8).complete_on_drop());
    sink.fail(StreamFault::new(3, "first")).unwrap();
    drop(sink);
    assert_eq!(source.next(), None);
    assert_eq!(
        source.end(),
        Some(End::Failed(StreamFault::new(3, "first"))),
        "the first end stays"
    );
}

fn c27_completion_is_seen_by_a_late_reader<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(8, 8));
    sink.complete().unwrap();
    drop(sink);
    assert_eq!(source.end(), None, "not found out yet");
    assert!(!source.wait_readable());
    assert_eq!(source.next(), None);
    assert_eq!(source.end(), Some(End::Completed));
}

fn assert_ended(source: &mut Source, end: &End) {
    for _ in 0..3 {
        assert_eq!(source.next(), None);
        assert_eq!(source.try_next(), TryNext::End(end.clone()));
        assert_eq!(source.next_deadline(Instant::now()), Ok(None));
        assert_eq!(source.drain(9, |_| panic!("ended")), 0);
        assert_eq!(source.peek(9).len(), 0);
        assert!(!source.wait_readable());
        assert_eq!(source.end().as_ref(), Some(end));
        source.cancel();
    }
}

fn c40_an_ended_source_stays_ended<S: Setting>() {
    let fault = || StreamFault::new(2, "two");
    for case in 0..4 {
        for put in [0, 1, 6, 7, 8, 14] {
            let (mut sink, mut source) = S::pair(Config::new(8, 8).idle(Duration::ZERO));
            sink.put_slice(&[3; 14][..put]).unwrap();
            let end = match case {
                0 => {
                    sink.complete().unwrap();
                    End::Completed
                }
                1 => {
                    sink.fail(fault()).unwrap();
                    End::Failed(fault())
                }
                2 => End::IdleTimeout,
                _ => {
                    assert_eq!(source.drain(put / 2, |_| ()), put / 2);
                    source.cancel();
                    End::Cancelled
                }
            };
            assert_eq!(source.by_ref().count(), if case == 3 { 0 } else { put });
            assert_ended(&mut source, &end);
            drop(sink);
            assert_ended(&mut source, &end);
        }
    }
}

fn c42_every_batch_comes_before_the_end<S: Setting>() {
    S::apart(
        Config::new(13, 9),
        |mut sink| {
            let elements: Vec<u64> = (0..10_000).collect();
            for batch in elements.chunks(17) {
                sink.put_slice(batch).unwrap();
            }
            sink.complete().unwrap();
        },
        |mut source| {
            assert_eq!(
                source.by_ref().collect::<Vec<_>>(),
                (0..10_000).collect::<Vec<_>>()
            );
            assert_eq!(source.end(), Some(End::Completed));
        },
    );
}

fn c43_a_failure_is_delivered_in_order<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(8, 8));
    sink.put_slice(&[1, 2, 3]).unwrap();
    sink.fail(StreamFault::new(17, "the exchange hung up")).unwrap();
    drop(sink);
    assert_eq!(source.next(), Some(1));
    assert_eq!(source.end(), None);
    assert_eq!(source.by_ref().collect::<Vec<_>>(), [2, 3]);
    assert_eq!(
        source.end(),
        Some(End::Failed(StreamFault::new(17, "the exchange hung up")))
    );
}

fn c43_a_fault_arrives_whole<S: Setting>() {
    let messages = [
        "",
        "x",
        "1234567",
        "12345678",
        "123456789",
        "Bücher, 本",
        &"é".repeat(128),
        &"€".repeat(100),
        &"y".repeat(999),
    ];
    for (code, message) in (0..).zip(messages) {
        let (mut sink, mut source) = S::pair(Config::new(1, 1));
        let fault = StreamFault::new(code, message);
        assert!(message.starts_with(fault.message()) && fault.message().len() <= 256);
        sink.fail(fault.clone()).unwrap();
        assert_eq!(source.next(), None);
        assert_eq!(source.end(), Some(End::Failed(fault)));
    }
}

fn c43_a_failure_is_sticky<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(1, 1));
    sink.fail(StreamFault::new(1, "first")).unwrap();
    assert_eq!(sink.fail(StreamFault::new(2, "second")), Ok(()));
    assert_eq!(
        sink.complete(),
        Err(EndError {
            reason: CloseReason::Failed
        })
    );
    drop(sink);
    assert_eq!(source.next(), None);
    assert_eq!(source.end(), Some(End::Failed(StreamFault::new(1, "first"))));
}

fn an_end_tells_itself_apart<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(1, 1).manual());
    sink.complete().unwrap();
    assert_eq!(source.request(NonZeroU64::MIN), Ok(()), "not found out yet");
    assert_eq!(source.next(), None);
    assert_eq!(source.request(NonZeroU64::MIN), Err(RequestError::Ended));
    for end in [
        End::Completed,
        End::IdleTimeout,
        End::Cancelled,
        End::Failed(StreamFault::new(1, "x")),
        End::PeerGone,
    ] {
        assert!(!end.to_string().is_empty());
    }
}
