//! `SourceRef`: the handle by which a consumer takes elements from a stream.

use std::fmt;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::time::Instant;

use super::cold_source::ColdSource;
use super::control::source_control;
use super::end::End;
use super::endpoint::{ConsumerEndpoint, Vacancy, Waited};
use super::error::TimedOut;
use super::peek::{Peek, Scratch};
use super::reconnect::Reconnect;
use crate::primitive::Arc;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::hint::keep_branch;
use crate::ring::shape::{Fixed, LINE};
use crate::ring::{Consumer, Corruption, HeapRing};

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
// Aligned, as a sink is.
#[repr(align(128))]
pub struct SourceRef<T> {
    pub(super) ring: Consumer<Fixed<T>>,
    // All else in one box, which is dropped by value: the cursors' address never leaves the handle, so that they can
    // live in registers. See `endpoint`.
    pub(super) cold: ManuallyDrop<Box<ColdSource<T>>>,
}

/// What a source takes over from a connection.
pub(super) type Connected<T> = (Consumer<Fixed<T>>, Box<ConsumerEndpoint>);

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
    /// # Safety
    /// The endpoint belongs to the cursors.
    pub(super) unsafe fn new(
        connected: Connected<T>,
        scratch: Option<Scratch<T>>,
        reconnect: Option<Reconnect<Connected<T>>>,
        unbounded: Option<Arc<HeapRing<T>>>,
    ) -> Self {
        let (ring, endpoint) = connected;
        let cold = ColdSource::new(&ring, endpoint, scratch, reconnect, unbounded);
        let mark = cold.endpoint.mark();
        let mut source = Self {
            ring,
            cold: ManuallyDrop::new(Box::new(cold)),
        };
        source.set_mark(mark);
        source
    }

    /// Takes the next element if there is one. Never waits for one; right behind its producer, a consumer may first
    /// leave the ring alone for some microseconds, see [`WaitStrategy::BusySpin`](crate::WaitStrategy::BusySpin).
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
        if let Some(element) = self.take_open() {
            return TryNext::Item(element);
        }
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
        if let Some(element) = self.take_open() {
            return Ok(Some(element));
        }
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

    /// Looks at what is there, at most `max` elements, in place. Never waits.
    ///
    /// It shows at least one element if there is one, but need not show all: no more than the ring holds, of an
    /// [unbounded](crate::Buffer::Unbounded) stream no more than lie together, and the producer may lack credit for
    /// more until those that are shown are taken. So do not wait for a number: take what is shown.
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

    source_control!(
        "millstream::channel::<u64>()",
        "sink.put(1)?;",
        "source.next();",
        cold
    );

    fn pos(&self) -> u64 {
        self.ring.pos()
    }

    /// As the position, over all lanes.
    fn taken(&self) -> u64 {
        let elsewhere = self
            .cold
            .lanes
            .as_ref()
            .map_or(0, |lanes| lanes.taken_elsewhere());
        self.ring.pos().wrapping_add(elsewhere)
    }

    /// What was granted, over all lanes.
    fn asked_for(&self) -> u64 {
        let elsewhere = self
            .cold
            .lanes
            .as_ref()
            .map_or(0, |lanes| lanes.granted_elsewhere());
        self.cold.endpoint.granted().wrapping_add(elsewhere)
    }

    pub(super) fn is_ready(&mut self) -> bool {
        self.ring.ready()
    }

    #[inline]
    pub(super) fn set_mark(&mut self, mark: u64) {
        self.cold.set_mark(&mut self.ring, mark);
    }

    /// Lets elements be taken again after a pause.
    #[inline(always)]
    pub(super) fn go_on(&mut self) {
        if let Some(place) = self.cold.take_up() {
            self.ring.set_place(place);
        }
    }

    /// Takes the next element if the cursors know that it is there.
    #[inline(always)]
    fn take_open(&mut self) -> Option<T> {
        if !self.ring.is_open() {
            return None;
        }
        // SAFETY: it is open, and each element is read out once.
        Some(unsafe { self.ring.take_open(|at| at.cast::<T>().read()) })
    }

    /// Takes the next element if the cursors' own place has it. Unlike [`try_next`](Self::try_next) it neither finds an end, nor
    /// gives the credit of who has worked on everything, nor looks [elsewhere](Self::is_plain).
    #[inline(always)]
    pub(crate) fn take_ready(&mut self) -> Option<T> {
        if let Some(element) = self.take_open() {
            return Some(element);
        }
        if !self.ring.ready() {
            return None;
        }
        // SAFETY: ready.
        Some(unsafe { self.take() })
    }

    /// Whether elements come at the cursors' own place alone: one sink, a ring of one piece, and demand.
    #[cfg(not(millstream_loom))]
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        !self.cold.is_special()
    }

    /// # Safety
    /// `ready` returned true since the last element was taken.
    #[inline(always)]
    unsafe fn take(&mut self) -> T {
        if size_of::<T>() > LINE {
            // It lies in memory whatever is called meanwhile. One way for all, and an address to copy it to: by value, and by several
            // ways, it is copied once more.
            let mut element = MaybeUninit::<T>::uninit();
            let to = element.as_mut_ptr();
            let is_due = self.ring.is_due();
            // SAFETY: as the caller promises, and it is read out once.
            unsafe { self.ring.take(|at| to.copy_from_nonoverlapping(at.cast(), 1)) };
            if is_due {
                let taken = Taken(to);
                self.passed();
                mem::forget(taken);
            }
            // SAFETY: it was copied there.
            return unsafe { element.assume_init() };
        }
        if self.ring.is_due() {
            // Apart from the other way, so that no element is kept across a call there.
            keep_branch();
            // SAFETY: as the caller promises.
            let element = unsafe { self.ring.take(|at| at.cast::<T>().read()) };
            self.passed();
            return element;
        }
        // SAFETY: ready, and each element is read out once.
        unsafe { self.ring.take(|at| at.cast::<T>().read()) }
    }

    /// Does what is due at the mark.
    #[inline(always)]
    pub(super) fn passed(&mut self) {
        let mark = self.cold.passed(self.ring.pos(), self.ring.spot());
        self.cold.set_near_mark(&mut self.ring, mark);
    }

    #[inline(always)]
    pub(super) fn vacant(&mut self) -> Vacancy {
        let (vacancy, ring) = self.cold.look(self.ring.clone());
        self.ring = ring;
        vacancy
    }

    #[inline(always)]
    fn wait(&mut self, deadline: Option<Instant>) -> Waited {
        let (waited, ring) = self.cold.refill(self.ring.clone(), deadline);
        self.ring = ring;
        waited
    }

    /// What a source that does not wait says after the end: the end, unless it goes on with the next producer.
    #[inline(always)]
    pub(super) fn ended(&mut self) -> TryNext<T> {
        let (end, ring) = self.cold.ended(self.ring.clone());
        self.ring = ring;
        end.map_or(TryNext::Empty, TryNext::End)
    }

    /// How many elements may be taken before demand is looked at again: those asked for, any number when the source asks
    /// by itself. At least one, so that a look finds the end.
    #[inline(always)]
    pub(super) fn most_at_once(&self) -> usize {
        usize::try_from(self.cold.endpoint.open(self.ring.pos()))
            .unwrap_or(usize::MAX)
            .max(1)
    }

    /// Drops what is there, and cancels.
    fn hang_up(&mut self) {
        self.cold.hang_up(&mut self.ring);
    }
}

/// An element that was copied out, dropped if whoever is rung meanwhile panics.
struct Taken<T>(*mut T);

impl<T> Drop for Taken<T> {
    fn drop(&mut self) {
        // SAFETY: it was copied there, and nobody else reads it: the taker unwinds.
        unsafe { self.0.drop_in_place() };
    }
}

impl<T> Iterator for SourceRef<T> {
    type Item = T;

    /// Takes the next element, waiting for it as the source's wait strategy says. `None` when the stream has ended, which
    /// the idle timeout does too; from then on always `None`.
    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        if let Some(element) = self.take_open() {
            return Some(element);
        }
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
        // SAFETY: nothing uses the box afterwards.
        let cold = unsafe { ManuallyDrop::take(&mut self.cold) };
        cold.part(self.ring.clone());
    }
}

impl<T> fmt::Debug for SourceRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceRef")
            .field("position", &self.position())
            .field("granted", &self.granted())
            .field("end", &self.cold.endpoint.end())
            .finish_non_exhaustive()
    }
}
