//! The consumer's side of a ring of blocks: cursors and taking.

use crate::primitive::atomic::{AtomicU64, Ordering, compiler_fence};
use crate::primitive::hint::keep_value;

use super::block::Place;
use super::expected::Expected;
use super::shape::Shape;
use super::telescope::{Spot, Telescope};

/// The consumer's cursors.
#[derive(Clone, Debug)]
pub(crate) struct Consumer<S> {
    shape: S,
    place: Place,
    pos: u64,
    /// In blocks of several elements: up to here they are known to be published, lie in the present block, and come before
    /// the one with which something is due. So a `next` is one comparison and a load.
    stop: u64,
    /// Position at which something is due besides: credit is to be given back, or a look ahead.
    mark: u64,
    /// Whether a bundle's stamp may tell of those behind it, as [`Producer::tells_ends`](super::Producer::tells_ends) says.
    believes_ends: bool,
}

// SAFETY: the pointers lead to memory that the owner of the consumer keeps alive and that is accessed by
// the ring's protocol alone; a consumer is moved, never shared.
unsafe impl<S: Send> Send for Consumer<S> {}

impl<S: Shape> Consumer<S> {
    /// # Safety
    /// `place` is the place of `pos`, in an area that outlives this consumer, of which it is the only one
    /// that takes elements.
    pub(crate) unsafe fn new(shape: S, place: Place, pos: u64) -> Self {
        Self {
            shape,
            place,
            pos,
            stop: pos,
            mark: pos,
            believes_ends: false,
        }
    }

    /// Believes a stamp that lies beyond its bundle: everything before it is there. Of a producer in this process: the first stamp of a batch is
    /// stored last, and who stands at a later one has seen that one. A stamp of the lap before is at most the first position of its bundle, for a batch ends within the
    /// capacity, and a ring has room for a bundle less one element beyond that.
    pub(super) fn believes_ends(self) -> Self {
        Self {
            believes_ends: true,
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

    /// Sets the position at which something is due besides.
    #[inline(always)]
    pub(crate) fn set_mark(&mut self, mark: u64) {
        self.mark = mark;
        self.stop = self.pos;
    }

    /// Whether the next element is there. False also when the stamp makes no sense; the caller then finds
    /// out by [`stamp`](Self::stamp), off the hot path.
    #[inline(always)]
    pub(crate) fn ready(&mut self) -> bool {
        if self.shape.per() == 1 {
            // The compiler is not to take the stamp for the next position, which it equals: what the position decides, the
            // processor would decide only when the line has come.
            let expected = keep_value(self.pos.wrapping_add(1));
            // Pairs with the Release in `Producer::put` and `Producer::publish`.
            return self.place.stamp().load(Ordering::Acquire) == expected;
        }
        if self.pos != self.stop {
            return true;
        }
        self.place.reach(self.shape, self.pos);
        // Pairs with the Release in `Producer::put` and `Producer::publish`.
        let stamp = self.place.stamp().load(Ordering::Acquire);
        let edge = self.place.edge(self.shape, self.pos);
        let highest = self.highest_stamp_at(&self.place);
        // Of a full block the end is known without its stamp, as above.
        let there = if stamp == keep_value(edge) {
            edge
        } else {
            crate::primitive::hint::keep_branch();
            // One comparison for "nothing yet" (0, or an older lap: huge) and for "more than can be".
            let fresh = stamp.wrapping_sub(self.pos);
            if fresh.wrapping_sub(1) >= highest.wrapping_sub(self.pos) {
                return false;
            }
            if self.shape.is_bundle() {
                // One that tells of what lies behind this block says that the block is full.
                self.pos.wrapping_add(fresh.min(edge.wrapping_sub(self.pos)))
            } else {
                stamp
            }
        };
        // None if it is the next element that something is due with; huge if nothing is.
        let before_due = self.mark.wrapping_sub(self.pos).wrapping_sub(1);
        self.stop = if there.wrapping_sub(self.pos) <= before_due {
            there
        } else {
            crate::primitive::hint::keep_branch();
            self.pos.wrapping_add(before_due)
        };
        true
    }

    /// Reads the next element and moves past it.
    ///
    /// # Safety
    /// [`ready`](Self::ready) returned true since the last element was taken, and `read` copies the element out.
    #[inline(always)]
    pub(crate) unsafe fn take<R>(&mut self, read: impl FnOnce(*const u8) -> R) -> R {
        self.place.reading(self.shape, self.pos);
        let value = read(self.place.element(self.shape, self.pos));
        // A peer in another process may write where it must not: what was copied is not fetched again.
        compiler_fence(Ordering::Acquire);
        let was_due = self.is_due();
        self.pos = self.pos.wrapping_add(1);
        if was_due {
            self.stop = self.pos;
        }
        self.place.passed(self.shape);
        value
    }

    /// Whether the next element is known to be there, and nothing is due with it: then [`take_open`](Self::take_open) may
    /// take it. Never in blocks of one element, whose stamp has to be looked at for each.
    #[inline(always)]
    pub(crate) fn is_open(&self) -> bool {
        self.shape.per() > 1 && self.pos != self.stop
    }

    /// As [`take`](Self::take), for less.
    ///
    /// # Safety
    /// The ring [`is_open`](Self::is_open), and `read` copies the element out.
    #[inline(always)]
    pub(crate) unsafe fn take_open<R>(&mut self, read: impl FnOnce(*const u8) -> R) -> R {
        self.place.reading(self.shape, self.pos);
        let value = read(self.place.element(self.shape, self.pos));
        // As in `take`.
        compiler_fence(Ordering::Acquire);
        self.pos = self.pos.wrapping_add(1);
        value
    }

    /// Whether something is due with the next element, which is [`ready`](Self::ready).
    #[inline(always)]
    pub(crate) fn is_due(&self) -> bool {
        if self.shape.per() == 1 {
            return self.pos.wrapping_add(1) == self.mark;
        }
        self.pos == self.stop
    }

    /// Where the next element lies.
    #[inline(always)]
    pub(crate) fn head(&self) -> *const u8 {
        self.place.element(self.shape, self.pos)
    }

    /// The lines of the next element, where it pays to ask for them.
    #[inline(always)]
    pub(crate) fn expected(&self) -> Expected {
        self.place.expected(self.shape, self.pos)
    }

    /// The stamp of the present block.
    #[inline(always)]
    pub(crate) fn stamp(&self) -> &AtomicU64 {
        self.place.stamp()
    }

    /// The highest stamp that the present block can carry.
    #[inline(always)]
    pub(crate) fn highest_stamp(&self) -> u64 {
        self.highest_stamp_at(&self.place)
    }

    /// As [`highest_stamp`](Self::highest_stamp), of the block that lies at `place`.
    #[inline(always)]
    pub(crate) fn highest_stamp_at(&self, place: &Place) -> u64 {
        if self.shape.is_bundle() && self.believes_ends {
            return self.pos.wrapping_add(place.slots(self.shape));
        }
        place.edge(self.shape, self.pos)
    }

    /// Blocks of the ring.
    pub(crate) fn blocks(&self) -> usize {
        self.place.blocks(self.shape)
    }

    /// Where it stands.
    #[inline(always)]
    pub(crate) fn spot(&self) -> Spot {
        Spot::of(&self.place, self.shape, self.pos)
    }

    /// Looks `blocks` ahead of where it stands, fewer than there are.
    pub(crate) fn telescope(&self, blocks: usize) -> Telescope {
        Telescope::new(&self.place, self.shape, blocks)
    }

    /// Slots of the ring.
    pub(crate) fn slots(&self) -> u64 {
        self.place.slots(self.shape)
    }

    /// Where the next element will be looked for.
    #[inline(always)]
    pub(crate) fn place(&mut self) -> Place {
        self.place.reach(self.shape, self.pos);
        self.place.clone()
    }

    /// Goes on at `place`, which is that of the next element, or one at which nothing comes.
    #[inline(always)]
    pub(crate) fn set_place(&mut self, place: Place) {
        self.stop = self.pos;
        self.place = place;
    }

    /// Reads what is there, at most `max` elements and about as far as the mark: hands each block's elements to `read`,
    /// which says by [`Run::take`] what it took. Returns how many were taken.
    ///
    /// # Safety
    /// `read` copies each element out that it takes.
    #[inline(always)]
    pub(crate) unsafe fn drain(&mut self, max: u64, read: impl FnMut(&mut Run<S>, Filled)) -> u64 {
        let (from, mark) = (self.pos, self.mark);
        let mut settling = Settling {
            run: self.run(),
            ring: self,
        };
        settling.run.go(from.wrapping_add(max), mark, read);
        settling.run.pos.wrapping_sub(from)
    }

    /// As [`drain`](Self::drain), but takes nothing, and minds no mark. No further than once around the ring: a peer that
    /// stamps ahead of the walk does not lead it on.
    #[inline(always)]
    pub(crate) fn survey(&self, max: u64, read: impl FnMut(&mut Run<S>, Filled)) -> u64 {
        let mut run = self.run();
        let end = self.pos.wrapping_add(max.min(self.place.slots(self.shape)));
        run.go(end, end, read);
        run.pos.wrapping_sub(self.pos)
    }

    /// A run from here.
    #[inline(always)]
    pub(crate) fn run(&self) -> Run<S> {
        Run {
            shape: self.shape,
            place: self.place.clone(),
            pos: self.pos,
            believes_ends: self.believes_ends,
        }
    }

    /// Moves past `count` elements, which were seen to be there, without reading them.
    #[inline(always)]
    pub(crate) fn skip(&mut self, count: u64) {
        let end = self.pos.wrapping_add(count);
        while self.pos != end {
            self.place.reach(self.shape, self.pos);
            let (left, in_block) = (
                end.wrapping_sub(self.pos),
                self.place.edge(self.shape, self.pos).wrapping_sub(self.pos),
            );
            self.pos = self.pos.wrapping_add(left.min(in_block));
            self.place.passed(self.shape);
        }
        // Whether more of this block is there, its stamp says again.
        self.stop = end;
    }

    /// Whether something is due.
    #[inline(always)]
    pub(crate) fn past_mark(&self) -> bool {
        self.pos.wrapping_sub(self.mark) as i64 >= 0
    }

    /// Lets nothing be taken any more: what lies in the ring is the producer's from here on.
    ///
    /// # Safety
    /// As [`Place::sealed`].
    pub(crate) unsafe fn seal(&mut self, grave: *mut u64) {
        self.stop = self.pos;
        // SAFETY: as the caller promises.
        self.place = unsafe { Place::sealed(grave, self.pos) };
    }
}

/// How much of a block is there to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// All of its elements.
    Whole,
    /// So many, from the present position on.
    Part(usize),
}

impl Filled {
    /// How many elements that are, in blocks of this shape.
    #[inline(always)]
    pub(crate) fn count(self, shape: impl Shape) -> usize {
        match self {
            Self::Whole => shape.per(),
            Self::Part(some) => some,
        }
    }
}

/// Cursors that walk along what is there, apart from the consumer's, in registers.
#[derive(Debug)]
pub(crate) struct Run<S> {
    shape: S,
    place: Place,
    pos: u64,
    /// As [`Consumer`]'s.
    believes_ends: bool,
}

impl<S: Shape> Run<S> {
    /// Hands what is there to `read`, block by block, as far as `end` and no further than the first block that ends at
    /// the mark or behind it. A bundle is left at the mark, for its elements are many: what is due is not to wait for all of them.
    #[inline(always)]
    fn go(&mut self, end: u64, mark: u64, mut read: impl FnMut(&mut Self, Filled)) {
        let per = self.shape.per() as u64;
        let mut known = self.pos;
        while self.pos != end {
            self.place.reach(self.shape, self.pos);
            let edge = self.place.edge(self.shape, self.pos);
            let stamp = self.stamp(edge, &mut known);
            let mut most = end.wrapping_sub(self.pos);
            if self.shape.is_bundle() {
                let before_due = mark.wrapping_sub(self.pos);
                if before_due as i64 > 0 {
                    most = most.min(before_due);
                }
            }
            // As in `ready`.
            if stamp == keep_value(edge) && self.pos == edge.wrapping_sub(per) && most >= per {
                // A whole block, by constants: the address of the next does not wait for the stamp.
                read(self, Filled::Whole);
            } else {
                let fresh = stamp.wrapping_sub(self.pos);
                if fresh.wrapping_sub(1) >= edge.wrapping_sub(self.pos) {
                    return;
                }
                let some = fresh.min(most);
                // At most the elements of a block.
                read(self, Filled::Part(some as usize));
            }
            if self.pos.wrapping_sub(mark) as i64 >= 0 {
                return;
            }
        }
    }

    /// The stamp of this block, which ends at `edge`; without a look where it is known by `known`, before which everything is there. Sets
    /// that, if the stamp tells of what lies behind the block.
    #[inline(always)]
    fn stamp(&self, edge: u64, known: &mut u64) -> u64 {
        let left = known.wrapping_sub(self.pos);
        if self.shape.is_bundle() && left as i64 > 0 {
            return self.pos.wrapping_add(left.min(edge.wrapping_sub(self.pos)));
        }
        // Pairs with the Release in `Producer::put` and `Producer::publish`.
        let stamp = self.place.stamp().load(Ordering::Acquire);
        if self.shape.is_bundle() && self.believes_ends {
            let beyond = stamp.wrapping_sub(edge);
            if beyond.wrapping_sub(1) < self.place.slots(self.shape) {
                *known = stamp;
                return edge;
            }
        }
        stamp
    }

    /// Where the next element lies.
    #[inline(always)]
    pub(crate) fn head(&self) -> *const u8 {
        self.place.element(self.shape, self.pos)
    }

    /// Where the first element of the block lies.
    #[inline(always)]
    pub(crate) fn block_head(&self) -> *const u8 {
        self.place.first(self.shape)
    }

    /// Moves past the next element, which is being read.
    #[inline(always)]
    pub(crate) fn take(&mut self) {
        self.place.reading(self.shape, self.pos);
        self.pos = self.pos.wrapping_add(1);
        self.place.passed(self.shape);
    }

    /// Where the next elements lie, back to back in one block, and how many they are: at least one, at most `most`. Moves
    /// past them.
    ///
    /// So many were seen to be there, and there is one.
    #[inline(always)]
    pub(crate) fn next_seen(&mut self, most: usize) -> (*const u8, usize) {
        self.place.reach(self.shape, self.pos);
        let at = self.head();
        let in_block = self.place.edge(self.shape, self.pos).wrapping_sub(self.pos);
        // At most the elements of a block.
        let some = most.min(in_block as usize);
        for _ in 0..some {
            self.take();
        }
        (at, some)
    }
}

/// Gives a run's cursors back at its end, also when the user's closure panics.
struct Settling<'a, S: Shape> {
    ring: &'a mut Consumer<S>,
    run: Run<S>,
}

impl<S: Shape> Drop for Settling<'_, S> {
    #[inline(always)]
    fn drop(&mut self) {
        self.ring.place = self.run.place.clone();
        self.ring.pos = self.run.pos;
        self.ring.stop = self.run.pos;
    }
}
