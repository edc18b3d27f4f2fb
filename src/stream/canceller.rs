//! Cancelling a subscription without holding its source.

#![forbid(unsafe_code)]

use std::sync::PoisonError;

use crate::primitive::{Arc, Mutex, MutexGuard};
use crate::process::HangUp;

/// Cancels a source that was made by `subscribe`, from any thread.
#[derive(Clone, Debug)]
pub(crate) struct Canceller(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    cancelled: bool,
    /// The connection to the producer that the source reads now.
    connection: HangUp,
}

impl Canceller {
    pub(super) fn new(connection: HangUp) -> Self {
        Self(Arc::new(Mutex::new(State {
            cancelled: false,
            connection,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; if it did, the value would still be whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancels. A reader that waits, waits no more; one that has elements before it finds out about half a window on at the
    /// latest; both end as `Cancelled`. The producer is told even if nobody touches the source again. An element that it
    /// puts at that moment may be taken by such a reader though the producer gets it back. A resumable subscription that
    /// nobody reads is left as by a process that died: it can be resumed.
    pub(crate) fn cancel(&self) {
        let mut state = self.state();
        if !state.cancelled {
            state.cancelled = true;
            state.connection.hang_up();
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.state().cancelled
    }

    /// The source goes on with the next producer.
    pub(super) fn follow(&self, connection: HangUp) {
        let mut state = self.state();
        state.connection = connection;
        if state.cancelled {
            state.connection.hang_up();
        }
    }
}
