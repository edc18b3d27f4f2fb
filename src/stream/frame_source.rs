//! `FrameSource`: the handle by which a consumer takes frames of bytes from a stream.

use std::fmt;
use std::ops::Deref;
use std::time::Instant;

use super::control::source_control;
use super::end::End;
use super::endpoint::{ConsumerEndpoint, Vacancy, Waited};
use super::error::TimedOut;
use super::reconnect::{Followed, Reconnect, Tried};
use super::source::{TryNext, is_there};
use crate::element::Schema;
use crate::ring::frame::copy_out;
use crate::ring::shape::{Measured, Shape};
use crate::ring::{Consumer, Corruption, Expected, FrameConsumer};

/// What the bytes are read from.
#[derive(Debug)]
pub(super) enum Lane {
    /// Frames of any length up to a maximum.
    Frames(FrameConsumer),
    /// Elements of a type known by its schema alone: all of one length.
    Records(Consumer<Measured>),
}

/// What a source takes over from a connection.
pub(super) type Connected = (Lane, Box<ConsumerEndpoint>, Option<Schema>);

/// The consumer's handle of a stream of frames, or of a stream of elements read as bytes.
///
/// ```
/// let (mut sink, mut source) = millstream::channel::<[u8]>().build()?;
/// sink.put(b"hello")?;
/// sink.complete()?;
/// while let Some(frame) = source.next() {
///     assert_eq!(&*frame, b"hello");
/// }
/// assert_eq!(source.end(), Some(millstream::End::Completed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// Aligned, as a `SinkRef` is.
#[repr(align(128))]
pub struct FrameSource {
    pub(super) lane: Lane,
    pub(super) endpoint: Box<ConsumerEndpoint>,
    /// Where frames are copied to that another process could still write; `None` where they need not be.
    pub(super) scratch: Option<Vec<u8>>,
    pub(super) schema: Option<Schema>,
    pub(super) reconnect: Option<Reconnect<Connected>>,
}

impl FrameSource {
    /// The next frame if there is one. Never waits. The frame is taken when it is dropped.
    ///
    /// ```
    /// use millstream::TryNext;
    /// let (mut sink, mut source) = millstream::channel::<[u8]>().build()?;
    /// sink.put(b"frame")?;
    /// let TryNext::Item(frame) = source.try_next() else { panic!() };
    /// assert_eq!(&*frame, b"frame");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_next(&mut self) -> TryNext<Frame<'_>> {
        while !self.is_ready() {
            match self.vacant() {
                Vacancy::Appeared => {}
                Vacancy::Empty => return TryNext::Empty,
                Vacancy::Ended => {
                    self.seal();
                    return match self.follow(false, None) {
                        Followed::No => TryNext::End(self.endpoint.end().cloned().unwrap_or(End::Cancelled)),
                        Followed::Waiting | Followed::Yes(()) => TryNext::Empty,
                    };
                }
            }
        }
        match self.frame() {
            Some(frame) => TryNext::Item(frame),
            None => TryNext::Empty,
        }
    }

    /// The next frame, waiting for it as the source's wait strategy says. `None` when the stream has ended. The frame is
    /// taken when it is dropped.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<[u8]>().build()?;
    /// sink.put(b"frame")?;
    /// assert_eq!(source.next().as_deref(), Some(b"frame".as_slice()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator cannot lend, and a frame is lent"
    )]
    pub fn next(&mut self) -> Option<Frame<'_>> {
        if !self.is_ready() && self.wait(None) != Waited::Ready {
            return None;
        }
        self.frame()
    }

    /// The next frame, waiting for it until `deadline` at the latest. `Ok(None)` when the stream has ended.
    ///
    /// # Errors
    /// When the deadline passed first, which does not end the stream.
    ///
    /// ```
    /// use std::time::Instant;
    /// let (_sink, mut source) = millstream::channel::<[u8]>().build()?;
    /// assert!(source.next_deadline(Instant::now()).is_err());
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn next_deadline(&mut self, deadline: Instant) -> Result<Option<Frame<'_>>, TimedOut> {
        if !self.is_ready() {
            match self.wait(Some(deadline)) {
                Waited::Ready => {}
                Waited::Ended => return Ok(None),
                Waited::TimedOut => return Err(TimedOut),
            }
        }
        Ok(self.frame())
    }

    /// Takes what is there, at most `max` frames, and calls `take` with each. Never waits. Returns how many were taken.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<[u8]>().build()?;
    /// sink.put(b"ab")?;
    /// sink.put(b"c")?;
    /// let mut all = Vec::new();
    /// assert_eq!(source.drain(10, |frame| all.extend_from_slice(frame)), 2);
    /// assert_eq!(all, b"abc");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drain(&mut self, max: usize, mut take: impl FnMut(&[u8])) -> usize {
        let mut taken = 0;
        while taken < max
            && let TryNext::Item(frame) = self.try_next()
        {
            take(&frame);
            taken += 1;
        }
        taken
    }

    /// Looks at the next frame without taking it, if there is one. Never waits.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<[u8]>().build()?;
    /// sink.put(b"ab")?;
    /// assert_eq!(source.peek(), Some(b"ab".as_slice()));
    /// assert_eq!(source.peek(), Some(b"ab".as_slice()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek(&mut self) -> Option<&[u8]> {
        if !self.is_ready() && self.vacant() != Vacancy::Appeared {
            return None;
        }
        let (at, len) = self.head()?;
        // SAFETY: the head is a whole frame that nobody writes before it is taken, for which this source must not be borrowed.
        Some(unsafe { std::slice::from_raw_parts(at, len) })
    }

    /// The longest frame that can come, in bytes.
    ///
    /// ```
    /// let (_sink, source) = millstream::channel::<[u8]>().max_frame(9).build()?;
    /// assert_eq!(source.max_frame(), 9);
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    #[must_use]
    pub fn max_frame(&self) -> usize {
        match &self.lane {
            Lane::Frames(ring) => ring.longest(),
            Lane::Records(ring) => ring.shape().size(),
        }
    }

    /// The schema of the elements, if the stream carries elements: every frame is then one of them.
    ///
    /// ```
    /// let (_sink, source) = millstream::channel::<[u8]>().build()?;
    /// assert!(source.schema().is_none());
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    #[must_use]
    pub fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    source_control!(
        "millstream::channel::<[u8]>()",
        "sink.put(b\"frame\")?;",
        "source.next();"
    );

    fn pos(&self) -> u64 {
        match &self.lane {
            Lane::Frames(ring) => ring.pos(),
            Lane::Records(ring) => ring.pos(),
        }
    }

    #[inline]
    fn is_ready(&mut self) -> bool {
        let there = match &mut self.lane {
            Lane::Frames(ring) => self.endpoint.end().is_none() && matches!(ring.look(), Ok(Some(_))),
            Lane::Records(ring) => ring.ready(),
        };
        there && self.endpoint.open(self.pos()) != 0
    }

    fn set_mark(&mut self, mark: u64) {
        match &mut self.lane {
            Lane::Frames(ring) => ring.credited(mark),
            Lane::Records(ring) => ring.set_mark(mark),
        }
    }

    /// The next frame, which is ready: where it lies, copied if another process could still write it.
    #[inline]
    fn head(&mut self) -> Option<(*const u8, usize)> {
        let (at, len) = match &self.lane {
            Lane::Frames(ring) => ring.look().ok().flatten()?,
            Lane::Records(ring) => (ring.head(), ring.shape().size()),
        };
        let Some(scratch) = &mut self.scratch else {
            return Some((at, len));
        };
        // SAFETY: a frame that was published, inside the area.
        unsafe { copy_out(at, len, scratch) };
        Some((scratch.as_ptr(), len))
    }

    #[inline]
    fn frame(&mut self) -> Option<Frame<'_>> {
        let (at, len) = self.head()?;
        Some(Frame {
            source: self,
            at,
            len,
        })
    }

    /// Moves past the next frame.
    #[inline]
    fn release(&mut self) {
        let due = match &mut self.lane {
            Lane::Frames(ring) => {
                ring.skip();
                self.endpoint.set_bytes(ring.byte());
                ring.past_mark()
            }
            Lane::Records(ring) => {
                ring.skip(1);
                ring.past_mark()
            }
        };
        if due {
            let mark = self.endpoint.credit_taken(self.pos());
            self.set_mark(mark);
        }
    }

    #[cold]
    #[inline(never)]
    fn vacant(&mut self) -> Vacancy {
        let pos = self.pos();
        let (vacancy, mark) = match &self.lane {
            Lane::Frames(ring) => self
                .endpoint
                .vacant_mark(pos, Expected::NOTHING, || frame_is_there(ring)),
            Lane::Records(ring) => self.endpoint.vacant_mark(pos, ring.expected(), || {
                is_there(ring.stamp(), pos, ring.highest_stamp())
            }),
        };
        self.set_mark(mark);
        vacancy
    }

    #[cold]
    #[inline(never)]
    fn wait(&mut self, deadline: Option<Instant>) -> Waited {
        loop {
            let pos = self.pos();
            let (waited, mark) = match &self.lane {
                Lane::Frames(ring) => self
                    .endpoint
                    .wait_mark(pos, deadline, Expected::NOTHING, || frame_is_there(ring)),
                Lane::Records(ring) => self.endpoint.wait_mark(pos, deadline, ring.expected(), || {
                    is_there(ring.stamp(), pos, ring.highest_stamp())
                }),
            };
            self.set_mark(mark);
            match waited {
                Waited::Ready if !self.is_ready() => {}
                Waited::Ended => {
                    self.seal();
                    match self.follow(true, deadline) {
                        Followed::Yes(()) => {}
                        Followed::No => return waited,
                        Followed::Waiting if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                            return Waited::TimedOut;
                        }
                        // The endpoint says again that the stream has ended.
                        Followed::Waiting => {}
                    }
                }
                _ => return waited,
            }
        }
    }

    /// Goes on with the next producer of the name, if the source is to.
    fn follow(&mut self, wait: bool, deadline: Option<Instant>) -> Followed<()> {
        if self.endpoint.end() != Some(&End::PeerGone) {
            return Followed::No;
        }
        let Some(reconnect) = &mut self.reconnect else {
            return Followed::No;
        };
        match reconnect.attempt(wait, deadline) {
            Tried::Connected((lane, endpoint, schema)) => {
                self.lane = lane;
                self.endpoint = endpoint;
                self.schema = schema;
                Followed::Yes(())
            }
            Tried::Waiting => Followed::Waiting,
            Tried::Over => {
                self.reconnect = None;
                Followed::No
            }
        }
    }

    /// Lets nothing be taken any more. Frames need nothing: their look asks whether the stream has ended.
    fn seal(&mut self) {
        if let Lane::Records(ring) = &mut self.lane {
            // SAFETY: the grave belongs to the endpoint, which lives as long as the cursors and uses it for nothing else.
            unsafe { ring.seal(self.endpoint.grave()) };
        }
    }

    fn go_on(&mut self) {}

    fn taken(&self) -> u64 {
        self.pos()
    }

    fn asked_for(&self) -> u64 {
        self.endpoint.granted()
    }

    /// Cancels. Bytes need no drop.
    fn hang_up(&mut self) {
        self.endpoint.close(End::Cancelled, self.pos());
        self.seal();
    }
}

fn frame_is_there(ring: &FrameConsumer) -> Result<bool, Corruption> {
    ring.look().map(|frame| frame.is_some())
}

impl Drop for FrameSource {
    fn drop(&mut self) {
        if self.endpoint.is_resumable() {
            self.endpoint.depart(self.pos());
        } else {
            self.endpoint.close(End::Cancelled, self.pos());
        }
    }
}

impl fmt::Debug for FrameSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameSource")
            .field("position", &self.position())
            .field("granted", &self.granted())
            .field("max_frame", &self.max_frame())
            .field("end", &self.endpoint.end())
            .finish_non_exhaustive()
    }
}

/// One frame at the head of a source: a slice of bytes. It is taken when it is dropped.
///
/// ```
/// let (mut sink, mut source) = millstream::channel::<[u8]>().build()?;
/// sink.put(b"abc")?;
/// let frame = source.next().unwrap();
/// assert_eq!(frame.len(), 3);
/// drop(frame);
/// assert_eq!(source.position(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Frame<'a> {
    source: &'a mut FrameSource,
    at: *const u8,
    len: usize,
}

impl Frame<'_> {
    /// Leaves the frame in the stream, to be the next one again.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<[u8]>().build()?;
    /// sink.put(b"abc")?;
    /// source.next().unwrap().leave();
    /// assert_eq!(source.position(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn leave(self) {
        std::mem::forget(self);
    }
}

impl Deref for Frame<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: a whole frame, in the ring or copied, that stays as it is until this value is dropped.
        unsafe { std::slice::from_raw_parts(self.at, self.len) }
    }
}

impl Drop for Frame<'_> {
    #[inline]
    fn drop(&mut self) {
        // A panic that unwinds has interrupted the work on this frame.
        if !(self.source.endpoint.is_resumable() && std::thread::panicking()) {
            self.source.release();
        }
    }
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Frame").field(&&**self).finish()
    }
}

// SAFETY: the pointers of a frame lead into the source that it borrows, or into its memory.
unsafe impl Send for Frame<'_> {}
