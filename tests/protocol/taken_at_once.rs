//! A consumer that has taken everything whenever its producer looks: its elements are put another way than those of a flow, and the two
//! ways change places in the midst of lines and of rings.

use std::fmt::Debug;
use std::thread;

use millstream::{Buffer, SinkRef, SourceRef, TryNext, WaitStrategy};

use crate::support::{joined, within};

const CAPACITIES: [usize; 7] = [2, 6, 8, 14, 32, 64, 300];
const MANY: u64 = 20_000;
/// Wraps before many are put.
const START: u64 = u64::MAX - 3_001;

/// Turns of as many elements as `turn` says, each taken before the next turn, by one thread.
fn in_turns<T: Send + Copy + PartialEq + Debug + 'static>(make: fn(u64) -> T, turn: fn(u64, u64) -> u64) {
    for capacity in CAPACITIES {
        let (mut sink, mut source) = millstream::channel::<T>()
            .buffer_size(Buffer::Bounded(capacity / 2))
            .initial_demand(capacity as u64 / 2)
            .sink_wait(WaitStrategy::BusySpin)
            .source_wait(WaitStrategy::BusySpin)
            .start_position(START)
            .build()
            .unwrap();
        let mut number = 0;
        while number < MANY {
            // Half of the capacity is granted again by then.
            let count = turn(number, capacity as u64 / 2).clamp(1, capacity as u64 / 2);
            for index in number..number + count {
                sink.put(make(index)).unwrap();
            }
            for index in number..number + count {
                assert_eq!(
                    source.try_next(),
                    TryNext::Item(make(index)),
                    "capacity {capacity}"
                );
            }
            assert_eq!(source.try_next(), TryNext::Empty, "capacity {capacity}");
            number += count;
        }
    }
}

/// Trips there and back, by two threads that wait for each other.
fn there_and_back<T: Send + Copy + PartialEq + Debug + 'static>(make: fn(u64) -> T) {
    const TRIPS: u64 = 4_000;
    fn ends<T: Send + 'static>(capacity: usize) -> (SinkRef<T>, SourceRef<T>) {
        millstream::channel::<T>()
            .buffer_size(Buffer::Bounded(capacity / 2))
            .initial_demand(capacity as u64 / 2)
            .start_position(START)
            .build()
            .unwrap()
    }
    for capacity in [2, 8, 32] {
        let ((mut there, arrived), (mut back, mut returned)) = (ends::<T>(capacity), ends::<T>(capacity));
        let echo = thread::spawn(move || {
            for element in arrived {
                back.put(element).unwrap();
            }
            back.complete().unwrap();
        });
        for number in 0..TRIPS {
            there.put(make(number)).unwrap();
            assert_eq!(returned.next(), Some(make(number)), "capacity {capacity}");
        }
        there.complete().unwrap();
        assert_eq!(returned.next(), None);
        joined(echo);
    }
}

fn one(_: u64, _: u64) -> u64 {
    1
}

fn bursts(number: u64, _: u64) -> u64 {
    number % 11
}

fn full(_: u64, most: u64) -> u64 {
    most
}

/// Elements that share a line without a rest, with one, with a stamp each, and in bundles.
macro_rules! sizes {
    ($($name:ident $turn:ident)+) => { $(
        #[test]
        fn $name() {
            within(|| {
                in_turns(|number| number as u8, $turn);
                in_turns(|number| number, $turn);
                in_turns(|number| [number; 3], $turn);
                in_turns(|number| [number; 7], $turn);
                in_turns(|number| [number; 8], $turn);
            });
        }
    )+ };
}

sizes! {
    one_at_a_time one
    in_bursts bursts
    as_much_as_is_granted full
}

#[test]
fn by_two_threads() {
    within(|| {
        there_and_back(|number| number as u8);
        there_and_back(|number| number);
        there_and_back(|number| [number; 3]);
        there_and_back(|number| [number; 7]);
        there_and_back(|number| [number; 8]);
    });
}
