//! The whole run: scenes one after another and beside each other, as many as the processes allow, until the time is over.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use serde_json::json;

use crate::census::Census;
use crate::line::Kind;
use crate::random::Random;
use crate::scene::{Plan, files, streams};
use crate::tally::{CLASSES, Count, Tally, grouped};

/// What the driver is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// How long new scenes are begun; those that run come to their ends after it
    #[arg(long, default_value_t = 10.0, value_name = "T")]
    minutes: f64,
    /// Processes at a time, besides this one
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(3..=512))]
    processes: u64,
    /// What all choices follow from (their moments do not) [default: another each time]
    #[arg(long)]
    seed: Option<u64>,
    /// Only streams of these kinds
    #[arg(long, value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// Where the runtime directory and the ledgers are made; it must be empty or absent [default: a temporary directory]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Writes the counts there, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs it, prints what came of it, and says whether all is well.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let seed = arguments.seed.unwrap_or_else(some_seed);
    let temporary;
    let dir = match &arguments.dir {
        Some(dir) => {
            std::fs::create_dir_all(dir).with_context(|| format!("making {dir:?}"))?;
            if !files(dir)?.is_empty() {
                anyhow::bail!("{dir:?} has something in it: give an empty directory");
            }
            dir.clone()
        }
        None => {
            temporary = tempfile::tempdir().context("making a temporary directory")?;
            temporary.path().into()
        }
    };
    let minutes = Duration::try_from_secs_f64(arguments.minutes * 60.0).context("--minutes")?;
    println!(
        "soak: {} processes at a time for {minutes:?}, --seed {seed}, in {}",
        arguments.processes,
        dir.display()
    );
    let mut run = Run {
        seed,
        dir: &dir,
        processes: arguments.processes as usize,
        kinds: if arguments.kinds.is_empty() {
            Kind::ALL.into()
        } else {
            arguments.kinds.clone()
        },
        random: Random::of(seed, &[]),
        order: Vec::new(),
        scenes: 0,
        begun: Instant::now(),
        total: Tally::default(),
    };
    run.play(minutes)?;
    let (total, took) = (run.total, run.begun.elapsed());
    report(&total, seed, took);
    if let Some(path) = &arguments.json {
        let mut counts = total.json();
        counts["seed"] = json!(seed);
        counts["processes"] = json!(arguments.processes);
        counts["seconds"] = json!(took.as_secs_f64());
        counts["kills"] = json!(total.kills());
        std::fs::write(path, format!("{counts:#}\n")).with_context(|| format!("writing {path:?}"))?;
    }
    Ok(total.faults.is_empty())
}

fn some_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()) >> 32
}

fn report(total: &Tally, seed: u64, took: Duration) {
    for fault in &total.faults {
        println!("FAULT (--seed {seed}): {fault}");
    }
    println!("\n{total}");
    println!(
        "soak: {} elements checked over {} kills and {} resumes in {} s, --seed {seed}: {}",
        grouped(total.get(Count::Delivered)),
        grouped(total.kills()),
        grouped(total.get(Count::Resumes)),
        took.as_secs(),
        total.verdict()
    );
}

struct Run<'a> {
    seed: u64,
    dir: &'a Path,
    processes: usize,
    kinds: Vec<Kind>,
    random: Random,
    /// Kinds that come next, the last first.
    order: Vec<Kind>,
    scenes: u64,
    begun: Instant,
    total: Tally,
}

impl Run<'_> {
    fn play(&mut self, minutes: Duration) -> anyhow::Result<()> {
        let first = Census::take()?;
        let end = self.begun + minutes;
        let mut minute = self.begun + Duration::from_secs(60);
        let (told, tallies) = channel::<(usize, Tally)>();
        std::thread::scope(|scope| {
            let (mut busy, mut playing) = (0, 0);
            let mut next = self.plan();
            loop {
                // The first fault ends it: what follows from it would hide it.
                let over = Instant::now() >= end || !self.total.faults.is_empty();
                if over && playing == 0 {
                    return Ok(());
                }
                if !over && busy + next.processes() <= self.processes {
                    (busy, playing) = (busy + next.processes(), playing + 1);
                    let (plan, told) = (next, told.clone());
                    // The driver outlives its scenes, so somebody hears it.
                    scope.spawn(move || told.send((plan.processes(), plan.play())).is_ok());
                    next = self.plan();
                    continue;
                }
                match tallies.recv_timeout(minute.saturating_duration_since(Instant::now())) {
                    Ok((processes, tally)) => {
                        (busy, playing) = (busy - processes, playing - 1);
                        self.total.merge(tally);
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        minute += Duration::from_secs(60);
                        // A thread that has told its tally may not have ended yet.
                        let census = Census::take()?;
                        census.check_within(&first, playing + 2, busy, &mut self.total);
                        self.say_how_it_goes();
                    }
                    Err(RecvTimeoutError::Disconnected) => anyhow::bail!("nobody plays any more"),
                }
            }
        })?;
        drop((told, tallies));
        Census::settled(&first)?.check_after(&first, &mut self.total);
        for file in files(&streams(self.dir))? {
            self.total
                .fault("leaked", format_args!("the file {file} in the runtime directory"));
        }
        for file in files(self.dir)?.iter().filter(|file| *file != "run") {
            self.total.fault("leaked", format_args!("the file {file}"));
        }
        Ok(())
    }

    /// What the next scene is, by the seed alone.
    fn plan(&mut self) -> Plan {
        if self.order.is_empty() {
            self.order = self.kinds.clone();
            for left in (1..self.order.len()).rev() {
                self.order.swap(left, self.random.below(left as u64 + 1) as usize);
            }
        }
        let kind = self.order.pop().unwrap_or(Kind::Small);
        let consumers = kind.cast(&mut self.random, self.processes);
        let vandal = 1 + consumers < self.processes && self.random.once_in(2);
        self.scenes += 1;
        Plan {
            kind,
            stream: self.scenes,
            consumers,
            vandal,
            seed: self.seed,
            chaos: Duration::from_millis(self.random.between(500, 5000)),
            dir: self.dir.into(),
        }
    }

    fn say_how_it_goes(&self) {
        let total = &self.total;
        println!(
            "{:>4} s: {} scenes, {} published, {} delivered, {} kills, {} stops, {} resumes, {} attacks; {}",
            self.begun.elapsed().as_secs(),
            total.get(Count::Scenes),
            grouped(total.get(Count::Published)),
            grouped(total.get(Count::Delivered)),
            grouped(total.kills()),
            total.get(Count::Stops),
            total.get(Count::Resumes),
            total.get(Count::Attacks),
            CLASSES
                .map(|class| format!("{class} {}", total.faults_of(class)))
                .join(", ")
        );
    }
}
