//! Why a frame was not taken.

#![forbid(unsafe_code)]

use super::end::CloseReason;

/// Why `try_put` did not take a frame.
///
/// ```
/// use millstream::TryPutFrameError;
/// let (mut sink, _source) = millstream::channel::<[u8]>().max_frame(4).build()?;
/// assert_eq!(sink.try_put(b"12345"), Err(TryPutFrameError::Length { len: 5, min: 0, max: 4 }));
/// # Ok::<(), millstream::ChannelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TryPutFrameError {
    /// The consumer asked for no more, and the buffer is full.
    #[error("the stream is full: the consumer has asked for no more")]
    Full,
    /// A frame of this length does not fit the stream.
    #[error("a frame of {len} bytes does not fit: this stream takes {min} to {max}")]
    Length {
        /// Bytes of the frame.
        len: usize,
        /// The least.
        min: usize,
        /// The most.
        max: usize,
    },
    /// The stream takes nothing any more.
    #[error("the stream is closed: {0}")]
    Closed(CloseReason),
}

/// Why `put` did not take a frame.
///
/// ```
/// use millstream::{CloseReason, PutFrameError};
/// let (mut sink, source) = millstream::channel::<[u8]>().build()?;
/// drop(source);
/// assert_eq!(sink.put(b"x"), Err(PutFrameError::Closed(CloseReason::Cancelled)));
/// # Ok::<(), millstream::ChannelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PutFrameError {
    /// A frame of this length does not fit the stream.
    #[error("a frame of {len} bytes does not fit: this stream takes {min} to {max}")]
    Length {
        /// Bytes of the frame.
        len: usize,
        /// The least.
        min: usize,
        /// The most.
        max: usize,
    },
    /// The stream takes nothing any more.
    #[error("the stream is closed: {0}")]
    Closed(CloseReason),
}

/// Why `put_deadline` did not take a frame.
///
/// ```
/// use std::time::Instant;
/// use millstream::PutFrameDeadlineError;
/// let (mut sink, _source) = millstream::channel::<[u8]>().buffer_size(millstream::Buffer::Rendezvous).initial_demand(1).build()?;
/// sink.put(b"1")?;
/// assert_eq!(sink.put_deadline(b"2", Instant::now()), Err(PutFrameDeadlineError::TimedOut));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PutFrameDeadlineError {
    /// The deadline passed first. The stream goes on.
    #[error("the deadline passed: the stream is full")]
    TimedOut,
    /// A frame of this length does not fit the stream.
    #[error("a frame of {len} bytes does not fit: this stream takes {min} to {max}")]
    Length {
        /// Bytes of the frame.
        len: usize,
        /// The least.
        min: usize,
        /// The most.
        max: usize,
    },
    /// The stream takes nothing any more.
    #[error("the stream is closed: {0}")]
    Closed(CloseReason),
}

/// Why `put_slice` stopped. The frames from `written` on were not taken.
///
/// ```
/// let (mut sink, _source) = millstream::channel::<[u8]>().max_frame(2).build()?;
/// assert_eq!(sink.put_slice(&[b"a".as_slice(), b"abc"]).unwrap_err().written, 1);
/// # Ok::<(), millstream::ChannelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("after {written} frames: {reason}")]
pub struct PutFramesError {
    /// How many frames were taken.
    pub written: usize,
    /// Why no more.
    pub reason: PutFrameError,
}
