//! What of an actor is reached from other threads: its queues, and the word that says whether its worker is to come.

use std::sync::Arc;

use crossbeam_queue::SegQueue;
use crossbeam_utils::CachePadded;

use super::failure::{Failure, StopReason, fenced, quietly};
use super::lane::{Arrived, Note, unwrap};
use super::mailbox::{Mailbox, Queue, Queued};
use super::messages::{Notify, Signal};
use super::path::ActorPath;
use super::question::Answered;
use super::reference::TryTellError;
use super::route;
use super::system_core::SystemCore;
use super::watch::Terminated;
use crate::primitive::Mutex;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::ring::parcel::{Parcel, is_small};

/// The actor is ready: its worker has, or will get, a note of it.
const SCHEDULED: u64 = 1;
/// The actor has stopped.
const STOPPED: u64 = 2;

/// What of an actor is reached from outside its worker.
#[derive(Debug)]
pub(super) struct Address<M> {
    pub(super) id: u64,
    pub(super) path: ActorPath,
    pub(super) worker: usize,
    pub(super) system: Arc<SystemCore>,
    pub(super) messages: Queue<M>,
    signals: SegQueue<Signal<M>>,
    /// How many messages came by lanes, and wait. Of its worker, which writes it with each message, so it has a line of its own.
    arrived: CachePadded<AtomicU64>,
    state: AtomicU64,
    /// Why it stopped.
    reason: Mutex<Option<StopReason>>,
}

impl<M: Send + 'static> Address<M> {
    /// Of an actor that is about to be made, which counts as scheduled.
    pub(super) fn new(
        id: u64,
        path: ActorPath,
        worker: usize,
        mailbox: Mailbox,
        system: Arc<SystemCore>,
    ) -> Self {
        Self {
            id,
            path,
            worker,
            system,
            messages: Queue::new(mailbox),
            signals: SegQueue::new(),
            arrived: CachePadded::new(AtomicU64::new(0)),
            state: AtomicU64::new(SCHEDULED),
            reason: Mutex::new(None),
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.state.load(Ordering::Acquire) & STOPPED != 0
    }

    pub(super) fn send(&self, message: M) -> Result<(), TryTellError<M>> {
        if self.is_stopped() {
            return Err(TryTellError::Stopped(message));
        }
        // What one worker sends to an actor goes one way, so that it stays in order.
        let message = match self.messages.is_unbounded() && is_small::<M>() {
            true => match route::carry_parcel(self.system.id, self.worker, self.id, message) {
                Ok(()) => return Ok(()),
                Err(message) => message,
            },
            false => message,
        };
        let dropped = match self.messages.push(message) {
            Queued::Waits => None,
            Queued::Dropped(message) => Some(message),
            Queued::Refused(message) => return Err(TryTellError::Full(message)),
        };
        self.schedule();
        if dropped.is_some() {
            self.system.count_drop();
            // It may be another sender's, so its panic is not this one's.
            quietly(|| drop(dropped));
        }
        Ok(())
    }

    /// Tells the actor something that is not dropped.
    pub(super) fn signal(&self, signal: Signal<M>) {
        self.signals.push(signal);
        self.schedule();
    }

    /// Tells the actor what `make` makes; if that panics, it is the actor's failure, and not of who calls this.
    pub(super) fn signal_made(&self, as_what: fn(M) -> Signal<M>, make: impl FnOnce() -> M) {
        self.signal(match fenced(make) {
            Ok(message) => as_what(message),
            Err(failure) => Signal::Failed(failure),
        });
    }

    /// Sees to it that the worker comes, after something was put into a queue.
    fn schedule(&self) {
        // With the read-modify-write in `settle`: either this one comes first, and the worker sees what was put before,
        // or this one sees that the worker has let the actor go.
        let before = self.state.fetch_or(SCHEDULED, Ordering::AcqRel);
        if before & STOPPED != 0 {
            self.bury();
        } else if before & SCHEDULED == 0 {
            self.system.send(self.worker, Note::Run(self.id));
        }
    }

    /// Whether something waits; messages count if the actor still takes any.
    pub(super) fn has_work(&self, takes_messages: bool) -> bool {
        (takes_messages && !self.messages.is_empty()) || !self.signals.is_empty()
    }

    /// For the worker, which found nothing more to do: lets the actor go. False when something came meanwhile.
    pub(super) fn settle(&self, takes_messages: bool) -> bool {
        self.state.fetch_and(!SCHEDULED, Ordering::AcqRel);
        if !self.has_work(takes_messages) {
            return true;
        }
        // Whoever put that may have sent a note already.
        self.state.fetch_or(SCHEDULED, Ordering::AcqRel) & SCHEDULED != 0
    }

    /// For the worker: so many messages that came by lanes wait.
    pub(super) fn set_arrived(&self, arrived: usize) {
        self.arrived.store(arrived as u64, Ordering::Relaxed);
    }

    /// How many messages wait.
    pub(super) fn waiting(&self) -> usize {
        self.messages.len() + self.arrived.load(Ordering::Relaxed) as usize
    }

    pub(super) fn next_signal(&self) -> Option<Signal<M>> {
        // Looked at before: a pop that finds nothing has paid for a fence.
        if self.signals.is_empty() {
            return None;
        }
        self.signals.pop()
    }

    pub(super) fn next_message(&self) -> Option<M> {
        self.messages.pop()
    }

    /// For the worker: the actor has stopped. What waits for it still goes where things for the dead go.
    pub(super) fn close(&self, reason: StopReason) {
        if let Ok(mut slot) = self.reason.lock() {
            *slot = Some(reason);
        }
        self.state.fetch_or(STOPPED, Ordering::AcqRel);
        self.bury();
    }

    /// Empties the queues of an actor that has stopped. By any thread: each thing is found by one.
    fn bury(&self) {
        while let Some(message) = self.messages.pop() {
            self.bury_one(message);
        }
        while let Some(signal) = self.signals.pop() {
            self.bury_signal(signal);
        }
    }

    pub(super) fn bury_signal(&self, signal: Signal<M>) {
        match signal {
            Signal::Watch(_, notify) => notify(self.terminated()),
            Signal::Message(message) => self.bury_one(message),
            Signal::Answered(answered) => self.bury_answer(answered),
            // What a waker made, or an actor of this crate was told, may panic as it is dropped, too.
            other => quietly(|| drop(other)),
        }
    }

    /// An answer to a question of an actor that has stopped is one more message for it.
    pub(super) fn bury_answer(&self, answered: Box<dyn Answered<M>>) {
        if let Ok(Some(message)) = fenced(|| answered.into_message()) {
            self.bury_one(message);
        }
    }

    /// A message may panic as it is dropped, which is not to keep the others from their burial.
    pub(super) fn bury_one(&self, message: M) {
        quietly(|| self.system.events.dead_letter(&self.path, message));
    }

    pub(super) fn terminated(&self) -> Terminated {
        let reason = self.reason.lock().ok().and_then(|reason| reason.clone());
        Terminated {
            path: self.path.clone(),
            reason: reason.unwrap_or(StopReason::Stopped),
            id: self.id,
        }
    }
}

/// An actor whose messages' type does not matter.
pub(super) trait AnyAddress: Send + Sync {
    fn id(&self) -> u64;
    fn path(&self) -> &ActorPath;
    fn stop(&self, reason: StopReason);
    fn watch(&self, watch: u64, notify: Notify);
    fn unwatch(&self, watch: u64);
    /// Tells it that a child of its has stopped.
    fn child_stopped(&self, child: u64);
    /// Leaves it to it what is to be done about a child's failure.
    fn escalate(&self, child: ActorPath, failure: Failure);
    /// Makes a dead letter of a message that came by a lane.
    fn bury_parcel(&self, parcel: Parcel);
}

impl<M: Send + 'static> AnyAddress for Address<M> {
    fn id(&self) -> u64 {
        self.id
    }

    fn path(&self) -> &ActorPath {
        &self.path
    }

    fn stop(&self, reason: StopReason) {
        self.signal(Signal::Stop(reason));
    }

    fn watch(&self, watch: u64, notify: Notify) {
        self.signal(Signal::Watch(watch, notify));
    }

    fn unwatch(&self, watch: u64) {
        self.signal(Signal::Unwatch(watch));
    }

    fn child_stopped(&self, child: u64) {
        self.signal(Signal::ChildStopped(child));
    }

    fn escalate(&self, child: ActorPath, failure: Failure) {
        self.signal(Signal::Escalated(child, failure));
    }

    fn bury_parcel(&self, parcel: Parcel) {
        match unwrap(parcel) {
            Arrived::Message(message) => self.bury_one(message),
            Arrived::Answer(answered) => self.bury_answer(answered),
            Arrived::Stray(stray) => quietly(|| drop(stray)),
        }
    }
}
