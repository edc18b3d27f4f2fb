//! How a stream ends, as its consumer and as its producer see it.

#![forbid(unsafe_code)]

use std::fmt;

use crate::ring::Corruption;
use crate::ring::page::FAULT_MESSAGE;

/// Why a stream ended, as its consumer sees it. Everything published before the end was delivered first.
///
/// ```
/// use millstream::End;
///
/// let (mut sink, mut source) = millstream::channel::<u32>().build()?;
/// sink.put(7)?;
/// sink.complete()?;
/// assert_eq!(source.by_ref().collect::<Vec<_>>(), [7]);
/// assert_eq!(source.end(), Some(End::Completed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The producer completed the stream.
    Completed,
    /// The consumer waited for its idle timeout and nothing came.
    IdleTimeout,
    /// The consumer cancelled the stream.
    Cancelled,
    /// The producer failed the stream, or its sink was dropped before it was completed.
    Failed(StreamFault),
    /// The producer's process died, or closed its connection, without ending the stream.
    PeerGone,
    /// The producer had waited for this consumer of several for as long as it [was to](crate::SubscriberBuilder::evict_after).
    Evicted,
    /// The producer's side of the shared memory cannot be right.
    PeerCorrupt(Corruption),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed by the producer"),
            Self::IdleTimeout => f.write_str("nothing came within the idle timeout"),
            Self::Cancelled => f.write_str("cancelled by the consumer"),
            Self::Failed(fault) => write!(f, "failed by the producer: {fault}"),
            Self::PeerGone => f.write_str("the producer is gone"),
            Self::Evicted => {
                f.write_str("the producer waited long enough for this consumer, and goes on without it")
            }
            Self::PeerCorrupt(corruption) => corruption.fmt(f),
        }
    }
}

/// What a producer says when it fails a stream: a number and a text of at most 256 bytes.
///
/// ```
/// use millstream::{End, StreamFault};
///
/// let (mut sink, mut source) = millstream::channel::<u32>().build()?;
/// sink.fail(StreamFault::new(17, "the exchange hung up"))?;
/// assert_eq!(source.next(), None);
/// let Some(End::Failed(fault)) = source.end() else { panic!() };
/// assert_eq!((fault.code(), fault.message()), (17, "the exchange hung up"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFault {
    code: u32,
    message: String,
}

impl StreamFault {
    /// The code of the fault that a sink leaves when it is dropped without an end.
    ///
    /// ```
    /// use millstream::{End, StreamFault};
    ///
    /// let (sink, mut source) = millstream::channel::<u32>().build()?;
    /// drop(sink);
    /// assert_eq!(source.next(), None);
    /// let Some(End::Failed(fault)) = source.end() else { panic!() };
    /// assert_eq!(fault.code(), StreamFault::SINK_DROPPED);
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub const SINK_DROPPED: u32 = u32::MAX;

    /// The code of the fault with which a stream ends whose producer was stopped before it had completed.
    ///
    /// ```
    /// use millstream::StreamFault;
    ///
    /// let fault = StreamFault::new(StreamFault::PRODUCER_STOPPED, "the producer was stopped");
    /// assert_eq!(fault.code(), u32::MAX - 1);
    /// ```
    pub const PRODUCER_STOPPED: u32 = u32::MAX - 1;

    /// The code of the fault with which a stream ends whose producer panicked.
    ///
    /// ```
    /// use millstream::StreamFault;
    ///
    /// let fault = StreamFault::new(StreamFault::PRODUCER_PANICKED, "index out of bounds");
    /// assert_eq!(fault.code(), u32::MAX - 2);
    /// ```
    pub const PRODUCER_PANICKED: u32 = u32::MAX - 2;

    /// A fault with a code of the producer's choice; the three highest are taken, see above. A message of more than 256 bytes is cut at the last
    /// character that fits.
    ///
    /// ```
    /// let fault = millstream::StreamFault::new(3, "x".repeat(1000));
    /// assert_eq!(fault.message().len(), 256);
    /// ```
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        let mut message = message.into();
        let mut end = message.len().min(FAULT_MESSAGE);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        Self { code, message }
    }

    pub(crate) fn sink_dropped() -> Self {
        Self::new(
            Self::SINK_DROPPED,
            "the sink was dropped before the stream was completed",
        )
    }

    /// The number.
    ///
    /// ```
    /// assert_eq!(millstream::StreamFault::new(3, "late").code(), 3);
    /// ```
    #[must_use]
    pub fn code(&self) -> u32 {
        self.code
    }

    /// The text.
    ///
    /// ```
    /// assert_eq!(millstream::StreamFault::new(3, "late").message(), "late");
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for StreamFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)
    }
}

impl std::error::Error for StreamFault {}

/// Why a sink takes nothing any more.
///
/// ```
/// use millstream::{CloseReason, TryPutError};
///
/// let (mut sink, source) = millstream::channel::<u32>().build()?;
/// drop(source);
/// assert_eq!(sink.try_put(1), Err(TryPutError::Closed(1, CloseReason::Cancelled)));
/// # Ok::<(), millstream::ChannelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// This sink, or the producer it belongs to, completed the stream.
    Completed,
    /// This sink, or the producer it belongs to, failed the stream.
    Failed,
    /// The consumer cancelled, dropped its source, or ran into its idle timeout; or whoever oversees the stream cancelled.
    Cancelled,
    /// The consumer's process died.
    PeerGone,
    /// The consumer's side of the shared memory cannot be right.
    PeerCorrupt(Corruption),
}

impl CloseReason {
    /// What the sinks of a stream hear that ended so for its source.
    pub(crate) fn of(end: &End) -> Self {
        match end {
            End::Completed => Self::Completed,
            End::Failed(_) => Self::Failed,
            End::Cancelled | End::IdleTimeout | End::Evicted => Self::Cancelled,
            End::PeerGone => Self::PeerGone,
            End::PeerCorrupt(corruption) => Self::PeerCorrupt(*corruption),
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("the producer completed the stream"),
            Self::Failed => f.write_str("the producer failed the stream"),
            Self::Cancelled => f.write_str("the consumer cancelled"),
            Self::PeerGone => f.write_str("the consumer is gone"),
            Self::PeerCorrupt(corruption) => corruption.fmt(f),
        }
    }
}
