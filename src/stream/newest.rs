//! The newest element of a stream, found by whoever only looks: there is no shared tail.

use super::observation::Observation;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::ring::page::StreamHeader;
use crate::ring::{FrameArea, FrameConsumer};

impl Observation {
    /// The highest stamp in the ring: the stamps say how far the producer is, and nothing else does.
    pub(super) fn newest_stamp(&self, header: &StreamHeader, from: u64) -> u64 {
        let area = self
            .seen
            .memory
            .as_ptr()
            .wrapping_add(header.area_offset as usize);
        let mut newest = from;
        for block in 0..header.blocks as usize {
            let stamp = area.wrapping_add(block * header.stride as usize).cast::<u64>();
            // SAFETY: a block of the mapped area, whose geometry was checked; stamps are only accessed atomically.
            let stamp = unsafe { AtomicU64::from_ptr(stamp) }.load(Ordering::Acquire);
            if stamp.wrapping_sub(newest) as i64 > 0 {
                newest = stamp;
            }
        }
        newest
    }

    /// The end of the chain of frames that begins at what the consumer has released.
    pub(super) fn newest_frame(&self, header: &StreamHeader, longest: usize, from: u64, byte: u64) -> u64 {
        if !byte.is_multiple_of(8) {
            return self.position();
        }
        let begin = self
            .seen
            .memory
            .as_ptr()
            .wrapping_add(header.area_offset as usize);
        // SAFETY: the mapped area, whose length was checked; a walk reads headers only.
        let mut walk = unsafe {
            FrameConsumer::new(
                FrameArea::new(begin, header.area_len as usize),
                longest,
                from,
                byte,
            )
        };
        let most = header.buffer_size.saturating_add(header.max_demand);
        for _ in 0..most {
            match walk.look() {
                Ok(Some(_)) => walk.skip(),
                Ok(None) => return walk.pos(),
                // The consumer moved on between its two words: what was known before is still true.
                Err(_) => break,
            }
        }
        if walk.pos().wrapping_sub(self.position()) as i64 > 0 {
            walk.pos()
        } else {
            self.position()
        }
    }
}
