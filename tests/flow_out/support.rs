//! What every test stands on: a watchdog, threads whose panics go on, elements that count themselves.

use std::any::Any;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The watchdog's patience.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// Runs the body on a thread of its own and fails when it hangs.
pub(crate) fn within(body: impl FnOnce() + Send + 'static) {
    let (done, outcome) = channel();
    let body = thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    match outcome.recv_timeout(LONGEST) {
        // Disconnected: it panicked.
        Ok(()) | Err(RecvTimeoutError::Disconnected) => joined(body),
        Err(RecvTimeoutError::Timeout) => panic!("it hangs"),
    }
}

/// The result of a thread; its panic goes on here.
pub(crate) fn joined<R>(thread: thread::JoinHandle<R>) -> R {
    thread
        .join()
        .unwrap_or_else(|panic: Box<dyn Any + Send>| resume_unwind(panic))
}

pub(crate) fn later() -> Instant {
    Instant::now() + LONGEST
}

/// Gives other threads the core until the condition comes true.
#[track_caller]
pub(crate) fn until(mut condition: impl FnMut() -> bool) {
    let end = later();
    while !condition() {
        assert!(Instant::now() < end, "the condition does not come true");
        thread::yield_now();
    }
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
