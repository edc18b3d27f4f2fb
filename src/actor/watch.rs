//! Who wants to know when an actor stops.

use std::sync::Arc;

use super::address::AnyAddress;
use super::body::Watched;
use super::context::Context;
use super::failure::StopReason;
use super::messages::Signal;
use super::path::ActorPath;
use super::recipient::Recipient;
use super::reference::ActorRef;
use super::system_core;

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

impl<M: Send + 'static> Context<'_, M> {
    /// Asks to be told when `actor` stops; at once if it has stopped already. Once for each call.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, Terminated, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let feed = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// system.spawn("watcher", move || {
    ///     let feed = feed.clone();
    ///     setup(move |context| {
    ///         context.watch(&feed);
    ///         receive(|_, end: Terminated| {
    ///             println!("{}: {}", end.path, end.reason);
    ///             Next::Same
    ///         })
    ///     })
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn watch<N: Send + 'static>(&mut self, actor: &ActorRef<N>) -> WatchId
    where
        M: From<Terminated>,
    {
        self.watch_with(actor, M::from)
    }

    /// As [`watch`](Self::watch), with a message made by `make`.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let feed = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// system.spawn("watcher", move || {
    ///     let feed = feed.clone();
    ///     setup(move |context| {
    ///         context.watch_with(&feed, |end| format!("{} is gone", end.path));
    ///         receive(|_, _: String| Next::Same)
    ///     })
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn watch_with<N: Send + 'static>(
        &mut self,
        actor: &ActorRef<N>,
        make: impl FnOnce(Terminated) -> M + 'static,
    ) -> WatchId {
        self.watch_any(actor.any(), make)
    }

    /// As [`watch_with`](Self::watch_with), for a recipient.
    pub(crate) fn watch_recipient<N: 'static>(
        &mut self,
        actor: &Recipient<N>,
        make: impl FnOnce(Terminated) -> M + 'static,
    ) -> WatchId {
        self.watch_any(actor.any(), make)
    }

    fn watch_any(
        &mut self,
        target: Arc<dyn AnyAddress>,
        make: impl FnOnce(Terminated) -> M + 'static,
    ) -> WatchId {
        // Of the whole system, for it tells one watcher's watches from another's at the target.
        let watch = system_core::number();
        let me = self.body.me.clone();
        let id = WatchId {
            watch,
            target: target.id(),
        };
        let make = Box::new(make);
        let watched = Watched {
            target: target.clone(),
            make,
        };
        self.body.watches.insert(watch, watched);
        target.watch(
            watch,
            Box::new(move |terminated| {
                if !me.is_stopped() {
                    me.address.signal(Signal::Terminated(watch, terminated));
                }
            }),
        );
        id
    }

    /// Gives a watch up: it says nothing any more, also if the actor has stopped meanwhile.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, Terminated, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let feed = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// system.spawn("watcher", move || {
    ///     let feed = feed.clone();
    ///     setup(move |context| {
    ///         let watch = context.watch(&feed);
    ///         context.unwatch(watch);
    ///         receive(|_, _: Terminated| Next::Same)
    ///     })
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unwatch(&mut self, watch: WatchId) {
        if let Some(watched) = self.body.watches.remove(&watch.watch) {
            watched.target.unwatch(watch.watch);
        }
    }
}
