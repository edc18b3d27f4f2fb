//! `Recipient`: an actor of which only one kind of message is known.

use std::fmt;
use std::sync::Arc;

use super::address::AnyAddress;
use super::path::ActorPath;
use super::reference::ActorRef;

/// Sends messages of type `N` to an actor, whatever other messages it takes: see [`ActorRef::recipient`].
pub struct Recipient<N>(pub(super) Arc<dyn Tell<N>>);

pub(super) trait Tell<N>: Send + Sync {
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
