//! The lines in which the next element will come, apart from that of its stamp.
//!
//! Who waits for an element of a bundle looks at its stamp, and would ask for the element only when it has seen that: one line
//! after the other. So it asks for the element's lines with each look while it waits, and most often they come together
//! with the stamp. Measured: round trips of 64 bytes 850 to 720 ns in one process, 880 to 660 between two.
//!
//! Not so for records, larger than a line and in a block of their own: what is asked for while it is being written has to be written
//! again, line by line, and round trips of 1,024 bytes went from 1,270 to 1,790 ns. A record's lines are asked for at once when its
//! stamp was found after a long wait, and their ownership with them, as if the consumer were to write there: the producer will have to
//! [take them back](super::block::Place::claim_own) anyway, and on the processor it was measured on a line that changes its owner comes
//! sooner than one that is shared: 950 to 860 ns, asked for to be read 950. A mapping for reading only cannot own a line, so between processes nothing
//! is gained by it, nor lost. Nor is it for who has just caught up with a producer that goes on.

#![forbid(unsafe_code)]

use super::shape::LINE;
use crate::primitive::hint;

/// The most bytes of a record that are asked for together: what is larger is read in order, and the processor's own prefetching
/// serves that.
pub(super) const MOST_AT_ONCE: usize = 32 * LINE;

/// The lines of an element that is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// The first of the lines.
    from: *const u8,
    /// From there to the end of the element.
    bytes: usize,
    when: When,
}

/// When the lines are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// With each look while the element is awaited, to be read.
    Awaited,
    /// Once the element was found, as if they were to be written.
    Found,
}

impl Expected {
    /// Nothing but what a look at the stamp brings.
    pub(crate) const NOTHING: Self = Self {
        from: std::ptr::null(),
        bytes: 0,
        when: When::Found,
    };

    /// An element of so many bytes, far fewer than there are addresses, from `at` on, beside the stamp of a bundle.
    #[inline(always)]
    pub(crate) fn of_bundle(at: *const u8, bytes: usize) -> Self {
        Self::new(at, bytes, When::Awaited)
    }

    /// As [`of_bundle`](Self::of_bundle), of a record, behind a stamp of its own.
    #[inline(always)]
    pub(crate) fn of_record(at: *const u8, bytes: usize) -> Self {
        Self::new(at, bytes, When::Found)
    }

    #[inline(always)]
    fn new(at: *const u8, bytes: usize, when: When) -> Self {
        let within = at as usize % LINE;
        Self {
            from: at.wrapping_sub(within),
            bytes: within + bytes,
            when,
        }
    }

    /// Asks for the lines, as the element is waited for.
    #[inline]
    pub(crate) fn ask_for(self) {
        if self.when == When::Awaited {
            for line in (0..self.bytes).step_by(LINE) {
                hint::prefetch_read(self.from.wrapping_add(line));
            }
        }
    }

    /// Asks for the lines, as the element was found to be there after a long wait.
    #[inline]
    pub(crate) fn found(self) {
        if self.when == When::Found {
            for line in (0..self.bytes.min(MOST_AT_ONCE)).step_by(LINE) {
                hint::prefetch_write(self.from.wrapping_add(line));
            }
        }
    }
}
