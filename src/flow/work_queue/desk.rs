//! What a work queue's sink, its workers and their handles share.

use std::fmt;
use std::sync::{PoisonError, Weak};
use std::task::{Wake, Waker};

use super::builder::Manner;
use super::deals::Deals;
use crate::primitive::{Arc, Mutex, MutexGuard};
use crate::stream::{Buffer, ChannelError, SourceRef, channel};
use crate::wait::Ring;

/// A work queue. Kept by its sink, by every worker made here until its stream ends, and by handles.
pub(super) struct Desk<T> {
    deals: Mutex<Deals<T>>,
    manner: Manner,
    /// Wakes the sink.
    sink: Ring,
    waker: Waker,
}

/// Called on a worker's thread, when it asks for more or goes.
struct Porter<T>(Weak<Desk<T>>);

impl<T: Send + 'static> Wake for Porter<T> {
    fn wake(self: Arc<Self>) {
        if let Some(desk) = self.0.upgrade() {
            desk.sink.ring();
            desk.look_after();
        }
    }
}

impl<T: Send + 'static> Desk<T> {
    pub(super) fn new(manner: Manner, sink: Ring) -> Arc<Self> {
        Arc::new_cyclic(|desk| Self {
            deals: Mutex::new(Deals::new()),
            manner,
            sink,
            waker: Waker::from(Arc::new(Porter(desk.clone()))),
        })
    }

    /// Adds a worker.
    pub(super) fn join(self: &Arc<Self>) -> Result<SourceRef<T>, ChannelError> {
        let Manner {
            prefetch,
            idle,
            worker_wait,
            ..
        } = self.manner;
        let (lane, mut source) = channel::<T>()
            .buffer_size(Buffer::Rendezvous)
            .initial_demand(prefetch)
            .idle_timeout(idle)
            .source_wait(worker_wait)
            .hold_one()
            .build()?;
        source.leave_behind();
        let mut deals = self.deals();
        let (number, desk) = (deals.next_number(), self.clone());
        source.on_end(Box::new(move |_| desk.leave(number)));
        deals.add(lane, true);
        if deals.is_restless() {
            deals.rest(&self.waker);
        }
        drop(deals);
        // It does not know of this lane yet.
        self.sink.ring();
        Ok(source)
    }

    /// A worker takes nothing any more.
    fn leave(&self, number: u64) {
        let mut deals = self.deals();
        deals.bury_number(number);
        deals.rest(&self.waker);
        drop(deals);
        self.sink.ring();
    }

    /// Deals what is left, and ends what can end.
    fn look_after(&self) {
        let mut deals = self.deals();
        if deals.is_restless() {
            deals.rest(&self.waker);
        }
    }
}

impl<T> Desk<T> {
    pub(super) fn deals(&self) -> MutexGuard<'_, Deals<T>> {
        // Nothing panics while it holds the lock but an element's own move, of which there is none.
        self.deals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the sink, and has what is left looked after.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }
}

impl<T> fmt::Debug for Desk<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("manner", &self.manner)
            .finish_non_exhaustive()
    }
}
