//! One producer, many consumers, one copy of the data.
//!
//! The producer writes each element once; every consumer has a cursor and credit of its own. The producer's limit is the least
//! over the consumers that gate, which is read when the limit known to it is used up: a put costs what it costs with one
//! consumer.

mod forum;
mod lossy;
mod publisher;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod remote;
mod rendezvous;
mod sink;
mod subscribers;

use std::fmt;
use std::marker::PhantomData;

use super::buffer::Buffer;
use super::settings::{MOST_ELEMENTS, SinkSettings, sink_setters, usual_demand};
use super::sink::SinkRef;
use crate::ring::OnNoConsumer;
use forum::Forum;
pub use lossy::{Gap, LossyBuilder, LossySource, Received};
pub use publisher::Publisher;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use remote::LossySubscribeBuilder;
pub use rendezvous::{AsyncStream, RendezvousBuilder, Subscriber, rendezvous};
pub use subscribers::{JoinError, SubscriberBuilder, Subscribers};

/// How many consumers a broadcast admits unless its builder says otherwise.
const CONSUMERS: usize = 64;

/// Begins a broadcast of `T` within this process: one sink, and any number of sources up to a limit, each of which gets every
/// element that is put after it joined.
///
/// An element is written once and copied out by each consumer, so it is `Copy`; what is not can be shared by index or
/// reference, or [`tee`](crate::tee)d, which clones it. Consumers join and leave while the stream runs. The slowest
/// of them paces the producer.
///
/// ```
/// let (mut sink, subscribers) = millstream::broadcast::<u64>().build()?;
/// let readers: Vec<_> = (0..3)
///     .map(|_| subscribers.subscribe().open())
///     .map(|source| source.map(|source| std::thread::spawn(move || source.sum::<u64>())))
///     .collect::<Result<_, _>>()?;
/// for i in 1..=1000 {
///     sink.put(i)?;
/// }
/// sink.complete()?;
/// for reader in readers {
///     assert_eq!(reader.join().unwrap(), 500_500);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn broadcast<T: Copy + Send + Sync + 'static>() -> BroadcastBuilder<T> {
    BroadcastBuilder {
        sink: SinkSettings::default(),
        max_demand: None,
        history: None,
        consumers: CONSUMERS,
        absence: OnNoConsumer::default(),
        element: PhantomData,
    }
}

/// Settings of a broadcast; see [`broadcast`].
#[must_use]
pub struct BroadcastBuilder<T> {
    sink: SinkSettings,
    max_demand: Option<u64>,
    history: Option<u64>,
    consumers: usize,
    absence: OnNoConsumer,
    element: PhantomData<fn(T)>,
}

impl<T> fmt::Debug for BroadcastBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroadcastBuilder")
            .field("sink", &self.sink)
            .field("consumers", &self.consumers)
            .finish_non_exhaustive()
    }
}

impl<T: Copy + Send + Sync + 'static> BroadcastBuilder<T> {
    sink_setters!();

    /// The largest window that a consumer may ask for. Default: as many elements as a mebibyte holds, between 16 and 1,024.
    ///
    /// ```
    /// let (_sink, subscribers) = millstream::broadcast::<u64>().max_demand(8).build()?;
    /// assert!(subscribers.subscribe().initial_demand(9).open().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_demand(mut self, elements: u64) -> Self {
        self.max_demand = Some(elements);
        self
    }

    /// Elements that the ring goes on holding after every consumer has released them, for those who join at
    /// [`Oldest`](crate::JoinPosition::Oldest) and for [lossy](SubscriberBuilder::lossy) consumers, which may lag so far behind. Default: as
    /// many as the buffer and the largest window together.
    ///
    /// ```
    /// use millstream::{JoinPosition, OnNoConsumer};
    /// let (mut sink, subscribers) =
    ///     millstream::broadcast::<u64>().history(100).on_no_consumer(OnNoConsumer::Drop).build()?;
    /// for i in 0..100_000 {
    ///     sink.put(i)?;
    /// }
    /// let late = subscribers.subscribe().from(JoinPosition::Oldest).open()?;
    /// assert!(late.position() <= 100_000 - 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn history(mut self, elements: u64) -> Self {
        self.history = Some(elements);
        self
    }

    /// The most consumers at a time. Default 64.
    ///
    /// ```
    /// use millstream::JoinError;
    /// let (_sink, subscribers) = millstream::broadcast::<u64>().consumers(1).build()?;
    /// let first = subscribers.subscribe().open()?;
    /// assert_eq!(subscribers.subscribe().open().err(), Some(JoinError::Full { most: 1 }));
    /// drop(first);
    /// assert!(subscribers.subscribe().open().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consumers(mut self, most: usize) -> Self {
        self.consumers = most;
        self
    }

    /// What happens while nobody is subscribed. Default: the producer waits.
    ///
    /// ```
    /// use millstream::OnNoConsumer;
    /// let (mut sink, _subscribers) = millstream::broadcast::<u64>().build()?;
    /// assert!(sink.try_put(1).is_err());
    /// let (mut sink, _subscribers) =
    ///     millstream::broadcast::<u64>().on_no_consumer(OnNoConsumer::Drop).build()?;
    /// assert!(sink.try_put(1).is_ok());
    /// # Ok::<(), millstream::BroadcastError>(())
    /// ```
    pub fn on_no_consumer(mut self, absence: OnNoConsumer) -> Self {
        self.absence = absence;
        self
    }

    /// Makes the broadcast.
    ///
    /// # Errors
    /// See [`BroadcastError`].
    ///
    /// ```
    /// let (sink, subscribers) = millstream::broadcast::<u64>().build()?;
    /// # drop((sink, subscribers));
    /// # Ok::<(), millstream::BroadcastError>(())
    /// ```
    pub fn build(self) -> Result<(SinkRef<T>, Subscribers<T>), BroadcastError> {
        let max_demand = self.max_demand.unwrap_or_else(|| usual_demand(size_of::<T>()));
        let extent = Extent::of(&self.sink, max_demand, self.history, self.consumers, self.absence)?;
        Forum::open(&self.sink, extent, self.consumers, self.absence).ok_or(BroadcastError::NoMemory {
            elements: extent.slots,
            element: size_of::<T>(),
        })
    }
}

/// Elements that the ring goes on holding behind those that the producer may be ahead by, where `asked` was said or nothing was.
pub(super) fn history_for(asked: Option<u64>, span: u64, absence: OnNoConsumer) -> u64 {
    // The newest element is to be there when the producer has begun with the next.
    let least = u64::from(absence == OnNoConsumer::KeepLatest);
    asked.unwrap_or(span).max(least)
}

/// How large the ring of a broadcast is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// Elements that the producer may be ahead of a consumer that gates.
    pub(super) span: u64,
    /// Elements that the ring holds.
    pub(super) slots: u64,
    pub(super) max_demand: u64,
}

impl Extent {
    pub(super) fn of(
        sink: &SinkSettings,
        max_demand: u64,
        history: Option<u64>,
        consumers: usize,
        absence: OnNoConsumer,
    ) -> Result<Self, BroadcastError> {
        if consumers == 0 {
            return Err(BroadcastError::NoConsumers);
        }
        if max_demand == 0 {
            return Err(BroadcastError::ZeroDemand);
        }
        if sink.buffer == Buffer::Unbounded {
            return Err(BroadcastError::Unbounded);
        }
        let span = sink.buffer.bound().saturating_add(max_demand);
        let slots = span.saturating_add(history_for(history, span, absence));
        if slots > MOST_ELEMENTS || usize::try_from(slots).is_err() {
            return Err(BroadcastError::TooLarge {
                elements: slots,
                most: MOST_ELEMENTS,
            });
        }
        Ok(Self {
            span,
            slots,
            max_demand,
        })
    }
}

/// Why a broadcast could not be made.
///
/// ```
/// use millstream::BroadcastError;
/// assert_eq!(millstream::broadcast::<u8>().consumers(0).build().err(), Some(BroadcastError::NoConsumers));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// Nobody could ever subscribe.
    #[error("a broadcast for 0 consumers was asked for; say at least `consumers(1)`")]
    NoConsumers,
    /// Nothing would ever flow.
    #[error("a max_demand of 0 lets nothing flow; give at least 1")]
    ZeroDemand,
    /// An unbounded buffer.
    #[error(
        "a buffer size of 0 is unbounded, which a broadcast cannot be; give a size, or say `Buffer::Rendezvous` to put only what every consumer asked for"
    )]
    Unbounded,
    /// More elements than a ring holds.
    #[error(
        "a ring of {elements} elements was asked for, where {most} is the most; lower buffer_size, max_demand or history"
    )]
    TooLarge {
        /// Elements asked for: buffer size, largest window and history.
        elements: u64,
        /// The most.
        most: u64,
    },
    /// The allocation failed.
    #[error(
        "no memory for a ring of {elements} elements of {element} bytes; lower buffer_size, max_demand or history"
    )]
    NoMemory {
        /// Elements asked for.
        elements: u64,
        /// Bytes of each.
        element: usize,
    },
}
