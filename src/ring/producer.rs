//! The producer's side of a ring of blocks: cursors, publishing, the watch on the consumer.

use crate::primitive::atomic::{AtomicU64, Ordering, compiler_fence};
use crate::primitive::hint::keep_value;

use super::block::Place;
use super::shape::Shape;

/// What the producer looks at after each publication: a word of its own process (`notice`: a new
/// subscription, a peer that is gone) and the consumer's control word (parked, closed). As long as they
/// read `quiet`, nothing happened that was not attended to already.
///
/// Its words are of different kinds where they stand side by side, because a compiler that sees two of one kind in a loop
/// packs them into one vector register, and unpacks them for each element.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Watch {
    /// A pointer, by its address.
    control: usize,
    notice: *const AtomicU64,
    quiet: u64,
}

impl Watch {
    /// # Safety
    /// Both words outlive every use of the watch.
    pub(crate) unsafe fn new(notice: *const AtomicU64, control: *const AtomicU64, quiet: u64) -> Self {
        Self {
            notice,
            control: control.expose_provenance(),
            quiet,
        }
    }

    /// Both words at once; their bits are disjoint.
    ///
    /// Relaxed: a consumer that parks after this load sees the stamp stored before it, because it issues the
    /// heavy side of the fence between its `parked` store and its last look (see `wait::fence`).
    #[inline(always)]
    pub(crate) fn word(&self) -> u64 {
        // Of the light side: the compiler is to leave the two in order, too.
        compiler_fence(Ordering::SeqCst);
        let control = std::ptr::with_exposed_provenance::<AtomicU64>(self.control);
        // SAFETY: the words outlive the watch, as `new` demands.
        unsafe { (*self.notice).load(Ordering::Relaxed) | (*control).load(Ordering::Relaxed) }
    }

    /// Whether something happened since it was last attended to.
    #[inline(always)]
    pub(crate) fn disturbed(&self) -> bool {
        self.word() != self.quiet
    }
}

/// How the elements of a batch become visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The consumer sees none of them, then all.
    Together,
    /// The consumer sees those of a block as soon as they are written.
    BlockByBlock,
}

/// The producer's cursors. `pos` never passes `limit`, which is at most the capacity ahead of what the
/// consumer has released.
#[derive(Clone, Debug)]
pub(crate) struct Producer<S> {
    shape: S,
    place: Place,
    pos: u64,
    limit: u64,
    /// The nearer of the limit and the edge of the block, or the next position if the consumer waits for each element: up to here a put is a store of the element and of the stamp.
    stop: u64,
    /// Whether the stamps of a batch [tell](Self::tells_ends) where it ends.
    tells_ends: bool,
    pub(crate) watch: Watch,
}

// SAFETY: the pointers lead to memory that the owner of the producer keeps alive and that is accessed by
// the ring's protocol alone; a producer is moved, never shared.
unsafe impl<S: Send> Send for Producer<S> {}

impl<S: Shape> Producer<S> {
    /// # Safety
    /// `place` is the place of `pos`, in an area that this producer alone writes and that outlives it.
    pub(crate) unsafe fn new(shape: S, place: Place, pos: u64, watch: Watch) -> Self {
        Self {
            shape,
            place,
            pos,
            limit: pos,
            stop: pos,
            tells_ends: false,
            watch,
        }
    }

    /// Stamps each bundle of a batch that is published together with the end of the batch, rather than its own, for a consumer that
    /// [believes](super::Consumer::believes_ends) it: of four bundles it then fetches one stamp's line, and the others stay with
    /// the producer. In claims of 64, and by `put_slice`, 64 bytes at a capacity of 1,024 went 1.05 times as fast.
    pub(super) fn tells_ends(self) -> Self {
        Self {
            tells_ends: true,
            ..self
        }
    }

    pub(crate) fn shape(&self) -> S {
        self.shape
    }

    /// Position of the next element.
    #[inline(always)]
    pub(crate) fn pos(&self) -> u64 {
        self.pos
    }

    /// Whether the producer is at a stop: at the limit known to it, or at the edge of a block, or at any element if the consumer waits for
    /// each.
    #[inline(always)]
    pub(crate) fn at_stop(&self) -> bool {
        self.pos == self.stop
    }

    /// Whether the limit known to the producer is used up.
    #[inline(always)]
    pub(crate) fn is_full(&self) -> bool {
        self.pos == self.limit
    }

    /// Elements that may be written before the limit is read again.
    #[inline(always)]
    pub(crate) fn free(&self) -> u64 {
        self.limit.wrapping_sub(self.pos)
    }

    /// Goes on at `place`, which is that of the next element.
    #[inline(always)]
    pub(crate) fn set_place(&mut self, place: Place) {
        self.place = place;
    }

    /// Sets how far the producer may go. The next [`pass`](Self::pass) takes it into account.
    #[inline(always)]
    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
        self.stop = self.pos;
    }

    /// Says whether the consumer waits for every element: then no line ahead of them is asked for.
    #[inline(always)]
    pub(crate) fn set_waits(&mut self, waits: bool) {
        self.place.set_asking(self.shape, !waits);
    }

    /// Leaves the stop behind: enters the next block if this one is full. To a consumer that waits, for one element.
    ///
    /// The ring is not full.
    #[inline(always)]
    pub(crate) fn pass(&mut self) {
        debug_assert!(!self.is_full());
        if self.shape.per() == 1 {
            // Every put goes on to its next block by itself.
            self.stop = self.limit;
            return;
        }
        if !self.place.asks() {
            // The consumer waits for each element. A stop at each, which is guessed rightly, and no branch at the edge.
            self.place.reach_by_sums(self.shape, self.pos);
            self.stop = self.pos.wrapping_add(1);
            return;
        }
        if self.pos == self.place.edge(self.shape, self.pos) {
            self.place.enter_next(self.shape);
        }
        let edge = self.place.edge(self.shape, self.pos);
        let free = self.free();
        if free >= self.shape.per() as u64 {
            // The usual case, by a constant.
            self.stop = edge;
        } else {
            crate::primitive::hint::keep_branch();
            let within = edge.wrapping_sub(self.pos) <= free;
            self.stop = if within { edge } else { self.limit };
        }
    }

    /// Writes one element and publishes it. Returns where it lies.
    ///
    /// # Safety
    /// The producer is not at a stop, and `write` writes a whole element.
    #[inline(always)]
    pub(crate) unsafe fn put(&mut self, write: impl FnOnce(*mut u8)) -> *mut u8 {
        debug_assert!(!self.at_stop());
        let at = self.place.element(self.shape, self.pos);
        self.place.writing(self.shape, self.pos);
        self.place.claim_ahead_of(self.shape, at);
        self.place.claim_own(self.shape);
        write(at);
        self.pos = self.pos.wrapping_add(1);
        // Pairs with the Acquire in `Consumer::ready` and `Run::go`: who reads this stamp sees the element.
        self.place.stamp().store(self.pos, Ordering::Release);
        if self.shape.per() == 1 {
            self.place.enter_next(self.shape);
        }
        at
    }

    /// Gives up the `count` elements published last, which the consumer will not take, and closes the ring.
    #[inline(always)]
    pub(crate) fn retract(&mut self, count: u64) {
        // Computed from what is there by now: else every put would keep the position before it.
        self.pos = keep_value(self.pos).wrapping_sub(count);
        self.set_limit(self.pos);
    }

    /// Gives up everything from `to` on, which comes `distance` elements after the first of the stream and which the consumer
    /// will not take, and closes the ring.
    #[cfg(not(millstream_loom))]
    pub(crate) fn retreat(&mut self, distance: u64, to: u64) {
        self.place = self.place.another(self.shape, distance, to);
        self.pos = to;
        self.set_limit(to);
    }

    /// Where the element lies that was given up last, which [`put`](Self::put) wrote at `at`.
    #[inline(always)]
    pub(crate) fn retracted(&self, at: *mut u8) -> *mut u8 {
        // As in `retract`: no put is to keep the address either. In a block of one element there is no other way.
        if self.shape.per() == 1 {
            return at;
        }
        self.place.element(self.shape, self.pos)
    }

    /// A walk that starts at the next element and leaves the producer where it is.
    #[inline(always)]
    pub(crate) fn walk(&self) -> Walk<S> {
        Walk {
            shape: self.shape,
            place: self.place.clone(),
            pos: self.pos,
        }
    }

    /// Publishes the next `count` elements together: the consumer sees none of them, then all.
    ///
    /// # Safety
    /// `count` is at most [`free`](Self::free), and that many elements were written by a [`walk`](Self::walk).
    #[inline(always)]
    pub(crate) unsafe fn publish(&mut self, count: usize) {
        self.stamp_all(count, Order::Together, Place::next_block, |_, _, _| ());
    }

    /// Writes the next `count` elements and publishes them in this order.
    ///
    /// # Safety
    /// `count` is at most [`free`](Self::free), and so many elements lie at `from`.
    #[inline(always)]
    pub(crate) unsafe fn put_all(&mut self, from: *const u8, count: usize, order: Order) {
        let (shape, begin) = (self.shape, self.pos);
        let write = |place: &Place, pos: u64, some: usize| {
            for each in 0..some as u64 {
                place.writing(shape, pos.wrapping_add(each));
            }
            // At most `count` elements in.
            let at = from.wrapping_add(pos.wrapping_sub(begin) as usize * shape.size());
            if shape.is_bundle() {
                // One by one: the lines ahead are asked for at the pace at which these are written.
                for each in 0..some {
                    let slot = place.element(shape, pos.wrapping_add(each as u64));
                    place.claim_ahead_of(shape, slot);
                    // SAFETY: as below, and it is one of them.
                    unsafe {
                        at.wrapping_add(each * shape.size())
                            .copy_to_nonoverlapping(slot, shape.size())
                    };
                }
                return;
            }
            // SAFETY: `some` elements lie there, as the caller promises, and as many slots of the block are free.
            unsafe { at.copy_to_nonoverlapping(place.element(shape, pos), some * shape.size()) };
        };
        self.stamp_all(count, order, Place::enter_next_of_batch, write);
    }

    /// Goes through the blocks of the next `count` elements, with `next` from each to the one after it: has `write` put a
    /// block's elements where they belong, by the block, the position of the first and their number, and stamps it.
    #[inline(always)]
    fn stamp_all(
        &mut self,
        count: usize,
        order: Order,
        next: impl Fn(&mut Place, S),
        write: impl Fn(&Place, u64, usize),
    ) {
        debug_assert!(count as u64 <= self.free());
        if count == 0 {
            return;
        }
        let (begin, end) = (self.pos, self.pos.wrapping_add(count as u64));
        let tells_end = self.shape.is_bundle() && self.tells_ends && order == Order::Together;
        if begin == self.place.edge(self.shape, begin) {
            next(&mut self.place, self.shape);
        }
        let first = self.place.clone();
        let in_first = first
            .edge(self.shape, begin)
            .wrapping_sub(begin)
            .min(count as u64);
        let after_first = begin.wrapping_add(in_first);
        let publish_first = || {
            // At most the elements of a block.
            write(&first, begin, in_first as usize);
            // Pairs with the Acquire in `Consumer::ready`.
            let stamp = if tells_end { end } else { after_first };
            first.stamp().store(stamp, Ordering::Release);
        };
        if order == Order::BlockByBlock {
            publish_first();
        }
        let mut at = after_first;
        while at != end {
            next(&mut self.place, self.shape);
            let (left, per) = (end.wrapping_sub(at), self.shape.per() as u64);
            if left >= per {
                // A whole block, by constants.
                write(&self.place, at, self.shape.per());
                at = at.wrapping_add(per);
            } else {
                write(&self.place, at, left as usize);
                at = end;
            }
            // Of a batch that is published together no consumer takes anything here before the first stamp is there; Release for observers
            // that scan, and for the consumer of others.
            let stamp = if tells_end { end } else { at };
            self.place.stamp().store(stamp, Ordering::Release);
        }
        // The consumer polls the first line alone, so that one is written last: it cannot chase inside the batch, and takes
        // the line away from its writer once rather than twice.
        if order == Order::Together {
            publish_first();
        }
        self.pos = end;
        self.stop = end;
        if self.shape.per() == 1 {
            next(&mut self.place, self.shape);
        }
    }
}

/// A walk over slots that are written before they are published.
#[derive(Debug)]
pub(crate) struct Walk<S> {
    shape: S,
    place: Place,
    pos: u64,
}

impl<S: Shape> Walk<S> {
    /// The next slot.
    #[inline(always)]
    pub(crate) fn next_slot(&mut self) -> *mut u8 {
        if self.pos == self.place.edge(self.shape, self.pos) {
            crate::primitive::hint::keep_branch();
            self.place.enter_next(self.shape);
        }
        let at = self.place.element(self.shape, self.pos);
        self.place.writing(self.shape, self.pos);
        self.place.claim_ahead_of(self.shape, at);
        self.pos = self.pos.wrapping_add(1);
        if self.shape.per() == 1 {
            self.place.enter_next(self.shape);
        }
        at
    }
}

#[cfg(all(test, not(millstream_loom)))]
mod tests {
    use super::*;
    use crate::ring::shape::Fixed;
    use crate::ring::{Consumer, HeapRing};

    type Line = [u64; 8];

    /// Publishes `count` elements together behind `before` others, and has the stamps of all bundles but the first one's forgotten.
    /// How many a consumer that believes its stamps, or does not, then drains.
    fn drained(before: u64, count: usize, believes: bool) -> u64 {
        let (ring, place) = HeapRing::<Line>::new(64, 0).unwrap();
        // SAFETY: the words belong to the ring, which outlives the producer.
        let watch = unsafe {
            Watch::new(
                &raw const ring.lines.notice,
                &raw const ring.lines.control.word,
                0,
            )
        };
        let shape = Fixed::<Line>::new();
        // SAFETY: the one producer and the one consumer of the ring, which outlives both.
        let (mut producer, mut consumer) = unsafe {
            let producer = Producer::new(shape, place.clone(), 0, watch).tells_ends();
            let consumer = Consumer::new(shape, place.clone(), 0);
            (
                producer,
                if believes {
                    consumer.believes_ends()
                } else {
                    consumer
                },
            )
        };
        producer.set_limit(64);
        let elements: Vec<Line> = (0..64).map(|number| [number; 8]).collect();
        let from: *const u8 = elements.as_ptr().cast();
        // SAFETY: there is room for all of them, and as many lie there.
        unsafe {
            producer.put_all(from, before as usize, Order::BlockByBlock);
            let behind = from.wrapping_add(before as usize * size_of::<Line>());
            producer.put_all(behind, count, Order::Together);
        }
        let mut later = place;
        // Whole bundles come before the batch.
        for _ in 0..before / 16 {
            later.next_block(shape);
        }
        for _ in 1..(before as usize % 16 + count).div_ceil(16) {
            later.next_block(shape);
            later.stamp().store(0, Ordering::Relaxed);
        }
        let mut number = 0;
        consumer.set_mark(u64::MAX / 2);
        // SAFETY: each is copied out.
        unsafe {
            consumer.drain(64, |run, filled| {
                for _ in 0..filled.count(shape) {
                    assert_eq!(run.head().cast::<Line>().read(), [number; 8]);
                    number += 1;
                    run.take();
                }
            })
        }
    }

    #[test]
    fn one_stamp_tells_of_a_whole_batch() {
        for before in 0..16 {
            for count in 1..=64 - before as usize {
                assert_eq!(drained(before, count, true), before + count as u64);
            }
        }
        assert_eq!(drained(16, 48, true), 64);
    }

    #[test]
    fn who_does_not_believe_it_takes_nothing_by_it() {
        assert_eq!(drained(0, 16, false), 16);
        assert_eq!(drained(0, 17, false), 0);
    }
}
