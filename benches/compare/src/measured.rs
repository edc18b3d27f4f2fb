//! What one process measured, as it tells its parent.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::contender::Figure;
use crate::harness::probe;

/// The percentiles that tables and promises name.
pub(crate) const NAMED: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

/// One figure, and how far apart the cores were around it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Greater is better: million elements a second, or round trips a microsecond.
    pub(crate) value: f64,
    /// Shares of the exchanges, and the nanoseconds that they stay below; none for a flow.
    pub(crate) quantiles: Vec<(f64, u64)>,
    /// The bounce of a line before and after, in nanoseconds.
    pub(crate) around: [f64; 2],
    /// How often another program took a core away meanwhile.
    pub(crate) preempted: u64,
}

impl Measured {
    pub(crate) fn new(figure: &Figure, around: [f64; 2], preempted: u64) -> Self {
        let (value, quantiles) = match figure {
            Figure::Rate(rate) => (*rate, Vec::new()),
            Figure::Times(times) => {
                let middle = times.value_at_quantile(0.5).max(1);
                (1e3 / middle as f64, quantiles(times))
            }
        };
        Self {
            value,
            quantiles,
            around,
            preempted,
        }
    }

    /// Whether the cores were separate, before and after.
    pub(crate) fn counts(&self) -> bool {
        !self.around.iter().any(|bounce| probe::is_shared(*bounce))
    }

    /// Nanoseconds at a share of the exchanges, if these were timed.
    pub(crate) fn at(&self, quantile: f64) -> Option<f64> {
        let found = self
            .quantiles
            .iter()
            .find(|(share, _)| (share - quantile).abs() < 1e-9);
        found.map(|(_, time)| *time as f64)
    }
}

fn quantiles(times: &Histogram<u64>) -> Vec<(f64, u64)> {
    // Four for each nine, as far as there are a few exchanges beyond.
    let nines = (0..=16).map(|quarter| 1.0 - 10_f64.powf(-f64::from(quarter) / 4.0));
    let mut shares: Vec<f64> = nines
        .chain(NAMED.map(|(_, share)| share))
        .filter(|share| (1.0 - share) * times.len() as f64 >= 3.0 || *share <= 0.999)
        .collect();
    shares.sort_by(f64::total_cmp);
    shares.dedup_by(|one, other| (*one - *other).abs() < 1e-9);
    shares
        .into_iter()
        .map(|share| (share, times.value_at_quantile(share)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_trips_a_microsecond() {
        let mut times = Histogram::new_with_bounds(1, 1_000_000, 3).expect("the bounds are valid");
        times.record_n(250, 90).expect("it is within");
        times.record_n(1000, 10).expect("it is within");
        let measured = Measured::new(&Figure::Times(times), [200.0, 220.0], 0);
        assert!((measured.value - 4.0).abs() < 0.05);
        assert_eq!(measured.at(0.5), Some(250.0));
        assert!(measured.at(0.99).is_some_and(|time| time >= 1000.0));
        assert!(measured.at(0.999).is_some());
        assert!(measured.counts());
    }

    #[test]
    fn shared_cores_do_not_count() {
        let rate = Figure::Rate(1.0);
        assert!(Measured::new(&rate, [200.0, 181.0], 0).counts());
        assert!(!Measured::new(&rate, [200.0, 80.0], 0).counts());
        assert!(!Measured::new(&rate, [80.0, 200.0], 0).counts());
        assert_eq!(Measured::new(&rate, [200.0, 200.0], 0).at(0.5), None);
    }

    #[test]
    fn what_is_told_is_what_was_measured() {
        let measured = Measured {
            value: 12.5,
            quantiles: vec![(0.5, 80)],
            around: [201.5, 199.0],
            preempted: 1,
        };
        let line = serde_json::to_string(&measured).expect("it can be told");
        assert_eq!(
            serde_json::from_str::<Measured>(&line).expect("it can be heard"),
            measured
        );
    }
}
