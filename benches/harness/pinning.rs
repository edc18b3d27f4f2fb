//! Which core a thread runs on.

use std::cell::Cell;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, OnceLock};
use std::thread;

use core_affinity::CoreId;

use super::vigil;

/// The core of whoever produces, or asks.
pub(crate) const PRODUCER: usize = 0;
/// The core of whoever consumes, or answers.
pub(crate) const CONSUMER: usize = 1;

thread_local! {
    static CORE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// What both sides do on their cores right before and right after what is timed, each told which core it is on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around {
    pub(crate) before: fn(usize),
    pub(crate) after: fn(usize),
}

/// Nothing, unless a program sets it: threads that meet and spin there are not moved by the host meanwhile.
pub(crate) static AROUND: OnceLock<Around> = OnceLock::new();

/// Runs one side of what is timed, on the core it is pinned to.
#[inline(always)]
pub(crate) fn surrounded<R>(core: usize, side: impl FnOnce() -> R) -> R {
    let around = AROUND.get();
    if let Some(around) = around {
        (around.before)(core);
    }
    let result = side();
    if let Some(around) = around {
        (around.after)(core);
    }
    result
}

/// Pins this thread. A refusal shows in [`describe`].
pub(crate) fn pin(core: usize) {
    core_affinity::set_for_current(CoreId { id: core });
    CORE.set(Some(core));
}

/// The core that this thread was pinned to.
pub(crate) fn here() -> Option<usize> {
    CORE.get()
}

/// Runs a producer and a consumer on their cores; what the two return.
pub(crate) fn both<P: Send, C: Send>(
    producer: impl FnOnce() -> P + Send,
    consumer: impl FnOnce() -> C + Send,
) -> (P, C) {
    let (ready, working) = (Barrier::new(2), AtomicUsize::new(2));
    let begin = |core| {
        pin(core);
        ready.wait();
        vigil::relieve();
    };
    // Whoever is last, so that the other is not disturbed.
    let end = || {
        if working.fetch_sub(1, Ordering::Relaxed) == 1 {
            vigil::keep();
        }
    };
    thread::scope(|scope| {
        let producer = scope.spawn(|| {
            begin(PRODUCER);
            let produced = surrounded(PRODUCER, producer);
            end();
            produced
        });
        let consumer = scope.spawn(|| {
            begin(CONSUMER);
            let consumed = surrounded(CONSUMER, consumer);
            end();
            consumed
        });
        let consumed = consumer.join().expect("the consumer gets everything");
        (
            producer.join().expect("the producer gets rid of everything"),
            consumed,
        )
    })
}

/// As [`both`]; what the consumer returns.
pub(crate) fn side_by_side<P: Send, C: Send>(
    producer: impl FnOnce() -> P + Send,
    consumer: impl FnOnce() -> C + Send,
) -> C {
    both(producer, consumer).1
}

/// Where threads end up that are pinned as the benches pin theirs, read back from the kernel.
pub(crate) fn describe() -> String {
    let [producer, consumer] = [PRODUCER, CONSUMER].map(|core| {
        let read = thread::spawn(move || {
            pin(core);
            allowed()
        });
        let allowed = read.join().unwrap_or_default();
        if allowed == core.to_string() {
            format!("core {core}")
        } else {
            format!("core {core} REFUSED (allowed: {allowed})")
        }
    });
    format!("producer {producer}, consumer {consumer}")
}

fn allowed() -> String {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.map_or_else(|| "unknown".into(), |list| list.trim().to_owned())
}
