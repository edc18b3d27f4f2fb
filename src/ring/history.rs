//! What a ring still holds of what was published: for a consumer that joins while it runs, and for one that does not hold
//! the producer up.
//!
//! A producer of several consumers stores its **reach** before it uses it: the position that it will not pass without storing a
//! larger one. A block that the reach covers may be written at any moment; the others hold what they held. It never falls: where
//! the producer is held back again, it may have written ahead all the same, in a claim that came to nothing.
//!
//! Before that it stores the same as its **intent**, and looks whether anybody has come. If so the intent comes to nothing: whoever
//! came starts by the reach, as far back as the intent would have written. So newcomers go by the intent, which may be ahead for
//! a moment, and those who ask whether a copy is whole go by the reach, which no writing precedes.
//!
//! ```text
//!        oldest                       newest           reach
//! --------+-----------------------------+----------------+------
//!  may be |  held                       |  may be        |  not before the
//!  gone   |                             |  written       |  next reach
//! ```

use std::fmt;

use super::block::{Area, Place};
use super::page::ReachLine;
use super::shape::Shape;
use crate::primitive::atomic::{Ordering, fence};

/// A ring's blocks, and how far its producer may have written in them.
#[derive(Clone)]
pub(crate) struct History<S> {
    area: Area,
    shape: S,
    /// Position of the first element of the stream.
    base: u64,
    reach: *const ReachLine,
}

// SAFETY: the pointers lead to memory that whoever holds the history keeps alive, and that is read atomically or, as for
// elements, by the rules of the ring.
unsafe impl<S: Send> Send for History<S> {}
// SAFETY: as above; nothing is changed through it.
unsafe impl<S: Sync> Sync for History<S> {}

impl<S: Shape> History<S> {
    /// # Safety
    /// `area` has blocks of this shape, of a stream that began at `base`; it and `reach` outlive the history.
    pub(crate) unsafe fn new(area: Area, shape: S, base: u64, reach: *const ReachLine) -> Self {
        Self {
            area,
            shape,
            base,
            reach,
        }
    }

    fn line(&self) -> &ReachLine {
        // SAFETY: outlives the history, see `new`.
        unsafe { &*self.reach }
    }

    /// The reach at present.
    pub(crate) fn reach(&self) -> u64 {
        self.line().reach.load(Ordering::Acquire)
    }

    /// The reach, or the one that the producer is about to take: at which a newcomer may start to be waited for.
    ///
    /// Whoever was to be seen by the producer before it goes further has issued the heavy side of the fence before this
    /// load; the producer issues the light one after its store, in `ProducerEndpoint::gather`.
    pub(crate) fn intent(&self) -> u64 {
        self.line().intent.load(Ordering::Acquire)
    }

    /// The reach, behind the copy of an element: if the element lies at the [`oldest`](Self::oldest) position of this reach or
    /// behind it, the copy is whole.
    #[inline]
    pub(crate) fn reach_after_copy(&self) -> u64 {
        // Pairs with the Release fence in `ProducerEndpoint::gather`: whoever copied a byte of the next lap sees the
        // reach that allowed it.
        fence(Ordering::Acquire);
        self.line().reach.load(Ordering::Relaxed)
    }

    /// The oldest position whose block the producer does not write before it stores a larger reach.
    #[inline]
    pub(crate) fn oldest(&self, reach: u64) -> u64 {
        let per = self.shape.per() as u64;
        let begun = reach.wrapping_sub(self.base).div_ceil(per);
        let gone = begun.saturating_sub(self.area.blocks() as u64);
        self.base.wrapping_add(gone.wrapping_mul(per))
    }

    /// The position just after the newest element published, which lies between `oldest` and `reach`.
    ///
    /// While the producer publishes, any position that was the newest during the call, or one in the midst of a batch.
    pub(crate) fn newest(&self, oldest: u64, reach: u64) -> u64 {
        let (mut from, mut count) = (oldest, reach.wrapping_sub(oldest));
        while count > 0 {
            let half = count / 2;
            let pos = from.wrapping_add(half);
            if self.is_published(pos) {
                from = pos.wrapping_add(1);
                count -= half + 1;
            } else {
                count = half;
            }
        }
        from
    }

    fn is_published(&self, pos: u64) -> bool {
        // Pairs with the Release of the stamp: whoever starts behind it sees the element.
        let stamp = self.place(pos).stamp().load(Ordering::Acquire);
        stamp.wrapping_sub(pos) as i64 > 0
    }

    /// Where the element at `pos` lies.
    pub(crate) fn place(&self, pos: u64) -> Place {
        self.area.place(self.shape, pos.wrapping_sub(self.base), pos)
    }
}

impl<S> fmt::Debug for History<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}
