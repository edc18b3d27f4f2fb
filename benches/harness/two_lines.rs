//! The limit of a round trip: two lines, one for each way, with nothing but a counter in them.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use hdrhistogram::Histogram;

use super::round_trip::{ask, face_to_face};

/// The round trips of `count` counters.
pub(crate) fn measure(count: u64) -> Histogram<u64> {
    let lines = [const { CachePadded::new(AtomicU64::new(0)) }; 2];
    let [there, back] = &lines;
    face_to_face(
        || {
            for turn in 1..=ask::total(count) {
                while there.load(Ordering::Acquire) != turn {}
                back.store(turn, Ordering::Release);
            }
        },
        || {
            ask::each(count, |index| {
                there.store(index + 1, Ordering::Release);
                while back.load(Ordering::Acquire) != index + 1 {}
                black_box(index);
            })
        },
    )
}
