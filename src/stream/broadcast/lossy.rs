//! A consumer that the producer does not wait for, or not for ever.

use std::fmt;
use std::iter::FusedIterator;
use std::time::{Duration, Instant};

use super::subscribers::{JoinError, SubscriberBuilder};
use crate::ring::{Expected, Sight, Straggler};
use crate::stream::end::End;
use crate::stream::endpoint::{ConsumerEndpoint, Vacancy, Waited};
use crate::stream::error::TimedOut;
use crate::stream::source::TryNext;

/// What a [`LossySource`] receives.
///
/// ```
/// use millstream::{Gap, Received};
/// assert_eq!(Received::Element(7).element(), Some(7));
/// assert_eq!(Received::<u64>::Gap(Gap { from: 3, count: 2 }).element(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Received<T> {
    /// The next element.
    Element(T),
    /// Elements that were overwritten before they were taken.
    Gap(Gap),
}

impl<T> Received<T> {
    /// The element, if it is one.
    ///
    /// ```
    /// assert_eq!(millstream::Received::Element(7).element(), Some(7));
    /// ```
    pub fn element(self) -> Option<T> {
        match self {
            Self::Element(element) => Some(element),
            Self::Gap(_) => None,
        }
    }
}

/// Elements that a consumer has missed: `count` of them, from position `from` on.
///
/// ```
/// let gap = millstream::Gap { from: 10, count: 5 };
/// assert_eq!(gap.to_string(), "5 elements missed, from position 10 on");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Position of the first.
    pub from: u64,
    /// How many.
    pub count: u64,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} elements missed, from position {} on",
            self.count, self.from
        )
    }
}

/// Settings of a subscription that the producer does not wait for, or not for ever; see [`SubscriberBuilder::lossy`] and
/// [`SubscriberBuilder::evict_after`].
///
/// A lossy consumer needs no demand; one that may be evicted has its window as any other.
#[derive(Debug)]
#[must_use]
pub struct LossyBuilder<T> {
    subscriber: SubscriberBuilder<T>,
    evict_after: Option<Duration>,
}

impl<T: Copy + Send + Sync + 'static> LossyBuilder<T> {
    pub(super) fn new(mut subscriber: SubscriberBuilder<T>, evict_after: Option<Duration>) -> Self {
        // It asks by itself: a lossy consumer that does not would be sent everything all the same.
        subscriber.source.manual = false;
        Self {
            subscriber,
            evict_after,
        }
    }

    /// Joins.
    ///
    /// # Errors
    /// See [`JoinError`].
    ///
    /// ```
    /// use millstream::Received;
    /// let (mut sink, subscribers) = millstream::broadcast::<u64>().build()?;
    /// let mut source = subscribers.subscribe().lossy().open()?;
    /// sink.put(7)?;
    /// assert_eq!(source.next(), Some(Received::Element(7)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(self) -> Result<LossySource<T>, JoinError> {
        let gates = self.evict_after.is_some();
        join(&self.subscriber, gates, self.evict_after)
    }
}

/// Joins as a consumer that looks at what it copied before it believes it.
pub(super) fn join<T: Copy + Send + Sync + 'static>(
    subscriber: &SubscriberBuilder<T>,
    gates: bool,
    evict_after: Option<Duration>,
) -> Result<LossySource<T>, JoinError> {
    let (history, start, endpoint) = subscriber.join(gates, evict_after)?;
    // SAFETY: the endpoint, which stands beside the cursors, keeps the ring.
    let ring = unsafe { Straggler::new(history, start) };
    Ok(LossySource::new(ring, endpoint))
}

/// The handle of a consumer that does not hold the producer up, or not for ever: it may be lapped, and is told exactly what
/// it missed.
///
/// It is an iterator of [`Received`]; each position from the first on is either received as an element or belongs to exactly
/// one gap. It can be sent to another thread, not cloned. Dropping it leaves the broadcast.
///
/// ```
/// use millstream::Received;
/// let (mut sink, subscribers) = millstream::broadcast::<u64>().build()?;
/// let mut source = subscribers.subscribe().lossy().open()?;
/// let _other = subscribers.subscribe().lossy().open()?;
/// for i in 0..100_000 {
///     sink.put(i)?;
/// }
/// sink.complete()?;
/// let (mut elements, mut missed) = (0, 0);
/// for received in &mut source {
///     match received {
///         Received::Element(_) => elements += 1,
///         Received::Gap(gap) => missed += gap.count,
///     }
/// }
/// assert_eq!(elements + missed, 100_000);
/// assert_eq!(source.missed(), missed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// Aligned, as a source is.
#[repr(align(128))]
pub struct LossySource<T> {
    ring: Straggler<T>,
    /// Position at which to tell how far this consumer is.
    mark: u64,
    missed: u64,
    endpoint: Box<ConsumerEndpoint>,
}

/// What a look at the cursors came to.
enum Look<T> {
    Received(Received<T>),
    Empty,
    Ended,
}

impl<T: Copy> LossySource<T> {
    pub(super) fn new(ring: Straggler<T>, endpoint: Box<ConsumerEndpoint>) -> Self {
        Self {
            mark: endpoint.mark(),
            ring,
            missed: 0,
            endpoint,
        }
    }

    /// Asks for one element more, of a source that asks by hand. Nothing comes to one that was evicted before it asked.
    pub(super) fn ask(&mut self) {
        if self.endpoint.is_evicted() {
            self.endpoint.close(End::Evicted, self.ring.pos());
        } else if self.endpoint.end().is_none() {
            self.mark = self.endpoint.request(1, self.ring.pos());
        }
    }

    #[inline]
    fn look(&mut self) -> Look<T> {
        if self.endpoint.end().is_some() {
            return Look::Ended;
        }
        match self.ring.take() {
            Sight::Element(element) => {
                if self.ring.pos() == self.mark {
                    self.mark = self.endpoint.credit_taken(self.ring.pos());
                }
                Look::Received(Received::Element(element))
            }
            Sight::Empty => Look::Empty,
            Sight::Lapped => self.fall_behind(),
        }
    }

    #[cold]
    #[inline(never)]
    fn fall_behind(&mut self) -> Look<T> {
        let (from, count) = if self.endpoint.is_evicted() {
            let missed = self.ring.give_up();
            self.endpoint.close(End::Evicted, self.ring.pos());
            missed
        } else {
            match self.ring.catch_up() {
                Ok(missed) => missed,
                Err(corruption) => {
                    self.endpoint.close(End::PeerCorrupt(corruption), self.ring.pos());
                    return Look::Ended;
                }
            }
        };
        if self.endpoint.end().is_none() {
            self.mark = self.endpoint.credit_taken(self.ring.pos());
        }
        self.missed = self.missed.wrapping_add(count);
        Look::Received(Received::Gap(Gap { from, count }))
    }

    /// Receives what comes next, if it is there. Never waits.
    ///
    /// ```
    /// use millstream::{Received, TryNext};
    /// let (mut sink, subscribers) = millstream::broadcast::<u64>().build()?;
    /// let mut source = subscribers.subscribe().lossy().open()?;
    /// assert_eq!(source.try_next(), TryNext::Empty);
    /// sink.put(3)?;
    /// assert_eq!(source.try_next(), TryNext::Item(Received::Element(3)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_next(&mut self) -> TryNext<Received<T>> {
        loop {
            match self.look() {
                Look::Received(received) => return TryNext::Item(received),
                Look::Ended => return self.ended(),
                Look::Empty => {}
            }
            let ring = &self.ring;
            let (vacancy, mark) = self
                .endpoint
                .vacant_mark(ring.pos(), Expected::NOTHING, || Ok(ring.stirs()));
            self.mark = mark;
            match vacancy {
                Vacancy::Appeared => {}
                Vacancy::Empty => return TryNext::Empty,
                Vacancy::Ended => return self.ended(),
            }
        }
    }

    fn ended(&self) -> TryNext<Received<T>> {
        TryNext::End(self.endpoint.end().cloned().unwrap_or(End::Cancelled))
    }

    /// Receives what comes next, waiting for it until `deadline` at the latest. `Ok(None)` when the stream has ended.
    ///
    /// # Errors
    /// When the deadline passed first. Unlike the idle timeout, that does not end the stream.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// let (_sink, subscribers) = millstream::broadcast::<u64>().build()?;
    /// let mut source = subscribers.subscribe().lossy().open()?;
    /// assert!(source.next_deadline(Instant::now() + Duration::from_millis(1)).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn next_deadline(&mut self, deadline: Instant) -> Result<Option<Received<T>>, TimedOut> {
        self.receive(Some(deadline))
    }

    #[inline]
    fn receive(&mut self, deadline: Option<Instant>) -> Result<Option<Received<T>>, TimedOut> {
        loop {
            match self.look() {
                Look::Received(received) => return Ok(Some(received)),
                Look::Ended => return Ok(None),
                Look::Empty => {}
            }
            let ring = &self.ring;
            let (waited, mark) = self
                .endpoint
                .wait_mark(ring.pos(), deadline, Expected::NOTHING, || Ok(ring.stirs()));
            self.mark = mark;
            match waited {
                Waited::Ready => {}
                Waited::Ended => return Ok(None),
                Waited::TimedOut => return Err(TimedOut),
            }
        }
    }

    /// Receives what is there, at most `max` elements and gaps, and calls `take` with each. Never waits. Returns how many
    /// there were.
    ///
    /// ```
    /// let (mut sink, subscribers) = millstream::broadcast::<u64>().build()?;
    /// let mut source = subscribers.subscribe().lossy().open()?;
    /// sink.put_slice(&[1, 2, 3])?;
    /// let mut sum = 0;
    /// assert_eq!(source.drain(100, |received| sum += received.element().unwrap_or(0)), 3);
    /// assert_eq!(sum, 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn drain(&mut self, max: usize, mut take: impl FnMut(Received<T>)) -> usize {
        let mut count = 0;
        while count < max {
            match self.look() {
                Look::Received(received) => take(received),
                Look::Empty => {
                    // Finds an end, too.
                    match self.try_next() {
                        TryNext::Item(received) => take(received),
                        TryNext::Empty | TryNext::End(_) => break,
                    }
                }
                Look::Ended => break,
            }
            count += 1;
        }
        count
    }

    /// How many elements this consumer has missed so far: the sum of its gaps.
    ///
    /// ```
    /// let (_sink, subscribers) = millstream::broadcast::<u64>().build()?;
    /// assert_eq!(subscribers.subscribe().lossy().open()?.missed(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Position of what comes next.
    ///
    /// ```
    /// let (_sink, subscribers) = millstream::broadcast::<u64>().start_position(9).build()?;
    /// assert_eq!(millstream::LossySource::position(&subscribers.subscribe().lossy().open()?), 9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn position(&self) -> u64 {
        self.ring.pos()
    }

    /// How the stream ended; `None` as long as that has not been found out by receiving.
    ///
    /// ```
    /// let (mut sink, subscribers) = millstream::broadcast::<u64>().build()?;
    /// let mut source = subscribers.subscribe().lossy().open()?;
    /// sink.complete()?;
    /// assert_eq!(source.next(), None);
    /// assert_eq!(source.end(), Some(millstream::End::Completed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.endpoint.end().cloned()
    }

    /// Leaves the broadcast: nothing is received any more.
    ///
    /// ```
    /// let (sink, subscribers) = millstream::broadcast::<u64>().build()?;
    /// let mut source = subscribers.subscribe().lossy().open()?;
    /// source.cancel();
    /// assert_eq!(source.next(), None);
    /// assert_eq!(source.end(), Some(millstream::End::Cancelled));
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel(&mut self) {
        self.endpoint.close(End::Cancelled, self.ring.pos());
    }
}

impl<T: Copy> Iterator for LossySource<T> {
    type Item = Received<T>;

    /// Receives what comes next, waiting for it as the source's wait strategy says. `None` when the stream has ended; from
    /// then on always `None`.
    #[inline]
    fn next(&mut self) -> Option<Received<T>> {
        self.receive(None).ok().flatten()
    }
}

impl<T: Copy> FusedIterator for LossySource<T> {}

impl<T> Drop for LossySource<T> {
    fn drop(&mut self) {
        self.endpoint.close(End::Cancelled, self.ring.pos());
    }
}

impl<T> fmt::Debug for LossySource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LossySource")
            .field("position", &self.ring.pos())
            .field("missed", &self.missed)
            .field("end", &self.endpoint.end())
            .finish_non_exhaustive()
    }
}
