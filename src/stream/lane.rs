//! One lane of a source that several sinks feed, and the desk on which new ones are left for it.

use std::sync::PoisonError;

use super::end::End;
use super::endpoint::{ConsumerEndpoint, Oversight};
use super::source::is_there;
use crate::primitive::{Arc, Mutex, MutexGuard};
use crate::ring::shape::Fixed;
use crate::ring::{Consumer, Corruption, HeapRing};

/// What a source shares with whoever oversees it and opens lanes.
pub(super) struct Overseen<T> {
    pub(super) oversight: Arc<Oversight>,
    /// Lanes that the source has not seen yet.
    desk: Mutex<Vec<Lane<T>>>,
}

impl<T> Overseen<T> {
    pub(super) fn new(oversight: Arc<Oversight>) -> Self {
        Self {
            oversight,
            desk: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Vec<Lane<T>>> {
        // Whole, whoever panicked.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A ring that the source does not read just now.
pub(super) struct Lane<T> {
    pub(super) ring: Consumer<Fixed<T>>,
    pub(super) endpoint: Box<ConsumerEndpoint>,
    /// The ring itself, if it is unbounded.
    pub(super) unbounded: Option<Arc<HeapRing<T>>>,
    /// Whether it is the one that has the window.
    pub(super) is_first: bool,
    /// Whether it is the overseer's own, which does not keep the stream open when all others have ended.
    pub(super) attends: bool,
}

impl<T> Lane<T> {
    /// A lane beside the first: its sink has a buffer, and no window.
    pub(super) fn new(
        ring: Consumer<Fixed<T>>,
        endpoint: Box<ConsumerEndpoint>,
        unbounded: Option<Arc<HeapRing<T>>>,
        attends: bool,
    ) -> Self {
        Self {
            ring,
            endpoint,
            unbounded,
            is_first: false,
            attends,
        }
    }

    pub(super) fn there(&self) -> Result<bool, Corruption> {
        let pos = self.ring.pos();
        Ok(is_there(self.ring.stamp(), pos, self.ring.highest_stamp())?
            || self.unbounded.as_ref().is_some_and(|all| all.continues(pos)))
    }

    /// No more elements than this are there.
    pub(super) fn most(&self) -> u64 {
        if self.unbounded.is_some() {
            return self.endpoint.most_in_ring();
        }
        self.ring.slots()
    }

    /// Drops what is there, and closes.
    pub(super) fn hang_up(mut self) {
        if !std::mem::needs_drop::<T>() {
            return;
        }
        let mut left = self.endpoint.most_in_ring();
        while left > 0 && self.endpoint.end().is_none() && self.ring.ready() {
            left -= 1;
            // SAFETY: ready.
            drop(unsafe { self.ring.take(|at| at.cast::<T>().read()) });
        }
    }
}

impl<T> Drop for Lane<T> {
    fn drop(&mut self) {
        // Also when an element of another lane panics as it is dropped: each sink must learn of the end.
        self.endpoint.close(End::Cancelled, self.ring.pos());
    }
}
