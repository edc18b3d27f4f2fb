//! The consumer's side of a ring of blocks: cursors and taking.

use crate::primitive::atomic::{AtomicU64, Ordering, compiler_fence};

use super::block::{Place, Shape};

/// The consumer's cursors. `pos..avail` is known to be published, all of it in the present block.
#[derive(Clone, Debug)]
pub(crate) struct Consumer<S> {
    shape: S,
    place: Place,
    pos: u64,
    avail: u64,
    /// Position at which credit is to be given back.
    pub(crate) mark: u64,
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
            avail: pos,
            mark: pos,
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

    /// Whether the next element is there. False also when the stamp makes no sense; the caller then finds
    /// out by [`stamp`](Self::stamp), off the hot path.
    #[inline(always)]
    pub(crate) fn ready(&mut self) -> bool {
        if self.pos != self.avail {
            return true;
        }
        self.place.reach(self.shape, self.pos);
        // Pairs with the Release in `Producer::put` and `Producer::publish`.
        let stamp = self.place.stamp().load(Ordering::Acquire);
        if self.shape.per() == 1 {
            // What follows must not wait for the stamp, which it would by `avail`.
            if stamp != self.place.edge() {
                return false;
            }
            self.avail = self.pos.wrapping_add(1);
            return true;
        }
        let fresh = stamp.wrapping_sub(self.pos);
        // One comparison for "nothing yet" (0, or an older lap: huge) and for "more than the block holds".
        if fresh.wrapping_sub(1) >= self.place.edge().wrapping_sub(self.pos) {
            return false;
        }
        self.avail = stamp;
        true
    }

    /// Elements known to be there in the present block.
    #[inline(always)]
    pub(crate) fn run(&self) -> usize {
        // At most the elements of a block, see `ready`.
        self.avail.wrapping_sub(self.pos) as usize
    }

    /// Reads the next element and moves past it.
    ///
    /// # Safety
    /// [`ready`](Self::ready) returned true since the last element was taken, and `read` copies the element out.
    #[inline(always)]
    pub(crate) unsafe fn take<R>(&mut self, read: impl FnOnce(*const u8) -> R) -> R {
        debug_assert!(self.pos != self.avail);
        self.place.reading(self.shape, self.pos);
        let value = read(self.place.element(self.shape, self.pos));
        // A peer in another process may write where it must not: what was copied is not fetched again.
        compiler_fence(Ordering::Acquire);
        self.pos = self.pos.wrapping_add(1);
        value
    }

    /// Where the next element lies; the other elements of the [`run`](Self::run) follow it.
    #[inline(always)]
    pub(crate) fn head(&self) -> *const u8 {
        self.place.element(self.shape, self.pos)
    }

    /// Tells loom that the next `count` elements of the run are read.
    #[inline(always)]
    pub(crate) fn reading(&self, _count: usize) {
        #[cfg(millstream_loom)]
        for some in 0.._count as u64 {
            self.place.reading(self.shape, self.pos.wrapping_add(some));
        }
    }

    /// The stamp of the present block.
    #[inline(always)]
    pub(crate) fn stamp(&self) -> &AtomicU64 {
        self.place.stamp()
    }

    /// The highest stamp that the present block can carry.
    #[inline(always)]
    pub(crate) fn highest_stamp(&self) -> u64 {
        self.place.edge()
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
        self.avail = self.pos;
        self.place = place;
    }

    /// Reads what is there, at most `max` elements and about as far as the mark: hands each block's elements to `read`,
    /// which says by [`Run::take`] what it took. Returns how many were taken.
    ///
    /// # Safety
    /// `read` copies each element out that it takes.
    #[inline(always)]
    pub(crate) unsafe fn drain(&mut self, max: u64, mut read: impl FnMut(&mut Run<'_, S>, Filled)) -> u64 {
        let from = self.pos;
        let end = from.wrapping_add(max);
        let per = self.shape.per() as u64;
        let mark = self.mark;
        let mut run = Run {
            place: self.place.clone(),
            pos: from,
            ring: self,
        };
        while run.pos != end {
            run.place.reach(run.ring.shape, run.pos);
            // Pairs with the Release in `Producer::put` and `Producer::publish`.
            let stamp = run.place.stamp().load(Ordering::Acquire);
            let begin = run.place.edge().wrapping_sub(per);
            if stamp == run.place.edge() && run.pos == begin && end.wrapping_sub(run.pos) >= per {
                // A whole block, by constants: the address of the next does not wait for the stamp.
                read(&mut run, Filled::Whole);
            } else {
                let fresh = stamp.wrapping_sub(run.pos);
                if fresh.wrapping_sub(1) >= run.place.edge().wrapping_sub(run.pos) {
                    break;
                }
                let some = fresh.min(end.wrapping_sub(run.pos));
                // At most the elements of a block.
                read(&mut run, Filled::Part(some as usize));
            }
            if run.pos.wrapping_sub(mark) as i64 >= 0 {
                break;
            }
        }
        run.pos.wrapping_sub(from)
    }

    /// A second look from the same position: reads on without taking.
    #[inline(always)]
    pub(crate) fn lookahead(&self) -> Self {
        Self {
            shape: self.shape,
            place: self.place.clone(),
            pos: self.pos,
            avail: self.avail,
            mark: self.mark,
        }
    }

    /// Moves past `count` elements of the present run without reading them.
    #[inline(always)]
    pub(crate) fn skip(&mut self, count: usize) {
        debug_assert!(count <= self.run());
        self.pos = self.pos.wrapping_add(count as u64);
    }

    /// Whether credit is due.
    #[inline(always)]
    pub(crate) fn past_mark(&self) -> bool {
        self.pos.wrapping_sub(self.mark) as i64 >= 0
    }

    /// Lets nothing be taken any more: what lies in the ring is the producer's from here on.
    ///
    /// # Safety
    /// As [`Place::sealed`].
    pub(crate) unsafe fn seal(&mut self, grave: *mut u64) {
        self.avail = self.pos;
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

/// The cursors of a consumer while it drains. They live apart from it, in registers, and go back at the end, also when
/// the user's closure panics.
#[derive(Debug)]
pub(crate) struct Run<'a, S: Shape> {
    ring: &'a mut Consumer<S>,
    place: Place,
    pos: u64,
}

impl<S: Shape> Run<'_, S> {
    /// Where the next element lies.
    #[inline(always)]
    pub(crate) fn head(&self) -> *const u8 {
        self.place.element(self.ring.shape, self.pos)
    }

    /// Where the first element of the block lies.
    #[inline(always)]
    pub(crate) fn block_head(&self) -> *const u8 {
        self.place.first(self.ring.shape)
    }

    /// Moves past the next element, which is being read.
    #[inline(always)]
    pub(crate) fn take(&mut self) {
        self.place.reading(self.ring.shape, self.pos);
        self.pos = self.pos.wrapping_add(1);
    }
}

impl<S: Shape> Drop for Run<'_, S> {
    #[inline(always)]
    fn drop(&mut self) {
        self.ring.place = self.place.clone();
        self.ring.pos = self.pos;
        self.ring.avail = self.pos;
    }
}
