//! Where a worker sleeps: at the descriptors of its actors, until one is ready or somebody wakes it.

use std::io;
use std::time::Duration;

use mio::Token;

use super::io::Readiness;
#[cfg(millstream_shuttle)]
use crate::primitive::{park, thread, time};

/// The token of a worker's own waker.
pub(super) const WAKE: Token = Token(usize::MAX);

/// The longest sleep without another look.
pub(super) const LONGEST_SLEEP: Duration = Duration::from_secs(1);

pub(super) struct Poller {
    poll: mio::Poll,
    happenings: mio::Events,
    #[cfg(millstream_shuttle)]
    bed: park::Parker,
}

/// Wakes the worker at a poller, or keeps it from its next sleep.
#[derive(Debug)]
pub(super) struct Waker {
    #[cfg(not(millstream_shuttle))]
    waker: mio::Waker,
    #[cfg(millstream_shuttle)]
    bed: park::Unparker,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            poll: mio::Poll::new()?,
            happenings: mio::Events::with_capacity(256),
            #[cfg(millstream_shuttle)]
            bed: park::Parker::new(),
        })
    }

    /// There is one for each poller.
    pub(super) fn waker(&self) -> io::Result<Waker> {
        Ok(Waker {
            #[cfg(not(millstream_shuttle))]
            waker: mio::Waker::new(self.poll.registry(), WAKE)?,
            #[cfg(millstream_shuttle)]
            bed: self.bed.unparker().clone(),
        })
    }

    /// Where descriptors are registered.
    #[cfg(unix)]
    pub(super) fn registry(&self) -> &mio::Registry {
        self.poll.registry()
    }

    /// Waits until a descriptor is ready, or somebody wakes the worker, but at most `sleep`. What is ready.
    pub(super) fn wait(&mut self, sleep: Duration) -> Vec<(Token, Readiness)> {
        #[cfg(millstream_shuttle)]
        let sleep = self.sleep(sleep);
        // Interrupted by a signal, or out of kernel memory: there will be another look.
        if self.poll.poll(&mut self.happenings, Some(sleep)).is_err() {
            return Vec::new();
        }
        let happenings = self.happenings.iter().filter(|event| event.token() != WAKE);
        happenings
            .map(|event| (event.token(), Readiness::from(event)))
            .collect()
    }

    /// Sleeps where shuttle sees it: until it is woken; where something is to be done at some time, that time comes as soon as the worker has
    /// nothing else to do. Descriptors wake nobody there. How long is left to sleep: no time.
    #[cfg(millstream_shuttle)]
    fn sleep(&self, sleep: Duration) -> Duration {
        if sleep >= LONGEST_SLEEP {
            self.bed.park_timeout(sleep);
        } else if !sleep.is_zero() {
            time::skip(sleep);
            thread::yield_now();
        }
        Duration::ZERO
    }
}

impl Waker {
    pub(super) fn wake(&self) {
        // It cannot fail but for a lack of kernel memory; then the worker looks when its sleep is over.
        #[cfg(not(millstream_shuttle))]
        let _ = self.waker.wake();
        #[cfg(millstream_shuttle)]
        self.bed.unpark();
    }
}
