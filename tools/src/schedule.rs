//! A steady rate: the n-th element is due n intervals after the first, however long the others took.

use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    interval: f64,
    begun: Option<Instant>,
    due: u64,
}

impl Schedule {
    /// `rate` is positive.
    pub(crate) fn new(rate: f64) -> Self {
        Self {
            interval: 1.0 / rate,
            begun: None,
            due: 0,
        }
    }

    /// How long it is until the next element is due; `None` when it is.
    pub(crate) fn left(&mut self, now: Instant) -> Option<Duration> {
        let begun = *self.begun.get_or_insert(now);
        let offset = Duration::try_from_secs_f64(self.interval * self.due as f64).unwrap_or(Duration::MAX);
        offset
            .checked_sub(now.saturating_duration_since(begun))
            .filter(|left| !left.is_zero())
    }

    /// The element that was due is on its way.
    pub(crate) fn advance(&mut self) {
        self.due += 1;
    }
}

/// A rate as the user writes it: elements a second.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|rate| rate.is_finite() && *rate > 0.0)
        .ok_or_else(|| "expected a positive number of elements a second".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_by_the_first_not_by_the_last() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(10.0);
        assert_eq!(schedule.left(begin), None);
        schedule.advance();
        assert_eq!(schedule.left(begin), Some(Duration::from_millis(100)));
        // The second was late by 150 ms: the third is due already, the fourth in 50 ms.
        let late = begin + Duration::from_millis(250);
        assert_eq!(schedule.left(late), None);
        schedule.advance();
        assert_eq!(schedule.left(late), None);
        schedule.advance();
        assert_eq!(schedule.left(late), Some(Duration::from_millis(50)));
    }

    #[test]
    fn rates() {
        assert_eq!(rate("0.5"), Ok(0.5));
        for wrong in ["0", "-1", "inf", "NaN", "fast", ""] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_rate_too_small_for_the_clock_waits() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(1e-300);
        assert_eq!(schedule.left(begin), None);
        schedule.advance();
        assert_eq!(schedule.left(begin), Some(Duration::MAX));
    }
}
