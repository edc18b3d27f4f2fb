//! One of the two lines, by the numbers that it has brought.

#![forbid(unsafe_code)]

/// Whether `one` is the younger of two numbers that wrap.
pub(super) fn is_after(one: u64, other: u64) -> bool {
    (one.wrapping_sub(other) as i64) > 0
}

/// What a line of an [`Arbitrated`](crate::Arbitrated) feed brought, in elements.
///
/// Each element is either the first of its number, or a duplicate, or late.
///
/// ```
/// let (mut left, a) = millstream::channel::<u64>().build()?;
/// let (right, b) = millstream::channel::<u64>().build()?;
/// left.put_slice(&[1, 2, 2, 4])?;
/// drop((left, right));
/// let mut feed = millstream::arbitrate(a, b, |number| *number).build();
/// assert_eq!(feed.by_ref().count(), 4);
/// let line = feed.line_a();
/// assert_eq!((line.first, line.duplicates, line.filled, line.missed), (3, 1, 0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LineCounts {
    /// Elements that it brought first.
    pub first: u64,
    /// Elements that were dropped, because their numbers had come, or lay before the first.
    pub duplicates: u64,
    /// Elements that were dropped, because their numbers had been told as missing, in one of the last 4,096 gaps: with a longer
    /// `patience` or a larger `window` they would have been given.
    pub late: u64,
    /// Of those that it brought first, the ones that the other line had gone past without: gaps of the other that it filled.
    pub filled: u64,
    /// Numbers that it went past without bringing them, from its first on.
    pub missed: u64,
}

#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) counts: LineCounts,
    /// The youngest number that it has brought.
    pub(super) reached: Option<u64>,
    pub(super) ended: bool,
}

impl Line {
    /// That it brought this number.
    pub(super) fn reach(&mut self, number: u64) {
        match self.reached {
            Some(reached) if !is_after(number, reached) => return,
            Some(reached) => {
                let skipped = number.wrapping_sub(reached) - 1;
                self.counts.missed = self.counts.missed.saturating_add(skipped);
            }
            None => {}
        }
        self.reached = Some(number);
    }

    /// Whether it brings nothing before this number any more.
    pub(super) fn has_passed(&self, number: u64) -> bool {
        self.ended || self.reached.is_some_and(|reached| !is_after(number, reached))
    }
}
