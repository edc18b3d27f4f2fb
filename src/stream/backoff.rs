//! How often something is left out that was in vain.

#![forbid(unsafe_code)]

/// The most times that are left out after one that was in vain.
const MOST_LEFT_OUT: u32 = 64;

/// Leaves out twice as many times after each one in vain, none after one that helped.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    left_out: u32,
    penalty: u32,
}

impl Backoff {
    /// Whether this time is not left out.
    #[inline]
    pub(super) fn is_in_turn(&mut self) -> bool {
        let left = self.left_out.checked_sub(1);
        self.left_out = left.unwrap_or(0);
        left.is_none()
    }

    /// What came of a time that was not left out.
    pub(super) fn note(&mut self, helped: bool) {
        self.penalty = if helped {
            0
        } else {
            (2 * self.penalty).clamp(1, MOST_LEFT_OUT)
        };
        self.left_out = self.penalty;
    }
}
