//! Streams within one process: `channel`.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use super::endpoint::{
    Audience, ConsumerEndpoint, ConsumerLines, ConsumerSettings, Demand, ProducerEndpoint, ProducerLines,
    ProducerSettings,
};
use super::sink::SinkRef;
use super::source::SourceRef;
use crate::primitive::Arc;
use crate::ring::block::Fixed;
use crate::ring::{Consumer, HeapRing, Ledger, Producer};
use crate::wait::{Doorbell, Fence, WaitStrategy};

/// Elements that a producer may hold beyond the demand, unless the builder says otherwise.
pub(crate) const BUFFER_SIZE: usize = 16;
/// A consumer's window unless the builder says otherwise.
pub(crate) const INITIAL_DEMAND: u64 = 16;
/// How long a source waits for the next element before it ends the stream, unless the builder says otherwise.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The most elements that a ring may be asked to hold.
pub(crate) const MOST_ELEMENTS: u64 = 1 << 32;

/// Begins a stream of `T` within this process.
///
/// Elements travel by move; any `T: Send` will do. What the consumer does not take is dropped once.
///
/// ```
/// let (mut sink, mut source) = millstream::channel::<Box<u32>>().buffer_size(2).initial_demand(2).build()?;
/// sink.put(Box::new(5))?;
/// assert_eq!(source.next(), Some(Box::new(5)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn channel<T: Send + 'static>() -> ChannelBuilder<T> {
    ChannelBuilder {
        buffer_size: BUFFER_SIZE,
        initial_demand: INITIAL_DEMAND,
        manual: false,
        eager: false,
        idle: Some(IDLE_TIMEOUT),
        sink_wait: WaitStrategy::default(),
        source_wait: WaitStrategy::default(),
        complete_on_drop: false,
        start: 0,
        element: PhantomData,
    }
}

/// Settings of a stream within this process; see [`channel`].
#[must_use]
pub struct ChannelBuilder<T> {
    buffer_size: usize,
    initial_demand: u64,
    manual: bool,
    eager: bool,
    idle: Option<Duration>,
    sink_wait: WaitStrategy,
    source_wait: WaitStrategy,
    complete_on_drop: bool,
    start: u64,
    element: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for ChannelBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelBuilder")
            .field("buffer_size", &self.buffer_size)
            .field("initial_demand", &self.initial_demand)
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> ChannelBuilder<T> {
    /// Elements that the producer may hold beyond the demand, exactly (not rounded). Default 16. With 0 the
    /// producer holds nothing: it puts only what was asked for.
    ///
    /// ```
    /// let (mut sink, _source) = millstream::channel::<u8>().buffer_size(3).initial_demand(2).build()?;
    /// assert_eq!(sink.try_put_slice(&[0; 100])?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn buffer_size(mut self, elements: usize) -> Self {
        self.buffer_size = elements;
        self
    }

    /// The consumer's window: elements that it has asked for and not taken. Default 16. Taking replenishes it.
    ///
    /// ```
    /// let (sink, _source) = millstream::channel::<u8>().initial_demand(2).build()?;
    /// assert_eq!(sink.demand(), 2);
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn initial_demand(mut self, elements: u64) -> Self {
        self.initial_demand = elements;
        self
    }

    /// The consumer asks by hand, with [`SourceRef::request`]. `initial_demand` is then the most that is open at a
    /// time; at first nothing is.
    ///
    /// ```
    /// let (sink, _source) = millstream::channel::<u8>().manual_demand().build()?;
    /// assert_eq!(sink.demand(), 0);
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn manual_demand(mut self) -> Self {
        self.manual = true;
        self
    }

    /// Replenishes the demand with every element taken, rather than about every half window: the producer learns of
    /// room at once, and a line of memory travels for each element.
    ///
    /// ```
    /// let (mut sink, mut source) =
    ///     millstream::channel::<u8>().buffer_size(1).initial_demand(8).replenish_each().build()?;
    /// assert_eq!(sink.try_put_slice(&[0; 100])?, 9);
    /// source.next();
    /// assert_eq!(sink.try_put_slice(&[0; 100])?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replenish_each(mut self) -> Self {
        self.eager = true;
        self
    }

    /// How long the source waits for an element before it ends the stream. Default 30 s; `None` waits for ever.
    ///
    /// ```
    /// use std::time::Duration;
    /// let (_sink, mut source) =
    ///     millstream::channel::<u8>().idle_timeout(Some(Duration::from_millis(1))).build()?;
    /// assert_eq!(source.next(), None);
    /// assert_eq!(source.end(), Some(millstream::End::IdleTimeout));
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.idle = timeout;
        self
    }

    /// How the sink waits for room.
    ///
    /// ```
    /// use millstream::WaitStrategy;
    /// let ends = millstream::channel::<u8>().sink_wait(WaitStrategy::BusySpin).build()?;
    /// # drop(ends);
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn sink_wait(mut self, strategy: WaitStrategy) -> Self {
        self.sink_wait = strategy;
        self
    }

    /// How the source waits for elements.
    ///
    /// ```
    /// use millstream::WaitStrategy;
    /// let ends = millstream::channel::<u8>().source_wait(WaitStrategy::park()).build()?;
    /// # drop(ends);
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn source_wait(mut self, strategy: WaitStrategy) -> Self {
        self.source_wait = strategy;
        self
    }

    /// Dropping the sink completes the stream. By default it fails it, so that a crash does not look like an end.
    ///
    /// ```
    /// let (sink, mut source) = millstream::channel::<u8>().complete_on_drop().build()?;
    /// drop(sink);
    /// assert_eq!(source.next(), None);
    /// assert_eq!(source.end(), Some(millstream::End::Completed));
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn complete_on_drop(mut self) -> Self {
        self.complete_on_drop = true;
        self
    }

    /// Position of the first element, for a stream that goes on with the numbers of another. Default 0.
    ///
    /// ```
    /// let (sink, _source) = millstream::channel::<u8>().start_position(1000).build()?;
    /// assert_eq!(sink.position(), 1000);
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn start_position(mut self, position: u64) -> Self {
        self.start = position;
        self
    }

    /// Makes the stream.
    ///
    /// # Errors
    /// `ZeroDemand`, `TooLarge` (more than 2^32 elements), `NoMemory`.
    ///
    /// ```
    /// let (sink, source) = millstream::channel::<u8>().build()?;
    /// # drop((sink, source));
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn build(self) -> Result<(SinkRef<T>, SourceRef<T>), ChannelError> {
        if self.initial_demand == 0 {
            return Err(ChannelError::ZeroDemand);
        }
        let elements = (self.buffer_size as u64).saturating_add(self.initial_demand);
        if elements > MOST_ELEMENTS {
            return Err(ChannelError::TooLarge { elements, most: MOST_ELEMENTS });
        }
        let capacity = usize::try_from(elements)
            .map_err(|_| ChannelError::TooLarge { elements, most: usize::MAX as u64 })?;
        let no_memory = || ChannelError::NoMemory { elements, element: size_of::<T>() };
        let ring = Arc::new(HeapRing::<T>::new(capacity, self.start).ok_or_else(no_memory)?);
        let (sink_bell, source_bell) = Doorbell::pair();
        let fence = Fence::within_process();

        // SAFETY: the lines belong to the ring, which both endpoints keep.
        let ledger = unsafe { Ledger::new(&ring.credit, &ring.control, self.initial_demand, self.start, 0) };
        // SAFETY: as above.
        let producer = unsafe {
            ProducerEndpoint::new(ProducerSettings {
                lines: ProducerLines { waiting: &ring.waiting, end: &ring.end, notice: &ring.notice },
                base: self.start,
                buffer: self.buffer_size as u64,
                complete_on_drop: self.complete_on_drop,
                strategy: self.sink_wait,
                fence,
                bell: sink_bell,
                audience: Audience::Local,
                ledger: Some(ledger),
                keep: Box::new(ring.clone()),
            })
        };
        // SAFETY: as above.
        let consumer = unsafe {
            ConsumerEndpoint::new(ConsumerSettings {
                lines: ConsumerLines {
                    control: &ring.control,
                    credit: &ring.credit,
                    waiting: &ring.waiting,
                    end: &ring.end,
                    notice: &ring.notice,
                },
                start: self.start,
                demand: Demand::new(self.initial_demand, self.manual, self.eager, false),
                idle: self.idle,
                resumable: false,
                strategy: self.source_wait,
                fence,
                bell: source_bell,
                keep: Box::new(ring.clone()),
            })
        };
        // SAFETY: the first place belongs to the first position; this is the only producer and the only consumer,
        // and both keep the ring.
        let (put, mut take) = unsafe {
            (
                Producer::new(Fixed::new(), ring.first(), self.start, producer.watch()),
                Consumer::new(Fixed::new(), ring.first(), self.start),
            )
        };
        take.mark = consumer.mark();
        Ok((
            SinkRef { ring: put, endpoint: Box::new(producer), capacity },
            SourceRef { ring: take, endpoint: Box::new(consumer), scratch: None },
        ))
    }
}

/// Why a stream within this process could not be made.
///
/// ```
/// use millstream::ChannelError;
/// assert_eq!(millstream::channel::<u8>().initial_demand(0).build().err(), Some(ChannelError::ZeroDemand));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// Nothing would ever flow.
    #[error("an initial demand of 0 lets nothing flow; ask for at least 1, or by hand with `manual_demand()`")]
    ZeroDemand,
    /// More elements than a ring holds.
    #[error("a ring of {elements} elements was asked for, where {most} is the most; lower buffer_size or initial_demand")]
    TooLarge {
        /// Elements asked for: buffer size and initial demand.
        elements: u64,
        /// The most.
        most: u64,
    },
    /// The allocation failed.
    #[error("no memory for a ring of {elements} elements of {element} bytes; lower buffer_size or initial_demand")]
    NoMemory {
        /// Elements asked for.
        elements: u64,
        /// Bytes of each.
        element: usize,
    },
}
