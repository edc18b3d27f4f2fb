//! Slots claimed to be written in place.

use std::fmt;

use super::end::CloseReason;
use super::sink::SinkRef;
use crate::ring::Walk;
use crate::ring::shape::Fixed;
use zerocopy::FromBytes;

/// Slots of a sink, claimed by [`SinkRef::claim`]. Dropping it publishes nothing.
///
/// Elements are pushed one after the other, or, for types of which every bit pattern is a value, written in place
/// through [`slots`](Self::slots).
///
/// ```
/// let (mut sink, mut source) = millstream::channel::<String>().build()?;
/// let mut claim = sink.claim(3)?;
/// claim.push("a".to_string())?;
/// claim.push("b".to_string())?;
/// assert_eq!(claim.commit()?, 2);
/// assert_eq!(source.next().as_deref(), Some("a"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Claim<'a, T> {
    sink: &'a mut SinkRef<T>,
    next: Walk<Fixed<T>>,
    count: usize,
    written: usize,
}

impl<'a, T> Claim<'a, T> {
    #[inline]
    pub(super) fn new(sink: &'a mut SinkRef<T>, count: usize) -> Self {
        let next = sink.ring.walk();
        Self {
            sink,
            next,
            count,
            written: 0,
        }
    }

    /// Slots claimed.
    ///
    /// ```
    /// let (mut sink, _source) = millstream::channel::<u64>().build()?;
    /// assert_eq!(sink.claim(3)?.len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no slot was claimed.
    ///
    /// ```
    /// let (mut sink, _source) = millstream::channel::<u64>().build()?;
    /// assert!(sink.claim(0)?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Writes the next slot.
    ///
    /// # Errors
    /// The element, when every slot is written.
    ///
    /// ```
    /// let (mut sink, _source) = millstream::channel::<u64>().build()?;
    /// let mut claim = sink.claim(1)?;
    /// assert_eq!(claim.push(1), Ok(()));
    /// assert_eq!(claim.push(2), Err(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn push(&mut self, element: T) -> Result<(), T> {
        if self.written == self.count {
            return Err(element);
        }
        // SAFETY: within the claim, so the slot is free, and the sink is borrowed.
        unsafe { self.next.next_slot().cast::<T>().write(element) };
        self.written += 1;
        Ok(())
    }

    /// The slots that are not written yet, in order, as they were left: the bytes of older elements, or zeros. All of
    /// them count as written.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<[u8; 256]>().build()?;
    /// let mut claim = sink.claim(1)?;
    /// claim.slots().next().unwrap().fill(7);
    /// claim.commit()?;
    /// assert_eq!(source.next(), Some([7; 256]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn slots(&mut self) -> impl Iterator<Item = &mut T>
    where
        T: FromBytes,
    {
        let left = self.count - self.written;
        self.written = self.count;
        let next = &mut self.next;
        (0..left).map(move |_| {
            let slot = next.next_slot().cast::<T>();
            // SAFETY: free, aligned, initialised memory (zeroed at first, elements later), of which every content
            // is a `T`; each slot is handed out once, while the claim is borrowed.
            unsafe { &mut *slot }
        })
    }

    /// Publishes what was written, all at once. Returns how many elements that are.
    ///
    /// # Errors
    /// When the consumer closed the stream meanwhile; the elements are dropped, at the latest with both
    /// handles.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<u64>().build()?;
    /// let mut claim = sink.claim(1)?;
    /// claim.push(9).unwrap();
    /// assert_eq!(claim.commit()?, 1);
    /// assert_eq!(source.next(), Some(9));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn commit(mut self) -> Result<usize, EndedMeanwhile> {
        let written = std::mem::take(&mut self.written);
        // SAFETY: that many slots from the sink's place on were free and are written.
        unsafe { self.sink.publish(written) }.map_err(|(_, reason)| EndedMeanwhile { reason })
    }

    /// Gives the slots back unpublished, as dropping the claim does.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<u64>().build()?;
    /// let mut claim = sink.claim(1)?;
    /// claim.push(9).unwrap();
    /// claim.abort();
    /// sink.put(1)?;
    /// assert_eq!(source.next(), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn abort(self) {}
}

impl<T> Drop for Claim<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if !std::mem::needs_drop::<T>() {
            return;
        }
        let mut walk = self.sink.ring.walk();
        for _ in 0..self.written {
            // SAFETY: written by `push` and not published.
            unsafe { walk.next_slot().cast::<T>().drop_in_place() };
        }
    }
}

impl<T> fmt::Debug for Claim<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("len", &self.count)
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

/// The stream closed before a claim was committed.
///
/// ```
/// let (mut sink, source) = millstream::channel::<u64>().build()?;
/// let mut claim = sink.claim(1)?;
/// claim.push(9).unwrap();
/// drop(source);
/// assert!(claim.commit().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream closed before the claim was committed: {reason}")]
pub struct EndedMeanwhile {
    /// Why.
    pub reason: CloseReason,
}
