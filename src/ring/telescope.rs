//! A look at what is written further on in a ring of blocks, for the sake of speed alone.

use super::block::Place;
use super::shape::Shape;
#[cfg(not(millstream_loom))]
use crate::primitive::atomic::{AtomicU64, Ordering};

/// Where a walk stands, small enough to be handed on in registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    block: *mut u8,
    /// Position just after the last element of the block.
    edge: u64,
}

impl Spot {
    /// Position just after the last element of the block.
    #[inline(always)]
    pub(crate) fn edge(self) -> u64 {
        self.edge
    }

    /// Where a walk at `pos` stands.
    #[inline(always)]
    pub(crate) fn of(place: &Place, shape: impl Shape, pos: u64) -> Self {
        Self {
            block: place.bounds().0,
            edge: place.edge(shape, pos),
        }
    }
}

/// Looks some blocks ahead of a walk.
#[derive(Debug)]
pub(crate) struct Telescope {
    begin: *mut u8,
    end: *mut u8,
    /// In bytes.
    distance: usize,
    /// From the edge of a spot to the beginning of the block looked at, in elements; less than nothing for its own.
    between: u64,
}

impl Telescope {
    /// Looks `blocks` ahead, fewer than there are, of any place of the ring of this one.
    pub(crate) fn new(place: &Place, shape: impl Shape, blocks: usize) -> Self {
        debug_assert!(blocks < place.blocks(shape));
        let (_, begin, end) = place.bounds();
        Self {
            begin,
            end,
            distance: blocks * shape.stride(),
            between: ((blocks * shape.per()) as u64).wrapping_sub(shape.per() as u64),
        }
    }

    /// Whether something was written where it looks from `spot`, which lies in its ring, as far as a stamp can be believed ahead of its turn.
    #[inline]
    pub(crate) fn is_written(&self, spot: Spot) -> bool {
        self.fresh(spot) > 0
    }

    /// How many elements were written where it looks from `spot`, as [`is_written`](Self::is_written) says it; any number, for a
    /// producer that makes nothing of its stamps.
    #[inline]
    pub(crate) fn written(&self, spot: Spot) -> u64 {
        self.fresh(spot).max(0) as u64
    }

    /// How far the stamp there is ahead of the block's first element.
    #[cfg(not(millstream_loom))]
    #[inline]
    fn fresh(&self, spot: Spot) -> i64 {
        debug_assert!((self.begin..self.end).contains(&spot.block));
        let mut at = spot.block.wrapping_add(self.distance);
        if at >= self.end {
            at = at.wrapping_sub(self.end as usize - self.begin as usize);
        }
        // SAFETY: a block of the ring, for the spot is one and the distance less than all of it: a stamp, as in `Place::stamp`,
        // in memory that outlives the source. Relaxed: nothing is read because of it.
        let stamp = unsafe { AtomicU64::from_ptr(at.cast()) }.load(Ordering::Relaxed);
        stamp.wrapping_sub(spot.edge.wrapping_add(self.between)) as i64
    }

    /// Loom's stamps are elsewhere. No ring of its models is so large that somebody looks ahead.
    #[cfg(millstream_loom)]
    fn fresh(&self, spot: Spot) -> i64 {
        log::warn!("{self:?} does not look from {spot:?}");
        i64::MAX
    }
}
