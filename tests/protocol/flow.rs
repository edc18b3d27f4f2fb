//! Both ends at work at the same time.

use std::thread;
use std::time::{Duration, Instant};

use millstream::{CloseReason, End, PutError, WaitStrategy};

use crate::support::{Config, InOneProcess, SIZES, STRATEGIES, Setting, joined, protocol};

const MANY: u64 = 100_000;

fn count_up(mut sink: crate::support::Sink) {
    for i in 0..MANY {
        sink.put(i).unwrap();
    }
    sink.complete().unwrap();
}

fn check_count(mut source: crate::support::Source) {
    let mut expected = 0;
    for element in source.by_ref() {
        assert_eq!(element, expected);
        expected += 1;
    }
    assert_eq!(expected, MANY);
    assert_eq!(source.end(), Some(End::Completed));
}

protocol! {
    c11_a_doorbell_wakes_either_side
    c20_a_put_waits_for_room
    c20_a_waiting_put_gets_its_element_back_from_a_close
    c45_in_order_at_any_size
    c45_in_order_by_deadlines
    c48_two_streams_make_a_conversation
    c49_a_stream_without_end
    c50_many_cycles
    c50_concurrent_streams_are_independent
    rendezvous
    waiting_busy_busy
    waiting_busy_yield
    waiting_busy_park
    waiting_yield_busy
    waiting_yield_yield
    waiting_yield_park
    waiting_park_busy
    waiting_park_yield
    waiting_park_park
    waiting_default_default
}

const BUSY: WaitStrategy = WaitStrategy::BusySpin;
const YIELD: WaitStrategy = WaitStrategy::SpinThenYield { spins: 20 };
const PARK: WaitStrategy = WaitStrategy::park();

macro_rules! waiting {
    ($($name:ident $sink:expr, $source:expr;)+) => {
        $(
            fn $name<S: Setting>() {
                S::apart(Config::new(1000, 64).waits($sink, $source), count_up, check_count);
            }
        )+
    };
}

waiting! {
    waiting_busy_busy BUSY, BUSY;
    waiting_busy_yield BUSY, YIELD;
    waiting_busy_park BUSY, PARK;
    waiting_yield_busy YIELD, BUSY;
    waiting_yield_yield YIELD, YIELD;
    waiting_yield_park YIELD, PARK;
    waiting_park_busy PARK, BUSY;
    waiting_park_yield PARK, YIELD;
    waiting_park_park PARK, PARK;
    waiting_default_default WaitStrategy::default(), WaitStrategy::default();
}

/// Each side sleeps until the other has done something: a ring that is lost shows as 100 ms each time.
fn c11_a_doorbell_wakes_either_side<S: Setting>() {
    let (mut ping_sink, mut ping_source) = S::pair(Config::new(0, 1).waits(PARK, PARK));
    let (mut pong_sink, mut pong_source) = S::pair(Config::new(0, 1).waits(PARK, PARK));
    let echo = thread::spawn(move || {
        for element in ping_source.by_ref() {
            pong_sink.put(element).unwrap();
        }
        pong_sink.complete().unwrap();
    });
    for i in 0..3000 {
        ping_sink.put(i).unwrap();
        assert_eq!(pong_source.next(), Some(i));
    }
    ping_sink.complete().unwrap();
    assert_eq!(pong_source.next(), None);
    joined(echo);
}

fn c20_a_put_waits_for_room<S: Setting>() {
    for strategy in STRATEGIES {
        S::apart(
            Config::new(1, 1).waits(strategy, strategy),
            |mut sink| {
                for i in 0..500 {
                    sink.put(i).unwrap();
                }
                sink.complete().unwrap();
            },
            |mut source| assert_eq!(source.by_ref().collect::<Vec<_>>(), (0..500).collect::<Vec<_>>()),
        );
    }
}

fn c20_a_waiting_put_gets_its_element_back_from_a_close<S: Setting>() {
    for strategy in STRATEGIES {
        for _ in 0..100 {
            S::apart(
                Config::new(1, 1).waits(strategy, strategy),
                |mut sink| {
                    let mut next = 0;
                    let error = loop {
                        match sink.put(next) {
                            Ok(()) => next += 1,
                            Err(error) => break error,
                        }
                    };
                    assert_eq!(error, PutError::Closed(next, CloseReason::Cancelled));
                    assert_eq!(sink.position(), next);
                },
                |mut source| assert_eq!(source.next(), Some(0)),
            );
        }
    }
}

fn c45_in_order_at_any_size<S: Setting>() {
    for (buffer, demand) in SIZES {
        S::apart(
            Config::new(buffer, demand)
                .waits(YIELD, YIELD)
                .start(u64::MAX - 500),
            |mut sink| {
                for i in 0..2000 {
                    sink.put(i).unwrap();
                }
                sink.complete().unwrap();
            },
            |source| assert_eq!(source.collect::<Vec<_>>(), (0..2000).collect::<Vec<_>>()),
        );
    }
}

fn c45_in_order_by_deadlines<S: Setting>() {
    S::apart(
        Config::new(3, 2),
        |mut sink| {
            let mut next = 0;
            while next < 2000 {
                match sink.put_deadline(next, Instant::now() + Duration::from_micros(20)) {
                    Ok(()) => next += 1,
                    Err(error) => assert_eq!(error.into_inner(), next),
                }
            }
            sink.complete().unwrap();
        },
        |mut source| {
            let mut expected = 0;
            loop {
                match source.next_deadline(Instant::now() + Duration::from_micros(20)) {
                    Ok(Some(element)) => {
                        assert_eq!(element, expected);
                        expected += 1;
                    }
                    Ok(None) => break,
                    Err(_) => assert_eq!(source.end(), None),
                }
            }
            assert_eq!(expected, 2000);
        },
    );
}

fn c48_two_streams_make_a_conversation<S: Setting>() {
    let (mut questions, mut asked) = S::pair(Config::new(0, 3));
    let (mut answers, answered) = S::pair(Config::new(0, 3));
    let other = thread::spawn(move || {
        for question in asked.by_ref() {
            answers.put(question * question).unwrap();
        }
        answers.complete().unwrap();
    });
    let asking = thread::spawn(move || {
        for i in 0..1000 {
            questions.put(i).unwrap();
        }
        questions.complete().unwrap();
    });
    assert_eq!(
        answered.collect::<Vec<_>>(),
        (0..1000).map(|i| i * i).collect::<Vec<_>>()
    );
    joined(asking);
    joined(other);
}

fn c49_a_stream_without_end<S: Setting>() {
    S::apart(
        Config::new(10, 10),
        |mut sink| {
            let mut i = 0;
            while sink.put(i).is_ok() {
                i += 1;
            }
            assert!(i >= 10_000);
            assert!(sink.is_closed());
        },
        |mut source| assert_eq!(source.by_ref().take(10_000).sum::<u64>(), 49_995_000),
    );
}

fn c50_many_cycles<S: Setting>() {
    for cycle in 0..100 {
        let (mut sink, mut source) = S::pair(Config::new(4, 4));
        sink.put(cycle).unwrap();
        assert_eq!(source.next(), Some(cycle));
        if cycle % 3 == 0 {
            sink.complete().unwrap();
            assert_eq!(source.next(), None);
        } else if cycle % 3 == 1 {
            drop(source);
            assert!(sink.is_closed());
        }
    }
}

fn c50_concurrent_streams_are_independent<S: Setting>() {
    let streams: Vec<_> = (0..5)
        .map(|stream| {
            let (mut sink, source) = S::pair(Config::new(7, 3));
            let producer = thread::spawn(move || {
                for i in 0..1000 {
                    if sink.put(stream * 10_000 + i).is_err() {
                        assert_eq!(stream, 2);
                        return;
                    }
                }
                sink.complete().unwrap();
            });
            let consumer = thread::spawn(move || {
                // One of them stops early; the others do not notice.
                let most = if stream == 2 { 10 } else { usize::MAX };
                source.take(most).collect::<Vec<_>>()
            });
            (stream, producer, consumer)
        })
        .collect();
    for (stream, producer, consumer) in streams {
        let count = if stream == 2 { 10 } else { 1000 };
        assert_eq!(
            joined(consumer),
            (0..count).map(|i| stream * 10_000 + i).collect::<Vec<_>>()
        );
        joined(producer);
    }
}

fn rendezvous<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(0, 1));
    for i in 0..100 {
        sink.try_put(i).unwrap();
        assert!(sink.try_put(i).is_err(), "one at a time");
        assert_eq!(source.next(), Some(i));
    }
    drop((sink, source));
    for strategy in STRATEGIES {
        S::apart(
            Config::new(0, 1).waits(strategy, strategy),
            |mut sink| {
                for i in 0..1000 {
                    sink.put(i).unwrap();
                }
                sink.complete().unwrap();
            },
            |source| assert_eq!(source.collect::<Vec<_>>(), (0..1000).collect::<Vec<_>>()),
        );
    }
}

#[test]
fn handles_move_between_threads() {
    let (sink, source) = InOneProcess::pair(Config::new(16, 16));
    let sink = joined(thread::spawn(move || sink));
    let source = joined(thread::spawn(move || source));
    let producer = thread::spawn(move || count_up(sink));
    check_count(source);
    joined(producer);
}
