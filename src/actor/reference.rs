//! `ActorRef`: how messages are sent to an actor.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crossbeam_queue::SegQueue;

use super::failure::{Failure, StopReason, fenced, quietly};
use super::mailbox::{Mailbox, Queue, Queued};
use super::messages::{Notify, Signal};
use super::path::ActorPath;
use super::route::Note;
use super::system::SystemCore;
use super::watch::Terminated;
use crate::primitive::Mutex;
use crate::primitive::atomic::{AtomicU64, Ordering};

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
    messages: Queue<M>,
    signals: SegQueue<Signal<M>>,
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
            state: AtomicU64::new(SCHEDULED),
            reason: Mutex::new(None),
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.state.load(Ordering::Acquire) & STOPPED != 0
    }

    fn send(&self, message: M) -> Result<(), TryTellError<M>> {
        if self.is_stopped() {
            return Err(TryTellError::Stopped(message));
        }
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

    /// For the worker, which found nothing more to do: lets the actor go. False when something came meanwhile; messages count
    /// if the actor still takes any.
    pub(super) fn settle(&self, takes_messages: bool) -> bool {
        self.state.fetch_and(!SCHEDULED, Ordering::AcqRel);
        if (self.messages.is_empty() || !takes_messages) && self.signals.is_empty() {
            return true;
        }
        // Whoever put that may have sent a note already.
        self.state.fetch_or(SCHEDULED, Ordering::AcqRel) & SCHEDULED != 0
    }

    pub(super) fn next_signal(&self) -> Option<Signal<M>> {
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
            _ => {}
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
}

/// Sends messages of type `M` to an actor. Cheap to clone, and valid for ever: what is sent to an actor that has stopped
/// becomes a [`DeadLetter`](crate::DeadLetter).
///
/// Messages from one sender arrive in the order in which they were sent. A reference belongs to one process: it is no
/// [`Element`](trait@crate::Element), and does not travel through shared memory.
///
/// ```
/// use millstream::{ActorSystem, Next, receive};
/// let system = ActorSystem::builder("prices").build()?;
/// let (told, heard) = std::sync::mpsc::channel();
/// let actor = system.spawn("feed", move || {
///     let told = told.clone();
///     receive(move |_, price: f64| {
///         told.send(price).unwrap();
///         Next::Same
///     })
/// })?;
/// actor.tell(142.5);
/// assert_eq!(heard.recv()?, 142.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```compile_fail,E0277
/// fn carry<T: millstream::Element>(_: T) {}
/// # let system = millstream::ActorSystem::builder("prices").build().unwrap();
/// # let actor = system.spawn("feed", || millstream::receive(|_, _: u32| millstream::Next::Same)).unwrap();
/// carry(actor);
/// ```
pub struct ActorRef<M> {
    pub(super) address: Arc<Address<M>>,
}

impl<M: Send + 'static> ActorRef<M> {
    /// Sends a message. Never blocks, and never fails: where the actor has stopped, or its mailbox
    /// [rejects](crate::Overflow::Reject) the message, it becomes a [`DeadLetter`](crate::DeadLetter).
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let actor = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// actor.tell(3u32);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tell(&self, message: impl Into<M>) {
        if let Err(TryTellError::Full(message) | TryTellError::Stopped(message)) =
            self.address.send(message.into())
        {
            self.address
                .system
                .events
                .dead_letter(&self.address.path, message);
        }
    }

    /// Sends a message, or gives it back. Never blocks.
    ///
    /// # Errors
    /// `Stopped` when the actor has stopped; `Full` when its mailbox is full and rejects messages.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive, TryTellError};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let actor = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// actor.try_tell(3u32)?;
    /// system.stop_and_wait(&actor, std::time::Duration::from_secs(9))?;
    /// assert_eq!(actor.try_tell(4u32), Err(TryTellError::Stopped(4)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_tell(&self, message: impl Into<M>) -> Result<(), TryTellError<M>> {
        self.address.send(message.into())
    }

    /// Sends what must pass a full mailbox; where the actor has stopped it is dropped in silence.
    pub(crate) fn tell_past(&self, message: M) {
        self.address.signal(Signal::Control(message));
    }

    /// Sends what must pass a full mailbox, and is missed where the actor has stopped.
    pub(crate) fn tell_first(&self, message: M) {
        self.address.signal(Signal::Message(message));
    }

    /// Where the actor stands.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let actor = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// assert_eq!(actor.path().as_str(), "/feed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn path(&self) -> &ActorPath {
        &self.address.path
    }

    /// The number of the worker that owns the actor.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, SpawnOptions, receive};
    /// let system = ActorSystem::builder("prices").workers(2).build()?;
    /// let options = SpawnOptions::new().on_worker(1);
    /// let actor = system.spawn_with("feed", || receive(|_, _: u32| Next::Same), options)?;
    /// assert_eq!(actor.worker(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn worker(&self) -> usize {
        self.address.worker
    }

    /// Whether the actor has stopped. Once true it stays so.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let actor = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// assert!(!actor.is_stopped());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.address.is_stopped()
    }

    /// Messages that the mailbox dropped because it was full.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let actor = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// assert_eq!(actor.dropped(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.address.messages.dropped()
    }

    /// Messages that wait at present.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let actor = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// println!("{} messages wait", actor.waiting());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.address.messages.len()
    }

    /// The actor as one that takes `N`, which its messages can be made of.
    ///
    /// ```
    /// use millstream::{ActorSystem, Next, Recipient, receive};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let actor = system.spawn("feed", || receive(|_, _: f64| Next::Same))?;
    /// let whole: Recipient<u32> = actor.recipient();
    /// whole.tell(3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn recipient<N>(&self) -> Recipient<N>
    where
        N: Into<M> + Send + 'static,
    {
        Recipient(Arc::new(self.clone()))
    }

    pub(crate) fn id(&self) -> u64 {
        self.address.id
    }

    pub(super) fn any(&self) -> Arc<dyn AnyAddress> {
        self.address.clone()
    }
}

impl<M> Clone for ActorRef<M> {
    fn clone(&self) -> Self {
        Self {
            address: self.address.clone(),
        }
    }
}

impl<M> PartialEq for ActorRef<M> {
    /// Whether both send to the same actor.
    fn eq(&self, other: &Self) -> bool {
        self.address.id == other.address.id
    }
}

impl<M> Eq for ActorRef<M> {}

impl<M> Hash for ActorRef<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address.id.hash(state);
    }
}

impl<M> fmt::Debug for ActorRef<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorRef({})", self.address.path)
    }
}

/// Sends messages of type `N` to an actor, whatever other messages it takes: see [`ActorRef::recipient`].
pub struct Recipient<N>(Arc<dyn Tell<N>>);

trait Tell<N>: Send + Sync {
    fn tell(&self, message: N);
    fn tell_past(&self, message: N);
    fn tell_first(&self, message: N);
    fn path(&self) -> &ActorPath;
    fn id(&self) -> u64;
    fn is_stopped(&self) -> bool;
    fn any(&self) -> Arc<dyn AnyAddress>;
}

impl<M, N> Tell<N> for ActorRef<M>
where
    M: Send + 'static,
    N: Into<M>,
{
    fn tell(&self, message: N) {
        ActorRef::tell(self, message);
    }

    fn tell_past(&self, message: N) {
        ActorRef::tell_past(self, message.into());
    }

    fn tell_first(&self, message: N) {
        ActorRef::tell_first(self, message.into());
    }

    fn path(&self) -> &ActorPath {
        ActorRef::path(self)
    }

    fn id(&self) -> u64 {
        ActorRef::id(self)
    }

    fn is_stopped(&self) -> bool {
        ActorRef::is_stopped(self)
    }

    fn any(&self) -> Arc<dyn AnyAddress> {
        ActorRef::any(self)
    }
}

impl<N: 'static> Recipient<N> {
    /// As [`ActorRef::tell`].
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, Recipient, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// # let actor = system.spawn("feed", || receive(|_, _: f64| Next::Same))?;
    /// let recipient: Recipient<f32> = actor.recipient();
    /// recipient.tell(3.5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tell(&self, message: N) {
        self.0.tell(message);
    }

    /// As [`ActorRef::path`].
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, Recipient, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// # let actor = system.spawn("feed", || receive(|_, _: f64| Next::Same))?;
    /// let recipient: Recipient<f32> = actor.recipient();
    /// assert_eq!(recipient.path().name(), "feed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn path(&self) -> &ActorPath {
        self.0.path()
    }

    /// As [`ActorRef::is_stopped`].
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, Recipient, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// # let actor = system.spawn("feed", || receive(|_, _: f64| Next::Same))?;
    /// let recipient: Recipient<f32> = actor.recipient();
    /// assert!(!recipient.is_stopped());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.is_stopped()
    }

    /// As [`ActorRef::tell_past`].
    pub(crate) fn tell_past(&self, message: N) {
        self.0.tell_past(message);
    }

    /// As [`ActorRef::tell_first`].
    pub(crate) fn tell_first(&self, message: N) {
        self.0.tell_first(message);
    }

    pub(crate) fn id(&self) -> u64 {
        self.0.id()
    }

    pub(super) fn any(&self) -> Arc<dyn AnyAddress> {
        self.0.any()
    }
}

impl<M, N> From<&ActorRef<M>> for Recipient<N>
where
    M: Send + 'static,
    N: Into<M> + Send + 'static,
{
    fn from(actor: &ActorRef<M>) -> Self {
        actor.recipient()
    }
}

impl<N> Clone for Recipient<N> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<N: 'static> fmt::Debug for Recipient<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.0.path())
    }
}

/// Why [`ActorRef::try_tell`] did not take the message.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TryTellError<M> {
    /// The mailbox is full, and rejects messages.
    #[error("the mailbox is full: the actor has not handled what was sent before")]
    Full(M),
    /// The actor has stopped.
    #[error("the actor has stopped")]
    Stopped(M),
}

impl<M> TryTellError<M> {
    /// The message that was not taken.
    ///
    /// ```
    /// assert_eq!(millstream::TryTellError::Stopped(3).into_inner(), 3);
    /// ```
    pub fn into_inner(self) -> M {
        match self {
            Self::Full(message) | Self::Stopped(message) => message,
        }
    }
}

// By hand, so that an error about a message needs nothing of the message.
impl<M> fmt::Debug for TryTellError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TryTellError({self})")
    }
}
