//! The cursors of a consumer that the producer does not wait for, or not for ever: it takes a copy of an element first, and
//! then looks whether the producer may have been writing there meanwhile.

use std::mem::MaybeUninit;

use super::block::Place;
use super::credit::Corruption;
use super::history::History;
use super::shape::Fixed;
use crate::primitive::atomic::Ordering;

/// What lies at the cursors.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sight<T> {
    Element(T),
    /// Nothing yet.
    Empty,
    /// The producer has gone round the ring: what was to come next is gone.
    Lapped,
}

#[derive(Debug)]
pub(crate) struct Straggler<T> {
    history: History<Fixed<T>>,
    place: Place,
    pos: u64,
    /// The reach seen last, and the oldest position by it.
    reach: u64,
    oldest: u64,
}

// SAFETY: the pointers lead to memory that the owner of the cursors keeps alive; of the elements, which are `Copy` and `Send`,
// copies are taken.
unsafe impl<T: Send> Send for Straggler<T> {}

impl<T> Straggler<T> {
    /// Position of the next element.
    #[inline]
    pub(crate) fn pos(&self) -> u64 {
        self.pos
    }
}

impl<T: Copy> Straggler<T> {
    /// # Safety
    /// The history, and what it refers to, outlives the cursors.
    pub(crate) unsafe fn new(history: History<Fixed<T>>, pos: u64) -> Self {
        let reach = history.reach();
        Self {
            place: history.place(pos),
            pos,
            oldest: history.oldest(reach),
            reach,
            history,
        }
    }

    /// Whether something has come to where [`take`](Self::take) found nothing: an element, or one of a later lap.
    #[inline]
    pub(crate) fn stirs(&self) -> bool {
        self.place.stamp().load(Ordering::Relaxed).wrapping_sub(self.pos) as i64 > 0
    }

    /// Takes the next element, if it is there.
    #[inline]
    pub(crate) fn take(&mut self) -> Sight<T> {
        let shape = Fixed::<T>::new();
        self.place.reach(shape, self.pos);
        // Pairs with the Release in `Producer::put` and `Producer::publish`.
        let stamp = self.place.stamp().load(Ordering::Acquire);
        let fresh = stamp.wrapping_sub(self.pos);
        if fresh as i64 <= 0 {
            return Sight::Empty;
        }
        if fresh > self.place.edge(shape, self.pos).wrapping_sub(self.pos) {
            return Sight::Lapped;
        }
        let at = self.place.element(shape, self.pos).cast::<MaybeUninit<T>>();
        // SAFETY: a slot of the ring, aligned for `T`. The producer may be writing there, in a race that the check below
        // finds out: volatile, and as bytes that need not be a `T`, so that nothing is concluded from what is read before
        // it. (The way of crossbeam's `AtomicCell` and of every seqlock; the language has no better one for any `T`.)
        let copy = unsafe { at.read_volatile() };
        let reach = self.history.reach_after_copy();
        if reach != self.reach {
            self.reach = reach;
            self.oldest = self.history.oldest(reach);
        }
        if (self.pos.wrapping_sub(self.oldest) as i64) < 0 {
            return Sight::Lapped;
        }
        self.pos = self.pos.wrapping_add(1);
        self.place.passed(shape);
        // SAFETY: the element at this position was published, and its slot was not to be written again when all of it had
        // been copied: these are the bytes of a `T`, which is `Copy`.
        Sight::Element(unsafe { copy.assume_init() })
    }

    /// Moves on to elements that are held, where [`take`](Self::take) found that the next one is gone. Gives the position and
    /// the number of those that are.
    ///
    /// Not to the oldest, which may be gone in a moment: a quarter of what is held behind it.
    #[cold]
    #[inline(never)]
    pub(crate) fn catch_up(&mut self) -> Result<(u64, u64), Corruption> {
        self.reach = self.history.reach();
        self.oldest = self.history.oldest(self.reach);
        let behind = self.oldest.wrapping_sub(self.pos);
        if (behind as i64) <= 0 {
            // A stamp of the next lap is stored after the reach that allowed it.
            let stamp = self.place.stamp().load(Ordering::Relaxed);
            let highest = self.place.edge(Fixed::<T>::new(), self.pos);
            return Err(Corruption::new("stamp", stamp, self.pos, highest));
        }
        let newest = self.history.newest(self.oldest, self.reach);
        let ahead = newest.wrapping_sub(self.oldest) / 4;
        Ok(self.skip(self.oldest.wrapping_add(ahead)))
    }

    /// Moves on to the newest element, and gives the position and the number of those left out.
    #[cold]
    #[inline(never)]
    pub(crate) fn give_up(&mut self) -> (u64, u64) {
        let reach = self.history.reach();
        let newest = self.history.newest(self.history.oldest(reach), reach);
        if newest.wrapping_sub(self.pos) as i64 > 0 {
            self.skip(newest)
        } else {
            (self.pos, 0)
        }
    }

    fn skip(&mut self, to: u64) -> (u64, u64) {
        let from = self.pos;
        self.pos = to;
        self.place = self.history.place(to);
        (from, to.wrapping_sub(from))
    }
}
