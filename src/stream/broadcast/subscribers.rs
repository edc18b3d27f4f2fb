//! How consumers join a broadcast within one process.

use std::fmt;
use std::time::Duration;

use super::forum::{Forum, Part};
use super::lossy::LossyBuilder;
use crate::primitive::Arc;
use crate::ring::shape::Fixed;
use crate::ring::{Consumer, JoinPosition, NotHeld, Refused};
use crate::stream::endpoint::Joined;
use crate::stream::settings::{SourceSettings, source_setters};
use crate::stream::source::SourceRef;

/// The way to subscribe to a [`broadcast`](crate::broadcast): from any thread, at any time, also after its end.
///
/// ```
/// let (mut sink, subscribers) = millstream::broadcast::<u64>().build()?;
/// let mut source = subscribers.subscribe().open()?;
/// sink.put(7)?;
/// assert_eq!(source.next(), Some(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Subscribers<T> {
    forum: Arc<Forum<T>>,
    max_demand: u64,
}

impl<T> Clone for Subscribers<T> {
    fn clone(&self) -> Self {
        Self {
            forum: Arc::clone(&self.forum),
            max_demand: self.max_demand,
        }
    }
}

impl<T: Copy + Send + Sync + 'static> fmt::Debug for Subscribers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribers")
            .field("consumers", &self.consumers())
            .finish_non_exhaustive()
    }
}

impl<T: Copy + Send + Sync + 'static> Subscribers<T> {
    pub(super) fn new(forum: Arc<Forum<T>>, max_demand: u64) -> Self {
        Self { forum, max_demand }
    }

    #[cfg(all(test, not(millstream_loom)))]
    pub(super) fn forum(&self) -> &Forum<T> {
        &self.forum
    }

    /// Begins a subscription. Nothing happens before it is [opened](SubscriberBuilder::open).
    ///
    /// ```
    /// let (_sink, subscribers) = millstream::broadcast::<u64>().build()?;
    /// let source = subscribers.subscribe().initial_demand(4).open()?;
    /// assert_eq!(source.granted(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe(&self) -> SubscriberBuilder<T> {
        let usual = SourceSettings::default();
        SubscriberBuilder {
            source: SourceSettings {
                window: usual.window.min(self.max_demand),
                ..usual
            },
            from: JoinPosition::Live,
            subscribers: self.clone(),
        }
    }

    /// Consumers at present.
    ///
    /// ```
    /// let (_sink, subscribers) = millstream::broadcast::<u64>().build()?;
    /// let source = subscribers.subscribe().open()?;
    /// assert_eq!(subscribers.consumers(), 1);
    /// # drop(source);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn consumers(&self) -> usize {
        self.forum.lobby().seated()
    }
}

/// Settings of a subscription to a broadcast; see [`Subscribers::subscribe`].
#[must_use]
pub struct SubscriberBuilder<T> {
    pub(super) source: SourceSettings,
    from: JoinPosition,
    subscribers: Subscribers<T>,
}

impl<T> fmt::Debug for SubscriberBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriberBuilder")
            .field("source", &self.source)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl<T: Copy + Send + Sync + 'static> SubscriberBuilder<T> {
    source_setters!();

    /// Where to begin. Default: live.
    ///
    /// ```
    /// use millstream::{JoinError, JoinPosition};
    /// let (_sink, subscribers) = millstream::broadcast::<u64>().build()?;
    /// let ahead = subscribers.subscribe().from(JoinPosition::At(7)).open();
    /// assert_eq!(ahead.err(), Some(JoinError::NotHeld { asked: 7, oldest: 0, newest: 0 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from(mut self, position: JoinPosition) -> Self {
        self.from = position;
        self
    }

    /// Joins. From here on the producer waits for this consumer: for it to ask, and to take.
    ///
    /// # Errors
    /// See [`JoinError`].
    ///
    /// ```
    /// let (mut sink, subscribers) = millstream::broadcast::<u64>().build()?;
    /// sink.complete()?;
    /// let mut late = subscribers.subscribe().open()?;
    /// assert_eq!(late.next(), None);
    /// assert_eq!(late.end(), Some(millstream::End::Completed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(self) -> Result<SourceRef<T>, JoinError> {
        let (history, start, endpoint) = self.join(true, None)?;
        // SAFETY: the place is that of the start, in the ring that the endpoint keeps; of the elements, which are `Copy`,
        // every consumer takes a copy.
        let ring = unsafe { Consumer::new(Fixed::new(), history.place(start), start) };
        // SAFETY: made for each other.
        Ok(unsafe { SourceRef::new((ring, endpoint), None, None, None) })
    }

    /// Takes part without holding the producer up: what this consumer does not take in time is overwritten, and it is told
    /// which elements those were. It may lag as far as the broadcast's [`history`](crate::BroadcastBuilder::history).
    ///
    /// A slow consumer that is to have the latest of each key, and lose nothing else, is a source as any other behind
    /// [`conflate`](crate::conflate()).
    ///
    /// ```
    /// use millstream::{Gap, Received};
    /// let (mut sink, subscribers) = millstream::broadcast::<u64>().history(64).build()?;
    /// let mut slow = subscribers.subscribe().lossy().open()?;
    /// for i in 0..100_000 {
    ///     sink.put(i)?;
    /// }
    /// let Some(Received::Gap(Gap { from: 0, count })) = slow.next() else { panic!() };
    /// assert_eq!(slow.next(), Some(Received::Element(count)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lossy(self) -> LossyBuilder<T> {
        LossyBuilder::new(self, None)
    }

    /// Has the producer wait for this consumer no longer than `patience` at a time: then it goes on without it, and the
    /// stream ends here as [`End::Evicted`](crate::End::Evicted): after what it was in time to take, and, if it was overtaken meanwhile,
    /// one gap from there up to where the producer is when this consumer looks.
    ///
    /// ```
    /// use std::time::Duration;
    /// let (mut sink, subscribers) = millstream::broadcast::<u64>().build()?;
    /// let mut stuck = subscribers.subscribe().evict_after(Duration::from_millis(1)).open()?;
    /// let other = subscribers.subscribe().open()?;
    /// let reader = std::thread::spawn(move || other.count());
    /// for i in 0..10_000 {
    ///     sink.put(i)?;
    /// }
    /// sink.complete()?;
    /// assert_eq!(reader.join().unwrap(), 10_000);
    /// while stuck.next().is_some() {}
    /// assert_eq!(stuck.end(), Some(millstream::End::Evicted));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evict_after(self, patience: Duration) -> LossyBuilder<T> {
        LossyBuilder::new(self, Some(patience))
    }

    /// What the ring holds, where to start, and the endpoint, which keeps both.
    pub(super) fn join(
        &self,
        gates: bool,
        evict_after: Option<Duration>,
    ) -> Result<Joined<Fixed<T>>, JoinError> {
        let max = self.subscribers.max_demand;
        let asked = self.source.window;
        if asked == 0 {
            return Err(JoinError::ZeroDemand);
        }
        if asked > max {
            return Err(JoinError::DemandTooLarge { asked, max });
        }
        let forum = &self.subscribers.forum;
        let refused = |refused| match (refused, self.from) {
            (Refused::Position(NotHeld { oldest, newest }), JoinPosition::At(asked)) => JoinError::NotHeld {
                asked,
                oldest,
                newest,
            },
            _ => JoinError::Full {
                most: forum.lobby().most(),
            },
        };
        let history = forum.history().ok_or(Refused::Other(())).map_err(refused)?;
        let part = Part {
            from: self.from,
            gates,
            evict_after,
        };
        let (start, endpoint) = Forum::join(forum, &history, part, &self.source).map_err(refused)?;
        Ok((history, start, endpoint))
    }
}

/// Why a broadcast could not be joined.
///
/// ```
/// use millstream::JoinError;
/// let (_sink, subscribers) = millstream::broadcast::<u64>().build()?;
/// assert_eq!(subscribers.subscribe().initial_demand(0).open().err(), Some(JoinError::ZeroDemand));
/// # Ok::<(), millstream::BroadcastError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// There are as many consumers as the broadcast admits.
    #[error("all {most} places are taken; drop a source, or build the broadcast with more `consumers`")]
    Full {
        /// The most at a time.
        most: usize,
    },
    /// The ring does not hold that position any more, or not yet.
    #[error(
        "position {asked} is not held, only {oldest} to {newest}; join at one of those, or build the broadcast with more `history`"
    )]
    NotHeld {
        /// Position asked for.
        asked: u64,
        /// The oldest that is held.
        oldest: u64,
        /// That of the next element.
        newest: u64,
    },
    /// Nothing would ever flow.
    #[error(
        "an initial demand of 0 lets nothing flow; ask for at least 1, or by hand with `manual_demand()`"
    )]
    ZeroDemand,
    /// The window is larger than the ring was made for.
    #[error(
        "a window of {asked} elements was asked for, where {max} is the most; build the broadcast with more `max_demand`"
    )]
    DemandTooLarge {
        /// Elements asked for.
        asked: u64,
        /// The most.
        max: u64,
    },
}
