//! Who wants to know when an actor stops.

use super::failure::StopReason;
use super::path::ActorPath;
use super::reference::ActorRef;

/// An actor has stopped, and its name is free again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terminated {
    /// Which.
    pub path: ActorPath,
    /// Why.
    pub reason: StopReason,
    pub(super) id: u64,
}

impl Terminated {
    /// Whether it is this actor that stopped: not another one that had, or has, its name.
    ///
    /// ```
    /// use millstream::{ActorSystem, Next, Terminated, receive, setup};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let feed = system.spawn("feed", || receive(|_, _: u32| Next::Stop))?;
    /// let (told, heard) = std::sync::mpsc::channel();
    /// let watched = feed.clone();
    /// system.spawn("watcher", move || {
    ///     let (told, watched) = (told.clone(), watched.clone());
    ///     setup(move |context| {
    ///         context.watch(&watched);
    ///         receive(move |_, end: Terminated| {
    ///             told.send(end.is(&watched)).unwrap();
    ///             Next::Stop
    ///         })
    ///     })
    /// })?;
    /// feed.tell(1u32);
    /// assert!(heard.recv()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is<M: Send + 'static>(&self, actor: &ActorRef<M>) -> bool {
        self.id == actor.id()
    }
}

/// A watch, to be given up by [`Context::unwatch`](crate::Context::unwatch).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WatchId {
    pub(super) watch: u64,
    pub(super) target: u64,
}
