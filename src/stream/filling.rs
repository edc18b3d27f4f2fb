//! How a consumer keeps away from the one block that its producer fills.
//!
//! The elements of a bundle share one stamp. Put one by one, each stores it again, and a consumer that watches it meanwhile
//! takes its line away from the producer before every store: the elements then wait in the producer's queue of stores, in order,
//! and come at the pace of that one line. A consumer with few blocks before it, to which a [distance](super::headway) costs
//! too much, can still avoid that: a block that is being filled it leaves alone until the next one is begun, for a moment at most, and not
//! where it has waited for what it took. A batch that ends in the midst of a block may have it wait in vain now and then.
//!
//! Measured at 64 elements of 64 bytes: single puts 36 (`next`) and 31 (`drain`) to 46 and 44 million a second. To wait wherever a block is not
//! full, so also for a producer of batches, took their claims from 52 to 39.

#![forbid(unsafe_code)]

use super::backoff::Backoff;
use crate::ring::shape::Shape;
use crate::ring::{Consumer, Spot, Telescope};

/// A ring of fewer blocks has none to spare.
const LEAST_BLOCKS: usize = 4;
/// So many blocks are left alone, after one was found half full, before another is looked at to see whether they still are.
/// With 64 of them the same.
const TRUSTED: u32 = 16;

/// Watches the blocks of a small ring of bundles.
#[derive(Debug)]
pub(super) struct Filling {
    /// Where a walk stands, and the block behind it.
    here: Telescope,
    next: Telescope,
    /// Elements of a block.
    per: u64,
    /// Blocks that are still taken to be filled one by one.
    trusted: u32,
    pub(super) backoff: Backoff,
}

/// What comes of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Elements until the next look.
    pub(super) step: u64,
    /// Whether the block is to be left alone until the next one is begun.
    pub(super) is_filling: bool,
}

impl Filling {
    /// Of a consumer of this ring.
    pub(super) fn of<S: Shape>(ring: &Consumer<S>) -> Option<Self> {
        let shape = ring.shape();
        (shape.is_bundle() && ring.blocks() >= LEAST_BLOCKS).then(|| Self {
            here: ring.telescope(0),
            next: ring.telescope(1),
            per: shape.per() as u64,
            trusted: 0,
            backoff: Backoff::default(),
        })
    }

    /// Looks at the block of the element at `pos`, which was not looked for yet; `open` elements were asked for, and
    /// `has_waited` says that the consumer has waited for what it took before: then its producer is in no hurry.
    #[inline]
    pub(super) fn look(&mut self, pos: u64, spot: Spot, open: u64, has_waited: bool) -> Seen {
        let per = self.per;
        let left = spot.edge().wrapping_sub(pos);
        let seen = |step, is_filling| Seen { step, is_filling };
        if left > 0 {
            // In the midst of a block, of which all that was there a moment ago has been taken.
            let is_full = || self.here.written(spot) >= per || self.next.is_written(spot);
            if open < left || has_waited || is_full() {
                return seen(left, false);
            }
            self.trusted = TRUSTED;
            return seen(left, true);
        }
        // The walk stands at the end of the block before.
        if self.next.written(spot) >= per {
            return seen(per, false);
        }
        let Some(trusted) = self.trusted.checked_sub(1) else {
            return seen(1, false);
        };
        if open < per || has_waited {
            return seen(1, false);
        }
        self.trusted = trusted;
        seen(per, true)
    }

    /// Whether the block is begun that follows the one which is left alone, in which the spot lies.
    pub(super) fn is_over(&self, spot: Spot) -> bool {
        self.next.is_written(spot)
    }
}
