//! How far a consumer stays behind its producer.
//!
//! A consumer that is faster than its producer ends up right behind it. There every line crosses twice: the processor runs
//! ahead of the stamps that it has yet to see and fetches lines that the producer is about to write, which takes them
//! away from it again. Both get slower, up to three times, and they stay so. So a consumer looks, each time it has taken
//! some blocks, whether as many more are written; if not, and it has not waited long for what it took, it leaves the ring alone
//! until they are, or until its producer does not come on for a moment. Where that does not help, because its producer is no faster, it soon leaves off.
//!
//! In a small ring it helps where the producer is the slower one, and harms where both are equally fast, so there it is [tried](super::trial). In
//! one that is too small for a distance the consumer keeps at least away from the block that is being [filled](super::filling).
//!
//! It is a matter of speed alone: what a stamp says ahead of its turn is used for nothing else.

#![forbid(unsafe_code)]

use super::filling::Filling;
use super::trial::Trial;
use crate::primitive::{hint, time};
use crate::ring::shape::{LINE, Shape};
use crate::ring::{Consumer, Spot, Telescope};

/// The most lines that a consumer stays behind. Single puts at a capacity of 1,024, million elements a second, with 64, 256 and
/// 1,024 of them: 256 bytes 21, 24 and 27, 1,024 bytes 5.3, 7.0 and 7.1.
const MOST_LINES: usize = 512;
/// A ring has at least this many times as many blocks as are kept free between the two, for its producer waits otherwise. With 2, some
/// runs of claims are a third slower; with 8 in lines of 8 bytes, `put_slice` is a fifth slower.
const SHARE: usize = 4;
/// Fewer blocks are no distance.
const LEAST_BLOCKS: usize = 4;
/// In a ring of lines that has fewer a distance may harm: 56 bytes at 64 lose a sixth where both sides are equally fast, and at 128 nothing changes; with a
/// producer that works on each element single puts at 64 gain two thirds. So it is tried.
const LEAST_LINES: usize = 144;
/// The longest moment, in pause hints of 15 to 40 ns, in which the producer is to come on by a [stage](STAGES).
const PAUSES: u32 = 64;
/// Parts of the distance. A consumer that leaves its ring alone gives up where its producer does not get through one of them in a moment:
/// so the last elements of a burst do not wait for others that never come.
const STAGES: usize = 8;
/// A consumer that looked this often in vain for each block, of about 4 ns each, or for each element of a bundle, has not been right
/// behind its producer.
const IDLE_LOOKS: u64 = 64;
/// The most looks ahead that are left out after one that was in vain.
const MOST_LEFT_OUT: u32 = 64;

/// What a consumer looks at.
#[derive(Debug)]
enum Ahead {
    /// The block that has to be written, and those on the way there, the nearest first.
    Distance {
        far: Telescope,
        stages: Box<[Telescope]>,
    },
    /// The block that it is about to read.
    Filling(Filling),
}

impl Ahead {
    /// A distance of so many blocks, which the ring of this consumer has.
    fn distance<S: Shape>(ring: &Consumer<S>, blocks: usize) -> Self {
        let stages = STAGES.min(blocks);
        Self::Distance {
            far: ring.telescope(blocks),
            stages: (1..stages)
                .map(|stage| ring.telescope(blocks * stage / stages))
                .collect(),
        }
    }
}

/// Keeps a consumer at its distance.
#[derive(Debug)]
pub(super) struct Headway {
    /// Nothing where it keeps no distance.
    ahead: Option<Ahead>,
    /// Whether it pays, where that is not known.
    trial: Option<Trial>,
    /// Elements from look to look.
    step: u64,
    /// Position of the next look.
    next: u64,
    /// Looks that found nothing to take, as of the last look ahead, and how many more say that there was time.
    idle: u64,
    idle_bound: u64,
    /// Whether the consumer is to wait before it takes more.
    is_due: bool,
    /// Looks ahead still to be left out, and how many after the next in vain.
    left_out: u32,
    penalty: u32,
}

impl Headway {
    /// Of a consumer of this ring.
    pub(super) fn of<S: Shape>(ring: &Consumer<S>) -> Self {
        let (shape, all) = (ring.shape(), ring.blocks());
        let most = (MOST_LINES * LINE).div_ceil(shape.stride().max(1));
        let blocks = most.min(all / SHARE);
        let (ahead, blocks) = match Filling::of(ring) {
            _ if blocks >= LEAST_BLOCKS => (Some(Ahead::distance(ring, blocks)), blocks),
            Some(filling) => (Some(Ahead::Filling(filling)), 1),
            None => (None, 0),
        };
        let step = (blocks * shape.per()) as u64;
        let idle_unit = if shape.is_bundle() { step } else { blocks as u64 };
        let is_small = shape.stride() <= LINE && all < LEAST_LINES;
        Self {
            ahead,
            trial: is_small.then(|| Trial::new(step)),
            step,
            next: ring.pos().wrapping_add(step),
            idle: 0,
            idle_bound: IDLE_LOOKS * idle_unit,
            is_due: false,
            left_out: 0,
            penalty: 0,
        }
    }

    /// Keeps none from now on: the consumer is about to go from place to place.
    pub(super) fn stop(&mut self) {
        self.ahead = None;
        self.waive();
    }

    /// Goes on without a wait.
    pub(super) fn waive(&mut self) {
        self.is_due = false;
    }

    /// The nearer of the next look ahead and of `mark`, at which something else is due and which is not before `pos`.
    #[inline]
    pub(super) fn nearer(&self, pos: u64, mark: u64) -> u64 {
        if self.ahead.is_none() {
            return mark;
        }
        // One that was passed comes with the next element.
        let left = (self.next.wrapping_sub(pos) as i64).max(1) as u64;
        pos.wrapping_add(left.min(mark.wrapping_sub(pos)))
    }

    /// Looks ahead if it is time to. Whether the consumer is to [`keep`](Self::keep) its distance first, before it takes more;
    /// `open` elements were asked for, and `idle` are the looks of this consumer that found nothing.
    #[inline]
    pub(super) fn look(&mut self, pos: u64, spot: Spot, open: u64, idle: u64) -> bool {
        let Some(ahead) = &self.ahead else {
            return false;
        };
        if (self.next.wrapping_sub(pos) as i64) > 0 {
            return false;
        }
        let Ahead::Distance { far, .. } = ahead else {
            return self.look_at_filling(pos, spot, open, idle);
        };
        self.next = pos.wrapping_add(self.step);
        let has_waited = idle.wrapping_sub(self.idle) >= self.idle_bound;
        self.idle = idle;
        if let Some(trial) = &mut self.trial
            && !trial.is_on(pos, !has_waited, time::now)
        {
            // What was in vain before is nothing to the next trial.
            (self.left_out, self.penalty) = (0, 0);
            return false;
        }
        // What was not asked for is not put; where each element has a block, the walk stands before the next one already.
        if open <= self.step || far.is_written(spot) {
            return false;
        }
        self.is_due = self.is_in_turn() && !has_waited;
        self.is_due
    }

    /// As [`look`](Self::look), where it is time to and the block that is about to be read is looked at.
    #[inline(never)]
    fn look_at_filling(&mut self, pos: u64, spot: Spot, open: u64, idle: u64) -> bool {
        let Some(Ahead::Filling(filling)) = &mut self.ahead else {
            return false;
        };
        let has_waited = idle.wrapping_sub(self.idle) >= self.idle_bound;
        let seen = filling.look(pos, spot, open, has_waited);
        if seen.step > 1 {
            self.idle = idle;
        }
        self.next = pos.wrapping_add(seen.step);
        self.is_due = seen.is_filling && self.is_in_turn();
        self.is_due
    }

    /// Whether this look is not left out.
    #[inline]
    fn is_in_turn(&mut self) -> bool {
        let left = self.left_out.checked_sub(1);
        self.left_out = left.unwrap_or(0);
        left.is_none()
    }

    /// Whether the consumer is to [`keep`](Self::keep) its distance before it takes more.
    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }

    /// Leaves the ring alone, until enough of it is written or its producer does not come on.
    pub(super) fn keep(&mut self, spot: Spot) {
        self.is_due = false;
        let helped = match &self.ahead {
            None => true,
            Some(Ahead::Distance { far, stages }) => keep_distance(far, stages, spot),
            Some(Ahead::Filling(filling)) => {
                debug_assert!(spot.edge() == self.next);
                is_over_soon(|| filling.is_over(spot))
            }
        };
        self.penalty = if helped {
            0
        } else {
            (2 * self.penalty).clamp(1, MOST_LEFT_OUT)
        };
        self.left_out = self.penalty;
    }
}

/// Waits until the block is written at which `far` looks, as long as the producer comes on from stage to stage.
fn keep_distance(far: &Telescope, mut stages: &[Telescope], spot: Spot) -> bool {
    // The stages are looked at from moment to moment only: a look at a block that is being written takes its line away.
    while !is_over_soon(|| far.is_written(spot)) {
        let passed = stages.iter().take_while(|stage| stage.is_written(spot)).count();
        if passed == 0 {
            return false;
        }
        stages = stages.get(passed..).unwrap_or_default();
    }
    true
}

/// Whether it is over within a moment.
fn is_over_soon(is_over: impl Fn() -> bool) -> bool {
    (0..PAUSES).any(|_| {
        hint::spin_loop();
        is_over()
    })
}
