//! A consumer of a ring that is large enough keeps its distance to its producer. That takes time now and then, and nothing else: nobody
//! can tell it from what a source gives.

use std::num::NonZeroU64;
use std::sync::Arc;

use millstream::{End, TryNext, WaitStrategy};

use crate::support::{Config, Setting, Sink, Source, protocol, within};

/// A ring in which a consumer looks ahead, and as many elements as lie in half of it.
const LARGE: Config = Config {
    buffer_size: 1024,
    demand: 1024,
    manual: false,
    each: false,
    idle: None,
    sink_wait: WaitStrategy::BusySpin,
    source_wait: WaitStrategy::BusySpin,
    complete_on_drop: false,
    start: 0,
};
/// A smaller one, in which it tries whether that pays.
const SMALL: Config = Config {
    buffer_size: 256,
    demand: 256,
    ..LARGE
};
const HALF: u64 = 1000;
const MANY: u64 = 300_000;

protocol! {
    what_is_there_is_taken_without_a_gap
    what_is_there_is_drained_at_once
    what_is_there_is_shown
    all_of_it_is_released
    what_was_asked_for_by_hand_is_taken
    a_close_in_between_ends_it
    an_end_in_between_comes_after_the_last
    a_consumer_right_behind_gets_everything
    a_drain_right_behind_gets_everything
    batches_to_a_consumer_right_behind
    positions_that_wrap
    drains_of_a_part
    a_drain_ends_though_more_comes
}

fn put(sink: &mut Sink, count: u64) {
    let elements: Vec<u64> = (0..count).collect();
    sink.put_slice(&elements).unwrap();
}

fn what_is_there_is_taken_without_a_gap<S: Setting>() {
    let (mut sink, mut source) = S::pair(LARGE);
    for _ in 0..3 {
        put(&mut sink, HALF);
        for expected in 0..HALF {
            assert_eq!(source.try_next(), TryNext::Item(expected));
        }
        assert_eq!(source.try_next(), TryNext::Empty);
    }
}

fn what_is_there_is_drained_at_once<S: Setting>() {
    let (mut sink, mut source) = S::pair(LARGE);
    for _ in 0..3 {
        put(&mut sink, HALF);
        let mut expected = 0;
        let taken = source.drain(usize::MAX, |element| {
            assert_eq!(element, expected);
            expected += 1;
        });
        assert_eq!(taken as u64, HALF);
    }
}

fn what_is_there_is_shown<S: Setting>() {
    let (mut sink, mut source) = S::pair(LARGE);
    put(&mut sink, HALF);
    for first in 0..HALF {
        let peek = source.peek(7);
        assert_eq!(peek.iter().next(), Some(&first));
        assert_eq!(peek.release(1), 1);
    }
    assert!(source.peek(1).is_empty());
}

fn all_of_it_is_released<S: Setting>() {
    let (mut sink, mut source) = S::pair(LARGE);
    for lap in 0..5 {
        put(&mut sink, HALF);
        assert_eq!(source.by_ref().take(HALF as usize).count() as u64, HALF);
        assert_eq!(source.try_next(), TryNext::Empty, "lap {lap}");
        assert_eq!(sink.demand(), 1024, "who finds nothing has released everything");
    }
}

fn what_was_asked_for_by_hand_is_taken<S: Setting>() {
    let (mut sink, mut source) = S::pair(LARGE.manual());
    put(&mut sink, HALF);
    let mut expected = 0;
    for asked in [1, 100, 200, 300, 399] {
        source.request(NonZeroU64::new(asked).unwrap()).unwrap();
        for _ in 0..asked {
            assert_eq!(source.try_next(), TryNext::Item(expected));
            expected += 1;
        }
        assert_eq!(source.try_next(), TryNext::Empty, "nothing more was asked for");
    }
    assert_eq!(expected, HALF);
}

fn a_close_in_between_ends_it<S: Setting>() {
    for taken in 0..300 {
        let (mut sink, mut source) = S::pair(LARGE);
        put(&mut sink, HALF);
        assert_eq!(source.by_ref().take(taken).count(), taken);
        source.cancel();
        assert_eq!(source.try_next(), TryNext::End(End::Cancelled));
        if taken % 100 == 99 {
            assert!(sink.put(1).is_err());
        }
    }
}

fn an_end_in_between_comes_after_the_last<S: Setting>() {
    for count in (1..400).step_by(7) {
        let (mut sink, mut source) = S::pair(LARGE);
        put(&mut sink, count);
        sink.complete().unwrap();
        assert_eq!(source.by_ref().count() as u64, count);
        assert_eq!(source.end(), Some(End::Completed));
    }
}

fn count_up(mut sink: Sink) {
    for element in 0..MANY {
        sink.put(element).unwrap();
    }
    sink.complete().unwrap();
}

fn count_up_by_batches(mut sink: Sink) {
    for begin in (0..MANY).step_by(100) {
        let elements: Vec<u64> = (begin..begin + 100).collect();
        sink.put_slice(&elements).unwrap();
    }
    sink.complete().unwrap();
}

fn check(mut source: Source) {
    assert!(source.by_ref().eq(0..MANY));
    assert_eq!(source.end(), Some(End::Completed));
}

fn check_by_drains(mut source: Source) {
    let mut expected = 0;
    while source.wait_readable() {
        source.drain(usize::MAX, |element| {
            assert_eq!(element, expected);
            expected += 1;
        });
    }
    assert_eq!(expected, MANY);
    assert_eq!(source.end(), Some(End::Completed));
}

fn a_consumer_right_behind_gets_everything<S: Setting>() {
    S::apart(LARGE, count_up, check);
    S::apart(SMALL, count_up, check);
}

fn a_drain_right_behind_gets_everything<S: Setting>() {
    S::apart(LARGE, count_up, check_by_drains);
    S::apart(SMALL, count_up, check_by_drains);
}

fn batches_to_a_consumer_right_behind<S: Setting>() {
    S::apart(LARGE, count_up_by_batches, check);
    S::apart(SMALL, count_up_by_batches, check);
}

fn positions_that_wrap<S: Setting>() {
    for config in [LARGE, SMALL] {
        S::apart(config.start(u64::MAX - 100_000), count_up, check);
    }
}

#[test]
fn bundles_and_what_they_own_are_dropped_once() {
    owned_elements_are_dropped_once::<8>();
}

#[test]
fn records_and_what_they_own_are_dropped_once() {
    owned_elements_are_dropped_once::<16>();
}

fn owned_elements_are_dropped_once<const N: usize>() {
    within(|| {
        let token = Arc::new(());
        for taken in [0, 1, 15, 16, 17, 31, 32, 33, 64, 200] {
            let (mut sink, mut source) = millstream::channel::<([u64; N], Arc<()>)>()
                .buffer_size(512)
                .initial_demand(512)
                .build()
                .unwrap();
            for number in 0..300 {
                sink.put(([number; N], Arc::clone(&token))).unwrap();
            }
            for number in 0..taken {
                assert_eq!(source.next().map(|(words, _)| words), Some([number; N]));
            }
            drop(source);
            drop(sink);
            assert_eq!(Arc::strong_count(&token), 1, "after {taken}");
        }
    });
}

/// What a source is asked for after its end.
fn asked_after_the_end<T: Send + 'static>(make: impl Fn(u64) -> T) {
    let (mut sink, mut source) = millstream::channel::<T>()
        .buffer_size(1024)
        .initial_demand(1024)
        .build()
        .unwrap();
    for number in 0..HALF {
        sink.put(make(number)).unwrap();
    }
    source.cancel();
    assert_eq!(source.drain(1, |_| ()), 0);
    assert_eq!(source.peek(1).release(0), 0);
    assert_eq!(source.peek(1).release_all(), 0);
    assert!(source.next().is_none());
    assert_eq!(source.end(), Some(End::Cancelled));
}

#[test]
fn nothing_is_looked_at_behind_the_end() {
    within(|| {
        asked_after_the_end(Box::new);
        asked_after_the_end(|number| [number; 8].map(Box::new));
        asked_after_the_end(|number| [number; 17].map(Box::new));
        asked_after_the_end(|number| number);
    });
}

fn put_for_ever(mut sink: Sink) {
    let mut element = 0;
    while sink.put(element).is_ok() {
        element += 1;
    }
}

/// A consumer that works through what a drain gave before it drains again.
fn drain_by_turns(mut source: Source) {
    let mut expected = 0;
    let mut some = Vec::new();
    while expected < MANY && source.wait_readable() {
        source.drain(300, |element| some.push(element));
        for element in some.drain(..) {
            assert_eq!(element, expected);
            expected += 1;
        }
    }
    source.cancel();
    assert!(expected >= MANY);
}

fn drains_of_a_part<S: Setting>() {
    S::apart(LARGE, put_for_ever, drain_by_turns);
}

fn a_drain_ends_though_more_comes<S: Setting>() {
    for config in [
        LARGE,
        Config {
            buffer_size: 8,
            demand: 8,
            ..LARGE
        },
    ] {
        let (mut sink, mut source) = S::pair(config);
        put(&mut sink, 8);
        let mut last = 7;
        let taken = source.drain(usize::MAX, |element| {
            assert!(element <= MANY, "it takes what comes meanwhile for ever");
            for _ in 0..2 {
                last += u64::from(sink.try_put(last + 1).is_ok());
            }
        });
        assert!(taken >= 8, "{taken} of 8");
        let mut next = taken as u64;
        while next <= last {
            assert_eq!(source.next(), Some(next));
            next += 1;
        }
        assert_eq!(source.try_next(), TryNext::Empty);
    }
}
