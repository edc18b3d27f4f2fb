//! The limit of larger elements: sixteen behind one stamp in a line of its own, written by hand, with nothing but elements, stamps and
//! credit, and with a consumer that keeps a quarter of the ring between itself and the producer.
//!
//! As [`bare_lines`](super::bare_lines) it promises nothing, and is unsafe for anybody but this bench.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_utils::CachePadded;

use super::bare_lines::prefetch_write;
use super::element::{Words, for_width, make, sum};
use super::element_flow::Taken;
use super::pinning::side_by_side;

/// Elements of a block.
const PER: u64 = 16;
/// Words of a line.
const LINE: usize = 8;
/// Lines ahead of which the producer asks for ownership.
const AHEAD: usize = 16;
/// Looks after which the consumer goes on without its distance.
const LOOKS: u32 = 1000;

/// When elements become visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publish {
    /// Each as it is written.
    Each,
    /// A block at once.
    Blocks,
}

/// A line of 64 bytes.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u64; LINE]);

/// Where the blocks of elements of `W` words lie, each a line with the stamp and then the elements.
#[derive(Clone, Copy)]
struct Blocks<const W: usize> {
    begin: *mut u64,
    end: *mut u64,
}

// SAFETY: the producer writes what the consumer has released, and the consumer reads what was stamped.
unsafe impl<const W: usize> Sync for Blocks<W> {}

impl<const W: usize> Blocks<W> {
    /// Words of a block.
    const STRIDE: usize = LINE + PER as usize * W;

    /// `at` some words further on, round and round.
    #[inline(always)]
    fn after(self, at: *mut u64, words: usize) -> *mut u64 {
        let next = at.wrapping_add(words);
        if next < self.end {
            next
        } else {
            next.wrapping_sub((self.end as usize - self.begin as usize) / size_of::<u64>())
        }
    }
}

/// Million elements a second.
pub(crate) fn measure(words: usize, capacity: usize, publish: Publish, count: u64) -> f64 {
    for_width!(words, W => flow::<W>(capacity, publish, count).rate::<W>(count))
}

fn flow<const W: usize>(capacity: usize, publish: Publish, count: u64) -> Taken {
    assert!(W.is_multiple_of(LINE), "{W} words do not fill lines");
    let blocks = capacity.div_ceil(PER as usize) + 1;
    let mut memory = vec![Line([0; LINE]); blocks * Blocks::<W>::STRIDE / LINE];
    let range = memory.as_mut_ptr_range();
    let ring = Blocks::<W> {
        begin: range.start.cast(),
        end: range.end.cast(),
    };
    let released = CachePadded::new(AtomicU64::new(0));
    let capacity = capacity as u64;
    side_by_side(
        // SAFETY: the only producer, with the only consumer beside it.
        || unsafe { put(ring, capacity, publish, &released, count) },
        // SAFETY: the only consumer.
        || unsafe { take(ring, capacity, blocks as u64 / 4, &released, count) },
    )
}

/// # Safety
/// The one producer of the ring.
#[inline(never)]
unsafe fn put<const W: usize>(
    ring: Blocks<W>,
    capacity: u64,
    publish: Publish,
    released: &AtomicU64,
    count: u64,
) {
    let (mut block, mut edge, mut limit) = (ring.begin, PER, capacity);
    let mut stop = edge.min(limit);
    for pos in 0..count {
        if pos == stop {
            // SAFETY: a block begins with its stamp.
            unsafe { AtomicU64::from_ptr(block) }.store(pos, Ordering::Release);
            while pos == limit {
                limit = released.load(Ordering::Acquire) + capacity;
            }
            if pos == edge {
                edge += PER;
                block = ring.after(block, Blocks::<W>::STRIDE);
                prefetch_write(ring.after(block, Blocks::<W>::STRIDE).cast());
            }
            stop = edge.min(limit);
        }
        let at = block.wrapping_add(LINE + (PER - (edge - pos)) as usize * W);
        for line in 0..W / LINE {
            prefetch_write(ring.after(at, (AHEAD + line) * LINE).cast());
        }
        // SAFETY: `pos` is below the limit, so its slot is free.
        unsafe { at.cast::<Words<W>>().write(make(pos)) };
        if publish == Publish::Each {
            // SAFETY: as above.
            unsafe { AtomicU64::from_ptr(block) }.store(pos + 1, Ordering::Release);
        }
    }
    // SAFETY: as above.
    unsafe { AtomicU64::from_ptr(block) }.store(count, Ordering::Release);
}

/// # Safety
/// The one consumer of the ring.
#[inline(never)]
unsafe fn take<const W: usize>(
    ring: Blocks<W>,
    capacity: u64,
    distance: u64,
    released: &AtomicU64,
    count: u64,
) -> Taken {
    // SAFETY: a block begins with its stamp.
    let stamp = |block: *mut u64| unsafe { AtomicU64::from_ptr(block) }.load(Ordering::Acquire);
    let (mut block, mut edge, mut pos, mut total) = (ring.begin, PER, 0, 0_u64);
    let (step, mut mark, mut look) = (capacity / 4, capacity / 4, 0);
    while stamp(block) == 0 {}
    let from = Instant::now();
    while pos < count {
        if pos == look {
            look += distance.max(1) * PER;
            let far = ring.after(block, distance as usize * Blocks::<W>::STRIDE);
            let mut looks = LOOKS;
            while look < count && stamp(far) < look && looks > 0 {
                looks -= 1;
                spin_loop();
            }
        }
        let there = stamp(block);
        while pos < there {
            let at = block.wrapping_add(LINE + (PER - (edge - pos)) as usize * W);
            // SAFETY: stamped.
            total = total.wrapping_add(sum(&unsafe { at.cast::<Words<W>>().read() }));
            pos += 1;
        }
        if pos == edge {
            edge += PER;
            block = ring.after(block, Blocks::<W>::STRIDE);
        }
        if pos >= mark {
            released.store(pos, Ordering::Release);
            mark = pos + step;
        }
    }
    Taken {
        sum: black_box(total),
        time: from.elapsed(),
    }
}
