//! The limit of stamped lines: the design's prototype, written by hand, with nothing but elements, stamps and credit.
//!
//! No word that says who is parked or gone, no end, no error, no check of what the peer wrote, cursors in local variables:
//! what a stream costs beyond this is what its promises cost. It is unsafe for anybody but this bench.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_utils::CachePadded;

use super::element::{Words, for_width, make, sum};
use super::element_flow::{Take, Taken};
use super::pinning::side_by_side;

/// Words of a line beside its stamp.
pub(crate) const ROOM: usize = 7;
/// Lines ahead of which the producer asks for ownership.
const AHEAD: usize = 4;

/// A line of 64 bytes: the stamp, and elements.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u64; 1 + ROOM]);

/// Where the lines lie.
#[derive(Clone, Copy)]
struct Lines {
    begin: *mut Line,
    end: *mut Line,
}

// SAFETY: the producer writes what the consumer has released, and the consumer reads what was stamped.
unsafe impl Sync for Lines {}

impl Lines {
    fn after(self, line: *mut Line) -> *mut Line {
        let next = line.wrapping_add(1);
        if next == self.end { self.begin } else { next }
    }

    fn ahead(self, line: *mut Line) -> *mut Line {
        let at = line.wrapping_add(AHEAD);
        if at < self.end {
            at
        } else {
            let lines = (self.end as usize - self.begin as usize) / size_of::<Line>();
            at.wrapping_sub(lines)
        }
    }
}

/// Million elements a second, put one by one; elements of up to 56 bytes.
pub(crate) fn measure(words: usize, capacity: usize, take: Take, count: u64) -> f64 {
    let none = |number| number;
    burdened(words, capacity, take, count, none, none)
}

/// The same, of sides that have work of their own with each element: `making` with its index, and `taking` with its sum, each of which
/// it gives on.
pub(crate) fn burdened(
    words: usize,
    capacity: usize,
    take: Take,
    count: u64,
    making: impl Fn(u64) -> u64 + Send,
    taking: impl Fn(u64) -> u64 + Send,
) -> f64 {
    for_width!(words, W => flow::<W>(capacity, take, count, making, taking).rate::<W>(count))
}

fn flow<const W: usize>(
    capacity: usize,
    take: Take,
    count: u64,
    making: impl Fn(u64) -> u64 + Send,
    taking: impl Fn(u64) -> u64 + Send,
) -> Taken {
    assert!(W <= ROOM, "{W} words do not fit in a line");
    let mut memory = vec![Line([0; 1 + ROOM]); (capacity.div_ceil(ROOM / W.min(ROOM)) + 1).max(AHEAD + 1)];
    let range = memory.as_mut_ptr_range();
    let lines = Lines {
        begin: range.start,
        end: range.end,
    };
    let released = CachePadded::new(AtomicU64::new(0));
    let (capacity, step) = (capacity as u64, capacity as u64 / 4);
    side_by_side(
        // SAFETY: the only producer, with the only consumer beside it.
        || unsafe { put::<W>(lines, capacity, &released, count, making) },
        || match take {
            // SAFETY: the only consumer.
            Take::Next => unsafe { next::<W>(lines, step, &released, count, taking) },
            // SAFETY: as above.
            Take::Drain | Take::Peek => unsafe { drain::<W>(lines, step, &released, count, taking) },
        },
    )
}

/// # Safety
/// The one producer of the lines.
#[inline(never)]
unsafe fn put<const W: usize>(
    lines: Lines,
    capacity: u64,
    released: &AtomicU64,
    count: u64,
    making: impl Fn(u64) -> u64,
) {
    let per = (ROOM / W) as u64;
    let (mut line, mut edge, mut limit) = (lines.begin, per, capacity);
    let mut stop = edge.min(limit);
    for pos in 0..count {
        if pos == stop {
            while pos == limit {
                limit = released.load(Ordering::Acquire) + capacity;
            }
            if pos == edge {
                edge += per;
                line = lines.after(line);
                prefetch_write(lines.ahead(line).cast());
            }
            stop = edge.min(limit);
        }
        // SAFETY: `pos` is below the limit, so its slot is free.
        unsafe {
            slot::<W>(line, edge - pos).write(make(making(pos)));
            AtomicU64::from_ptr(line.cast()).store(pos + 1, Ordering::Release);
        }
    }
}

/// # Safety
/// The one consumer of the lines.
#[inline(never)]
unsafe fn next<const W: usize>(
    lines: Lines,
    step: u64,
    released: &AtomicU64,
    count: u64,
    taking: impl Fn(u64) -> u64,
) -> Taken {
    let per = (ROOM / W) as u64;
    let (mut line, mut edge, mut mark, mut there, mut total) = (lines.begin, per, step, 0, 0_u64);
    // SAFETY: the first line.
    while unsafe { stamp(line) } == 0 {}
    let from = Instant::now();
    for pos in 0..count {
        if pos == edge {
            edge += per;
            line = lines.after(line);
        }
        while pos == there {
            // SAFETY: a line; a stamp of the last lap is at most `pos`.
            there = unsafe { stamp(line) }.max(pos);
        }
        // SAFETY: stamped.
        total = total.wrapping_add(taking(sum(&unsafe { slot::<W>(line, edge - pos).read() })));
        if pos + 1 == mark {
            released.store(pos + 1, Ordering::Release);
            mark += step;
        }
    }
    Taken {
        sum: black_box(total),
        time: from.elapsed(),
    }
}

/// # Safety
/// The one consumer of the lines.
#[inline(never)]
unsafe fn drain<const W: usize>(
    lines: Lines,
    step: u64,
    released: &AtomicU64,
    count: u64,
    taking: impl Fn(u64) -> u64,
) -> Taken {
    let per = (ROOM / W) as u64;
    let (mut line, mut edge, mut mark, mut pos, mut total) = (lines.begin, per, step, 0, 0_u64);
    // SAFETY: the first line.
    while unsafe { stamp(line) } == 0 {}
    let from = Instant::now();
    while pos < count {
        // SAFETY: a line.
        let there = unsafe { stamp(line) };
        if there == edge && pos + per == edge {
            for left in (1..=per).rev() {
                // SAFETY: stamped.
                total = total.wrapping_add(taking(sum(&unsafe { slot::<W>(line, left).read() })));
            }
            pos += per;
        } else {
            while pos < there {
                // SAFETY: stamped.
                total = total.wrapping_add(taking(sum(&unsafe { slot::<W>(line, edge - pos).read() })));
                pos += 1;
            }
        }
        if pos == edge {
            edge += per;
            line = lines.after(line);
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

/// The slot that lies `before` elements before the end of what the line holds.
#[inline(always)]
fn slot<const W: usize>(line: *mut Line, before: u64) -> *mut Words<W> {
    let first = 1 + (ROOM / W - before as usize) * W;
    line.cast::<u64>().wrapping_add(first).cast()
}

/// # Safety
/// `line` is one of the lines.
#[inline(always)]
unsafe fn stamp(line: *mut Line) -> u64 {
    // SAFETY: a line begins with its stamp.
    unsafe { AtomicU64::from_ptr(line.cast()) }.load(Ordering::Acquire)
}

#[inline(always)]
pub(crate) fn prefetch_write(_line: *mut u8) {
    // SAFETY: a prefetch never faults and changes nothing.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("prefetchw [{0}]", in(reg) _line, options(nostack, preserves_flags));
    }
}
