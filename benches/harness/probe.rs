//! How far apart the two cores are right now.
//!
//! The host of a virtual machine moves its virtual processors, sometimes onto one physical core. A line then bounces in
//! 60 to 165 ns instead of 220 and more, and no figure compares to one measured in the other state.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use crossbeam_utils::CachePadded;

use super::pinning::{CONSUMER, PRODUCER, pin};
use super::statistic::median;

/// Below this many nanoseconds a round trip of a line, the two processors share one physical core.
const SHARED: f64 = 180.0;

const BATCHES: u64 = 20;
const BOUNCES: u64 = 250;

/// Bounces one line between the cores; nanoseconds for the way there and back.
pub(crate) fn bounce() -> f64 {
    let line = CachePadded::new(AtomicU64::new(0));
    let ready = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(CONSUMER);
            ready.wait();
            answer(&line);
        });
        let asking = scope.spawn(|| {
            pin(PRODUCER);
            ready.wait();
            ask(&line)
        });
        asking.join().expect("the probe does not panic")
    })
}

/// The side that bounces a line, which holds zero, off [`answer`] on the other core; nanoseconds there and back.
pub(crate) fn ask(line: &AtomicU64) -> f64 {
    let mut turn = 0;
    let batch = |_| {
        let from = Instant::now();
        for _ in 0..BOUNCES {
            line.store(turn + 1, Ordering::Release);
            turn += 2;
            while line.load(Ordering::Acquire) != turn {}
        }
        from.elapsed().as_nanos() as f64 / BOUNCES as f64
    };
    let batches: Vec<_> = (0..BATCHES).map(batch).collect();
    // The median of batches, for one that was interrupted says nothing.
    median(&batches)
}

/// The side that gives the line back to [`ask`].
pub(crate) fn answer(line: &AtomicU64) {
    for turn in (1..2 * BATCHES * BOUNCES).step_by(2) {
        while line.load(Ordering::Acquire) != turn {}
        line.store(turn + 1, Ordering::Release);
    }
}

/// Whether cores at this distance share a physical core.
pub(crate) fn is_shared(bounce: f64) -> bool {
    bounce < SHARED
}
