//! Rows, measured round after round.
//!
//! A slow phase of the machine lasts for minutes, so rows that are to be compared are measured one right after the
//! other, and that again and again: all rows of a group, group after group, is one round.

use std::thread;
use std::time::{Duration, Instant};

use super::load::Load;
use super::options::Options;
use super::probe;
use super::statistic::extremes;

/// Above this share of the machine, others disturb what is measured on two of its cores.
const BUSY: f64 = 0.05;
/// How long a row waits for separate cores before it is measured all the same.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two looks whether the cores are separate.
const REST: Duration = Duration::from_millis(20);

/// One thing to be measured.
pub(crate) struct Row<M> {
    pub(crate) name: String,
    pub(crate) run: Box<dyn FnMut() -> M>,
}

impl<M> Row<M> {
    pub(crate) fn new(name: impl Into<String>, run: impl FnMut() -> M + 'static) -> Self {
        Self {
            name: name.into(),
            run: Box::new(run),
        }
    }
}

/// Rows that are compared with each other. The first one is what the others are compared to.
pub(crate) struct Group<M> {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) rows: Vec<Row<M>>,
}

/// One pass over the rows of a group.
pub(crate) struct Round<M> {
    /// The bounce of a line before and after each row, in nanoseconds.
    pub(crate) probes: Vec<[f64; 2]>,
    /// Rows measured again because they ran on a shared core.
    pub(crate) repeated: usize,
    /// The share of the machine that other programs took meanwhile.
    pub(crate) others: f64,
    /// A value for each row.
    pub(crate) values: Vec<M>,
}

impl<M> Round<M> {
    /// Whether the two processors shared a physical core, before or after one of the rows.
    pub(crate) fn is_shared(&self) -> bool {
        self.probes.iter().any(|around| shared(*around))
    }
}

/// What came of a group.
pub(crate) struct Outcome<M> {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) rows: Vec<String>,
    pub(crate) rounds: Vec<Round<M>>,
}

impl<M> Outcome<M> {
    /// The rounds that count: those on separate cores, or all when there are none.
    pub(crate) fn counted(&self) -> Vec<&Round<M>> {
        let separate: Vec<_> = self.rounds.iter().filter(|round| !round.is_shared()).collect();
        if separate.is_empty() {
            self.rounds.iter().collect()
        } else {
            separate
        }
    }

    /// Rows that were measured again because they ran on a shared core.
    pub(crate) fn repeated(&self) -> usize {
        self.rounds.iter().map(|round| round.repeated).sum()
    }

    /// The state of the machine, in words.
    pub(crate) fn state(&self) -> String {
        let probes: Vec<f64> = self
            .rounds
            .iter()
            .flat_map(|round| round.probes.iter().copied().flatten())
            .collect();
        let (least, most) = extremes(&probes);
        let others: Vec<f64> = self.rounds.iter().map(|round| round.others * 100.0).collect();
        let (calm, rough) = extremes(&others);
        let shared = self.rounds.iter().filter(|round| round.is_shared()).count();
        let rounds = self.rounds.len();
        let state = match shared {
            0 => format!("{rounds} rounds on separate cores"),
            _ if shared == rounds => format!("{rounds} rounds, ALL (shared core)"),
            _ => format!("{rounds} rounds, of which {shared} (shared core) do not count"),
        };
        let repeated = match self.repeated() {
            0 => String::new(),
            rows => format!(", {rows} rows repeated"),
        };
        let noise = if rough > BUSY * 100.0 {
            ": NOT A QUIET MACHINE"
        } else {
            ""
        };
        format!(
            "{state}{repeated}; a line bounced in {least:.0} to {most:.0} ns; others took {calm:.0} to {rough:.0} % of the \
             machine{noise}"
        )
    }

    /// The values of a row in the rounds that count.
    pub(crate) fn values(&self, row: usize) -> Vec<&M> {
        self.counted()
            .into_iter()
            .map(|round| &round.values[row])
            .collect()
    }

    /// The place of a row.
    pub(crate) fn row(&self, name: &str) -> Option<usize> {
        self.rows.iter().position(|row| row == name)
    }
}

impl Outcome<f64> {
    /// The values of a row, by its name.
    pub(crate) fn figures(&self, name: &str) -> Option<Vec<f64>> {
        Some(self.values(self.row(name)?).into_iter().copied().collect())
    }
}

/// Measures the groups that the options ask for.
pub(crate) fn run<M>(groups: Vec<Group<M>>, options: &Options) -> Vec<Outcome<M>> {
    let mut groups: Vec<_> = groups
        .into_iter()
        .filter(|group| group.name.contains(&options.filter))
        .collect();
    let mut outcomes: Vec<_> = groups
        .iter()
        .map(|group| Outcome {
            name: group.name.clone(),
            unit: group.unit,
            rows: group.rows.iter().map(|row| row.name.clone()).collect(),
            rounds: Vec::new(),
        })
        .collect();
    for number in 1..=options.rounds {
        let mut shared = 0;
        for (group, outcome) in groups.iter_mut().zip(&mut outcomes) {
            let round = pass(group, options.repeats);
            shared += usize::from(round.is_shared());
            outcome.rounds.push(round);
        }
        let note = if shared == 0 {
            String::new()
        } else {
            format!(" (shared core) in {shared} groups")
        };
        eprintln!("round {number} of {}{note}", options.rounds);
    }
    outcomes
}

/// All rows of a group, each of which is measured again, up to `repeats` times, if it ran on a shared core.
fn pass<M>(group: &mut Group<M>, repeats: usize) -> Round<M> {
    let load = Load::now();
    let (mut probes, mut values, mut repeated) = (Vec::new(), Vec::new(), 0);
    for row in &mut group.rows {
        let mut left = repeats;
        loop {
            let before = apart(if left == 0 { Duration::ZERO } else { PATIENCE });
            let value = (row.run)();
            let around = [before, probe::bounce()];
            if left == 0 || !shared(around) {
                probes.push(around);
                values.push(value);
                break;
            }
            left -= 1;
            repeated += 1;
        }
    }
    Round {
        probes,
        repeated,
        others: Load::others_since(load),
        values,
    }
}

/// Waits, no longer than told, until the processors are on separate cores. The last bounce.
fn apart(patience: Duration) -> f64 {
    let until = Instant::now() + patience;
    loop {
        let bounce = probe::bounce();
        if !probe::is_shared(bounce) || Instant::now() >= until {
            return bounce;
        }
        // The host moves a processor when it is woken rather than while it runs.
        thread::sleep(REST);
    }
}

fn shared(around: [f64; 2]) -> bool {
    around.iter().any(|bounce| probe::is_shared(*bounce))
}
