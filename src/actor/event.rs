//! What happens in a system, for whoever wants to know.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError};

use super::deadline::Deadline;
use super::failure::{Failure, StopReason};
use super::letter::{DeadLetter, UnhandledMessage};
use super::path::ActorPath;
use crate::primitive::Mutex;
use crate::primitive::atomic::{AtomicU64, Ordering};

/// The most events that wait in a subscription, for which there is memory from the start.
const MOST_EVENTS: usize = 1 << 16;

/// An actor has started: its start hook has run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActorStarted {
    /// Which.
    pub path: ActorPath,
}

/// An actor has stopped, after its children, and after its stop hook has run. Told before its watchers are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActorStopped {
    /// Which.
    pub path: ActorPath,
    /// Why.
    pub reason: StopReason,
}

/// An actor was made anew in place of one that failed, or that asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActorRestarted {
    /// Which.
    pub path: ActorPath,
    /// What had failed; `None` when it asked for it.
    pub failure: Option<Failure>,
}

/// The events of a system, and counts of what reached nobody.
#[derive(Default)]
pub struct Events {
    /// Subscribers by the type of event: each a `Listeners<E>`.
    topics: Mutex<HashMap<TypeId, Box<dyn Any + Send>>>,
    dead_letters: AtomicU64,
    unhandled: AtomicU64,
}

struct Listener<E> {
    sender: Sender<E>,
    missed: Arc<AtomicU64>,
}

impl<E> Clone for Listener<E> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            missed: self.missed.clone(),
        }
    }
}

/// Who listens to one type of event. Replaced as a whole, so that it can be gone through without the lock.
type Listeners<E> = Arc<Vec<Listener<E>>>;

impl Events {
    /// Listens to events of type `E`: [`DeadLetter`], [`UnhandledMessage`], [`ActorStarted`], [`ActorStopped`],
    /// [`ActorRestarted`], or a type of the user's own. At most `capacity` (1 to 65,536) wait to be read; what comes on
    /// top is missed, and counted. Dropping the subscription ends it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use millstream::{ActorStarted, ActorSystem, Next, receive};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let started = system.events().subscribe::<ActorStarted>(16);
    /// system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// assert_eq!(started.next_deadline(Duration::from_secs(9)).unwrap().path.name(), "feed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe<E: Clone + Send + 'static>(&self, capacity: usize) -> EventSubscription<E> {
        let (sender, receiver) = crossbeam_channel::bounded(capacity.clamp(1, MOST_EVENTS));
        let missed = Arc::new(AtomicU64::new(0));
        let listener = Listener {
            sender,
            missed: missed.clone(),
        };
        if let Ok(mut topics) = self.topics.lock() {
            let topic = topics
                .entry(TypeId::of::<E>())
                .or_insert_with(|| Box::new(Listeners::<E>::default()));
            if let Some(listeners) = topic.downcast_mut::<Listeners<E>>() {
                Arc::make_mut(listeners).push(listener);
            }
        }
        EventSubscription { receiver, missed }
    }

    /// Tells all who listen to `E`. Never blocks.
    ///
    /// ```
    /// use millstream::ActorSystem;
    /// #[derive(Clone, Debug, PartialEq)]
    /// struct MarketClosed;
    /// let system = ActorSystem::builder("prices").build()?;
    /// let closes = system.events().subscribe::<MarketClosed>(4);
    /// system.events().publish(MarketClosed);
    /// assert_eq!(closes.try_next(), Some(MarketClosed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish<E: Clone + Send + 'static>(&self, event: E) {
        let Some(listeners) = self.listeners::<E>() else {
            return;
        };
        // Without the lock: the event is the user's, and may publish in its turn as it is cloned or dropped.
        let mut left = Vec::new();
        for listener in listeners.iter() {
            match listener.sender.try_send(event.clone()) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => {
                    listener.missed.fetch_add(1, Ordering::Relaxed);
                }
                Err(TrySendError::Disconnected(_)) => left.push(listener.missed.clone()),
            }
        }
        drop(listeners);
        if !left.is_empty() {
            self.forget::<E>(&left);
        }
    }

    fn listeners<E: Clone + Send + 'static>(&self) -> Option<Listeners<E>> {
        let topics = self.topics.lock().ok()?;
        topics
            .get(&TypeId::of::<E>())?
            .downcast_ref::<Listeners<E>>()
            .cloned()
    }

    /// Forgets listeners that have left, told by their counts.
    fn forget<E: Clone + Send + 'static>(&self, left: &[Arc<AtomicU64>]) {
        let Ok(mut topics) = self.topics.lock() else {
            return;
        };
        let topic = topics.get_mut(&TypeId::of::<E>());
        let Some(listeners) = topic.and_then(|topic| topic.downcast_mut::<Listeners<E>>()) else {
            return;
        };
        let stays = |listener: &&Listener<E>| !left.iter().any(|left| Arc::ptr_eq(left, &listener.missed));
        let stay: Vec<_> = listeners.iter().filter(stays).cloned().collect();
        // Dropped after the lock is, for the same reason: an event may have come as its subscriber left.
        let is_empty = stay.is_empty();
        let before = std::mem::replace(listeners, Arc::new(stay));
        let topic = is_empty.then(|| topics.remove(&TypeId::of::<E>()));
        drop(topics);
        drop((before, topic));
    }

    /// Messages so far that reached nobody: see [`DeadLetter`].
    ///
    /// ```
    /// let system = millstream::ActorSystem::builder("prices").build()?;
    /// assert_eq!(system.events().dead_letters(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn dead_letters(&self) -> u64 {
        self.dead_letters.load(Ordering::Relaxed)
    }

    /// Messages so far that actors gave back as unhandled: see [`UnhandledMessage`].
    ///
    /// ```
    /// let system = millstream::ActorSystem::builder("prices").build()?;
    /// assert_eq!(system.events().unhandled(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn unhandled(&self) -> u64 {
        self.unhandled.load(Ordering::Relaxed)
    }

    fn is_heard<E: 'static>(&self) -> bool {
        let topics = self.topics.lock();
        topics.is_ok_and(|topics| topics.contains_key(&TypeId::of::<E>()))
    }

    pub(super) fn dead_letter<M: Send + 'static>(&self, to: &ActorPath, message: M) {
        self.dead_letters.fetch_add(1, Ordering::Relaxed);
        if self.is_heard::<DeadLetter>() {
            self.publish(DeadLetter::new(to.clone(), message));
        }
    }

    pub(super) fn unhandled_message<M: Send + 'static>(&self, to: &ActorPath, message: M) {
        self.unhandled.fetch_add(1, Ordering::Relaxed);
        if self.is_heard::<UnhandledMessage>() {
            self.publish(UnhandledMessage::new(to.clone(), message));
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("dead_letters", &self.dead_letters())
            .field("unhandled", &self.unhandled())
            .finish_non_exhaustive()
    }
}

/// Events of one type, in the order in which they happened.
#[derive(Debug)]
pub struct EventSubscription<E> {
    receiver: Receiver<E>,
    missed: Arc<AtomicU64>,
}

impl<E> Drop for EventSubscription<E> {
    /// What waits goes now: the channel keeps it otherwise until the next event finds nobody here, and with it, say, a question
    /// whose asker is to hear that there will be no answer.
    fn drop(&mut self) {
        while self.receiver.try_recv().is_ok() {}
    }
}

impl<E> EventSubscription<E> {
    /// The next event, if there is one.
    ///
    /// ```
    /// let system = millstream::ActorSystem::builder("prices").build()?;
    /// let events = system.events().subscribe::<u8>(1);
    /// assert_eq!(events.try_next(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_next(&self) -> Option<E> {
        self.receiver.try_recv().ok()
    }

    /// The next event; waits for it. `None` when the deadline passed first, or the system is gone.
    ///
    /// ```
    /// use std::time::Duration;
    /// let system = millstream::ActorSystem::builder("prices").build()?;
    /// let events = system.events().subscribe::<u8>(1);
    /// system.events().publish(5u8);
    /// assert_eq!(events.next_deadline(Duration::from_secs(9)), Some(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_deadline(&self, deadline: impl Into<Deadline>) -> Option<E> {
        match deadline.into().instant() {
            Some(deadline) => self.receiver.recv_deadline(deadline).ok(),
            None => self.receiver.recv().ok(),
        }
    }

    /// How many events came while as many waited as there is room for.
    ///
    /// ```
    /// let system = millstream::ActorSystem::builder("prices").build()?;
    /// let events = system.events().subscribe::<u8>(1);
    /// system.events().publish(5u8);
    /// system.events().publish(6u8);
    /// assert_eq!(events.missed(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}
