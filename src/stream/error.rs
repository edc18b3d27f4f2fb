//! The errors of the handles: one for each operation, each giving the element back.

#![forbid(unsafe_code)]

use std::fmt;

use super::end::CloseReason;

/// Why `try_put` did not take the element.
///
/// ```
/// use millstream::TryPutError;
///
/// let (mut sink, _source) = millstream::channel::<u32>().buffer_size(1).initial_demand(1).build()?;
/// sink.try_put(1)?;
/// sink.try_put(2)?;
/// assert_eq!(sink.try_put(3), Err(TryPutError::Full(3)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryPutError<T> {
    /// The consumer asked for no more, and the buffer is full.
    Full(T),
    /// The stream takes nothing any more.
    Closed(T, CloseReason),
}

/// Why `put` did not take the element.
///
/// ```
/// use millstream::{CloseReason, PutError};
///
/// let (mut sink, source) = millstream::channel::<u32>().build()?;
/// drop(source);
/// assert_eq!(sink.put(3), Err(PutError::Closed(3, CloseReason::Cancelled)));
/// # Ok::<(), millstream::ChannelError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutError<T> {
    /// The stream takes nothing any more.
    Closed(T, CloseReason),
}

/// Why `put_deadline` did not take the element.
///
/// ```
/// use std::time::Instant;
/// use millstream::PutDeadlineError;
///
/// let (mut sink, _source) = millstream::channel::<u32>().buffer_size(1).initial_demand(1).build()?;
/// sink.put(1)?;
/// sink.put(2)?;
/// assert_eq!(sink.put_deadline(3, Instant::now()), Err(PutDeadlineError::TimedOut(3)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutDeadlineError<T> {
    /// The deadline passed first. The stream goes on.
    TimedOut(T),
    /// The stream takes nothing any more.
    Closed(T, CloseReason),
}

macro_rules! element_back {
    ($name:ident, $($variant:ident($($other:pat)?)),+) => {
        impl<T> $name<T> {
            /// The element that was not taken.
            ///
            /// ```
            /// let (mut sink, source) = millstream::channel::<u32>().build()?;
            /// drop(source);
            /// assert_eq!(sink.try_put(3).unwrap_err().into_inner(), 3);
            /// # Ok::<(), millstream::ChannelError>(())
            /// ```
            pub fn into_inner(self) -> T {
                match self {
                    $(Self::$variant(element $(, $other)?) => element),+
                }
            }
        }

        // By hand, so that an error about an element needs nothing of the element.
        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl<T> std::error::Error for $name<T> {}
    };
}

element_back!(TryPutError, Full(), Closed(_));
element_back!(PutError, Closed(_));
element_back!(PutDeadlineError, TimedOut(), Closed(_));

const FULL: &str = "the stream is full: the consumer has asked for no more";

impl<T> fmt::Display for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str(FULL),
            Self::Closed(_, reason) => write!(f, "the stream is closed: {reason}"),
        }
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Closed(_, reason) = self;
        write!(f, "the stream is closed: {reason}")
    }
}

impl<T> fmt::Display for PutDeadlineError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(_) => write!(f, "the deadline passed: {FULL}"),
            Self::Closed(_, reason) => write!(f, "the stream is closed: {reason}"),
        }
    }
}

/// Why `put_slice` stopped. The elements from `written` on were not taken.
///
/// ```
/// use millstream::{CloseReason, PutSliceError};
///
/// let (mut sink, source) = millstream::channel::<u32>().build()?;
/// drop(source);
/// assert_eq!(sink.put_slice(&[1, 2]), Err(PutSliceError { written: 0, reason: CloseReason::Cancelled }));
/// # Ok::<(), millstream::ChannelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream is closed after {written} elements of the slice: {reason}")]
pub struct PutSliceError {
    /// How many elements of the slice were taken.
    pub written: usize,
    /// Why no more.
    pub reason: CloseReason,
}

/// Why `claim` gave no slots.
///
/// ```
/// use millstream::ClaimError;
///
/// let (mut sink, _source) = millstream::channel::<u32>().buffer_size(2).initial_demand(2).build()?;
/// assert_eq!(sink.claim(5).err(), Some(ClaimError::TooLarge { asked: 5, max: 4 }));
/// # Ok::<(), millstream::ChannelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// Fewer slots are free at present.
    #[error("{free} of the {asked} slots asked for are free: the consumer has asked for no more")]
    Full {
        /// Slots asked for.
        asked: usize,
        /// Slots free.
        free: usize,
    },
    /// The stream never has as many slots free.
    #[error("{asked} asked for at once, where at most {max} fit: claim less, or open the stream larger")]
    TooLarge {
        /// Slots (for frames: bytes) asked for.
        asked: usize,
        /// The most that can be had.
        max: usize,
    },
    /// The stream takes nothing any more.
    #[error("the stream is closed: {0}")]
    Closed(CloseReason),
}

/// Why a stream could not be ended as asked: it had ended otherwise before.
///
/// ```
/// use millstream::{CloseReason, EndError};
///
/// let (mut sink, source) = millstream::channel::<u32>().build()?;
/// drop(source);
/// assert_eq!(sink.complete(), Err(EndError { reason: CloseReason::Cancelled }));
/// # Ok::<(), millstream::ChannelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream has ended already: {reason}")]
pub struct EndError {
    /// How it ended.
    pub reason: CloseReason,
}

/// Why `complete_and_drain` returned before the consumer had taken everything.
///
/// ```
/// use std::time::Instant;
///
/// let (mut sink, _source) = millstream::channel::<u32>().build()?;
/// sink.put(1)?;
/// assert_eq!(sink.complete_and_drain(Instant::now()).unwrap_err().left, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{left} elements are not released by the consumer: {}", why(reason))]
pub struct NotDrained {
    /// Elements that the consumer has not released.
    pub left: u64,
    /// Why no more will be; `None` when the deadline passed first.
    pub reason: Option<CloseReason>,
}

fn why(reason: &Option<CloseReason>) -> String {
    match reason {
        Some(reason) => reason.to_string(),
        None => "the deadline passed; it may still take them".into(),
    }
}

/// `next_deadline` waited until its deadline. The stream goes on.
///
/// ```
/// use std::time::Instant;
/// let (_sink, mut source) = millstream::channel::<u32>().build()?;
/// assert_eq!(source.next_deadline(Instant::now()), Err(millstream::TimedOut));
/// # Ok::<(), millstream::ChannelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the deadline passed before an element came")]
pub struct TimedOut;

/// Why a demand was not taken.
///
/// ```
/// use std::num::NonZeroU64;
/// let (_sink, mut source) = millstream::channel::<u32>().build()?;
/// assert_eq!(source.request(NonZeroU64::MIN), Err(millstream::RequestError::Automatic));
/// # Ok::<(), millstream::ChannelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The source asks by itself; build it with `manual_demand()` to ask by hand.
    #[error("this source replenishes its demand by itself; build it with `manual_demand()` to ask by hand")]
    Automatic,
    /// The stream has ended.
    #[error("the stream has ended")]
    Ended,
}
