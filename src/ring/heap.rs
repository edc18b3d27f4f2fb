//! A ring of any type within one process.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::mem::needs_drop;

use crate::memory::HeapMemory;
use crate::primitive::Mutex;
use crate::primitive::atomic::{AtomicU64, Ordering};

use super::block::{Area, Place};
use super::page::{CreditLine, EndLine, WordLine};
use super::shape::{Fixed, LINE, Measured};
use super::{Consumer, History, Producer, Watch};

/// The lines of a stream in one process.
#[derive(Debug)]
pub(crate) struct HeapLines {
    pub(crate) waiting: WordLine,
    pub(crate) end: EndLine,
    pub(crate) control: WordLine,
    pub(crate) credit: CreditLine,
    /// Nothing besides the peer can happen to an endpoint here: always 0. Who oversees a stream has a word of its own.
    pub(crate) notice: AtomicU64,
}

impl HeapLines {
    /// Lines of a stream that begins at position `base`.
    pub(crate) fn new(base: u64) -> Self {
        Self {
            waiting: WordLine::new(),
            end: EndLine::new(),
            control: WordLine::new(),
            credit: CreditLine::new(base),
            notice: AtomicU64::new(0),
        }
    }
}

/// The lines and blocks of a stream in one process. Dropped after both ends: drops what was never taken.
///
/// The blocks lie in segments, one but for an unbounded stream: there the producer, when a segment is full, goes on in a
/// larger one, to which the consumer follows when it has taken everything before.
#[derive(Debug)]
pub(crate) struct HeapRing<T> {
    pub(crate) lines: HeapLines,
    /// The first is the consumer's, the last the producer's. Reached off the hot path alone.
    segments: Mutex<VecDeque<Segment>>,
    element: PhantomData<T>,
}

/// Blocks that lie together, for the elements from `base` on.
#[derive(Debug)]
struct Segment {
    area: Area,
    base: u64,
    capacity: usize,
    _memory: HeapMemory,
}

// SAFETY: elements are moved in by the producer's thread and out by the consumer's (or dropped by the last
// owner's), so `T: Send` is what it takes; the lines are atomic, and a segment's pointers lead to memory that it owns.
unsafe impl<T: Send> Send for HeapRing<T> {}
// SAFETY: as above; shared access reaches the lines, and the segments by their lock.
unsafe impl<T: Send> Sync for HeapRing<T> {}

impl<T> HeapRing<T> {
    /// A ring for `capacity` elements from position `base` on, and where the first one goes. `None` when there is no memory
    /// for it.
    pub(crate) fn new(capacity: usize, base: u64) -> Option<(Self, Place)> {
        let (segment, place) = Self::segment(capacity, base)?;
        let ring = Self {
            lines: HeapLines::new(base),
            segments: Mutex::new(VecDeque::from([segment])),
            element: PhantomData,
        };
        Some((ring, place))
    }

    fn segment(capacity: usize, base: u64) -> Option<(Segment, Place)> {
        let shape = Fixed::<T>::measured();
        let blocks = shape.blocks(capacity)?;
        let bytes = blocks.checked_mul(shape.stride)?;
        let align = LINE.max(align_of::<T>());
        let memory = HeapMemory::zeroed(bytes, align)?;
        if base != 0 {
            stamp_all(memory.as_ptr(), blocks, shape, base);
        }
        // SAFETY: the memory is aligned, as large as the blocks, and lives as long as the segment: until the consumer has
        // taken everything of it, or both ends are gone.
        let area = unsafe { Area::new(memory.as_ptr(), blocks, shape, base) };
        let place = area.place(Fixed::<T>::new(), 0, base);
        let segment = Segment {
            area,
            base,
            capacity,
            _memory: memory,
        };
        Some((segment, place))
    }

    /// What the ring holds, by the reach that stands at `reach`. `None` of a ring that has gone on elsewhere.
    ///
    /// # Safety
    /// The ring and the reach outlive the history.
    pub(crate) unsafe fn history(&self, reach: *const super::page::ReachLine) -> Option<History<Fixed<T>>> {
        let segments = self.segments.lock().ok()?;
        let first = segments.front()?;
        // SAFETY: the area is that of the segment, which belongs to the ring.
        Some(unsafe { History::new(first.area.clone(), Fixed::new(), first.base, reach) })
    }

    /// Another segment, for the elements from `pos` on: twice as large as the last one, and at least for `least`. Its size,
    /// and where the first element goes. `None` when there is no memory for it.
    pub(crate) fn grow(&self, least: usize, pos: u64) -> Option<(usize, Place)> {
        let mut segments = self.segments.lock().ok()?;
        let capacity = segments.back()?.capacity.saturating_mul(2).max(least);
        let (segment, place) = Self::segment(capacity, pos)?;
        segments.push_back(segment);
        Some((capacity, place))
    }

    /// Whether the elements from `pos` on lie in a segment that the consumer has not entered.
    pub(crate) fn continues(&self, pos: u64) -> bool {
        let segments = self.segments.lock();
        segments.is_ok_and(|segments| segments.get(1).is_some_and(|next| next.base == pos))
    }

    /// Enters that segment, for the consumer, which has taken everything before; frees the one before it.
    pub(crate) fn follow(&self, pos: u64) -> Option<Place> {
        let mut segments = self.segments.lock().ok()?;
        let mut place = None;
        while segments.get(1).is_some_and(|next| next.base == pos) {
            segments.pop_front();
            place = segments
                .front()
                .map(|segment| segment.area.place(Fixed::<T>::new(), 0, pos));
        }
        place
    }
}

/// The cursors of a ring's one producer and its one consumer, in one process: the stamps of the one's batches tell where they end, and the other
/// believes it.
///
/// # Safety
/// `place` is the place of `start` in a heap ring that nobody else puts into or takes from, and that outlives both; the words of `watch` do, too.
pub(crate) unsafe fn cursors<T>(
    place: Place,
    start: u64,
    watch: Watch,
) -> (Producer<Fixed<T>>, Consumer<Fixed<T>>) {
    // SAFETY: as the caller promises.
    unsafe {
        (
            Producer::new(Fixed::new(), place.clone(), start, watch).tells_ends(),
            Consumer::new(Fixed::new(), place, start).believes_ends(),
        )
    }
}

/// Sets the stamps of fresh blocks to `base`, so that none looks published.
pub(crate) fn stamp_all(begin: *mut u8, blocks: usize, shape: Measured, base: u64) {
    for block in 0..blocks {
        let at = begin.wrapping_add(block * shape.stride);
        // SAFETY: the caller just allocated `blocks` blocks of this shape and shares them with nobody yet.
        unsafe { at.cast::<u64>().write(base) };
    }
}

impl<T> Drop for HeapRing<T> {
    fn drop(&mut self) {
        if !needs_drop::<T>() {
            return;
        }
        // Both ends are gone: the consumer left `released` exact, the producer the end's position. The count of owners
        // orders both, and the elements, before this.
        let from = self.lines.credit.released.load(Ordering::Relaxed);
        let to = self.lines.end.position.load(Ordering::Relaxed);
        let shape = Fixed::<T>::new();
        let first = self.segments.lock().ok().and_then(|segments| {
            let first = segments.front()?;
            Some(first.area.place(shape, from.wrapping_sub(first.base), from))
        });
        let Some(mut place) = first else { return };
        for offset in 0..to.wrapping_sub(from) {
            let pos = from.wrapping_add(offset);
            if let Some(next) = self.follow(pos) {
                place = next;
            }
            place.reach(shape, pos);
            // SAFETY: published by the producer, and not taken by the consumer, which says so by `released`.
            unsafe { place.element(shape, pos).cast::<T>().drop_in_place() };
            place.passed(shape);
        }
    }
}

/// The lines and bytes of a stream of frames in one process.
#[cfg(not(millstream_loom))]
#[derive(Debug)]
pub(crate) struct HeapFrames {
    pub(crate) lines: HeapLines,
    len: usize,
    memory: HeapMemory,
}

#[cfg(not(millstream_loom))]
impl HeapFrames {
    /// Room for `len` bytes of frames, from position `base` on. `None` when there is no memory for them.
    pub(crate) fn new(len: usize, base: u64) -> Option<Self> {
        Some(Self {
            lines: HeapLines::new(base),
            len,
            memory: HeapMemory::zeroed(len, LINE)?,
        })
    }

    /// Where the frames lie.
    pub(crate) fn area(&self) -> super::FrameArea {
        // SAFETY: aligned, as long as said, and kept by both ends.
        unsafe { super::FrameArea::new(self.memory.as_ptr(), self.len) }
    }
}
