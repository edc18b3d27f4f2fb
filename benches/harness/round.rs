//! Rows, measured round after round.
//!
//! A slow phase of the machine lasts for minutes, so rows that are to be compared are measured one right after the
//! other, and that again and again: all rows of a group, group after group, is one round.

use std::thread;
use std::time::{Duration, Instant};

use super::load::Load;
use super::options::{Extent, Options};
use super::sample::{SHARED, Sample};
use super::statistic::extremes;
use super::{probe, vigil};

/// Above this share of the machine, others disturb what is measured on two of its cores.
const BUSY: f64 = 0.05;
/// How long a row waits for separate cores before it is measured all the same.
const PATIENCE: Duration = Duration::from_millis(500);
/// What a run may spend on waiting and measuring again, so that it ends on a machine that never has separate cores.
const SPARE: Duration = Duration::from_secs(40);
/// Between two looks whether the cores are separate.
const REST: Duration = Duration::from_millis(20);
/// When the bounce of a line differs by more than this factor before and after, a core was moved meanwhile.
const MOVED: f64 = 2.0;

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
    /// How often a row was measured again because it did not count.
    pub(crate) repeated: usize,
    /// The share of the machine that other programs took meanwhile.
    pub(crate) others: f64,
    /// A value for each row.
    pub(crate) values: Vec<M>,
}

impl<M> Round<M> {
    /// Whether the value of a row counts: the two processors were on cores of their own before and after, and the same ones.
    pub(crate) fn counts(&self, row: usize) -> bool {
        count(self.probes[row])
    }

    /// How many values do not count.
    pub(crate) fn lost(&self) -> usize {
        self.probes.iter().filter(|around| !count(**around)).count()
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
    /// How often a row was measured again because it did not count.
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
        let rounds = self.rounds.len();
        let all = rounds * self.rows.len();
        let lost: usize = self.rounds.iter().map(Round::lost).sum();
        let state = match lost {
            0 => format!("{rounds} rounds, every value counts"),
            _ if lost == all => format!("{rounds} rounds, NO VALUE COUNTS {SHARED}"),
            _ => format!(
                "{rounds} rounds, {} of {all} values count, the others were {SHARED}",
                all - lost
            ),
        };
        let repeated = match self.repeated() {
            0 => String::new(),
            values => format!(", {values} measured again"),
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

    /// The values of a row that count.
    pub(crate) fn sample(&self, row: usize) -> Sample<&M> {
        Sample::of(self, &[row], |round| &round.values[row])
    }

    /// The place of a row.
    pub(crate) fn row(&self, name: &str) -> Option<usize> {
        self.rows.iter().position(|row| row == name)
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
    if groups.is_empty() {
        return outcomes;
    }
    if options.extent != Extent::Test {
        vigil::prepare();
    }
    let mut spare = SPARE;
    for number in 1..=options.rounds {
        let mut lost = 0;
        for (group, outcome) in groups.iter_mut().zip(&mut outcomes) {
            let round = pass(group, options.repeats, &mut spare);
            lost += round.lost();
            outcome.rounds.push(round);
        }
        let note = if lost == 0 {
            String::new()
        } else {
            format!(", {SHARED} values: {lost}")
        };
        eprintln!("round {number} of {}{note}", options.rounds);
    }
    vigil::leave();
    outcomes
}

/// All rows of a group, each of which is measured again if its value does not count: up to `repeats` times, and as long as
/// there is `spare` time.
fn pass<M>(group: &mut Group<M>, repeats: usize, spare: &mut Duration) -> Round<M> {
    let load = Load::now();
    let (mut probes, mut values, mut repeated) = (Vec::new(), Vec::new(), 0);
    for row in &mut group.rows {
        let mut left = repeats;
        loop {
            let began = Instant::now();
            let before = apart(if left == 0 {
                Duration::ZERO
            } else {
                PATIENCE.min(*spare)
            });
            let value = (row.run)();
            vigil::keep();
            let around = [before, probe::bounce()];
            if left == 0 || spare.is_zero() || count(around) {
                probes.push(around);
                values.push(value);
                break;
            }
            left -= 1;
            repeated += 1;
            *spare = spare.saturating_sub(began.elapsed());
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
        vigil::keep();
        let bounce = probe::bounce();
        if !probe::is_shared(bounce) || Instant::now() >= until {
            return bounce;
        }
        // The host moves a processor when it is woken rather than while it runs.
        vigil::leave();
        thread::sleep(REST);
    }
}

/// Whether what was measured between two bounces counts.
fn count([before, after]: [f64; 2]) -> bool {
    let separate = !probe::is_shared(before) && !probe::is_shared(after);
    separate && before.max(after) <= MOVED * before.min(after)
}
