//! The idle timeout (row C38): a reader that waits too long ends the stream.

use std::time::{Duration, Instant};

use millstream::{CloseReason, End, PutDeadlineError, TimedOut, TryNext};

use crate::ends::{SOON, assert_closed};
use crate::support::{Config, STRATEGIES, Setting, protocol, taken};

protocol! {
    c38_silence_ends_the_stream
    c38_time_in_the_body_does_not_count
    c38_a_zero_timeout_ends_if_nothing_is_ready
    c38_a_deadline_does_not_end_the_stream
    c38_a_look_never_times_out
    c38_no_demand_ends_by_timeout
    c38_short_waits_add_up
}

fn c38_silence_ends_the_stream<S: Setting>() {
    for strategy in STRATEGIES {
        let (mut sink, mut source) = S::pair(Config::new(4, 4).idle(SOON).waits(strategy, strategy));
        let began = Instant::now();
        assert_eq!(source.next(), None, "also for the first element");
        assert!(began.elapsed() >= SOON);
        assert_eq!(source.end(), Some(End::IdleTimeout));
        assert_closed(&mut sink, CloseReason::Cancelled);
        assert_eq!(source.next(), None);
        assert_eq!(source.end(), Some(End::IdleTimeout));
    }
}

fn c38_time_in_the_body_does_not_count<S: Setting>() {
    for strategy in STRATEGIES {
        let (mut sink, mut source) = S::pair(Config::new(4, 4).idle(SOON).waits(strategy, strategy));
        let mut expected = 0;
        for i in 0..4 {
            sink.put(i).unwrap();
        }
        for element in source.by_ref() {
            assert_eq!(element, expected);
            expected += 1;
            let began = Instant::now();
            while began.elapsed() < 3 * SOON {
                std::hint::spin_loop();
            }
            if element < 4 {
                sink.put(element + 4).unwrap();
            }
        }
        assert_eq!(expected, 8);
        assert_eq!(source.end(), Some(End::IdleTimeout));
    }
}

fn c38_a_zero_timeout_ends_if_nothing_is_ready<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(4, 4).idle(Duration::ZERO));
    sink.put(1).unwrap();
    assert_eq!(source.next(), Some(1));
    assert_eq!(source.next(), None);
    assert_eq!(source.end(), Some(End::IdleTimeout));
}

fn c38_a_deadline_does_not_end_the_stream<S: Setting>() {
    for strategy in STRATEGIES {
        let (mut sink, mut source) = S::pair(Config::new(4, 4).each().waits(strategy, strategy));
        let deadline = Instant::now() + SOON;
        assert_eq!(source.next_deadline(deadline), Err(TimedOut));
        assert!(Instant::now() >= deadline);
        assert_eq!(source.next_deadline(deadline), Err(TimedOut), "in the past");
        sink.put(1).unwrap();
        assert_eq!(
            source.next_deadline(deadline),
            Ok(Some(1)),
            "what is there comes also after the deadline"
        );
        let room = Instant::now() + SOON;
        sink.put_slice(&[0; 8]).unwrap();
        assert_eq!(sink.put_deadline(9, room), Err(PutDeadlineError::TimedOut(9)));
        assert!(Instant::now() >= room);
        sink.complete().unwrap();
        assert_eq!(taken(&mut source), [0; 8]);
        assert_eq!(source.next_deadline(deadline), Ok(None));
    }
}

fn c38_a_look_never_times_out<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(4, 4).idle(Duration::ZERO));
    for _ in 0..3 {
        assert_eq!(source.try_next(), TryNext::Empty);
        assert_eq!(source.drain(9, |_| ()), 0);
        assert!(source.peek(9).is_empty());
    }
    sink.put(1).unwrap();
    assert_eq!(source.try_next(), TryNext::Item(1));
}

fn c38_no_demand_ends_by_timeout<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(4, 4).manual().idle(SOON));
    sink.put(1).unwrap();
    assert_eq!(source.next_deadline(Instant::now()), Err(TimedOut));
    assert_eq!(source.next(), None, "nothing was asked for");
    assert_eq!(source.end(), Some(End::IdleTimeout));
    assert_closed(&mut sink, CloseReason::Cancelled);
}

fn c38_short_waits_add_up<S: Setting>() {
    for strategy in STRATEGIES {
        let idle = 4 * SOON;
        let (mut sink, mut source) = S::pair(Config::new(4, 4).idle(idle).waits(strategy, strategy));
        for round in 0..2 {
            let began = Instant::now();
            while source.next_deadline(Instant::now() + SOON / 2) == Err(TimedOut) {
                // An element begins it anew.
                if round == 0 && began.elapsed() >= idle / 2 {
                    break;
                }
            }
            if round == 0 && source.end().is_none() {
                sink.put(1).unwrap();
                assert_eq!(source.next(), Some(1));
            }
        }
        assert_eq!(
            source.end(),
            Some(End::IdleTimeout),
            "a reader that only ever waits shortly"
        );
    }
}
