//! `ActorRef`: how messages are sent to an actor.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::address::{Address, AnyAddress};
use super::messages::Signal;
use super::path::ActorPath;
use super::recipient::Recipient;

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

    /// Messages that wait at present. Those that another worker has sent just now count when the actor's own worker has had
    /// a look at what came.
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
        self.address.waiting()
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
