//! Elements taken as many at a time as there are.

use std::mem::MaybeUninit;

use super::endpoint::Vacancy;
use super::source::SourceRef;
use crate::primitive::atomic::{Ordering, compiler_fence};
use crate::ring::shape::{Fixed, LINE, Shape};
use crate::ring::{Filled, Run};

impl<T> SourceRef<T> {
    /// Takes what is there, at most `max` elements, and calls `take` with each. Never waits for more, but may leave the ring alone for a
    /// moment as [`try_next`](Self::try_next) does. Of what comes meanwhile it takes some, until it has had as much as the ring holds.
    /// Returns how many were taken.
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
        // What comes meanwhile has no end where the producer goes on at full speed.
        let enough = usize::try_from(self.cold.most_there(&self.ring)).unwrap_or(usize::MAX);
        let max = max.min(self.most_at_once()).min(enough);
        let mut taken = 0;
        while taken < max {
            let due = Due(self);
            // SAFETY: each element is read out once, as it is taken.
            let some = unsafe {
                due.0.ring.drain((max - taken) as u64, |run, filled| {
                    read_out(run, filled, &mut take)
                })
            };
            drop(due);
            // At most `max`.
            taken += some as usize;
            if some > 0 {
                continue;
            }
            match self.vacant() {
                Vacancy::Appeared => {}
                Vacancy::Empty => break,
                Vacancy::Ended => {
                    let _ = self.ended();
                    break;
                }
            }
        }
        taken
    }
}

/// Gives the credit that is due at its end, also when the user's closure, or the drop of an element, panics: else a source
/// that asks by hand would take what it has not asked for.
pub(super) struct Due<'a, T>(pub(super) &'a mut SourceRef<T>);

impl<T> Drop for Due<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.0.ring.past_mark() {
            self.0.passed();
        }
    }
}

/// Reads out the elements of a block, or of a part of it, and gives them to `take`.
///
/// # Safety
/// They are there.
#[inline(always)]
unsafe fn read_out<T>(run: &mut Run<Fixed<T>>, filled: Filled, take: &mut impl FnMut(T)) {
    let per = Fixed::<T>::measured().per;
    match filled {
        Filled::Whole if per > 1 && !Fixed::<T>::new().is_bundle() => {
            let line = Line::copy(run.block_head().cast::<T>());
            // As in `Consumer::take`: what was copied is not fetched again.
            compiler_fence(Ordering::Acquire);
            for index in 0..per {
                run.take();
                // SAFETY: copied with the line, and read once.
                take(unsafe { line.0.as_ptr().cast::<T>().wrapping_add(index).read_unaligned() });
            }
        }
        Filled::Whole | Filled::Part(_) => {
            for _ in 0..filled.count(Fixed::<T>::new()) {
                // SAFETY: one of those that are there.
                unsafe { read_one(run, take) };
            }
        }
    }
}

/// Reads out the next element and gives it to `take`.
///
/// # Safety
/// It is there.
#[inline(always)]
unsafe fn read_one<T>(run: &mut Run<Fixed<T>>, take: &mut impl FnMut(T)) {
    // SAFETY: as the caller promises.
    let element = unsafe { run.head().cast::<T>().read() };
    // As above.
    compiler_fence(Ordering::Acquire);
    run.take();
    take(element);
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
