//! The values of a row that count.

use hdrhistogram::Histogram;

use super::round::{Outcome, Round};
use super::statistic::{extremes, median};

/// What is printed beside values none of which counts.
pub(crate) const SHARED: &str = "(shared core)";

/// One value a round.
pub(crate) struct Sample<V> {
    /// Those that count; when there are none, all of them, which then say little.
    pub(crate) values: Vec<V>,
    /// How many count.
    pub(crate) counted: usize,
}

impl<V> Sample<V> {
    /// What `value` gives for the rounds in which all of `rows` count.
    pub(crate) fn of<'a, M>(
        outcome: &'a Outcome<M>,
        rows: &[usize],
        value: impl Fn(&'a Round<M>) -> V,
    ) -> Self {
        let counts = |round: &&Round<M>| rows.iter().all(|row| round.counts(*row));
        let values: Vec<_> = outcome.rounds.iter().filter(counts).map(&value).collect();
        let counted = values.len();
        let values = if counted == 0 {
            outcome.rounds.iter().map(value).collect()
        } else {
            values
        };
        Self { values, counted }
    }

    /// What to print after it.
    pub(crate) fn mark(&self) -> &'static str {
        if self.counted == 0 { SHARED } else { "" }
    }
}

impl Sample<f64> {
    /// The ratios of a row's figures to those of another one in the same round.
    pub(crate) fn ratios<M: Figure>(outcome: &Outcome<M>, row: usize, base: usize) -> Self {
        Self::of(outcome, &[row, base], |round| {
            round.values[row].figure() / round.values[base].figure()
        })
    }

    pub(crate) fn median(&self) -> f64 {
        median(&self.values)
    }

    pub(crate) fn extremes(&self) -> (f64, f64) {
        extremes(&self.values)
    }
}

/// What rows are compared by.
pub(crate) trait Figure {
    fn figure(&self) -> f64;
}

impl Figure for f64 {
    fn figure(&self) -> f64 {
        *self
    }
}

/// By the median.
impl Figure for Histogram<u64> {
    fn figure(&self) -> f64 {
        self.value_at_quantile(0.5) as f64
    }
}
