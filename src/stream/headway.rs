//! How far a consumer stays behind its producer.
//!
//! A consumer that is faster than its producer ends up right behind it. There every line crosses twice: the processor runs
//! ahead of the stamps that it has yet to see and fetches lines that the producer is about to write, which takes them
//! away from it again. Both get slower, up to three times, and they stay so. So a consumer looks, each time it has taken
//! some blocks, whether as many more are written; if not, and it has not waited long for what it took, it leaves the ring alone
//! until they are, or until its producer does not come on for a moment. Where that does not help, because its producer is no faster, it soon leaves off.
//!
//! In a small ring it helps where the producer is the slower one, and harms where both are equally fast, so there it is [tried](super::trial). One of
//! few bundles keeps at least away from the one that is being [filled](super::filling) otherwise.
//!
//! It is a matter of speed alone: what a stamp says ahead of its turn is used for nothing else.

#![forbid(unsafe_code)]

use std::mem;

use super::backoff::Backoff;
use super::filling::Filling;
use super::trial::Trial;
use crate::primitive::{hint, time};
use crate::ring::shape::{LINE, Shape};
use crate::ring::{Consumer, Spot, Telescope};

/// The most lines that a consumer stays behind. Single puts at a capacity of 1,024, million elements a second, with 64, 256 and
/// 1,024 of them: 256 bytes 21, 24 and 27, 1,024 bytes 5.3, 7.0 and 7.1.
const MOST_LINES: usize = 512;
/// A ring of more than a [few bundles](FEW_BUNDLES) has at least this many times as many blocks as are kept free between the two, for its producer waits otherwise. With 2, some
/// runs of claims are a third slower; with 8 in lines of 8 bytes, `put_slice` is a fifth slower.
const SHARE: usize = 4;
/// Fewer blocks are no distance.
const LEAST_BLOCKS: usize = 4;
/// In a ring of lines that has fewer a distance may harm: 56 bytes at 64 lose a sixth where both sides are equally fast, and at 128 nothing changes; with a
/// producer that works on each element single puts at 64 gain two thirds. So it is tried.
const LEAST_LINES: usize = 144;
/// Full bundles that are kept free between the two in a ring of few. With 64 elements of 64 bytes, single puts of a producer that works on each go at 20 million a
/// second without a distance, and at 26 with this one and with one of three, which not every ring of four has room for.
const FEW_BUNDLES: usize = 2;
/// The longest moment, in pause hints of 15 to 40 ns, in which the producer is to come on by a [stage](STAGES).
const PAUSES: u32 = 64;
/// Parts of the distance. A consumer that leaves its ring alone gives up where its producer does not get through one of them in a moment:
/// so the last elements of a burst do not wait for others that never come.
const STAGES: usize = 8;
/// A consumer that looked this often in vain for each block, of about 4 ns each, or for each element of a bundle, has not been right
/// behind its producer. In a distance of a few bundles half as many do.
const IDLE_LOOKS: u64 = 64;

/// The block that has to be written, and those on the way there, the nearest first.
#[derive(Debug)]
struct Distance {
    far: Telescope,
    stages: Box<[Telescope]>,
    /// In a ring of few bundles: `far` for who stands at the end of the one before.
    beyond: Option<Telescope>,
    backoff: Backoff,
}

impl Distance {
    /// Up to so many blocks ahead, which the ring of this consumer has.
    fn new<S: Shape>(ring: &Consumer<S>, blocks: usize) -> Self {
        let stages = STAGES.min(blocks);
        Self {
            far: ring.telescope(blocks),
            stages: (1..stages)
                .map(|stage| ring.telescope(blocks * stage / stages))
                .collect(),
            beyond: None,
            backoff: Backoff::default(),
        }
    }

    /// Up to the end of so many bundles, which the ring of this consumer has, and more.
    fn of_few<S: Shape>(ring: &Consumer<S>, bundles: usize) -> Self {
        // They are full once the one after them is begun.
        Self {
            beyond: Some(ring.telescope(bundles + 1)),
            ..Self::new(ring, bundles)
        }
    }

    /// What a walk sees there that has come to `pos`, and the elements from there to the next look.
    #[inline]
    fn seen_from(&self, pos: u64, spot: Spot, step: u64) -> (&Telescope, u64) {
        match &self.beyond {
            None => (&self.far, step),
            Some(beyond) if spot.edge() == pos => (beyond, step),
            // The rest of a bundle is one of them.
            Some(_) => {
                let rest = spot.edge().wrapping_sub(pos);
                (&self.far, rest + step - step / FEW_BUNDLES as u64)
            }
        }
    }

    /// Waits until it is there, as long as the producer comes on from stage to stage. Whether it is.
    fn keep(&self, spot: Spot) -> bool {
        let mut stages = &*self.stages;
        // They are looked at from moment to moment only: a look at a block that is being written takes its line away.
        while !is_over_soon(|| self.far.is_written(spot)) {
            let passed = stages.iter().take_while(|stage| stage.is_written(spot)).count();
            if passed == 0 {
                return false;
            }
            stages = stages.get(passed..).unwrap_or_default();
        }
        true
    }
}

/// What a consumer is to wait for before it takes more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    Distance,
    /// The block after the one that is being filled.
    NextBlock,
}

/// Keeps a consumer at its distance.
#[derive(Debug)]
pub(super) struct Headway {
    /// Nothing where it keeps none.
    distance: Option<Distance>,
    /// Whether it pays, where that is not known.
    trial: Option<Trial>,
    /// What is done in a ring of few bundles as long as it does not.
    filling: Option<Filling>,
    /// Elements from look to look.
    step: u64,
    /// Position of the next look.
    next: u64,
    /// Looks that found nothing to take, as of the last look ahead, and how many more say that there was time.
    idle: u64,
    idle_bound: u64,
    due: Due,
}

impl Headway {
    /// Of a consumer of this ring.
    pub(super) fn of<S: Shape>(ring: &Consumer<S>) -> Self {
        let (shape, all) = (ring.shape(), ring.blocks());
        let most = (MOST_LINES * LINE).div_ceil(shape.stride().max(1));
        let blocks = most.min(all / SHARE);
        let filling = (blocks < LEAST_BLOCKS).then(|| Filling::of(ring)).flatten();
        let (distance, blocks) = match &filling {
            Some(_) => (Some(Distance::of_few(ring, FEW_BUNDLES)), FEW_BUNDLES),
            None if blocks >= LEAST_BLOCKS => (Some(Distance::new(ring, blocks)), blocks),
            None => (None, 0),
        };
        let step = (blocks * shape.per()) as u64;
        let idle_unit = match &filling {
            Some(_) => shape.per() as u64,
            None if shape.is_bundle() => step,
            None => blocks as u64,
        };
        let is_small = shape.stride() <= LINE && all < LEAST_LINES;
        Self {
            distance,
            trial: (is_small || filling.is_some()).then(|| Trial::new(step)),
            filling,
            step,
            next: ring.pos().wrapping_add(step),
            idle: 0,
            idle_bound: IDLE_LOOKS * idle_unit,
            due: Due::Nothing,
        }
    }

    /// Keeps none from now on: the consumer is about to go from place to place.
    pub(super) fn stop(&mut self) {
        self.distance = None;
        self.waive();
    }

    /// Goes on without a wait.
    pub(super) fn waive(&mut self) {
        self.due = Due::Nothing;
    }

    /// The nearer of the next look ahead and of `mark`, at which something else is due and which is not before `pos`.
    #[inline]
    pub(super) fn nearer(&self, pos: u64, mark: u64) -> u64 {
        if self.distance.is_none() {
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
        let Some(distance) = &mut self.distance else {
            return false;
        };
        if (self.next.wrapping_sub(pos) as i64) > 0 {
            return false;
        }
        self.due = Due::Nothing;
        let has_waited = idle.wrapping_sub(self.idle) >= self.idle_bound;
        let is_on = match &mut self.trial {
            Some(trial) => trial.is_on(pos, !has_waited, time::now),
            None => true,
        };
        if !is_on {
            // What was in vain before is nothing to the next trial.
            distance.backoff = Backoff::default();
            if self.filling.is_some() {
                return self.look_at_filling(pos, spot, open, idle, has_waited);
            }
        }
        self.idle = idle;
        let (far, left) = distance.seen_from(pos, spot, self.step);
        self.next = pos.wrapping_add(left);
        // What was not asked for is not put; where each element has a block, the walk stands before the next one already.
        if !is_on || open <= left || far.is_written(spot) {
            return false;
        }
        if distance.backoff.is_in_turn() && !has_waited {
            self.due = Due::Distance;
            return true;
        }
        false
    }

    /// As [`look`](Self::look), where it is time to and the consumer keeps no distance now.
    #[inline(never)]
    fn look_at_filling(&mut self, pos: u64, spot: Spot, open: u64, idle: u64, has_waited: bool) -> bool {
        let Some(filling) = &mut self.filling else {
            return false;
        };
        let seen = filling.look(pos, spot, open, has_waited);
        if seen.step > 1 {
            self.idle = idle;
        }
        self.next = pos.wrapping_add(seen.step);
        let is_due = seen.is_filling && filling.backoff.is_in_turn();
        if is_due {
            self.due = Due::NextBlock;
        }
        is_due
    }

    /// Whether the consumer is to [`keep`](Self::keep) its distance before it takes more.
    pub(super) fn is_due(&self) -> bool {
        self.due != Due::Nothing
    }

    /// Leaves the ring alone, until enough of it is written or its producer does not come on. The walk stands at the block of the next element.
    pub(super) fn keep(&mut self, spot: Spot) {
        let due = mem::replace(&mut self.due, Due::Nothing);
        match (due, &mut self.distance, &mut self.filling) {
            (Due::Distance, Some(distance), _) => {
                let is_there = distance.keep(spot);
                distance.backoff.note(is_there);
            }
            (Due::NextBlock, _, Some(filling)) => {
                debug_assert!(spot.edge() == self.next);
                let is_begun = is_over_soon(|| filling.is_over(spot));
                filling.backoff.note(is_begun);
            }
            _ => {}
        }
    }
}

/// Whether it is over within a moment.
fn is_over_soon(is_over: impl Fn() -> bool) -> bool {
    (0..PAUSES).any(|_| {
        hint::spin_loop();
        is_over()
    })
}
