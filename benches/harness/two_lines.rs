//! The limit of a round trip: two lines, one for each way, with nothing but a counter in them.
//!
//! How long a line takes depends on where it lies: each has its home in one of the slices of the shared cache. Two lines are one
//! case; a ring uses one line after the other, so its limit is that of [many lines in turn](in_turn).

use std::cell::UnsafeCell;
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use hdrhistogram::Histogram;

use super::element::{Words, for_width, make, sum};
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

/// As [`measure`], with a payload of `words` words beside each counter, written by whoever sends it and read by whoever gets it: the limit of
/// elements that do not fit into a line.
pub(crate) fn laden(words: usize, count: u64) -> Histogram<u64> {
    for_width!(words, W => {
        let side = || (CachePadded::new(AtomicU64::new(0)), CachePadded::new(Payload(UnsafeCell::new([0; W]))));
        let (there, back) = (side(), side());
        face_to_face(
            || {
                for turn in 1..=ask::total(count) {
                    let element = there.1.wait(&there.0, turn);
                    back.1.send(&back.0, turn, element);
                }
            },
            || {
                ask::each(count, |index| {
                    there.1.send(&there.0, index + 1, make(index));
                    let element = back.1.wait(&back.0, index + 1);
                    assert_eq!(sum(&element), index.wrapping_mul(W as u64), "what comes back is what was sent");
                })
            },
        )
    })
}

/// What lies beside a counter.
struct Payload<const W: usize>(UnsafeCell<Words<W>>);

// SAFETY: the counter says whose it is.
unsafe impl<const W: usize> Sync for Payload<W> {}

impl<const W: usize> Payload<W> {
    #[inline(always)]
    fn send(&self, counter: &AtomicU64, turn: u64, element: Words<W>) {
        // SAFETY: the other side waits for this turn, and reads it then.
        unsafe { self.0.get().write(element) };
        counter.store(turn, Ordering::Release);
    }

    #[inline(always)]
    fn wait(&self, counter: &AtomicU64, turn: u64) -> Words<W> {
        await_turn(counter, turn);
        // SAFETY: written before the counter, and not again before the answer.
        unsafe { self.0.get().read() }
    }
}

/// Waits for a counter, with the pause hint between looks, as the rivals do: it spares the line.
#[inline(always)]
fn await_turn(counter: &AtomicU64, turn: u64) {
    while counter.load(Ordering::Acquire) != turn {
        spin_loop();
    }
}

/// The round trips of counters in the lines that `at` gives for each turn.
#[inline(always)]
fn trips<'a>(count: u64, at: impl Fn(u64) -> (&'a AtomicU64, &'a AtomicU64) + Send + Sync) -> Histogram<u64> {
    face_to_face(
        || {
            for turn in 1..=ask::total(count) {
                let (there, back) = at(turn);
                await_turn(there, turn);
                back.store(turn, Ordering::Release);
            }
        },
        || {
            ask::each(count, |index| {
                let turn = index + 1;
                let (there, back) = at(turn);
                there.store(turn, Ordering::Release);
                await_turn(back, turn);
                black_box(index);
            })
        },
    )
}
