//! The consumer's side of a ring of blocks: cursors and taking.

use crate::primitive::atomic::{AtomicU64, Ordering, compiler_fence};

use super::block::{Place, Shape};

/// The consumer's cursors. `pos..avail` is known to be published, all of it in the present block.
#[derive(Debug)]
pub(crate) struct Consumer<S> {
    shape: S,
    place: Place,
    pos: u64,
    avail: u64,
    /// Position at which credit is to be given back.
    pub(crate) mark: u64,
    /// Where the consumer really stands while it may take nothing; see [`pause`](Self::pause).
    aside: Option<Box<Place>>,
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
            aside: None,
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
        self.standing().stamp()
    }

    /// The highest stamp that the present block can carry.
    pub(crate) fn highest_stamp(&self) -> u64 {
        self.standing().edge()
    }

    #[inline(always)]
    fn standing(&self) -> &Place {
        self.aside.as_deref().unwrap_or(&self.place)
    }

    /// Sets the position at which credit is to be given back; where that is here, nothing more was asked for, and the
    /// consumer pauses.
    ///
    /// # Safety
    /// As [`Place::sealed`], for as long as the consumer is used.
    #[inline(always)]
    pub(crate) unsafe fn set_mark(&mut self, mark: u64, grave: *mut u64) {
        self.mark = mark;
        if mark == self.pos {
            // SAFETY: as the caller promises.
            unsafe { self.pause(grave) };
        }
    }

    /// Lets nothing be taken until [`resume`](Self::resume), at no cost to the hot path: the consumer meanwhile looks
    /// at a place where nothing comes. [`stamp`](Self::stamp) still tells what is there.
    ///
    /// # Safety
    /// As [`Place::sealed`].
    #[cold]
    unsafe fn pause(&mut self, grave: *mut u64) {
        if self.aside.is_some() {
            return;
        }
        self.avail = self.pos;
        self.place.reach(self.shape, self.pos);
        // SAFETY: as the caller promises.
        let place = std::mem::replace(&mut self.place, unsafe { Place::sealed(grave, self.pos) });
        self.aside = Some(Box::new(place));
    }

    /// Lets elements be taken again after a [`pause`](Self::pause).
    #[cold]
    pub(crate) fn resume(&mut self) {
        if let Some(place) = self.aside.take() {
            self.place = *place;
        }
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
            aside: None,
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
        self.aside = None;
        // SAFETY: as the caller promises.
        self.place = unsafe { Place::sealed(grave, self.pos) };
    }
}
