//! streamx: a broadcast without a buffer, in which nobody gets ahead of anybody by more than one element.

#![forbid(unsafe_code)]

use std::fmt;
use std::iter::FusedIterator;
use std::time::{Duration, Instant};

use super::lossy::{self, LossySource, Received};
use super::publisher::Publisher;
use super::subscribers::{JoinError, SubscriberBuilder, Subscribers};
use super::{BroadcastBuilder, BroadcastError, broadcast};
use crate::ring::{JoinPosition, OnNoConsumer};
use crate::stream::buffer::Buffer;
use crate::stream::end::End;
use crate::stream::error::TimedOut;
use crate::stream::source::TryNext;
use crate::wait::WaitStrategy;

/// Begins a stream in the manner of streamx: [`put`](Publisher::put) waits until every registered consumer waits for the next
/// value, hands it to all of them, and returns, before they process it.
///
/// ```
/// let (mut publisher, stream) = millstream::rendezvous::<u64>().build()?;
/// let consumers: Vec<_> = (0..2)
///     .map(|_| stream.subscribe())
///     .map(|consumer| consumer.map(|consumer| std::thread::spawn(move || consumer.count())))
///     .collect::<Result<_, _>>()?;
/// for i in 0..100 {
///     assert_eq!(publisher.put(i)?, 2);
/// }
/// publisher.close()?;
/// for consumer in consumers {
///     assert_eq!(consumer.join().unwrap(), 100);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn rendezvous<T: Copy + Send + Sync + 'static>() -> RendezvousBuilder<T> {
    RendezvousBuilder {
        broadcast: broadcast()
            .buffer_size(Buffer::Rendezvous)
            .max_demand(1)
            .complete_on_drop(),
        source_wait: WaitStrategy::default(),
        idle: None,
        evict_after: None,
    }
}

/// Settings of a stream without a buffer; see [`rendezvous`].
#[derive(Debug)]
#[must_use]
pub struct RendezvousBuilder<T> {
    broadcast: BroadcastBuilder<T>,
    source_wait: WaitStrategy,
    idle: Option<Duration>,
    evict_after: Option<Duration>,
}

impl<T: Copy + Send + Sync + 'static> RendezvousBuilder<T> {
    /// The most consumers at a time. Default 64.
    ///
    /// ```
    /// let (_publisher, stream) = millstream::rendezvous::<u64>().consumers(1).build()?;
    /// let _first = stream.subscribe()?;
    /// assert!(stream.subscribe().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consumers(mut self, most: usize) -> Self {
        self.broadcast = self.broadcast.consumers(most);
        self
    }

    /// What a put does while nobody is registered. Default: it waits.
    ///
    /// ```
    /// use millstream::OnNoConsumer;
    /// let (mut publisher, stream) =
    ///     millstream::rendezvous::<u64>().on_no_consumer(OnNoConsumer::KeepLatest).build()?;
    /// assert_eq!(publisher.put(1)?, 0);
    /// assert_eq!(publisher.put(2)?, 0);
    /// assert_eq!(stream.subscribe()?.next(), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_no_consumer(mut self, absence: OnNoConsumer) -> Self {
        self.broadcast = self.broadcast.on_no_consumer(absence);
        self
    }

    /// How the publisher waits for its consumers.
    ///
    /// ```
    /// use millstream::WaitStrategy;
    /// let ends = millstream::rendezvous::<u64>().put_wait(WaitStrategy::park()).build()?;
    /// # drop(ends);
    /// # Ok::<(), millstream::BroadcastError>(())
    /// ```
    pub fn put_wait(mut self, strategy: WaitStrategy) -> Self {
        self.broadcast = self.broadcast.sink_wait(strategy);
        self
    }

    /// How consumers wait for the next value.
    ///
    /// ```
    /// use millstream::WaitStrategy;
    /// let ends = millstream::rendezvous::<u64>().next_wait(WaitStrategy::park()).build()?;
    /// # drop(ends);
    /// # Ok::<(), millstream::BroadcastError>(())
    /// ```
    pub fn next_wait(mut self, strategy: WaitStrategy) -> Self {
        self.source_wait = strategy;
        self
    }

    /// How long a consumer waits for a value before its stream ends. Default: for ever.
    ///
    /// ```
    /// use std::time::Duration;
    /// let (_publisher, stream) =
    ///     millstream::rendezvous::<u64>().idle_timeout(Duration::from_millis(1)).build()?;
    /// let mut consumer = stream.subscribe()?;
    /// assert_eq!(consumer.next(), None);
    /// assert_eq!(consumer.end(), Some(millstream::End::IdleTimeout));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle = Some(timeout);
        self
    }

    /// Has the publisher wait for a consumer no longer than this at a time, and then go on without it. Default: as long as it
    /// is there.
    ///
    /// ```
    /// use std::time::Duration;
    /// let (mut publisher, stream) =
    ///     millstream::rendezvous::<u64>().evict_after(Duration::from_millis(1)).build()?;
    /// let mut sleepy = stream.subscribe()?;
    /// let awake = stream.subscribe()?;
    /// let reader = std::thread::spawn(move || awake.take(1).count());
    /// assert_eq!(publisher.put(7)?, 1);
    /// assert_eq!(reader.join().unwrap(), 1);
    /// assert_eq!(sleepy.next(), None);
    /// assert_eq!(sleepy.end(), Some(millstream::End::Evicted));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evict_after(mut self, patience: Duration) -> Self {
        self.evict_after = Some(patience);
        self
    }

    /// Makes the stream.
    ///
    /// # Errors
    /// See [`BroadcastError`].
    ///
    /// ```
    /// let (publisher, stream) = millstream::rendezvous::<u64>().build()?;
    /// # drop((publisher, stream));
    /// # Ok::<(), millstream::BroadcastError>(())
    /// ```
    pub fn build(self) -> Result<(Publisher<T>, AsyncStream<T>), BroadcastError> {
        let (sink, subscribers) = self.broadcast.build()?;
        let stream = AsyncStream {
            subscribers,
            source_wait: self.source_wait,
            idle: self.idle,
            evict_after: self.evict_after,
        };
        Ok((Publisher::new(sink), stream))
    }
}

/// The consumers' side of a [`rendezvous`]: where they register.
///
/// ```
/// let (mut publisher, stream) = millstream::rendezvous::<u64>().build()?;
/// let reader = std::thread::spawn({
///     let stream = stream.clone();
///     move || (&stream).into_iter().sum::<u64>()
/// });
/// while stream.consumers() == 0 {
///     std::thread::yield_now();
/// }
/// publisher.put(3)?;
/// publisher.put(4)?;
/// publisher.close()?;
/// assert_eq!(reader.join().unwrap(), 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AsyncStream<T> {
    subscribers: Subscribers<T>,
    source_wait: WaitStrategy,
    idle: Option<Duration>,
    evict_after: Option<Duration>,
}

impl<T> Clone for AsyncStream<T> {
    fn clone(&self) -> Self {
        Self {
            subscribers: self.subscribers.clone(),
            ..*self
        }
    }
}

impl<T: Copy + Send + Sync + 'static> fmt::Debug for AsyncStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncStream")
            .field("consumers", &self.consumers())
            .finish_non_exhaustive()
    }
}

impl<T: Copy + Send + Sync + 'static> AsyncStream<T> {
    /// Registers a consumer: from here on the publisher waits for it, whether or not it has asked for a value yet. It gets
    /// what is put from now on; of a stream that was closed, its end.
    ///
    /// # Errors
    /// `Full` when there are as many consumers as the stream admits.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// let (mut publisher, stream) = millstream::rendezvous::<u64>().build()?;
    /// let registered = stream.subscribe()?;
    /// assert!(publisher.put_deadline(1, Instant::now() + Duration::from_millis(1)).is_err());
    /// drop(registered);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe(&self) -> Result<Subscriber<T>, JoinError> {
        let builder = self
            .subscribers
            .subscribe()
            .manual_demand()
            .source_wait(self.source_wait);
        let builder: SubscriberBuilder<T> = builder.idle_timeout(self.idle).from(JoinPosition::Live);
        Ok(Subscriber::new(lossy::join(&builder, true, self.evict_after)?))
    }

    /// Consumers that are registered.
    ///
    /// ```
    /// let (_publisher, stream) = millstream::rendezvous::<u64>().build()?;
    /// let consumer = stream.subscribe()?;
    /// assert_eq!(stream.consumers(), 1);
    /// # drop(consumer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn consumers(&self) -> usize {
        self.subscribers.consumers()
    }
}

/// Registers a consumer, as `async for` does in streamx. Where there is no place for one it ends at once.
impl<T: Copy + Send + Sync + 'static> IntoIterator for &AsyncStream<T> {
    type Item = T;
    type IntoIter = std::iter::Flatten<std::option::IntoIter<Subscriber<T>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.subscribe().ok().into_iter().flatten()
    }
}

/// A consumer of a [`rendezvous`]: it asks for a value when it waits for one, and for no other while it works on that.
///
/// Dropping it, also by a panic, lets the publisher go on without it.
///
/// ```
/// let (mut publisher, stream) = millstream::rendezvous::<u64>().build()?;
/// let mut consumer = stream.subscribe()?;
/// let publisher = std::thread::spawn(move || publisher.put(5));
/// assert_eq!(consumer.next(), Some(5));
/// assert_eq!(publisher.join().unwrap()?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Subscriber<T> {
    source: LossySource<T>,
    /// Whether an element was asked for and has not come.
    asked: bool,
}

impl<T: Copy> Subscriber<T> {
    pub(super) fn new(source: LossySource<T>) -> Self {
        Self { source, asked: false }
    }

    fn ask(&mut self) {
        if !self.asked {
            self.asked = true;
            self.source.ask();
        }
    }

    /// The element that was received; none of a gap, behind which the end comes.
    fn got(&mut self, received: Received<T>) -> Option<T> {
        let element = received.element()?;
        self.asked = false;
        Some(element)
    }

    /// Asks for the next value, and takes it if it is there. Never waits. What was asked for stays so.
    ///
    /// ```
    /// use millstream::TryNext;
    /// let (mut publisher, stream) = millstream::rendezvous::<u64>().build()?;
    /// let mut consumer = stream.subscribe()?;
    /// assert!(publisher.try_put(5).is_err());
    /// assert_eq!(consumer.try_next(), TryNext::Empty);
    /// assert_eq!(publisher.try_put(5)?, 1);
    /// assert_eq!(consumer.try_next(), TryNext::Item(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_next(&mut self) -> TryNext<T> {
        self.ask();
        loop {
            match self.source.try_next() {
                TryNext::Item(received) => {
                    if let Some(element) = self.got(received) {
                        return TryNext::Item(element);
                    }
                }
                TryNext::Empty => return TryNext::Empty,
                TryNext::End(end) => return TryNext::End(end),
            }
        }
    }

    /// Asks for the next value, and waits for it until `deadline` at the latest. `Ok(None)` when the stream has ended.
    ///
    /// # Errors
    /// When the deadline passed first. The value stays asked for, so the publisher does not wait for this consumer.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// let (mut publisher, stream) = millstream::rendezvous::<u64>().build()?;
    /// let mut consumer = stream.subscribe()?;
    /// let soon = Instant::now() + Duration::from_millis(1);
    /// assert!(consumer.next_deadline(soon).is_err());
    /// publisher.put(5)?;
    /// assert_eq!(consumer.next_deadline(soon)?, Some(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_deadline(&mut self, deadline: Instant) -> Result<Option<T>, TimedOut> {
        self.ask();
        loop {
            match self.source.next_deadline(deadline)? {
                None => return Ok(None),
                Some(received) => {
                    if let Some(element) = self.got(received) {
                        return Ok(Some(element));
                    }
                }
            }
        }
    }

    /// How the stream ended; `None` as long as that has not been found out.
    ///
    /// ```
    /// let (mut publisher, stream) = millstream::rendezvous::<u64>().build()?;
    /// let mut consumer = stream.subscribe()?;
    /// publisher.close_now();
    /// assert_eq!(consumer.next(), None);
    /// assert_eq!(consumer.end(), Some(millstream::End::Completed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.source.end()
    }
}

impl<T: Copy> Iterator for Subscriber<T> {
    type Item = T;

    /// Asks for the next value, and waits for it. `None` when the stream has ended, and from then on.
    fn next(&mut self) -> Option<T> {
        self.ask();
        loop {
            let received = self.source.next()?;
            if let Some(element) = self.got(received) {
                return Some(element);
            }
        }
    }
}

impl<T: Copy> FusedIterator for Subscriber<T> {}
