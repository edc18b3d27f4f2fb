//! What came of a group: a value for each entry and round, and the ratios between them.

use crate::catalogue::{Cell, Group};
use crate::harness::statistic::{extremes, median};
use crate::measured::Measured;

/// What is compared of two entries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Measure {
    /// The value, of which more is better.
    Value,
    /// Nanoseconds at a share of the exchanges, of which less is better.
    At(f64),
}

/// The values of a group's entries.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) group: Group,
    /// By entry and round; none where it failed.
    pub(crate) values: Vec<Vec<Option<Measured>>>,
    /// The share of the machine that others took, by round.
    pub(crate) others: Vec<f64>,
    /// Figures that were taken again.
    pub(crate) repeated: usize,
}

impl Measure {
    pub(crate) fn of(self, measured: &Measured) -> Option<f64> {
        match self {
            Self::Value => Some(measured.value),
            Self::At(share) => measured.at(share),
        }
    }
}

impl Outcome {
    pub(crate) fn new(group: Group) -> Self {
        let values = vec![Vec::new(); group.entries.len()];
        Self {
            group,
            values,
            others: Vec::new(),
            repeated: 0,
        }
    }

    /// Whether an entry has a value that counts.
    pub(crate) fn has_counted(&self, entry: usize) -> bool {
        self.values[entry].iter().flatten().any(Measured::counts)
    }

    /// The values of an entry that count, of separate cores, or all if there are none.
    pub(crate) fn figures(&self, entry: usize, measure: Measure) -> Vec<f64> {
        let all = self.has_counted(entry);
        let counted = self.values[entry]
            .iter()
            .flatten()
            .filter(|one| one.counts() || !all);
        counted.filter_map(|one| measure.of(one)).collect()
    }

    /// The median of those; `NaN` for none.
    pub(crate) fn median(&self, entry: usize, measure: Measure) -> f64 {
        median(&self.figures(entry, measure))
    }

    /// The least and the greatest of those.
    pub(crate) fn extremes(&self, entry: usize) -> (f64, f64) {
        extremes(&self.figures(entry, Measure::Value))
    }

    /// The ratios of two entries in the rounds in which both count.
    pub(crate) fn ratios(&self, entry: usize, base: usize, measure: Measure) -> Vec<f64> {
        let both = self.values[entry].iter().zip(&self.values[base]);
        both.filter_map(|pair| match pair {
            (Some(one), Some(other)) if one.counts() && other.counts() => {
                Some(measure.of(one)? / measure.of(other)?)
            }
            _ => None,
        })
        .collect()
    }

    /// The median of those ratios, if there is any.
    pub(crate) fn ratio(&self, entry: usize, base: usize, measure: Measure) -> Option<f64> {
        let ratio = median(&self.ratios(entry, base, measure));
        (!ratio.is_nan()).then_some(ratio)
    }

    /// Of some entries the one with the best median, of those that count if there are any.
    pub(crate) fn best(&self, entries: &[usize]) -> Option<usize> {
        let value = |entry: usize| self.median(entry, Measure::Value);
        let counts = entries.iter().any(|entry| self.has_counted(*entry));
        let known = entries
            .iter()
            .copied()
            .filter(|entry| !value(*entry).is_nan() && (!counts || self.has_counted(*entry)));
        known.max_by(|one, other| value(*one).total_cmp(&value(*other)))
    }

    /// The best of ours and of the rivals in a cell, and their ratio.
    pub(crate) fn compare(&self, cell: &Cell) -> (Option<usize>, Option<usize>, Option<f64>) {
        let (ours, rival) = (self.best(&cell.ours), self.best(&cell.rivals));
        let ratio = ours
            .zip(rival)
            .and_then(|(ours, rival)| self.ratio(ours, rival, Measure::Value));
        (ours, rival, ratio)
    }

    /// How many values were taken while another program took a core away.
    pub(crate) fn preempted(&self) -> usize {
        self.values
            .iter()
            .flatten()
            .flatten()
            .filter(|one| one.preempted > 0)
            .count()
    }

    /// The bounces around all values.
    pub(crate) fn bounces(&self) -> Vec<f64> {
        self.values
            .iter()
            .flatten()
            .flatten()
            .flat_map(|one| one.around)
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::catalogue;

    /// The first group, of which the named entries have these values, by round; a negative one on a shared core.
    pub(crate) fn outcome(named: &[(&str, &[f64])]) -> Outcome {
        let group = catalogue::groups().swap_remove(0);
        let mut outcome = Outcome::new(group);
        for (name, values) in named {
            let place = outcome.group.place(name).expect("the entry is there");
            outcome.values[place] = values
                .iter()
                .map(|value| {
                    let bounce = if *value < 0.0 { 80.0 } else { 220.0 };
                    Some(Measured {
                        value: value.abs(),
                        quantiles: vec![(0.5, (1e3 / value.abs()) as u64)],
                        around: [220.0, bounce],
                        preempted: 0,
                    })
                })
                .collect();
        }
        outcome
    }

    #[test]
    fn a_ratio_needs_both_values_of_a_round() {
        let outcome = outcome(&[
            ("put/next", &[10.0, -100.0, 20.0, 40.0]),
            ("rtrb push/pop", &[5.0, 5.0, -1.0, 10.0]),
        ]);
        let place = |name| outcome.group.place(name).expect("it is there");
        let (ours, rtrb) = (place("put/next"), place("rtrb push/pop"));
        assert_eq!(outcome.ratios(ours, rtrb, Measure::Value), [2.0, 4.0]);
        assert_eq!(outcome.ratio(ours, rtrb, Measure::Value), Some(3.0));
        assert_eq!(outcome.median(ours, Measure::Value), 20.0);
        assert_eq!(outcome.extremes(ours), (10.0, 40.0));
    }

    #[test]
    fn shared_cores_give_a_figure_and_no_ratio() {
        let outcome = outcome(&[("put/next", &[-10.0]), ("rtrb push/pop", &[5.0])]);
        let place = |name| outcome.group.place(name).expect("it is there");
        let (ours, rtrb) = (place("put/next"), place("rtrb push/pop"));
        assert_eq!(outcome.median(ours, Measure::Value), 10.0);
        assert_eq!(outcome.ratio(ours, rtrb, Measure::Value), None);
        assert!(!outcome.has_counted(ours));
    }

    #[test]
    fn the_best_rival_is_the_one_with_the_best_median() {
        let outcome = outcome(&[
            ("put/next", &[10.0, 10.0, 10.0]),
            ("rtrb push/pop", &[1.0, 5.0, 100.0]),
            ("rtrb chunks of 64", &[8.0, 8.0, 8.0]),
        ]);
        let cell = &outcome.group.cells[0];
        let (_, rival, ratio) = outcome.compare(cell);
        let rival = rival.expect("there are rivals");
        assert_eq!(outcome.group.entries[rival].name, "rtrb chunks of 64");
        assert_eq!(ratio, Some(1.25));
    }
}
