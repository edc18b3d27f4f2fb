//! Elements looked at before they are taken.

use std::fmt;
use std::mem::MaybeUninit;

use super::drain::Due;
use super::endpoint::Vacancy;
use super::source::SourceRef;
use crate::ring::shape::Fixed;
use crate::ring::{Consumer, Filled, Run};

/// Where elements are copied to that another process could still write.
pub(super) type Scratch<T> = Vec<MaybeUninit<T>>;

/// Elements at the head of a source, from [`SourceRef::peek`]. Dropping it takes none of them.
///
/// ```
/// let (mut sink, mut source) = millstream::channel::<String>().build()?;
/// sink.put("kept".into())?;
/// assert_eq!(source.peek(1).iter().next().map(String::as_str), Some("kept"));
/// assert_eq!(source.next().as_deref(), Some("kept"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Peek<'a, T> {
    source: &'a mut SourceRef<T>,
    count: usize,
}

impl<'a, T> Peek<'a, T> {
    #[inline]
    pub(super) fn new(source: &'a mut SourceRef<T>, max: usize) -> Self {
        let max = max.min(source.most_at_once());
        while max > 0 && !source.ring.ready() {
            match source.vacant() {
                Vacancy::Appeared => {}
                Vacancy::Empty => break,
                Vacancy::Ended => {
                    let _ = source.ended();
                    break;
                }
            }
        }
        let SourceRef { ring, cold } = source;
        let count = match &mut cold.scratch {
            Some(scratch) => survey_copied(ring, max, scratch),
            None => ring.survey(max as u64, |run, filled| {
                for _ in 0..filled.count(Fixed::<T>::new()) {
                    run.take();
                }
            }),
        };
        // At most `max`.
        let count = count as usize;
        Self { source, count }
    }

    /// How many elements there are.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<u64>().build()?;
    /// sink.put_slice(&[1, 2, 3])?;
    /// assert_eq!(source.peek(2).len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is nothing.
    ///
    /// ```
    /// let (_sink, mut source) = millstream::channel::<u64>().build()?;
    /// assert!(source.peek(2).is_empty());
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The elements, first to last.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<u64>().build()?;
    /// sink.put_slice(&[1, 2, 3])?;
    /// assert_eq!(source.peek(9).iter().copied().collect::<Vec<_>>(), [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn iter(&self) -> PeekIter<'_, T> {
        let run = self.source.ring.run();
        match &self.source.cold.scratch {
            Some(copied) => PeekIter {
                // SAFETY: `new` filled it with `count` whole elements.
                block: unsafe { std::slice::from_raw_parts(copied.as_ptr().cast::<T>(), self.count) }.iter(),
                run,
                behind: 0,
            },
            None => PeekIter {
                block: [].iter(),
                run,
                behind: self.count,
            },
        }
    }

    /// Takes the first `count` elements (at most those that there are) and drops them; the others stay. Returns how many.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<u64>().build()?;
    /// sink.put_slice(&[1, 2, 3])?;
    /// assert_eq!(source.peek(3).release(2), 2);
    /// assert_eq!(source.next(), Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn release(self, count: usize) -> usize {
        let count = count.min(self.count);
        let due = Due(self.source);
        let ring = &mut due.0.ring;
        if std::mem::needs_drop::<T>() {
            let mut left = count;
            while left > 0 && ring.ready() {
                left -= 1;
                // SAFETY: ready.
                drop(unsafe { ring.take(|at| at.cast::<T>().read()) });
            }
        } else {
            ring.skip(count as u64);
        }
        drop(due);
        count
    }

    /// Takes all of them.
    ///
    /// ```
    /// let (mut sink, mut source) = millstream::channel::<u64>().build()?;
    /// sink.put_slice(&[1, 2, 3])?;
    /// assert_eq!(source.peek(9).release_all(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn release_all(self) -> usize {
        let count = self.count;
        self.release(count)
    }
}

/// Copies what is there, at most `max` elements, and takes nothing. Returns how many are copied.
#[inline(always)]
fn survey_copied<T>(ring: &Consumer<Fixed<T>>, max: usize, scratch: &mut Scratch<T>) -> u64 {
    scratch.clear();
    // A survey goes once around the ring at most.
    scratch.reserve(max.min(usize::try_from(ring.slots()).unwrap_or(max)));
    let mut to = scratch.as_mut_ptr();
    let count = ring.survey(max as u64, |run, filled| {
        let at = run.head().cast::<MaybeUninit<T>>();
        // Each by itself: a whole block is copied by constants.
        match filled {
            // SAFETY: as many elements lie there, back to back, and there is room for them behind the others. A stream
            // between processes carries types that can be copied.
            Filled::Whole => unsafe { at.copy_to_nonoverlapping(to, Fixed::<T>::measured().per) },
            // SAFETY: as above.
            Filled::Part(some) => unsafe { at.copy_to_nonoverlapping(to, some) },
        }
        let some = filled.count(Fixed::<T>::new());
        to = to.wrapping_add(some);
        for _ in 0..some {
            run.take();
        }
    });
    // SAFETY: so many were copied there, one behind the other; at most `max`.
    unsafe { scratch.set_len(count as usize) };
    count
}

impl<T> fmt::Debug for Peek<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peek")
            .field("len", &self.count)
            .finish_non_exhaustive()
    }
}

impl<'a, T> IntoIterator for &'a Peek<'_, T> {
    type Item = &'a T;
    type IntoIter = PeekIter<'a, T>;

    fn into_iter(self) -> PeekIter<'a, T> {
        self.iter()
    }
}

/// The iterator of [`Peek::iter`].
pub struct PeekIter<'a, T> {
    /// What is left of the present block, or of the copy of all of them.
    block: std::slice::Iter<'a, T>,
    run: Run<Fixed<T>>,
    /// Elements in the blocks behind it.
    behind: usize,
}

impl<'a, T> PeekIter<'a, T> {
    /// The first element of the next block, whose others are next.
    #[inline(always)]
    fn enter(&mut self) -> Option<&'a T> {
        if self.behind == 0 {
            return None;
        }
        let (at, some) = self.run.next_seen(self.behind);
        self.behind -= some;
        // SAFETY: `Peek::new` saw them there, back to back. They stay in their slots, which the producer does not write
        // before they are released, and that takes the peek, which this iterator borrows.
        self.block = unsafe { std::slice::from_raw_parts(at.cast::<T>(), some) }.iter();
        self.block.next()
    }
}

impl<'a, T> Iterator for PeekIter<'a, T> {
    type Item = &'a T;

    #[inline(always)]
    fn next(&mut self) -> Option<&'a T> {
        self.block.next().or_else(|| self.enter())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.block.len() + self.behind;
        (left, Some(left))
    }
}

impl<T> ExactSizeIterator for PeekIter<'_, T> {}

impl<T> fmt::Debug for PeekIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeekIter")
            .field("left", &self.len())
            .finish_non_exhaustive()
    }
}
