//! The loops of a consumer that sleeps between elements.

use std::sync::atomic::Ordering;

use hdrhistogram::Histogram;

use crate::contender::Figure;
use crate::harness::clock::{now, spin_until};
use crate::harness::pinning::both;
use crate::harness::round_trip::histogram;
use crate::seam::page;

/// How long the consumer is left alone, in nanoseconds.
const REST: u64 = 60_000;
/// Exchanges that are not counted.
const WARM_UP: u64 = 50;

/// How many exchanges there are for `count` that are timed.
pub(crate) fn total(count: u64) -> u64 {
    count + WARM_UP
}

/// Puts an element, from 1 on, whenever the consumer has slept, and times how long its answer takes.
#[inline(never)]
pub(crate) fn put_all(put: impl FnMut(u64), count: u64) -> Histogram<u64> {
    let mut put = put;
    let answer = &page().words[0];
    let mut times = Vec::with_capacity(total(count) as usize);
    for index in 1..=total(count) {
        let from = spin_until(now() + REST);
        put(index);
        while answer.load(Ordering::Acquire) != index {}
        times.push(now() - from);
    }
    let mut histogram = histogram();
    for time in &times[WARM_UP as usize..] {
        histogram.saturating_record(*time);
    }
    histogram
}

/// Takes each element and answers it.
#[inline(never)]
pub(crate) fn take_all(take: impl FnMut() -> u64, count: u64) {
    let mut take = take;
    let answer = &page().words[0];
    for index in 1..=total(count) {
        assert_eq!(take(), index, "what was taken is what was put");
        answer.store(index, Ordering::Release);
    }
}

/// Both in one process.
pub(crate) fn within(count: u64, put: impl FnMut(u64) + Send, take: impl FnMut() -> u64 + Send) -> Figure {
    Figure::Times(both(move || put_all(put, count), move || take_all(take, count)).0)
}
