//! The area of a stream of frames: bytes of any length, back to back, each behind a header of eight bytes.
//!
//! ```text
//! 0        8             8 + len                  all multiples of 8
//! +--------+--------------+-----+--------+-- ...
//! | header | payload      | pad | header |
//! +--------+--------------+-----+--------+-- ...
//!
//! header  63..32  low half of the frame's position plus one
//!         31      published
//!         30      filler: no frame here, the next one begins at the start of the area
//!         29..0   bytes of payload
//! ```
//!
//! A header of zero says that nothing is published here yet. A frame may come to lie where the bytes of older frames
//! are, so the producer clears the header *after* a frame before it publishes the frame: the consumer polls the very
//! word that the next frame will begin with, and no byte of an older one can look like a header. A frame never
//! wraps: where it does not fit before the end, a filler takes that place.

use crate::primitive::atomic::{AtomicU64, Ordering, compiler_fence};

use super::credit::Corruption;
use super::producer::Watch;

/// Bytes of a header; frames are aligned to it.
pub(crate) const HEADER: usize = 8;
/// The longest frame that a header can describe, in bytes.
pub(crate) const LONGEST: usize = (1 << 30) - HEADER;

const PUBLISHED: u64 = 1 << 31;
const FILLER: u64 = 1 << 30;
const LENGTH: u64 = FILLER - 1;

/// Bytes of the area that a frame of `len` bytes takes.
pub(crate) const fn footprint(len: usize) -> usize {
    HEADER + len.next_multiple_of(HEADER)
}

/// Bytes of an area in which `frames` frames of `longest` bytes always fit: the frames, one unused end before the
/// wrap, and the cleared header. `None` when that overflows.
pub(crate) fn area_for(frames: usize, longest: usize) -> Option<usize> {
    let bytes = frames
        .checked_add(1)?
        .checked_mul(footprint(longest))?
        .checked_add(HEADER)?;
    bytes.checked_next_multiple_of(64)
}

fn header(pos: u64, flags: u64, len: usize) -> u64 {
    (pos.wrapping_add(1) << 32) | PUBLISHED | flags | len as u64
}

/// The bytes of an area. The memory belongs to somebody else, who keeps it alive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameArea {
    begin: *mut u8,
    len: usize,
}

impl FrameArea {
    /// # Safety
    /// `begin` is aligned to eight bytes and valid for reads (for writes too, if a producer is made of it) of `len`
    /// bytes, a multiple of eight, for as long as the area is used; all accesses to headers are atomic.
    pub(crate) unsafe fn new(begin: *mut u8, len: usize) -> Self {
        Self { begin, len }
    }

    fn header(&self, offset: usize) -> &AtomicU64 {
        debug_assert!(offset < self.len && offset.is_multiple_of(HEADER));
        // SAFETY: within the area, aligned, and only accessed atomically where it serves as a header.
        unsafe { AtomicU64::from_ptr(self.begin.add(offset).cast()) }
    }

    fn payload(&self, offset: usize) -> *mut u8 {
        self.begin.wrapping_add(offset + HEADER)
    }

    /// Where the header after a frame of `len` bytes at `offset` lies.
    fn after(&self, offset: usize, len: usize) -> usize {
        let next = offset + footprint(len);
        if next == self.len { 0 } else { next }
    }
}

/// The producer's cursors in an area of frames.
#[derive(Debug)]
pub(crate) struct FrameProducer {
    area: FrameArea,
    longest: usize,
    offset: usize,
    /// Bytes of the area used up since the stream began.
    byte: u64,
    /// Up to here `byte` may go, the cleared header included.
    byte_limit: u64,
    pos: u64,
    limit: u64,
    pub(crate) watch: Watch,
}

// SAFETY: the pointers lead to memory that the owner of the producer keeps alive; a producer is moved, never shared.
unsafe impl Send for FrameProducer {}

impl FrameProducer {
    /// # Safety
    /// The area is zeroed, outlives the producer, and nobody else writes to it.
    pub(crate) unsafe fn new(area: FrameArea, longest: usize, pos: u64, watch: Watch) -> Self {
        let byte_limit = area.len as u64;
        Self {
            area,
            longest,
            offset: 0,
            byte: 0,
            byte_limit,
            pos,
            limit: pos,
            watch,
        }
    }

    /// A producer that goes on where another has stopped: behind what `last` has passed, of which the consumer has released
    /// `released` bytes.
    ///
    /// # Safety
    /// The area of `last`, in which it has passed everything published, outlives the producer, and nobody else writes to it.
    pub(crate) unsafe fn resume(last: FrameConsumer, released: u64, watch: Watch) -> Self {
        // SAFETY: as the caller promises; the word at which `last` stands is a cleared header.
        let mut producer = unsafe { Self::new(last.area, last.longest, last.pos, watch) };
        (producer.offset, producer.byte) = (last.offset, last.byte);
        producer.set_released(released);
        producer
    }

    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    pub(crate) fn pos(&self) -> u64 {
        self.pos
    }

    pub(crate) fn byte(&self) -> u64 {
        self.byte
    }

    /// Whether the limit of frames known to the producer is used up.
    pub(crate) fn is_full(&self) -> bool {
        self.pos == self.limit
    }

    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Sets what the consumer has released, in bytes since the stream began.
    pub(crate) fn set_released(&mut self, released: u64) {
        self.byte_limit = released.saturating_add(self.area.len as u64);
    }

    /// Bytes that a frame of `len` bytes would use up here, the filler before it included.
    fn cost(&self, len: usize) -> usize {
        let frame = footprint(len);
        let to_end = self.area.len - self.offset;
        if frame > to_end { to_end + frame } else { frame }
    }

    /// Whether a frame of `len` bytes fits into what is known to be free.
    pub(crate) fn fits(&self, len: usize) -> bool {
        self.byte.saturating_add((self.cost(len) + HEADER) as u64) <= self.byte_limit
    }

    /// Where the payload of the next frame, of `len` bytes, goes.
    ///
    /// `len` is at most [`longest`](Self::longest) and [`fits`](Self::fits).
    pub(crate) fn slot(&self, len: usize) -> *mut u8 {
        let wraps = footprint(len) > self.area.len - self.offset;
        self.area.payload(if wraps { 0 } else { self.offset })
    }

    /// Publishes the frame of `len` bytes whose payload was written to [`slot`](Self::slot).
    ///
    /// # Safety
    /// `len` is at most [`longest`](Self::longest), fits, and the ring is not full.
    pub(crate) unsafe fn publish(&mut self, len: usize) {
        debug_assert!(self.fits(len) && !self.is_full() && len <= self.longest);
        let cost = self.cost(len);
        let at = if cost > footprint(len) { 0 } else { self.offset };
        let next = self.area.after(at, len);
        // Before the frame can be seen: the consumer goes on to this word.
        self.area.header(next).store(0, Ordering::Relaxed);
        // Pairs with the Acquire in `FrameConsumer::look`.
        self.area
            .header(at)
            .store(header(self.pos, 0, len), Ordering::Release);
        if at != self.offset {
            // Last, for the consumer polls here. Pairs with the Acquire in `FrameConsumer::look`.
            self.area
                .header(self.offset)
                .store(header(self.pos, FILLER, 0), Ordering::Release);
        }
        self.offset = next;
        self.byte += cost as u64;
        self.pos = self.pos.wrapping_add(1);
    }

    /// Gives up the frame published last, which the consumer will not take.
    pub(crate) fn retract(&mut self) {
        self.pos = self.pos.wrapping_sub(1);
        self.limit = self.pos;
    }
}

/// The consumer's cursors in an area of frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameConsumer {
    area: FrameArea,
    longest: usize,
    offset: usize,
    byte: u64,
    pos: u64,
    /// Position at which credit is to be given back.
    pub(crate) mark: u64,
    /// Bytes used up since credit was given back last.
    uncredited: usize,
}

// SAFETY: the pointers lead to memory that the owner of the consumer keeps alive; a consumer is moved, never shared.
unsafe impl Send for FrameConsumer {}

impl FrameConsumer {
    /// A consumer that starts at the frame `pos`, whose header lies `byte` bytes after the stream's first.
    ///
    /// # Safety
    /// The area outlives the consumer, which is the only one that takes frames for its subscription.
    pub(crate) unsafe fn new(area: FrameArea, longest: usize, pos: u64, byte: u64) -> Self {
        // Smaller than the area, which fits.
        let offset = (byte % area.len as u64) as usize;
        Self {
            area,
            longest,
            offset,
            byte,
            pos,
            mark: pos,
            uncredited: 0,
        }
    }

    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    pub(crate) fn pos(&self) -> u64 {
        self.pos
    }

    pub(crate) fn byte(&self) -> u64 {
        self.byte
    }

    /// Looks for the next frame: where its payload lies and how long it is. Nothing is written; every value read is
    /// checked.
    #[inline]
    pub(crate) fn look(&self) -> Result<Option<(*const u8, usize)>, Corruption> {
        Ok(self
            .find()?
            .map(|(offset, len)| (self.area.payload(offset).cast_const(), len)))
    }

    /// The offset of the next frame's header, and its length.
    #[inline]
    fn find(&self) -> Result<Option<(usize, usize)>, Corruption> {
        // Pairs with the Release in `FrameProducer::publish`.
        let word = self.area.header(self.offset).load(Ordering::Acquire);
        if word == 0 {
            return Ok(None);
        }
        let plain = header(self.pos, 0, 0);
        let highest = header(self.pos, 0, self.longest);
        if word == header(self.pos, FILLER, 0) && self.offset != 0 {
            // Pairs with the Release in `FrameProducer::publish`.
            let word = self.area.header(0).load(Ordering::Acquire);
            return self.length(word, 0).map(Some).ok_or(Corruption::new(
                "frame header",
                word,
                plain,
                highest,
            ));
        }
        self.length(word, self.offset)
            .map(Some)
            .ok_or(Corruption::new("frame header", word, plain, highest))
    }

    fn length(&self, word: u64, offset: usize) -> Option<(usize, usize)> {
        // 30 bits, which fit.
        let len = (word & LENGTH) as usize;
        let right = word == header(self.pos, 0, len)
            && len <= self.longest
            && footprint(len) <= self.area.len - offset;
        right.then_some((offset, len))
    }

    /// Moves past the next frame.
    #[inline]
    pub(crate) fn skip(&mut self) {
        if let Ok(Some((offset, len))) = self.find() {
            let filler = if offset == self.offset {
                0
            } else {
                self.area.len - self.offset
            };
            let cost = filler + footprint(len);
            self.offset = self.area.after(offset, len);
            self.byte += cost as u64;
            self.uncredited += cost;
            self.pos = self.pos.wrapping_add(1);
        }
    }

    /// Whether credit is due: by frames, or because a quarter of the area is used up.
    #[inline]
    pub(crate) fn past_mark(&self) -> bool {
        self.pos.wrapping_sub(self.mark) as i64 >= 0 || self.uncredited >= self.area.len / 4
    }

    /// Notes that credit was given, and when to give some next.
    pub(crate) fn credited(&mut self, mark: u64) {
        self.mark = mark;
        self.uncredited = 0;
    }
}

/// Copies `len` bytes that another process could still write.
///
/// # Safety
/// `from` is valid for reads of `len` bytes.
#[inline]
pub(crate) unsafe fn copy_out(from: *const u8, len: usize, to: &mut Vec<u8>) {
    to.clear();
    to.reserve(len);
    // SAFETY: valid for `len` bytes on both sides, which do not overlap: the vector's are its own.
    unsafe {
        from.copy_to_nonoverlapping(to.as_mut_ptr(), len);
        to.set_len(len);
    }
    // What was copied is not fetched again.
    compiler_fence(Ordering::Acquire);
}
