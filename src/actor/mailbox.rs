//! Mailboxes: what waits for an actor.

use crossbeam_queue::{ArrayQueue, SegQueue};

use crate::primitive::atomic::{AtomicU64, Ordering};

/// The most messages that a bounded mailbox holds; its memory is reserved when it is made.
pub(super) const MOST_MESSAGES: usize = 1 << 24;

/// What a full mailbox does with one message more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// Drops the one that comes.
    DropNew,
    /// Drops the one that has waited longest.
    DropOldest,
    /// Refuses the one that comes: [`try_tell`](crate::ActorRef::try_tell) gives it back, [`tell`](crate::ActorRef::tell)
    /// makes it a dead letter.
    Reject,
}

/// How many messages may wait for an actor.
///
/// ```
/// use millstream::{ActorSystem, Mailbox, Next, Overflow, SpawnOptions, receive};
/// let system = ActorSystem::builder("prices").build()?;
/// let options = SpawnOptions::new().mailbox(Mailbox::bounded(16, Overflow::DropOldest));
/// let actor = system.spawn_with("feed", || receive(|_, _: u32| Next::Same), options)?;
/// assert_eq!(actor.dropped(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mailbox(pub(super) Option<(usize, Overflow)>);

impl Mailbox {
    /// Any number, as long as there is memory. What actors have that are not told otherwise.
    ///
    /// ```
    /// assert_eq!(millstream::Mailbox::unbounded(), millstream::Mailbox::default());
    /// ```
    #[must_use]
    pub const fn unbounded() -> Self {
        Self(None)
    }

    /// At most `capacity` messages, 1 to 2^24, and what becomes of one more. Each one dropped is counted
    /// ([`ActorRef::dropped`](crate::ActorRef::dropped)).
    ///
    /// What an actor gets besides messages of others (its timers, the results of its tasks, `Terminated`, readiness) does
    /// not pass the mailbox and is never dropped.
    ///
    /// ```
    /// use millstream::{Mailbox, Overflow};
    /// assert_ne!(Mailbox::bounded(1, Overflow::Reject), Mailbox::unbounded());
    /// ```
    #[must_use]
    pub const fn bounded(capacity: usize, overflow: Overflow) -> Self {
        Self(Some((capacity, overflow)))
    }
}

/// Messages that wait, by whoever sends them, for one actor.
#[derive(Debug)]
pub(super) struct Queue<M> {
    kind: Kind<M>,
    dropped: AtomicU64,
}

#[derive(Debug)]
enum Kind<M> {
    Unbounded(SegQueue<M>),
    Bounded(ArrayQueue<M>, Overflow),
}

/// What became of a message that was put into a queue.
#[derive(Debug)]
pub(super) enum Queued<M> {
    /// It waits.
    Waits,
    /// It was dropped, or another one for it.
    Dropped(M),
    /// It was refused.
    Refused(M),
}

impl<M> Queue<M> {
    /// The capacity is within 1 and `MOST_MESSAGES`.
    pub(super) fn new(mailbox: Mailbox) -> Self {
        Self {
            kind: match mailbox.0 {
                None => Kind::Unbounded(SegQueue::new()),
                Some((capacity, overflow)) => Kind::Bounded(ArrayQueue::new(capacity), overflow),
            },
            dropped: AtomicU64::new(0),
        }
    }

    /// Whether it takes any number, so that nothing more needs to be known of a message than that it comes.
    pub(super) fn is_unbounded(&self) -> bool {
        matches!(self.kind, Kind::Unbounded(_))
    }

    pub(super) fn push(&self, message: M) -> Queued<M> {
        match &self.kind {
            Kind::Unbounded(queue) => {
                queue.push(message);
                Queued::Waits
            }
            Kind::Bounded(queue, Overflow::DropOldest) => match queue.force_push(message) {
                None => Queued::Waits,
                Some(oldest) => self.drop_one(oldest),
            },
            Kind::Bounded(queue, overflow) => match (queue.push(message), overflow) {
                (Ok(()), _) => Queued::Waits,
                (Err(message), Overflow::Reject) => Queued::Refused(message),
                (Err(message), _) => self.drop_one(message),
            },
        }
    }

    fn drop_one(&self, message: M) -> Queued<M> {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        Queued::Dropped(message)
    }

    pub(super) fn pop(&self) -> Option<M> {
        match &self.kind {
            Kind::Unbounded(queue) => queue.pop(),
            Kind::Bounded(queue, _) => queue.pop(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match &self.kind {
            Kind::Unbounded(queue) => queue.is_empty(),
            Kind::Bounded(queue, _) => queue.is_empty(),
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.kind {
            Kind::Unbounded(queue) => queue.len(),
            Kind::Bounded(queue, _) => queue.len(),
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
