//! The elements that a ring holds, packed one after the other, and put back into a ring that is all zeroes.
//!
//! Elements are packed as they are, without the stamps; a frame as its length in a word, its bytes, and zeroes up to the next
//! whole word.

use std::io;

use crate::memory::SharedMemory;
use crate::primitive::atomic::{AtomicU64, Ordering};

use super::credit::Corruption;
use super::frame::{FrameProducer, copy_out};
use super::page::{KIND_ELEMENTS, StreamHeader};
use super::producer::Watch;
use super::recovery::{blocks, frames, walk};
use super::shape::Shape;

/// What is packed: the elements from one position on up to another, and of frames the byte at which the first begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) released: u64,
    pub(crate) released_byte: u64,
    pub(crate) published: u64,
}

/// Why elements were not packed, or not put back.
#[derive(Debug)]
pub(crate) enum Unpacked {
    /// The ring, or what was packed, cannot be right.
    Corrupt(Corruption),
    Io(io::Error),
}

impl From<Corruption> for Unpacked {
    fn from(corruption: Corruption) -> Self {
        Self::Corrupt(corruption)
    }
}

impl From<io::Error> for Unpacked {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Held {
    /// How many elements.
    pub(crate) fn count(&self) -> u64 {
        self.published.wrapping_sub(self.released)
    }

    fn check(&self, header: &StreamHeader) -> Result<(), Corruption> {
        let most = header.buffer_size.saturating_add(header.max_demand);
        if self.count() > most {
            let lowest = self.published.wrapping_sub(most);
            return Err(Corruption::new("released", self.released, lowest, self.published));
        }
        // Far from where a sum of bytes would overflow.
        let (byte, highest) = (self.released_byte, u64::MAX / 2);
        if byte > highest {
            return Err(Corruption::new("released bytes", byte, 0, highest));
        }
        Ok(())
    }

    /// Hands the elements to `write`, packed.
    ///
    /// # Safety
    /// They were published in this memory, of which `header` is true, and nobody writes to it meanwhile.
    pub(crate) unsafe fn pack(
        &self,
        memory: &SharedMemory,
        header: &StreamHeader,
        mut write: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Unpacked> {
        self.check(header)?;
        let mut bytes = Vec::new();
        if header.kind != KIND_ELEMENTS {
            let mut cursor = frames(memory, header, self.released, self.released_byte)?;
            while cursor.pos() != self.published {
                let Some((at, len)) = cursor.look()? else {
                    let end = cursor.pos();
                    return Err(Corruption::new("frames", end, self.published, self.published).into());
                };
                // SAFETY: a frame of so many bytes lies there, as was just looked at.
                unsafe { copy_out(at, len, &mut bytes) };
                bytes.resize(len.next_multiple_of(8), 0);
                write(&(len as u64).to_le_bytes())?;
                write(&bytes)?;
                cursor.skip();
            }
            return Ok(());
        }
        let (area, shape) = blocks(memory, header)?;
        walk(&area, shape, header.base, self.released, |place, begin, _| {
            let Some((from, count)) = self.part_of(begin, shape.per() as u64) else {
                return Ok(());
            };
            // SAFETY: so many elements lie side by side in the block.
            unsafe { copy_out(place.element(shape, from), count * shape.size(), &mut bytes) };
            write(&bytes)
        })?;
        Ok(())
    }

    /// Puts the elements into a memory in which nothing was ever published, as a producer would have left them: `read` fills
    /// a slice with the bytes that come next.
    ///
    /// # Safety
    /// The memory can be written, its area is all zeroes, `header` is true of it, and nobody else knows it.
    pub(crate) unsafe fn unpack(
        &self,
        memory: &SharedMemory,
        header: &StreamHeader,
        mut read: impl FnMut(&mut [u8]) -> io::Result<()>,
    ) -> Result<(), Unpacked> {
        self.check(header)?;
        let mut bytes = Vec::new();
        if header.kind != KIND_ELEMENTS {
            let (byte, never) = (self.released_byte, AtomicU64::new(0));
            let cursor = frames(memory, header, self.released, byte)?;
            // SAFETY: the word outlives the producer, which is dropped first.
            let watch = unsafe { Watch::new(&raw const never, &raw const never, 0) };
            // SAFETY: as the caller promises; the area is zeroed, so nothing is published behind the cursor.
            let mut producer = unsafe { FrameProducer::resume(cursor, byte, watch) };
            producer.set_limit(self.published);
            while producer.pos() != self.published {
                let mut word = [0; 8];
                read(&mut word)?;
                let word = u64::from_le_bytes(word);
                let len = usize::try_from(word).ok();
                let len = len.filter(|len| *len <= producer.longest() && producer.fits(*len));
                let len = len.ok_or(Corruption::new("frame length", word, 0, header.max_frame))?;
                bytes.resize(len.next_multiple_of(8), 0);
                read(&mut bytes)?;
                // SAFETY: a frame of this length fits, so as many bytes are free where it goes.
                unsafe { producer.slot(len).copy_from_nonoverlapping(bytes.as_ptr(), len) };
                // SAFETY: it was just written; it is not too long, it fits, and the limit is further on.
                unsafe { producer.publish(len) };
            }
            return Ok(());
        }
        let (area, shape) = blocks(memory, header)?;
        let per = shape.per() as u64;
        walk(&area, shape, header.base, self.released, |place, begin, old| {
            let edge = begin.wrapping_add(per);
            let mut stamp = old;
            if (self.published.wrapping_sub(begin) as i64) > 0 {
                // At most the elements of the block.
                stamp = begin.wrapping_add(self.published.wrapping_sub(begin).min(edge.wrapping_sub(begin)));
            }
            if let Some((from, count)) = self.part_of(begin, per) {
                bytes.resize(count * shape.size(), 0);
                read(&mut bytes)?;
                let to = place.element(shape, from);
                // SAFETY: room for so many elements lies there, side by side in the block.
                unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
            }
            place.stamp().store(stamp, Ordering::Release);
            io::Result::Ok(())
        })?;
        Ok(())
    }

    /// The elements that lie in the block that begins at a position, of so many: the first, and their number.
    fn part_of(&self, begin: u64, per: u64) -> Option<(u64, usize)> {
        // The released position lies in the first block of the walk; others begin behind it.
        let skipped = match self.released.wrapping_sub(begin) as i64 {
            ahead @ 0.. => ahead as u64,
            _ => 0,
        };
        let from = begin.wrapping_add(skipped);
        let left = self.published.wrapping_sub(from) as i64;
        let count = u64::try_from(left).ok()?.min(per.saturating_sub(skipped));
        // At most the elements of a block.
        (count > 0).then_some((from, count as usize))
    }
}
