//! How long a run may wait for separate cores.
//!
//! A host that has put both virtual processors onto one physical core leaves them there for seconds or minutes. Single bounces
//! are long even then, where it takes a core away in the middle of one, so a few of them in a row have to be.

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::probe;

/// Bounces in a row that say the cores are separate.
const STEADY: usize = 5;
/// Between two of them.
const REST: Duration = Duration::from_millis(20);

/// What a run may still spend on waiting.
#[derive(Debug)]
pub(crate) struct Patience {
    all: Duration,
    spent: Duration,
}

impl Patience {
    pub(crate) fn new(all: Duration) -> Self {
        Self {
            all,
            spent: Duration::ZERO,
        }
    }

    /// Returns once the cores are separate, or when there is no patience left; at once where there was none.
    pub(crate) fn settle(&mut self, mut bounce: impl FnMut() -> f64) {
        let began = Instant::now();
        let before = self.spent;
        let mut steady = 0;
        while steady < STEADY && self.spent < self.all {
            steady = if probe::is_shared(bounce()) { 0 } else { steady + 1 };
            thread::sleep(REST);
            self.spent = before + began.elapsed();
        }
    }

    /// How long it has waited, in all.
    pub(crate) fn spent(&self) -> Duration {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: f64 = 80.0;
    const APART: f64 = 400.0;

    #[test]
    fn one_long_bounce_among_short_ones_is_not_believed() {
        let mut bounces = [NEAR, APART, APART, NEAR].into_iter().chain([APART; STEADY]);
        let mut patience = Patience::new(Duration::MAX);
        patience.settle(|| bounces.next().expect("it has seen enough of them"));
        assert_eq!(bounces.next(), None);
    }

    #[test]
    fn it_ends_and_is_not_renewed() {
        let mut patience = Patience::new(2 * REST);
        patience.settle(|| NEAR);
        assert!(patience.spent() >= 2 * REST);
        patience.settle(|| unreachable!("there is none left"));
    }

    #[test]
    fn without_any_nothing_is_probed() {
        Patience::new(Duration::ZERO).settle(|| unreachable!("there is none"));
    }
}
