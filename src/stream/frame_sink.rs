//! `FrameSink`: the handle by which a producer puts frames of bytes into a stream.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Instant;

use super::control::sink_control;
use super::end::CloseReason;
use super::endpoint::{Fate, Granted, ProducerEndpoint};
use super::error::ClaimError;
use super::frame_error::{PutFrameDeadlineError, PutFrameError, PutFramesError, TryPutFrameError};
use crate::element::Schema;
use crate::ring::shape::{Measured, Shape};
use crate::ring::{FrameProducer, Producer};

/// Why there is no slot for a frame.
enum Refusal {
    Full,
    TimedOut,
    Length,
    Closed(CloseReason),
}

/// What the bytes are written to.
#[derive(Debug)]
pub(super) enum Lane {
    /// Frames of any length up to a maximum.
    Frames(FrameProducer),
    /// Elements of a type known by its schema alone: all of one length.
    Records(Producer<Measured>),
}

/// The producer's handle of a stream of frames.
///
/// Frames of up to `max_frame` bytes. On a stream that was published with a schema, every frame is one element and has
/// its length.
///
/// ```
/// let (mut sink, mut source) = millstream::channel::<[u8]>().build()?;
/// sink.put(b"one")?;
/// sink.put(b"")?;
/// assert_eq!(&*source.next().unwrap(), b"one");
/// assert_eq!(&*source.next().unwrap(), b"");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// Aligned, as a `SinkRef` is.
#[repr(align(128))]
pub struct FrameSink {
    pub(super) lane: Lane,
    pub(super) endpoint: Box<ProducerEndpoint>,
    pub(super) schema: Option<Schema>,
}

impl FrameSink {
    /// Puts a frame if there is room. Never waits.
    ///
    /// # Errors
    /// `Full`, `Length` and `Closed`; the frame is the caller's in any case.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<[u8]>().build()?;
    /// sink.try_put(b"frame")?;
    /// assert_eq!(&*source.next().unwrap(), b"frame");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_put(&mut self, frame: &[u8]) -> Result<(), TryPutFrameError> {
        self.put_when(frame, |_| false).map_err(|refusal| match refusal {
            Refusal::Full | Refusal::TimedOut => TryPutFrameError::Full,
            Refusal::Closed(reason) => TryPutFrameError::Closed(reason),
            Refusal::Length => {
                let (len, min, max) = self.lengths(frame);
                TryPutFrameError::Length { len, min, max }
            }
        })
    }

    /// Puts a frame, waiting for room as the sink's wait strategy says.
    ///
    /// # Errors
    /// `Length`, and `Closed` when the stream takes nothing any more, also when that happens during the wait.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<[u8]>().build()?;
    /// let reader = std::thread::spawn(move || {
    ///     let mut bytes = 0;
    ///     while let Some(frame) = source.next() {
    ///         bytes += frame.len();
    ///     }
    ///     bytes
    /// });
    /// for _ in 0..100 {
    ///     sink.put(&[7; 1000])?;
    /// }
    /// sink.complete()?;
    /// assert_eq!(reader.join().unwrap(), 100_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn put(&mut self, frame: &[u8]) -> Result<(), PutFrameError> {
        self.put_waiting(frame, None).map_err(|refusal| match refusal {
            Refusal::Closed(reason) => PutFrameError::Closed(reason),
            // A wait without a deadline ends by room or by a close, so what is left is the length.
            Refusal::Length | Refusal::Full | Refusal::TimedOut => {
                let (len, min, max) = self.lengths(frame);
                PutFrameError::Length { len, min, max }
            }
        })
    }

    /// Puts a frame, waiting for room until `deadline` at the latest.
    ///
    /// # Errors
    /// `TimedOut`, after which the stream goes on; `Length`; `Closed`.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// let (mut sink, _source) = millstream::channel::<[u8]>().build()?;
    /// sink.put_deadline(b"frame", Instant::now() + Duration::from_millis(5))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn put_deadline(&mut self, frame: &[u8], deadline: Instant) -> Result<(), PutFrameDeadlineError> {
        self.put_waiting(frame, Some(deadline))
            .map_err(|refusal| match refusal {
                Refusal::Full | Refusal::TimedOut => PutFrameDeadlineError::TimedOut,
                Refusal::Closed(reason) => PutFrameDeadlineError::Closed(reason),
                Refusal::Length => {
                    let (len, min, max) = self.lengths(frame);
                    PutFrameDeadlineError::Length { len, min, max }
                }
            })
    }

    /// Puts frame after frame, waiting for room as needed.
    ///
    /// # Errors
    /// What was wrong, and how many frames were taken before.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<[u8]>().build()?;
    /// sink.put_slice(&[b"one".as_slice(), b"two"])?;
    /// assert_eq!(&*source.next().unwrap(), b"one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_slice<F: AsRef<[u8]>>(&mut self, frames: &[F]) -> Result<(), PutFramesError> {
        for (written, frame) in frames.iter().enumerate() {
            self.put(frame.as_ref())
                .map_err(|reason| PutFramesError { written, reason })?;
        }
        Ok(())
    }

    /// Claims room for one frame of `len` bytes, to write it in place. Never waits.
    ///
    /// A claim that is dropped publishes nothing.
    ///
    /// # Errors
    /// `Full`, `TooLarge` when no frame of this length fits the stream, `Closed`.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<[u8]>().build()?;
    /// let mut claim = sink.claim(3)?;
    /// claim.copy_from_slice(b"abc");
    /// claim.commit()?;
    /// assert_eq!(&*source.next().unwrap(), b"abc");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn claim(&mut self, len: usize) -> Result<FrameClaim<'_>, ClaimError> {
        match self.slot(len, |_| false) {
            Ok(at) => Ok(FrameClaim { sink: self, at, len }),
            Err(Refusal::Full | Refusal::TimedOut) => Err(ClaimError::Full { asked: len, free: 0 }),
            Err(Refusal::Length) => Err(ClaimError::TooLarge {
                asked: len,
                max: self.max_frame(),
            }),
            Err(Refusal::Closed(reason)) => Err(ClaimError::Closed(reason)),
        }
    }

    /// The longest frame, in bytes.
    ///
    /// ```
    /// let (sink, _source) = millstream::channel::<[u8]>().build()?;
    /// assert_eq!(sink.max_frame(), 65_536);
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    #[must_use]
    pub fn max_frame(&self) -> usize {
        match &self.lane {
            Lane::Frames(ring) => ring.longest(),
            Lane::Records(ring) => ring.shape().size(),
        }
    }

    /// The schema of the elements, if the stream was published with one.
    ///
    /// ```
    /// let (sink, _source) = millstream::channel::<[u8]>().build()?;
    /// assert!(sink.schema().is_none());
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    #[must_use]
    pub fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    sink_control!("[u8]", "millstream::channel::<[u8]>()", "sink.put(b\"frame\")?;");

    fn lengths(&self, frame: &[u8]) -> (usize, usize, usize) {
        let max = self.max_frame();
        (
            frame.len(),
            if matches!(self.lane, Lane::Records(_)) {
                max
            } else {
                0
            },
            max,
        )
    }

    fn pos(&self) -> u64 {
        match &self.lane {
            Lane::Frames(ring) => ring.pos(),
            Lane::Records(ring) => ring.pos(),
        }
    }

    /// Bytes of the area used up since the stream began; of records none are counted.
    #[cfg(target_os = "linux")]
    fn byte(&self) -> u64 {
        match &self.lane {
            Lane::Frames(ring) => ring.byte(),
            Lane::Records(_) => 0,
        }
    }

    /// Lets nothing be put any more.
    fn shut(&mut self) {
        let pos = self.pos();
        self.set_limit(pos);
    }

    fn set_limit(&mut self, limit: u64) {
        match &mut self.lane {
            Lane::Frames(ring) => ring.set_limit(limit),
            Lane::Records(ring) => ring.set_limit(limit),
        }
    }

    #[inline]
    fn put_waiting(&mut self, frame: &[u8], deadline: Option<Instant>) -> Result<(), Refusal> {
        let mut timed_out = false;
        self.put_when(frame, |sink| match sink.wait_for(frame.len(), deadline) {
            Granted::Room => true,
            Granted::Closed(_) => false,
            Granted::TimedOut => {
                timed_out = true;
                false
            }
        })
        .map_err(|refusal| if timed_out { Refusal::TimedOut } else { refusal })
    }

    #[inline]
    fn put_when(&mut self, frame: &[u8], wait: impl FnMut(&mut Self) -> bool) -> Result<(), Refusal> {
        let at = self.slot(frame.len(), wait)?;
        // SAFETY: `at` is free for as many bytes, and belongs to the stream alone.
        unsafe { at.copy_from_nonoverlapping(frame.as_ptr(), frame.len()) };
        // SAFETY: the slot is written.
        unsafe { self.publish(frame.len()) }.map_err(Refusal::Closed)
    }

    /// Where a frame of `len` bytes may be written. `wait` is called as long as there is no room and says whether to
    /// look again.
    #[inline]
    fn slot(&mut self, len: usize, mut wait: impl FnMut(&mut Self) -> bool) -> Result<*mut u8, Refusal> {
        let fitting = match &self.lane {
            Lane::Frames(ring) => len <= ring.longest(),
            Lane::Records(ring) => len == ring.shape().size(),
        };
        if !fitting {
            return Err(Refusal::Length);
        }
        loop {
            match &mut self.lane {
                Lane::Frames(ring) => {
                    if !ring.is_full() && ring.fits(len) {
                        return Ok(ring.slot(len));
                    }
                }
                Lane::Records(ring) => {
                    if !ring.is_full() {
                        return Ok(ring.walk().next_slot());
                    }
                }
            }
            if self.make_room(len) {
                continue;
            }
            if let Some(reason) = self.endpoint.closed() {
                return Err(Refusal::Closed(reason));
            }
            if !wait(self) {
                return Err(self.endpoint.closed().map_or(Refusal::Full, Refusal::Closed));
            }
        }
    }

    /// Reads the consumer's words again; whether there is room for a frame of `len` bytes now.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, len: usize) -> bool {
        let room = self.endpoint.room(self.pos());
        self.set_limit(room.limit);
        match &mut self.lane {
            Lane::Frames(ring) => {
                ring.watch = room.watch;
                ring.set_released(self.endpoint.released_bytes(ring.byte()));
                !ring.is_full() && ring.fits(len)
            }
            Lane::Records(ring) => {
                ring.watch = room.watch;
                !ring.is_full()
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_for(&mut self, len: usize, deadline: Option<Instant>) -> Granted {
        let pos = self.pos();
        let Lane::Frames(ring) = &mut self.lane else {
            return self.endpoint.wait_room(pos, deadline).0;
        };
        let (mut limit, mut watch) = (pos, ring.watch);
        let granted = self.endpoint.wait(deadline, |endpoint| {
            let room = endpoint.room(pos);
            (limit, watch) = (room.limit, room.watch);
            ring.set_released(endpoint.released_bytes(ring.byte()));
            room.limit != pos && ring.fits(len)
        });
        ring.set_limit(limit);
        ring.watch = watch;
        granted
    }

    /// Publishes a frame of `len` bytes.
    ///
    /// # Safety
    /// `slot(len)` gave a place, and the frame is written there.
    #[inline]
    unsafe fn publish(&mut self, len: usize) -> Result<(), CloseReason> {
        let disturbed = match &mut self.lane {
            Lane::Frames(ring) => {
                // SAFETY: `slot` checked the length and the room.
                unsafe { ring.publish(len) };
                ring.watch.disturbed()
            }
            Lane::Records(ring) => {
                // SAFETY: one element was written where the walk begins, and there was room for it.
                unsafe { ring.publish(1) };
                ring.watch.disturbed()
            }
        };
        if disturbed { self.attend() } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn attend(&mut self) -> Result<(), CloseReason> {
        let (fate, watch) = self.endpoint.attend(self.pos());
        match &mut self.lane {
            Lane::Frames(ring) => ring.watch = watch,
            Lane::Records(ring) => ring.watch = watch,
        }
        let Fate::Returned(reason) = fate else {
            return Ok(());
        };
        match &mut self.lane {
            Lane::Frames(ring) => ring.retract(),
            Lane::Records(ring) => ring.retract(1),
        }
        Err(reason)
    }
}

impl Drop for FrameSink {
    fn drop(&mut self) {
        self.endpoint.abandon(self.pos());
    }
}

impl fmt::Debug for FrameSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameSink")
            .field("position", &self.position())
            .field("demand", &self.demand())
            .field("max_frame", &self.max_frame())
            .field("closed", &self.endpoint.closed())
            .finish_non_exhaustive()
    }
}

/// Room for one frame, claimed by [`FrameSink::claim`]: a slice of bytes to write. Dropping it publishes nothing.
///
/// Its bytes are at first those of older frames, or zeros.
///
/// ```
/// let (mut sink, mut source) = millstream::channel::<[u8]>().build()?;
/// let mut claim = sink.claim(2)?;
/// claim[0] = 1;
/// claim[1] = 2;
/// claim.commit()?;
/// assert_eq!(&*source.next().unwrap(), [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FrameClaim<'a> {
    sink: &'a mut FrameSink,
    at: *mut u8,
    len: usize,
}

impl FrameClaim<'_> {
    /// Publishes the frame.
    ///
    /// # Errors
    /// When the consumer closed the stream meanwhile.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<[u8]>().build()?;
    /// sink.claim(0)?.commit()?;
    /// assert_eq!(source.next().unwrap().len(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn commit(self) -> Result<(), super::EndedMeanwhile> {
        // SAFETY: the claim came from `slot`, nothing was published since, and all of its bytes have values.
        unsafe { self.sink.publish(self.len) }.map_err(|reason| super::EndedMeanwhile { reason })
    }

    /// Gives the room back, as dropping the claim does.
    ///
    /// ```
    /// let (mut sink, _source) = millstream::channel::<[u8]>().build()?;
    /// sink.claim(10)?.abort();
    /// assert_eq!(sink.position(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn abort(self) {}
}

impl Deref for FrameClaim<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: free and initialised (zeroed at first), and the sink is borrowed.
        unsafe { std::slice::from_raw_parts(self.at, self.len) }
    }
}

impl DerefMut for FrameClaim<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and the claim is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.at, self.len) }
    }
}

impl fmt::Debug for FrameClaim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameClaim")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
