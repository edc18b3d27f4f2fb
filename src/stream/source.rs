//! `SourceRef`: the handle by which a consumer takes elements from a stream.

use std::fmt;
use std::mem::MaybeUninit;
use std::time::Instant;

use super::control::source_control;
use super::end::End;
use super::endpoint::{ConsumerEndpoint, Vacancy, Waited};
use super::error::TimedOut;
use super::peek::{Peek, Scratch};
use super::reconnect::{Reconnect, Tried};
use crate::primitive::atomic::{AtomicU64, Ordering, compiler_fence};
use crate::ring::block::{Fixed, LINE};
use crate::ring::{Consumer, Corruption};

/// What [`SourceRef::try_next`] found.
///
/// ```
/// use millstream::{End, TryNext};
/// let (mut sink, mut source) = millstream::channel::<u64>().build()?;
/// assert_eq!(source.try_next(), TryNext::Empty);
/// sink.put(1)?;
/// sink.complete()?;
/// assert_eq!(source.try_next(), TryNext::Item(1));
/// assert_eq!(source.try_next(), TryNext::End(End::Completed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum TryNext<T> {
    /// The next element.
    Item(T),
    /// Nothing at present.
    Empty,
    /// The stream has ended, and everything published was taken.
    End(End),
}

impl<T> TryNext<T> {
    /// The element, if there was one.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<u64>().build()?;
    /// sink.put(1)?;
    /// assert_eq!(source.try_next().item(), Some(1));
    /// assert_eq!(source.try_next().item(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn item(self) -> Option<T> {
        match self {
            Self::Item(item) => Some(item),
            Self::Empty | Self::End(_) => None,
        }
    }
}

/// The consumer's handle of a stream of `T`.
///
/// It is an iterator: `for element in &mut source` goes on until the stream ends, and [`end`](Self::end) then says
/// how. One source reads a stream: it can be sent to another thread, not cloned. Dropping it cancels the stream,
/// also when a panic unwinds.
///
/// ```
/// let (mut sink, mut source) = millstream::channel::<u64>().build()?;
/// std::thread::spawn(move || {
///     for i in 0..1000 {
///         sink.put(i).unwrap();
///     }
///     sink.complete().unwrap();
/// });
/// let mut sum = 0;
/// for element in &mut source {
///     sum += element;
/// }
/// assert_eq!(sum, 499_500);
/// assert_eq!(source.end(), Some(millstream::End::Completed));
/// # Ok::<(), millstream::ChannelError>(())
/// ```
pub struct SourceRef<T> {
    pub(super) ring: Consumer<Fixed<T>>,
    // Boxed, and given positions by value: see `endpoint`.
    pub(super) endpoint: Box<ConsumerEndpoint>,
    /// Where `peek` copies elements to that another process could still write; `None` where it need not.
    pub(super) scratch: Option<Scratch<T>>,
    pub(super) reconnect: Option<Reconnect<Connected<T>>>,
}

/// What a source takes over from a connection.
pub(super) type Connected<T> = (Consumer<Fixed<T>>, Box<ConsumerEndpoint>);

/// Whether a source went on with the next producer.
pub(super) enum Followed {
    Yes,
    Waiting,
    No,
}

// SAFETY: a source moves elements out that its sink wrote on another thread, so `T: Send` is what it takes.
unsafe impl<T: Send> Send for SourceRef<T> {}

/// Looks whether the element at `pos` is there, by the stamp of its block, which is at most `highest`.
#[inline(always)]
pub(super) fn is_there(stamp: &AtomicU64, pos: u64, highest: u64) -> Result<bool, Corruption> {
    // Relaxed: who takes the element looks again, by `Consumer::ready`, with Acquire.
    let stamp = stamp.load(Ordering::Relaxed);
    let fresh = stamp.wrapping_sub(pos);
    if fresh as i64 <= 0 {
        return Ok(false);
    }
    if fresh > highest.wrapping_sub(pos) {
        return Err(Corruption::new("stamp", stamp, pos, highest));
    }
    Ok(true)
}

impl<T> SourceRef<T> {
    /// Takes the next element if there is one. Never waits.
    ///
    /// ```
    /// use millstream::TryNext;
    /// let (mut sink, mut source) = millstream::channel::<u64>().build()?;
    /// sink.put(3)?;
    /// assert_eq!(source.try_next(), TryNext::Item(3));
    /// assert_eq!(source.try_next(), TryNext::Empty);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_next(&mut self) -> TryNext<T> {
        while !self.ring.ready() {
            match self.vacant() {
                Vacancy::Appeared => {}
                Vacancy::Empty => return TryNext::Empty,
                Vacancy::Ended => return self.ended(),
            }
        }
        // SAFETY: ready.
        TryNext::Item(unsafe { self.take() })
    }

    /// Takes the next element, waiting for it until `deadline` at the latest. `Ok(None)` when the stream has ended.
    ///
    /// # Errors
    /// When the deadline passed first. Unlike the idle timeout, that does not end the stream.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// let (mut sink, mut source) = millstream::channel::<u64>().build()?;
    /// sink.put(3)?;
    /// let deadline = Instant::now() + Duration::from_millis(1);
    /// assert_eq!(source.next_deadline(deadline), Ok(Some(3)));
    /// assert!(source.next_deadline(deadline).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn next_deadline(&mut self, deadline: Instant) -> Result<Option<T>, TimedOut> {
        if !self.ring.ready() {
            match self.wait(Some(deadline)) {
                Waited::Ready => {}
                Waited::Ended => return Ok(None),
                Waited::TimedOut => return Err(TimedOut),
            }
        }
        // SAFETY: ready.
        Ok(Some(unsafe { self.take() }))
    }

    /// Takes what is there, at most `max` elements, and calls `take` with each. Never waits. Returns how many were taken.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<u64>().build()?;
    /// sink.put_slice(&[1, 2, 3])?;
    /// let mut sum = 0;
    /// assert_eq!(source.drain(100, |element| sum += element), 3);
    /// assert_eq!(sum, 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn drain(&mut self, max: usize, mut take: impl FnMut(T)) -> usize {
        let per = Fixed::<T>::measured().per;
        let max = max.min(self.most_at_once());
        let mut taken = 0;
        while taken < max {
            if !self.ring.ready() {
                match self.vacant() {
                    Vacancy::Appeared => continue,
                    Vacancy::Empty => break,
                    Vacancy::Ended => {
                        let _ = self.ended();
                        break;
                    }
                }
            }
            let run = self.ring.run().min(max - taken);
            // The whole line apart, with its length known: the next line's address then does not wait for the stamp.
            let line = (run == per && per > 1).then(|| Line::copy(self.ring.head().cast::<T>()));
            let mut progress = Progress {
                ring: &mut self.ring,
                taken: 0,
            };
            if let Some(line) = &line {
                for _ in 0..per {
                    // SAFETY: `per` elements are ready, and each is read out once, from the copy.
                    take(unsafe { progress.next_of(line.0.as_ptr().cast()) });
                }
            } else {
                let head = progress.ring.head();
                for _ in 0..run {
                    // SAFETY: `run` elements are ready, and each is read out once.
                    take(unsafe { progress.next_of(head.cast()) });
                }
            }
            drop(progress);
            taken += run;
            if self.ring.past_mark() {
                self.credit();
            }
        }
        taken
    }

    /// Looks at what is there, at most `max` elements, in place. Never waits.
    ///
    /// Nothing is taken until [`Peek::release`]. Between processes the elements are copied first, because a peer that
    /// misbehaves could change them under a reference; see `SubscribeBuilder::trust_producer` for the way without a copy.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<u64>().build()?;
    /// sink.put_slice(&[1, 2, 3])?;
    /// let peek = source.peek(2);
    /// assert_eq!(peek.iter().sum::<u64>(), 3);
    /// peek.release(1);
    /// assert_eq!(source.next(), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn peek(&mut self, max: usize) -> Peek<'_, T> {
        Peek::new(self, max)
    }

    source_control!("millstream::channel::<u64>()", "sink.put(1)?;", "source.next();");

    fn pos(&self) -> u64 {
        self.ring.pos()
    }

    fn is_ready(&mut self) -> bool {
        self.ring.ready()
    }

    #[inline(always)]
    fn set_mark(&mut self, mark: u64) {
        // SAFETY: as in `seal`.
        unsafe { self.ring.set_mark(mark, self.endpoint.grave()) };
    }

    fn go_on(&mut self) {
        self.ring.resume();
    }

    /// # Safety
    /// `ready` returned true since the last element was taken.
    #[inline(always)]
    unsafe fn take(&mut self) -> T {
        // SAFETY: ready, and each element is read out once.
        let element = unsafe { self.ring.take(|at| at.cast::<T>().read()) };
        if self.ring.pos() == self.ring.mark {
            self.credit();
        }
        element
    }

    #[inline(always)]
    pub(super) fn credit(&mut self) {
        let mark = self.endpoint.credit_taken(self.ring.pos());
        self.set_mark(mark);
    }

    #[inline(always)]
    pub(super) fn vacant(&mut self) -> Vacancy {
        let (stamp, pos, highest) = (self.ring.stamp(), self.ring.pos(), self.ring.highest_stamp());
        let (vacancy, mark) = self.endpoint.vacant_mark(pos, || is_there(stamp, pos, highest));
        self.set_mark(mark);
        vacancy
    }

    /// What a source that does not wait says after the end: the end, unless it goes on with the next producer.
    #[cold]
    #[inline(never)]
    pub(super) fn ended(&mut self) -> TryNext<T> {
        self.seal();
        match self.follow(false, None) {
            Followed::No => TryNext::End(self.endpoint.end().cloned().unwrap_or(End::Cancelled)),
            Followed::Waiting | Followed::Yes => TryNext::Empty,
        }
    }

    /// Goes on with the next producer of the name, if the source is to.
    fn follow(&mut self, wait: bool, deadline: Option<Instant>) -> Followed {
        if self.endpoint.end() != Some(&End::PeerGone) {
            return Followed::No;
        }
        let Some(reconnect) = &mut self.reconnect else {
            return Followed::No;
        };
        match reconnect.attempt(wait, deadline) {
            Tried::Connected((ring, endpoint)) => {
                self.ring = ring;
                self.endpoint = endpoint;
                Followed::Yes
            }
            Tried::Waiting => Followed::Waiting,
            Tried::Over => {
                self.reconnect = None;
                Followed::No
            }
        }
    }

    #[inline(always)]
    fn wait(&mut self, deadline: Option<Instant>) -> Waited {
        loop {
            let (stamp, pos, highest) = (self.ring.stamp(), self.ring.pos(), self.ring.highest_stamp());
            let (waited, mark) = self
                .endpoint
                .wait_mark(pos, deadline, || is_there(stamp, pos, highest));
            self.set_mark(mark);
            match waited {
                Waited::Ready if !self.ring.ready() => {}
                Waited::Ended => {
                    if let Some(waited) = self.wait_to_follow(deadline) {
                        return waited;
                    }
                }
                _ => return waited,
            }
        }
    }

    /// After the end: `None` when the source went on with the next producer.
    #[cold]
    #[inline(never)]
    fn wait_to_follow(&mut self, deadline: Option<Instant>) -> Option<Waited> {
        self.seal();
        loop {
            match self.follow(true, deadline) {
                Followed::Yes => return None,
                Followed::No => return Some(Waited::Ended),
                Followed::Waiting if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                    return Some(Waited::TimedOut);
                }
                Followed::Waiting => {}
            }
        }
    }

    /// Lets nothing be taken any more.
    #[cold]
    #[inline(never)]
    pub(super) fn seal(&mut self) {
        // SAFETY: the grave belongs to the endpoint, which lives as long as the cursors and uses it for nothing else.
        unsafe { self.ring.seal(self.endpoint.grave()) };
    }

    /// How many elements may be taken before demand is looked at again: those asked for, any number when the source asks
    /// by itself. At least one, so that a look finds the end.
    #[inline(always)]
    pub(super) fn most_at_once(&self) -> usize {
        usize::try_from(self.endpoint.open(self.ring.pos()))
            .unwrap_or(usize::MAX)
            .max(1)
    }

    /// Drops what is there, and cancels.
    fn hang_up(&mut self) {
        self.ring.resume();
        HangUp(self).0.discard();
    }

    /// Drops what is there and will not be taken: it is the consumer's until the close.
    fn discard(&mut self) {
        if std::mem::needs_drop::<T>() {
            // What is there is at most what was granted and buffered; what comes meanwhile is the producer's to drop.
            let mut left = self.endpoint.most_in_ring();
            while left > 0 && self.ring.ready() {
                left -= 1;
                // SAFETY: ready.
                drop(unsafe { self.ring.take(|at| at.cast::<T>().read()) });
            }
        }
    }
}

/// Cancels at its end, also when an element panics as it is dropped: the sink must learn of it, and the memory's owner
/// how far elements were dropped.
struct HangUp<'a, T>(&'a mut SourceRef<T>);

impl<T> Drop for HangUp<'_, T> {
    fn drop(&mut self) {
        self.0.endpoint.close(End::Cancelled, self.0.ring.pos());
        self.0.seal();
    }
}

/// A walk along a run. The cursors move once, at its end, also when the user's closure panics.
struct Progress<'a, T> {
    ring: &'a mut Consumer<Fixed<T>>,
    taken: usize,
}

impl<T> Progress<'_, T> {
    /// Reads the next element of those that begin at `head`.
    ///
    /// # Safety
    /// There is one, and it is read once.
    #[inline(always)]
    unsafe fn next_of(&mut self, head: *const T) -> T {
        let at = head.wrapping_add(self.taken);
        self.taken += 1;
        // SAFETY: as the caller promises.
        let element = unsafe { at.read() };
        // As in `Consumer::take`: what was copied is not fetched again.
        compiler_fence(Ordering::Acquire);
        element
    }
}

/// The elements of a whole line, copied out before any of them is looked at.
#[repr(align(64))]
struct Line([MaybeUninit<u8>; LINE]);

impl Line {
    #[inline(always)]
    fn copy<T>(head: *const T) -> Self {
        let mut line = Self([MaybeUninit::uninit(); LINE]);
        let per = Fixed::<T>::measured().per;
        // SAFETY: `per` elements of more than one to a line are less than a line, and the caller saw them ready.
        unsafe { head.copy_to_nonoverlapping(line.0.as_mut_ptr().cast(), per) };
        line
    }
}

impl<T> Drop for Progress<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.ring.reading(self.taken);
        self.ring.skip(self.taken);
    }
}

impl<T> Iterator for SourceRef<T> {
    type Item = T;

    /// Takes the next element, waiting for it as the source's wait strategy says. `None` when the stream has ended, which
    /// the idle timeout does too; from then on always `None`.
    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        if !self.ring.ready() && self.wait(None) != Waited::Ready {
            return None;
        }
        // SAFETY: ready.
        Some(unsafe { self.take() })
    }
}

impl<T> std::iter::FusedIterator for SourceRef<T> {}

impl<T> Drop for SourceRef<T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.endpoint.is_resumable() {
            self.endpoint.depart(self.ring.pos());
            return;
        }
        self.hang_up();
    }
}

impl<T> fmt::Debug for SourceRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceRef")
            .field("position", &self.position())
            .field("granted", &self.granted())
            .field("end", &self.endpoint.end())
            .finish_non_exhaustive()
    }
}
