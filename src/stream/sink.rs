//! `SinkRef`: the handle by which a producer puts elements into a stream.

use std::fmt;
use std::mem::ManuallyDrop;
use std::time::Instant;

use super::claim::Claim;
use super::control::sink_control;
use super::end::CloseReason;
use super::endpoint::{Fate, Granted, ProducerEndpoint};
use super::error::{ClaimError, PutDeadlineError, PutError, TryPutError};
use crate::ring::Producer;
use crate::ring::shape::Fixed;

/// The producer's handle of a stream of `T`.
///
/// One sink writes a stream: it can be sent to another thread, not cloned. Dropping a sink that was not
/// completed ends the stream as failed, unless the builder said otherwise.
///
/// ```
/// let (mut sink, source) = millstream::channel::<u64>().build()?;
/// let reader = std::thread::spawn(move || source.sum::<u64>());
/// for i in 1..=100 {
///     sink.put(i)?;
/// }
/// sink.complete()?;
/// assert_eq!(reader.join().unwrap(), 5050);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// Aligned, so that a sink and a source that lie side by side in their owners' memory do not share a line.
#[repr(align(128))]
pub struct SinkRef<T> {
    pub(super) ring: Producer<Fixed<T>>,
    // Boxed, and given positions by value: see `endpoint`.
    pub(super) endpoint: Box<ProducerEndpoint>,
    /// Slots of the ring, the most that can be claimed.
    pub(super) capacity: usize,
}

// SAFETY: a sink moves elements into memory that its source reads on another thread, so `T: Send` is what it takes.
// `Producer<Fixed<T>>` holds no `T` itself.
unsafe impl<T: Send> Send for SinkRef<T> {}

impl<T> SinkRef<T> {
    /// Puts an element if there is room. Never waits.
    ///
    /// Room is what the consumer has asked for, and `buffer_size` elements more.
    ///
    /// # Errors
    /// `Full` when there is none; `Closed` when the stream takes nothing any more. Both give the element back.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<u64>().build()?;
    /// sink.try_put(7)?;
    /// assert_eq!(source.next(), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_put(&mut self, element: T) -> Result<(), TryPutError<T>> {
        if self.ring.at_stop() && !self.pass() {
            return Err(match self.endpoint.closed() {
                Some(reason) => TryPutError::Closed(element, reason),
                None => TryPutError::Full(element),
            });
        }
        // SAFETY: there is room.
        unsafe { self.put_now(element) }.map_err(|(element, reason)| TryPutError::Closed(element, reason))
    }

    /// Puts an element, waiting for room as the sink's wait strategy says.
    ///
    /// Waits as long as the consumer lives and takes nothing; [`put_deadline`](Self::put_deadline) bounds that.
    ///
    /// # Errors
    /// `Closed`, with the element, when the stream takes nothing any more, also when that happens during the wait.
    ///
    /// ```
    /// let (mut sink, source) = millstream::channel::<String>().build()?;
    /// let reader = std::thread::spawn(move || source.count());
    /// for i in 0..1000 {
    ///     sink.put(format!("line {i}"))?;
    /// }
    /// sink.complete()?;
    /// assert_eq!(reader.join().unwrap(), 1000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn put(&mut self, element: T) -> Result<(), PutError<T>> {
        if self.ring.at_stop()
            && let Granted::Closed(reason) = self.wait_to_pass(None)
        {
            return Err(PutError::Closed(element, reason));
        }
        // SAFETY: there is room: a wait without a deadline ends by room or by a close.
        unsafe { self.put_now(element) }.map_err(|(element, reason)| PutError::Closed(element, reason))
    }

    /// Puts an element, waiting for room until `deadline` at the latest.
    ///
    /// # Errors
    /// `TimedOut` and `Closed` give the element back. After `TimedOut` the stream goes on.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// let (mut sink, _source) = millstream::channel::<u64>().build()?;
    /// sink.put_deadline(7, Instant::now() + Duration::from_millis(5))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn put_deadline(&mut self, element: T, deadline: Instant) -> Result<(), PutDeadlineError<T>> {
        if self.ring.at_stop() {
            match self.wait_to_pass(Some(deadline)) {
                Granted::Room => {}
                Granted::Closed(reason) => return Err(PutDeadlineError::Closed(element, reason)),
                Granted::TimedOut => return Err(PutDeadlineError::TimedOut(element)),
            }
        }
        // SAFETY: there is room.
        unsafe { self.put_now(element) }
            .map_err(|(element, reason)| PutDeadlineError::Closed(element, reason))
    }

    /// Claims `count` slots, to write elements in place and publish them together. Never waits.
    ///
    /// A claim that is dropped publishes nothing.
    ///
    /// # Errors
    /// `Full` when fewer are free now, `TooLarge` when the stream never has as many, `Closed`.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<[u64; 64]>().build()?;
    /// let mut claim = sink.claim(2)?;
    /// for slot in claim.slots() {
    ///     slot[0] = 42;
    /// }
    /// assert_eq!(claim.commit()?, 2);
    /// assert_eq!(source.next().unwrap()[0], 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn claim(&mut self, count: usize) -> Result<Claim<'_, T>, ClaimError> {
        if self.ring.free() < count as u64 {
            if count > self.capacity {
                return Err(ClaimError::TooLarge {
                    asked: count,
                    max: self.capacity,
                });
            }
            self.make_room();
            if self.ring.free() < count as u64 && self.endpoint.grows() {
                self.grow(count);
            }
            if let Some(reason) = self.endpoint.closed() {
                return Err(ClaimError::Closed(reason));
            }
            if self.ring.free() < count as u64 {
                // At most the capacity, which fits.
                return Err(ClaimError::Full {
                    asked: count,
                    free: self.ring.free() as usize,
                });
            }
        }
        Ok(Claim::new(self, count))
    }

    sink_control!("u64", "millstream::channel::<u64>()", "sink.put(1)?;");

    fn pos(&self) -> u64 {
        self.ring.pos()
    }

    /// Of elements no bytes are counted.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    fn byte(&self) -> u64 {
        0
    }

    /// Lets nothing be put any more.
    fn shut(&mut self) {
        self.ring.set_limit(self.ring.pos());
    }

    /// # Safety
    /// The ring is not at a stop.
    #[inline(always)]
    unsafe fn put_now(&mut self, element: T) -> Result<(), (T, CloseReason)> {
        // No more ours once it is published.
        let element = ManuallyDrop::new(element);
        let from = (&raw const element).cast::<T>();
        // SAFETY: not at a stop, and the whole element is written. By its address, for a closure that owned a large one would copy it.
        let at = unsafe {
            self.ring
                .put(|slot| slot.cast::<T>().copy_from_nonoverlapping(from, 1))
        };
        if self.ring.watch.disturbed()
            && let Some(reason) = self.attend()
        {
            self.ring.retract(1);
            let at = self.ring.retracted(at);
            // SAFETY: written just now; the consumer closed without taking it and takes nothing any more, and the
            // position is given up, so the element is ours alone again.
            return Err((unsafe { at.cast::<T>().read() }, reason));
        }
        Ok(())
    }

    /// Leaves a stop behind; false when there is no room.
    #[inline(always)]
    fn pass(&mut self) -> bool {
        if self.ring.is_full() && !self.make_room() {
            return false;
        }
        self.ring.pass();
        true
    }

    /// Leaves a stop behind, waiting for room if need be.
    #[inline(always)]
    fn wait_to_pass(&mut self, deadline: Option<Instant>) -> Granted {
        if self.ring.is_full() {
            let granted = self.wait_for_room(deadline);
            if granted != Granted::Room {
                return granted;
            }
        }
        self.ring.pass();
        Granted::Room
    }

    #[inline(always)]
    pub(super) fn make_room(&mut self) -> bool {
        if self.take_credit(1) {
            return true;
        }
        self.ring = roomier(&mut self.endpoint, self.ring.clone());
        !self.ring.is_full()
    }

    /// Makes room for `least` elements, in a larger ring if need be. The stream is unbounded.
    #[inline(always)]
    fn grow(&mut self, least: usize) {
        self.ring = grown(&mut self.endpoint, self.ring.clone(), least);
    }

    #[inline(always)]
    pub(super) fn wait_for_room(&mut self, deadline: Option<Instant>) -> Granted {
        if self.take_credit(self.endpoint.looks_at_credit()) {
            return Granted::Room;
        }
        let (granted, ring) = awaited(&mut self.endpoint, self.ring.clone(), deadline);
        self.ring = ring;
        granted
    }

    /// Takes the credit that there is by now, or that comes within so many looks. False if there is none, or something else is to
    /// be attended to.
    #[inline(always)]
    fn take_credit(&mut self, looks: u32) -> bool {
        let (limit, waits) = self.endpoint.credited(self.ring.pos(), looks);
        self.ring.set_limit(limit);
        self.ring.set_waits(waits);
        !self.ring.is_full()
    }

    /// Waits until there is room, as [`put`](Self::put) does, or until nobody is there to wait for.
    pub(super) fn wait_until_asked(&mut self, deadline: Option<Instant>) -> Granted {
        if !self.ring.is_full() {
            return Granted::Room;
        }
        let (granted, room) = self.endpoint.wait_asked(self.ring.pos(), deadline);
        self.ring.set_limit(room.limit);
        self.ring.watch = room.watch;
        granted
    }

    /// Attends to a disturbance after one publication; the reason when its element is to come back.
    #[inline(always)]
    fn attend(&mut self) -> Option<CloseReason> {
        let (fate, watch) = self.endpoint.attend(self.ring.pos());
        self.ring.watch = watch;
        match fate {
            Fate::Published => None,
            Fate::Last => {
                self.shut();
                None
            }
            Fate::Returned(reason) => Some(reason),
        }
    }

    /// Publishes `count` written elements. Returns how many of them travel, which is all or, when the consumer
    /// closed meanwhile, an error: how many it had taken, and why.
    ///
    /// # Safety
    /// That many elements were written by a walk, and are free.
    #[inline(always)]
    pub(super) unsafe fn publish(&mut self, count: usize) -> Result<usize, (usize, CloseReason)> {
        // SAFETY: as this function demands.
        unsafe { self.ring.publish(count) };
        self.published(count)
    }

    /// Attends to whatever disturbed the watch after `count` elements were published. Returns how many of them
    /// travel, as [`publish`](Self::publish) does.
    #[inline(always)]
    pub(super) fn published(&mut self, count: usize) -> Result<usize, (usize, CloseReason)> {
        if self.ring.watch.disturbed() {
            let (fate, watch) = self.endpoint.attend(self.ring.pos());
            self.ring.watch = watch;
            if fate != Fate::Published {
                self.shut();
            }
            if let Fate::Returned(reason) = fate {
                let left = self.endpoint.undrained(self.ring.pos()).0;
                // At most the count.
                return Err(((count as u64).saturating_sub(left) as usize, reason));
            }
        }
        Ok(count)
    }
}

/// Cursors with the room that there is by now. Takes them by value, see `endpoint`.
#[cold]
#[inline(never)]
fn roomier<T>(endpoint: &mut ProducerEndpoint, mut ring: Producer<Fixed<T>>) -> Producer<Fixed<T>> {
    if endpoint.grows() {
        return grown(endpoint, ring, 1);
    }
    refresh(endpoint, &mut ring);
    ring
}

/// Gives the cursors the room that there is by now.
fn refresh<T>(endpoint: &mut ProducerEndpoint, ring: &mut Producer<Fixed<T>>) {
    let room = endpoint.room(ring.pos());
    ring.set_limit(room.limit);
    ring.watch = room.watch;
}

/// Cursors with room for an element, once there is some. Takes them by value, see `endpoint`.
#[cold]
#[inline(never)]
fn awaited<T>(
    endpoint: &mut ProducerEndpoint,
    mut ring: Producer<Fixed<T>>,
    deadline: Option<Instant>,
) -> (Granted, Producer<Fixed<T>>) {
    if endpoint.grows() {
        ring = grown(endpoint, ring, 1);
        if !ring.is_full() {
            return (Granted::Room, ring);
        }
    }
    let (granted, room) = endpoint.wait_room(ring.pos(), deadline);
    ring.set_limit(room.limit);
    ring.watch = room.watch;
    (granted, ring)
}

/// Cursors with room for `least` elements, if the stream is open and there is memory. Takes them by value, see `endpoint`.
#[cold]
#[inline(never)]
fn grown<T>(
    endpoint: &mut ProducerEndpoint,
    mut ring: Producer<Fixed<T>>,
    least: usize,
) -> Producer<Fixed<T>> {
    refresh(endpoint, &mut ring);
    if ring.free() < least as u64
        && let Some(place) = endpoint.grow(least, ring.pos())
    {
        ring.set_place(place);
        refresh(endpoint, &mut ring);
    }
    ring
}

impl<T> Drop for SinkRef<T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.endpoint.abandon(self.ring.pos());
    }
}

impl<T> fmt::Debug for SinkRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkRef")
            .field("position", &self.position())
            .field("demand", &self.demand())
            .field("closed", &self.endpoint.closed())
            .finish_non_exhaustive()
    }
}
