//! What the builders set, and the setters that several of them have.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::buffer::Buffer;
use super::endpoint::Demand;
use crate::wait::WaitStrategy;

/// The most elements that a ring may be asked to hold.
pub(crate) const MOST_ELEMENTS: u64 = 1 << 32;

/// The largest window of consumers of elements of `size` bytes, unless it is said: what a mebibyte holds.
pub(super) fn usual_demand(size: usize) -> u64 {
    ((1 << 20) / size.max(1) as u64).clamp(16, 1024)
}

/// How the producer's side is to be.
#[derive(Clone, Debug)]
pub(crate) struct SinkSettings {
    pub(crate) buffer: Buffer,
    pub(crate) strategy: WaitStrategy,
    pub(crate) complete_on_drop: bool,
    pub(crate) start: u64,
    pub(crate) max_frame: usize,
}

impl Default for SinkSettings {
    fn default() -> Self {
        Self {
            buffer: Buffer::Bounded(16),
            strategy: WaitStrategy::default(),
            complete_on_drop: false,
            start: 0,
            max_frame: 64 << 10,
        }
    }
}

/// How the consumer's side is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceSettings {
    pub(crate) window: u64,
    pub(crate) manual: bool,
    pub(crate) eager: bool,
    /// An element counts as released when the next one is asked for.
    pub(crate) late: bool,
    /// While the user works on an element, it counts as one of the window.
    pub(crate) held: bool,
    pub(crate) idle: Option<Duration>,
    pub(crate) strategy: WaitStrategy,
}

impl Default for SourceSettings {
    fn default() -> Self {
        Self {
            window: 16,
            manual: false,
            eager: false,
            late: false,
            held: false,
            idle: Some(Duration::from_secs(30)),
            strategy: WaitStrategy::default(),
        }
    }
}

impl SourceSettings {
    /// Of a source that asks by hand, and waits for ever.
    pub(crate) fn by_hand(window: u64) -> Self {
        Self {
            window,
            manual: true,
            idle: None,
            ..Self::default()
        }
    }

    pub(crate) fn demand(&self, resumable: bool) -> Demand {
        Demand {
            held: self.held.into(),
            ..Demand::new(self.window, self.manual, self.eager, resumable)
        }
    }
}

/// Setters of the producer's side, of a builder with a `sink: SinkSettings`.
macro_rules! sink_setters {
    () => {
        /// Elements that the producer may hold beyond the demand, exactly (not rounded). Default 16. A size of 0 is
        /// [unbounded](crate::Buffer::Unbounded), which streams of elements within one process can be; for a producer that
        /// puts only what was asked for say [`Buffer::Rendezvous`](crate::Buffer::Rendezvous).
        ///
        /// ```
        /// let (mut sink, _source) = millstream::channel::<u8>().buffer_size(3).initial_demand(2).build()?;
        /// assert_eq!(sink.try_put_slice(&[0; 100])?, 5);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn buffer_size(mut self, elements: impl Into<$crate::Buffer>) -> Self {
            self.sink.buffer = elements.into();
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
        pub fn sink_wait(mut self, strategy: $crate::WaitStrategy) -> Self {
            self.sink.strategy = strategy;
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
            self.sink.complete_on_drop = true;
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
            self.sink.start = position;
            self
        }
    };
}

/// Setters of the producer's side where it may carry frames.
macro_rules! frame_setters {
    () => {
        /// For streams of `[u8]`: the longest frame, in bytes. Default 65,536. The stream's memory holds as many frames
        /// of this length as it holds elements.
        ///
        /// ```
        /// let (sink, _source) = millstream::channel::<[u8]>().max_frame(1500).build()?;
        /// assert_eq!(sink.max_frame(), 1500);
        /// # Ok::<(), millstream::ChannelError>(())
        /// ```
        pub fn max_frame(mut self, bytes: usize) -> Self {
            self.sink.max_frame = bytes;
            self
        }
    };
}

/// Setters of the consumer's side, of a builder with a `source: SourceSettings`.
macro_rules! source_setters {
    () => {
        /// The consumer's window: elements that it has asked for and not taken. Default 16. Taking replenishes it.
        ///
        /// ```
        /// let (sink, _source) = millstream::channel::<u8>().initial_demand(2).build()?;
        /// assert_eq!(sink.demand(), 2);
        /// # Ok::<(), millstream::ChannelError>(())
        /// ```
        pub fn initial_demand(mut self, elements: u64) -> Self {
            self.source.window = elements;
            self
        }

        /// The consumer asks by hand, with [`SourceRef::request`](crate::SourceRef::request). `initial_demand` is then the
        /// most that is open at a time; at first nothing is, and a `next` without demand waits as for a producer that says
        /// nothing, up to the idle timeout.
        ///
        /// ```
        /// let (sink, _source) = millstream::channel::<u8>().manual_demand().build()?;
        /// assert_eq!(sink.demand(), 0);
        /// # Ok::<(), millstream::ChannelError>(())
        /// ```
        pub fn manual_demand(mut self) -> Self {
            self.source.manual = true;
            self
        }

        /// Replenishes the demand with every element taken, rather than about every half or quarter of the window: the producer learns of
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
            self.source.eager = true;
            self
        }

        /// How long the source waits for an element before it ends the stream. Default 30 s; `None` waits for ever.
        ///
        /// Only time spent waiting counts, and waits that ran into their deadlines add up until an element comes.
        ///
        /// ```
        /// use std::time::Duration;
        /// let (_sink, mut source) =
        ///     millstream::channel::<u8>().idle_timeout(Some(Duration::from_millis(1))).build()?;
        /// assert_eq!(source.next(), None);
        /// assert_eq!(source.end(), Some(millstream::End::IdleTimeout));
        /// # Ok::<(), millstream::ChannelError>(())
        /// ```
        pub fn idle_timeout(mut self, timeout: Option<std::time::Duration>) -> Self {
            self.source.idle = timeout;
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
        pub fn source_wait(mut self, strategy: $crate::WaitStrategy) -> Self {
            self.source.strategy = strategy;
            self
        }
    };
}

pub(super) use {frame_setters, sink_setters, source_setters};
