//! What every test stands on: the watchdog of the tests of actors, elements that count themselves.

#[allow(dead_code, unused_macros, reason = "the tests of actors use more of it")]
#[path = "../actors/support.rs"]
mod watchdog;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

#[cfg(target_os = "linux")]
pub(crate) use watchdog::tests;
pub(crate) use watchdog::{joined, until, within};

/// A deadline that no test reaches.
pub(crate) fn later() -> Instant {
    Instant::now() + watchdog::LONG
}

/// An element of which it is counted how many are alive.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) number: u64,
    alive: Arc<AtomicU64>,
}

impl Counted {
    pub(crate) fn new(number: u64, alive: &Arc<AtomicU64>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self {
            number,
            alive: alive.clone(),
        }
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::new(self.number, &self.alive)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A stream between processes, both ends of which are here.
#[cfg(target_os = "linux")]
pub(crate) fn published() -> (millstream::SinkRef<u64>, millstream::SourceRef<u64>) {
    // The directory may go when both ends are open: nothing but the connection holds them together.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let sink = millstream::publish::<u64>("ticks")
        .directory(&path)
        .open()
        .unwrap();
    let source = millstream::subscribe::<u64>("ticks")
        .source_wait(millstream::WaitStrategy::park())
        .directory(&path)
        .open()
        .unwrap();
    (sink, source)
}
