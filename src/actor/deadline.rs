//! Until when to wait.

use std::time::{Duration, Instant};

use crate::primitive::time::now;

/// Until when an operation may wait: a moment, or a time from now on. A time too long to be reckoned is no deadline.
///
/// ```
/// use std::time::{Duration, Instant};
/// use millstream::Deadline;
/// assert!(Deadline::from(Duration::ZERO).has_passed());
/// assert!(!Deadline::from(Instant::now() + Duration::from_secs(9)).has_passed());
/// assert_eq!(Deadline::from(Duration::MAX).instant(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// The moment; `None` when there is no deadline.
    ///
    /// ```
    /// use std::time::Instant;
    /// let now = Instant::now();
    /// assert_eq!(millstream::Deadline::from(now).instant(), Some(now));
    /// ```
    #[must_use]
    pub fn instant(self) -> Option<Instant> {
        self.0
    }

    /// Whether it is over.
    ///
    /// ```
    /// use std::time::Instant;
    /// assert!(millstream::Deadline::from(Instant::now()).has_passed());
    /// ```
    #[must_use]
    pub fn has_passed(self) -> bool {
        self.0.is_some_and(|deadline| now() >= deadline)
    }

    /// What is left of it, at most `most`.
    pub(crate) fn left(self, most: Duration) -> Duration {
        self.0.map_or(most, |deadline| {
            deadline.saturating_duration_since(now()).min(most)
        })
    }
}

impl From<Instant> for Deadline {
    fn from(moment: Instant) -> Self {
        Self(Some(moment))
    }
}

impl From<Duration> for Deadline {
    fn from(time: Duration) -> Self {
        Self(now().checked_add(time))
    }
}
