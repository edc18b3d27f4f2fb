//! The lines in which the next element will come, apart from that of its stamp.
//!
//! Who waits for an element of a bundle looks at its stamp, and would ask for the element only when it has seen that: one line
//! after the other. So it asks for the element's lines with each look while it waits, and most often they come together
//! with the stamp. Measured: round trips of 64 bytes 850 to 720 ns in one process, 880 to 660 between two. Not so for larger
//! elements, in a block of their own: what is asked for while it is being written has to be written
//! again, line by line, and round trips of 1,024 bytes went from 1,270 to 1,790 ns.

#![forbid(unsafe_code)]

use super::shape::LINE;
use crate::primitive::hint;

/// The lines of an element that is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// The first of the lines.
    from: *const u8,
    /// From there to the end of the element.
    bytes: usize,
}

impl Expected {
    /// Nothing but what a look at the stamp brings.
    pub(crate) const NOTHING: Self = Self {
        from: std::ptr::null(),
        bytes: 0,
    };

    /// So many bytes, far fewer than there are addresses, from `at` on.
    #[inline(always)]
    pub(crate) fn new(at: *const u8, bytes: usize) -> Self {
        let within = at as usize % LINE;
        Self {
            from: at.wrapping_sub(within),
            bytes: within + bytes,
        }
    }

    /// Asks for the lines.
    #[inline]
    pub(crate) fn ask_for(self) {
        for line in (0..self.bytes).step_by(LINE) {
            hint::prefetch_read(self.from.wrapping_add(line));
        }
    }
}
