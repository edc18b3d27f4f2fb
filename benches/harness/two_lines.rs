//! The limit of a round trip: two lines, one for each way, with nothing but a counter in them.
//!
//! How long a line takes depends on where it lies: each has its home in one of the slices of the shared cache. Two lines are one
//! case; a ring uses one line after the other, so its limit is that of [many lines in turn](in_turn).

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use hdrhistogram::Histogram;

use super::round_trip::{ask, face_to_face};

/// Lines each way of [`in_turn`]: as many as the rings of a round trip have for elements that fill a line.
const LINES: usize = 32;

/// A counter in a line of its own.
#[repr(align(64))]
struct Line(AtomicU64);

/// The round trips of `count` counters.
pub(crate) fn measure(count: u64) -> Histogram<u64> {
    let lines = [const { CachePadded::new(AtomicU64::new(0)) }; 2];
    let [there, back] = &lines;
    trips(count, |_| (there, back))
}

/// As [`measure`], each in the next of 32 lines, back to back as those of a ring.
pub(crate) fn in_turn(count: u64) -> Histogram<u64> {
    let row = || (0..LINES).map(|_| Line(AtomicU64::new(0))).collect::<Vec<_>>();
    let (there, back) = (row(), row());
    trips(count, |turn| {
        let at = turn as usize % LINES;
        (&there[at].0, &back[at].0)
    })
}

/// The round trips of counters in the lines that `at` gives for each turn.
#[inline(always)]
fn trips<'a>(count: u64, at: impl Fn(u64) -> (&'a AtomicU64, &'a AtomicU64) + Send + Sync) -> Histogram<u64> {
    face_to_face(
        || {
            for turn in 1..=ask::total(count) {
                let (there, back) = at(turn);
                while there.load(Ordering::Acquire) != turn {}
                back.store(turn, Ordering::Release);
            }
        },
        || {
            ask::each(count, |index| {
                let turn = index + 1;
                let (there, back) = at(turn);
                there.store(turn, Ordering::Release);
                while back.load(Ordering::Acquire) != turn {}
                black_box(index);
            })
        },
    )
}
