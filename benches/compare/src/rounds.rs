//! The order in which everything is measured: entry after entry of a group, group after group, round after round.
//!
//! Each figure comes from a process of its own. One that was taken on a shared core is taken again at once, and counts for
//! itself: what disturbs one entry does not cost the round its others.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::catalogue::{Entry, Group};
use crate::child;
use crate::contender::Task;
use crate::harness::element_flow::whole;
use crate::harness::load::Load;
use crate::harness::options::Extent;
use crate::harness::probe;
use crate::measured::Measured;
use crate::outcome::Outcome;
use crate::patience::Patience;
use crate::seam::SeamFile;

/// How many a first look takes: flows, and exchanges.
const FIRST: [u64; 2] = [4096, 512];
/// However fast it is, no measurement takes more.
const MOST: u64 = 1 << 26;

/// Has everything measured.
#[derive(Debug)]
pub(crate) struct Conductor {
    seam: SeamFile,
    extent: Extent,
    repeats: usize,
    patience: Patience,
    began: Instant,
    /// Elements, or exchanges, a second, by group and entry.
    rates: BTreeMap<(String, String), f64>,
    failures: Vec<String>,
    processes: usize,
}

impl Conductor {
    pub(crate) fn new(extent: Extent, repeats: usize, patience: Duration) -> anyhow::Result<Self> {
        Ok(Self {
            seam: SeamFile::new()?,
            extent,
            repeats,
            patience: Patience::new(patience),
            began: Instant::now(),
            rates: BTreeMap::new(),
            failures: Vec::new(),
            processes: 0,
        })
    }

    /// How far apart the cores are now, a few times.
    pub(crate) fn bounce(&self) -> anyhow::Result<Vec<f64>> {
        Ok((0..5).map(|_| probe::bounce()).collect())
    }

    /// Measures all of them.
    pub(crate) fn run(&mut self, groups: Vec<Group>, rounds: usize) -> Vec<Outcome> {
        let mut outcomes: Vec<_> = groups.into_iter().map(Outcome::new).collect();
        for round in 1..=rounds {
            for outcome in &mut outcomes {
                self.round(outcome);
            }
            eprintln!(
                "round {round} of {rounds}, {:.0} s",
                self.began.elapsed().as_secs_f64()
            );
        }
        outcomes
    }

    /// Measures each entry of a group once.
    pub(crate) fn round(&mut self, outcome: &mut Outcome) {
        self.patience.settle(probe::bounce);
        let load = Load::now();
        for place in 0..outcome.group.entries.len() {
            let entry = outcome.group.entries[place].clone();
            let (measured, repeated) = self.measure(&outcome.group.name, &entry);
            outcome.repeated += repeated;
            outcome.values[place].push(measured);
        }
        outcome.others.push(Load::others_since(load));
    }

    /// Measures one entry, again if it ran on a shared core; how often again.
    fn measure(&mut self, group: &str, entry: &Entry) -> (Option<Measured>, usize) {
        let mut repeated = 0;
        loop {
            match self.once(group, entry) {
                Err(error) => {
                    let failure = format!("{group}: {}: {error:#}", entry.name);
                    eprintln!("FAILED {failure}");
                    self.failures.push(failure);
                    return (None, repeated);
                }
                Ok(measured) if measured.counts() || repeated == self.repeats => {
                    return (Some(measured), repeated);
                }
                Ok(_) => {
                    repeated += 1;
                    self.patience.settle(probe::bounce);
                }
            }
        }
    }

    fn once(&mut self, group: &str, entry: &Entry) -> anyhow::Result<Measured> {
        if self.extent == Extent::Test {
            let count = if is_flow(entry.job.task) { 256 } else { 20 };
            return self.child(entry, count);
        }
        let key = (group.to_owned(), entry.name.clone());
        let length = length(self.extent, entry.job.task).as_secs_f64();
        let rate = match self.rates.get(&key) {
            Some(rate) => *rate,
            None => {
                // Not counted: it finds the rate out.
                let mut count = FIRST[usize::from(!is_flow(entry.job.task))];
                loop {
                    let rate = rate(entry.job.task, &self.child(entry, count)?);
                    if (rate > 0.0 && count as f64 / rate > length / 4.0) || count >= MOST {
                        break rate;
                    }
                    count *= 8;
                }
            }
        };
        let least = if is_flow(entry.job.task) { 512 } else { 100 };
        let measured = self.child(entry, ((rate * length) as u64).clamp(least, MOST))?;
        self.rates.insert(key, self::rate(entry.job.task, &measured));
        Ok(measured)
    }

    fn child(&mut self, entry: &Entry, count: u64) -> anyhow::Result<Measured> {
        self.processes += 1;
        let mut job = entry.job;
        job.count = if is_flow(job.task) { whole(count) } else { count };
        child::start(job, &self.seam)
    }

    /// What went wrong.
    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// How many processes have measured, how long everything took, and how much of it was spent on waiting for separate cores.
    pub(crate) fn effort(&self) -> (usize, Duration, Duration) {
        (self.processes, self.began.elapsed(), self.patience.spent())
    }

    /// Success if nothing failed; a figure that is low is no failure.
    pub(crate) fn code(&self) -> ExitCode {
        if self.failures.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn is_flow(task: Task) -> bool {
    !matches!(task, Task::Trip { .. } | Task::Wake)
}

/// Elements, or exchanges, a second.
fn rate(task: Task, measured: &Measured) -> f64 {
    match task {
        // It is left alone between two.
        Task::Wake => 1e6 / (65.0 + 1.0 / measured.value),
        _ => measured.value * 1e6,
    }
}

/// How long a measurement is to take.
fn length(extent: Extent, task: Task) -> Duration {
    let usual = match extent {
        Extent::Full => 25,
        Extent::Quick => 8,
        Extent::Test => 0,
    };
    Duration::from_millis(match task {
        // So few exchanges would have no p99.
        Task::Wake => 4 * usual,
        _ => usual,
    })
}
