//! A consumer that has taken everything whenever its producer looks: its elements are put another way than those of a flow, and the two
//! ways change places in the midst of lines and of rings.

use millstream::{Buffer, TryNext, WaitStrategy};

use crate::support::within;

const CAPACITIES: [usize; 7] = [2, 6, 8, 14, 32, 64, 300];
const MANY: u64 = 20_000;
/// Wraps before many are put.
const START: u64 = u64::MAX - 3_001;

/// Turns of as many elements as `turn` says, each taken before the next turn, by one thread.
fn in_turns<T: Send + Copy + PartialEq + std::fmt::Debug + 'static>(
    make: fn(u64) -> T,
    turn: fn(u64, u64) -> u64,
) {
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
