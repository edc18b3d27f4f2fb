//! Watching what an actor handles.

use std::any::{Any, type_name};
use std::fmt;
use std::time::Instant;

use super::path::ActorPath;
use super::recipient::Recipient;
use crate::primitive::time::now;

/// An actor has handled a message. None is sent for a message at which it failed.
pub struct SpyEvent {
    path: ActorPath,
    at: Instant,
    message_type: &'static str,
    message: Option<Box<dyn Any + Send>>,
}

impl SpyEvent {
    /// Which actor.
    ///
    /// ```
    /// use millstream::{ActorSystem, Next, SpawnOptions, SpyEvent, receive};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let (told, heard) = std::sync::mpsc::channel();
    /// let observer = system.spawn("observer", move || {
    ///     let told = told.clone();
    ///     receive(move |_, event: SpyEvent| {
    ///         told.send((event.path().to_string(), event.message_type(), event.message::<u32>().copied())).unwrap();
    ///         Next::Same
    ///     })
    /// })?;
    /// let options = SpawnOptions::new().spy((&observer).into());
    /// let actor = system.spawn_with("feed", || receive(|_, _: u32| Next::Same), options)?;
    /// actor.tell(7u32);
    /// assert_eq!(heard.recv()?, ("/feed".to_string(), "u32", Some(7)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn path(&self) -> &ActorPath {
        &self.path
    }

    /// When it had handled it.
    ///
    /// ```no_run
    /// # fn show(event: millstream::SpyEvent) {
    /// println!("{:?} ago", event.at().elapsed());
    /// # }
    /// ```
    #[must_use]
    pub fn at(&self) -> Instant {
        self.at
    }

    /// The name of the message's type.
    ///
    /// ```no_run
    /// # fn show(event: millstream::SpyEvent) {
    /// println!("{}", event.message_type());
    /// # }
    /// ```
    #[must_use]
    pub fn message_type(&self) -> &'static str {
        self.message_type
    }

    /// The message, if it is an `M`; never for children that are spied upon along with their parent.
    ///
    /// ```no_run
    /// # fn show(event: millstream::SpyEvent) {
    /// if let Some(price) = event.message::<f64>() {
    ///     println!("{price}");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn message<M: 'static>(&self) -> Option<&M> {
        self.message.as_ref()?.downcast_ref()
    }
}

impl fmt::Debug for SpyEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpyEvent")
            .field("path", &self.path)
            .field("at", &self.at)
            .field("message_type", &self.message_type)
            .finish_non_exhaustive()
    }
}

type Copied<M> = fn(&M) -> Box<dyn Any + Send>;

/// How an actor's messages are shown to an observer.
pub(super) struct Spy<M> {
    pub(super) observer: Recipient<SpyEvent>,
    /// Copies a message; `None` where it cannot be.
    pub(super) copy: Option<Copied<M>>,
}

impl<M: 'static> Spy<M> {
    pub(super) fn copy(&self, message: &M) -> Option<Box<dyn Any + Send>> {
        self.copy.map(|copy| copy(message))
    }

    pub(super) fn tell(&self, path: &ActorPath, message: Option<Box<dyn Any + Send>>) {
        self.observer.tell(SpyEvent {
            path: path.clone(),
            at: now(),
            message_type: type_name::<M>(),
            message,
        });
    }
}
