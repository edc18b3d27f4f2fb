//! What every test here stands on.

use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use millstream::WaitStrategy;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `body` on a thread of its own, and fails if it does not come to an end.
pub(crate) fn watched<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, end) = channel();
    let thread = thread::spawn(move || {
        let result = body();
        done.send(()).expect("the watchdog listens");
        result
    });
    match end.recv_timeout(PATIENCE) {
        Ok(()) | Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Ok(result) => result,
            Err(panic) => resume_unwind(panic),
        },
        Err(RecvTimeoutError::Timeout) => panic!("hangs"),
    }
}

/// Ways to wait, but for the busy one: a thread that spins keeps a core from one that has something to do.
pub(crate) const WAITS: [WaitStrategy; 2] = [WaitStrategy::SpinThenYield { spins: 50 }, WaitStrategy::park()];
