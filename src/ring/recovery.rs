//! What a ring holds whose producer may have died at any step.
//!
//! A stamp is stored after the elements that it speaks for, so what the stamps say in an unbroken row from the released
//! position on was published. Of a batch that is published together the first block is stamped last: blocks behind it may bear stamps of a batch that was
//! never published. They are taken back, or the next producer's first put would publish them.

use std::convert::Infallible;

use crate::primitive::atomic::Ordering;

use super::block::{Area, Place};
use super::credit::Corruption;
use super::shape::Shape;
use super::{
    frame::{FrameArea, FrameConsumer},
    page::{KIND_ELEMENTS, StreamHeader},
    shape::Measured,
};
use crate::memory::SharedMemory;

/// How far a ring was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Published {
    /// Position just after the newest element.
    position: u64,
    /// Blocks that bear stamps of a batch that was not published.
    unpublished: u64,
}

/// Finds how far the ring at `area` was published, whose stream begins at `base` and whose consumer has released what
/// comes before `released`. Writes nothing. A stamp that no producer can have left is an error.
fn published(area: &Area, shape: impl Shape, base: u64, released: u64) -> Result<Published, Corruption> {
    let mut found = Published {
        position: released,
        unpublished: 0,
    };
    let mut goes_on = true;
    walk(area, shape, base, released, |place, begin, old| {
        let edge = begin.wrapping_add(shape.per() as u64);
        let stamp = place.stamp().load(Ordering::Acquire);
        // Of the block in which the released position lies, some elements were published before.
        let least = if goes_on { found.position } else { begin };
        let fresh = stamp.wrapping_sub(least);
        let is_fresh = fresh != 0 && fresh <= edge.wrapping_sub(least);
        if goes_on && is_fresh {
            found.position = stamp;
            goes_on = stamp == edge;
        } else if stamp == old || (goes_on && stamp == least && least != begin) {
            goes_on = false;
        } else if is_fresh {
            found.unpublished += 1;
        } else {
            return Err(Corruption::new("stamp", stamp, least, edge));
        }
        Ok(())
    })?;
    Ok(found)
}

/// What the memory of a stream holds, of which the consumer has released what comes before a position, and before a byte of a
/// stream of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holdings {
    /// Position just after the newest element.
    pub(crate) position: u64,
    /// Of frames: the byte just after the newest.
    pub(crate) byte: u64,
    /// Blocks that bear stamps of a batch that was not published.
    pub(crate) unpublished: u64,
}

impl Holdings {
    /// Looks through the memory, of which `header` was checked to be true. Writes nothing.
    pub(crate) fn of(
        memory: &SharedMemory,
        header: &StreamHeader,
        released: (u64, u64),
    ) -> Result<Self, Corruption> {
        let (position, byte) = released;
        let found = if header.kind == KIND_ELEMENTS {
            let (area, shape) = blocks(memory, header)?;
            let Published {
                position,
                unpublished,
            } = published(&area, shape, header.base, position)?;
            Self {
                position,
                byte: 0,
                unpublished,
            }
        } else {
            let mut cursor = frames(memory, header, position, byte)?;
            pass_published(&mut cursor, header.buffer_size.saturating_add(header.max_demand))?;
            Self {
                position: cursor.pos(),
                byte: cursor.byte(),
                unpublished: 0,
            }
        };
        let most = header.buffer_size.saturating_add(header.max_demand);
        let held = found.position.wrapping_sub(position);
        if held > most {
            return Err(Corruption::new("elements", held, 0, most));
        }
        Ok(found)
    }

    /// Takes back the stamps of batches that were not published.
    ///
    /// # Safety
    /// These are the holdings of this memory from that position on, it is mapped for writing, and nobody else writes it.
    pub(crate) unsafe fn mend(&self, memory: &SharedMemory, header: &StreamHeader, released: u64) {
        if self.unpublished > 0
            && let Ok((area, shape)) = blocks(memory, header)
        {
            // SAFETY: as the caller promises.
            unsafe { take_back(&area, shape, header.base, released, self.position) };
        }
    }
}

/// The bytes of the area, if they lie in the memory.
fn area(memory: &SharedMemory, header: &StreamHeader) -> Result<(*mut u8, usize), Corruption> {
    let end = header.area_offset.checked_add(header.area_len);
    let wrong = || Corruption::new("area_len", header.area_len, 0, memory.len() as u64);
    if end.is_none_or(|end| end > memory.len() as u64) || !header.area_offset.is_multiple_of(64) {
        return Err(wrong());
    }
    // Both fit: the memory does.
    let begin = memory.as_ptr().wrapping_add(header.area_offset as usize);
    Ok((begin, header.area_len as usize))
}

pub(super) fn blocks(memory: &SharedMemory, header: &StreamHeader) -> Result<(Area, Measured), Corruption> {
    let (begin, len) = area(memory, header)?;
    let shape = header.shape();
    let whole = header.stride.checked_mul(header.blocks) == Some(len as u64);
    if !whole || header.blocks == 0 || shape.per == 0 || !shape.stride.is_multiple_of(8) {
        return Err(Corruption::new("blocks", header.blocks, 1, len as u64));
    }
    // SAFETY: so many blocks lie there, and whoever calls this uses them while it has the memory.
    Ok((
        unsafe { Area::new(begin, header.blocks as usize, shape, header.base) },
        shape,
    ))
}

pub(super) fn frames(
    memory: &SharedMemory,
    header: &StreamHeader,
    position: u64,
    byte: u64,
) -> Result<FrameConsumer, Corruption> {
    let (begin, len) = area(memory, header)?;
    if len == 0 || !len.is_multiple_of(8) || !byte.is_multiple_of(8) {
        return Err(Corruption::new("area_len", len as u64, 8, memory.len() as u64));
    }
    // SAFETY: the area lies in the memory, whose pages are aligned, and whoever calls this uses it while it has the memory.
    let area = unsafe { FrameArea::new(begin, len) };
    // SAFETY: as above. It looks, and takes nothing.
    Ok(unsafe { FrameConsumer::new(area, header.max_frame as usize, position, byte) })
}

/// As [`published`], of an area of frames, from the first frame that `cursor` has not taken on: leaves the cursor behind the
/// newest. There are at most `most` of them.
fn pass_published(cursor: &mut FrameConsumer, most: u64) -> Result<(), Corruption> {
    let begin = cursor.pos();
    while cursor.look()?.is_some() {
        cursor.skip();
        let taken = cursor.pos().wrapping_sub(begin);
        if taken > most {
            return Err(Corruption::new("frames", taken, 0, most));
        }
    }
    Ok(())
}

/// Takes back the stamps of batches that were not published, see [`published`], which was asked before.
///
/// # Safety
/// The area can be written, and nobody else writes it.
unsafe fn take_back(area: &Area, shape: impl Shape, base: u64, released: u64, position: u64) {
    let Ok(()) = walk(area, shape, base, released, |place, begin, old| {
        let stamp = place.stamp();
        if begin.wrapping_sub(position) as i64 >= 0 && stamp.load(Ordering::Relaxed) != old {
            stamp.store(old, Ordering::Release);
        }
        Ok::<(), Infallible>(())
    });
}

/// Goes once around the ring, from the block of `released` on: hands out each block, the position of its first element,
/// and the stamp that it has borne since the lap before.
pub(super) fn walk<E>(
    area: &Area,
    shape: impl Shape,
    base: u64,
    released: u64,
    mut look: impl FnMut(&Place, u64, u64) -> Result<(), E>,
) -> Result<(), E> {
    let (per, blocks) = (shape.per() as u64, area.blocks() as u64);
    let distance = released.wrapping_sub(base);
    let mut begin = released.wrapping_sub(distance % per);
    let mut place = area.place(shape, distance - distance % per, begin);
    let first = distance / per;
    for number in first..first.saturating_add(blocks) {
        let edge = begin.wrapping_add(per);
        let old = if number < blocks {
            base
        } else {
            edge.wrapping_sub(blocks * per)
        };
        look(&place, begin, old)?;
        place.next_block(shape);
        begin = edge;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::memory::HeapMemory;
    use crate::primitive::atomic::AtomicU64;
    use crate::ring::shape::Measured;
    use crate::ring::stamp_all;

    /// A ring for `capacity` elements of `size` bytes, and a producer's stamps in it.
    struct Scene {
        _memory: HeapMemory,
        area: Area,
        shape: Measured,
        base: u64,
    }

    impl Scene {
        fn new(size: usize, capacity: usize, base: u64) -> Self {
            let shape = Measured::of(size, 8).unwrap();
            let blocks = shape.blocks(capacity).unwrap();
            let memory = HeapMemory::zeroed(blocks * shape.stride, 64).unwrap();
            if base != 0 {
                stamp_all(memory.as_ptr(), blocks, shape, base);
            }
            // SAFETY: so many blocks lie there, and the scene keeps them.
            let area = unsafe { Area::new(memory.as_ptr(), blocks, shape, base) };
            Self {
                _memory: memory,
                area,
                shape,
                base,
            }
        }

        fn stamp(&self, pos: u64, stamp: u64) {
            let place = self.area.place(self.shape, pos.wrapping_sub(self.base), pos);
            place.stamp().store(stamp, Ordering::Relaxed);
        }

        /// As a producer that puts one by one.
        fn put_up_to(&self, from: u64, to: u64) {
            let mut pos = from;
            while pos != to {
                self.stamp(pos, pos.wrapping_add(1));
                pos = pos.wrapping_add(1);
            }
        }

        fn published(&self, released: u64) -> Result<Published, Corruption> {
            published(&self.area, self.shape, self.base, released)
        }
    }

    proptest! {
        #[test]
        fn what_was_put_is_found_from_wherever_the_consumer_stands(
            size in prop_oneof![Just(8_usize), Just(24), Just(56), Just(100)],
            capacity in 1_usize..40,
            put in 0_u64..200,
            behind in 0_u64..40,
            base in prop_oneof![Just(0_u64), Just(5), Just((1 << 32) - 3), Just(u64::MAX - 50)],
        ) {
            let scene = Scene::new(size, capacity, base);
            let end = base.wrapping_add(put);
            scene.put_up_to(base, end);
            let released = end.wrapping_sub(behind.min(put).min(capacity as u64));
            prop_assert_eq!(scene.published(released), Ok(Published { position: end, unpublished: 0 }));
        }

        #[test]
        fn a_batch_without_its_first_stamp_was_not_published_and_is_taken_back(
            capacity in 20_usize..60,
            put in 0_u64..100,
            batch in 8_u64..20,
            written in 1_u64..3,
        ) {
            let scene = Scene::new(8, capacity, 0);
            scene.put_up_to(0, put);
            // Blocks behind the first of the batch are stamped first.
            let mut edge = (put / 7 + 1) * 7;
            for _ in 0..written {
                let to = (edge + 7).min(put + batch);
                if to > edge {
                    scene.stamp(edge, to);
                }
                edge += 7;
            }
            let found = scene.published(put).unwrap();
            prop_assert_eq!(found.position, put);
            // SAFETY: nobody else knows the ring.
            unsafe { take_back(&scene.area, scene.shape, 0, put, put) };
            prop_assert_eq!(scene.published(put), Ok(Published { position: put, unpublished: 0 }));
            scene.put_up_to(put, put + 1);
            prop_assert_eq!(scene.published(put).unwrap().position, put + 1);
        }

        #[test]
        fn a_stamp_that_no_producer_left_is_found_out(block in 0_u64..6, flip in 0_u32..64) {
            let scene = Scene::new(8, 30, 0);
            scene.put_up_to(0, 100);
            let place = scene.area.place(scene.shape, block * 7, block * 7);
            let stamp: &AtomicU64 = place.stamp();
            let before = stamp.load(Ordering::Relaxed);
            stamp.store(before ^ (1 << flip), Ordering::Relaxed);
            // Unless it says what a producer could have left: more or less of one block.
            match scene.published(91) {
                Err(corruption) => prop_assert_eq!(corruption.word, "stamp"),
                Ok(found) => prop_assert!((91..=105).contains(&found.position)),
            }
        }
    }
}
