//! One process's part in a scene, as it is told on its command line.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, ValueEnum};
use millstream::WaitStrategy;

use crate::census::SETTLING;
use crate::ledger::{Ledger, Slot};
use crate::line::Kind;
use crate::random::Random;
use crate::{committer, consumer, producer, vandal};

/// The exit code of a process that has noted a fault.
pub(crate) const FAULTY: u8 = 3;
/// The exit code of a producer that went without a word, which is to its consumers as if it were killed.
pub(crate) const VANISHED: u8 = 7;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Producer,
    Consumer,
    Vandal,
}

/// What a process is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Part {
    #[arg(long)]
    pub(crate) role: Role,
    #[arg(long)]
    pub(crate) kind: Kind,
    /// The number of the scene, which its elements carry.
    #[arg(long)]
    pub(crate) stream: u64,
    #[arg(long)]
    pub(crate) slot: usize,
    /// Processes that had this slot before.
    #[arg(long)]
    pub(crate) run: u64,
    /// Consumers of the scene, in slots 1 and on.
    #[arg(long)]
    pub(crate) consumers: usize,
    #[arg(long)]
    pub(crate) seed: u64,
    /// The runtime directory.
    #[arg(long)]
    pub(crate) streams: PathBuf,
    #[arg(long)]
    pub(crate) ledger: PathBuf,
}

impl Part {
    pub(crate) fn name(&self) -> String {
        self.kind.name(&stream_name(self.stream), self.slot)
    }

    /// The file of a durable stream.
    pub(crate) fn file(&self) -> PathBuf {
        durable_file(&self.ledger)
    }

    /// Who this is, for messages.
    pub(crate) fn who(&self) -> String {
        format!(
            "{} {} (slot {}, run {})",
            self.kind, self.stream, self.slot, self.run
        )
    }

    /// Plays it, to the end of the scene or of the process.
    pub(crate) fn play(&self) -> ExitCode {
        match self.perform() {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => {
                let line = format!("{} {}: {}\n", fault.class, self.who(), fault.text);
                let noted = fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(faults_file(&self.ledger))
                    .and_then(|mut file| file.write_all(line.as_bytes()));
                if noted.is_err() {
                    eprint!("{line}");
                }
                ExitCode::from(FAULTY)
            }
        }
    }

    fn perform(&self) -> Result<(), Fault> {
        // So that nothing outlives a driver that is killed.
        let kill = Some(rustix::process::Signal::KILL);
        rustix::process::set_parent_process_death_signal(kill).context("prctl")?;
        let ledger = Ledger::open(&self.ledger)?;
        let scene = Scene {
            part: self,
            ledger: &ledger,
            slot: ledger.slot(self.slot),
        };
        let mut random = Random::of(self.seed, &[self.stream, self.slot as u64, self.run]);
        let before = Holdings::now()?;
        match self.role {
            Role::Producer => producer::produce(&scene, &mut random)?,
            Role::Consumer if self.kind == Kind::Committed => committer::consume(&scene, &mut random)?,
            Role::Consumer => consumer::consume(&scene, &mut random)?,
            Role::Vandal => vandal::vandalise(&scene, &mut random)?,
        }
        before.are_again()
    }
}

pub(crate) fn stream_name(stream: u64) -> String {
    format!("soak{stream}")
}

/// Where a durable stream is kept.
pub(crate) fn durable_file(ledger: &Path) -> PathBuf {
    ledger.with_extension("durable")
}

/// Where the processes of a scene note what they found wrong, one a line.
pub(crate) fn faults_file(ledger: &Path) -> PathBuf {
    ledger.with_extension("faults")
}

/// A part being played.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) part: &'a Part,
    pub(crate) ledger: &'a Ledger,
    pub(crate) slot: Slot<'a>,
}

/// What is wrong, under one of the words of the report.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) class: &'static str,
    pub(crate) text: String,
}

impl Fault {
    pub(crate) fn new(class: &'static str, text: impl Into<String>) -> Self {
        Self {
            class,
            text: text.into().replace('\n', " "),
        }
    }

    /// Something ended, or was refused, as it should not.
    pub(crate) fn wrong(text: impl Into<String>) -> Self {
        Self::new("wrong", text)
    }
}

impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Self {
        Self::wrong(format!("{error:#}"))
    }
}

/// What this process has: descriptors, threads, memfds mapped.
#[derive(Debug, PartialEq, Eq)]
struct Holdings {
    descriptors: usize,
    threads: usize,
    memories: usize,
}

impl Holdings {
    fn now() -> anyhow::Result<Self> {
        let count = |path: &str| {
            fs::read_dir(path)
                .map(Iterator::count)
                .with_context(|| format!("looking at {path}"))
        };
        let maps = fs::read_to_string("/proc/self/maps").context("looking at /proc/self/maps")?;
        Ok(Self {
            descriptors: count("/proc/self/fd")?,
            threads: count("/proc/self/task")?,
            memories: maps.matches("/memfd:").count(),
        })
    }

    /// Whether all that was taken since has been given back.
    fn are_again(&self) -> Result<(), Fault> {
        let end = Instant::now() + SETTLING;
        loop {
            let now = Self::now()?;
            if now == *self {
                return Ok(());
            }
            // A thread that was joined may stand in the list for a moment.
            if Instant::now() > end {
                return Err(Fault::new(
                    "leaked",
                    format!("it began with {self:?} and ended with {now:?}"),
                ));
            }
            std::thread::yield_now();
        }
    }
}

/// How an endpoint waits. Seldom by a busy loop, which would take one of few cores from everybody else.
pub(crate) fn strategy(random: &mut Random) -> WaitStrategy {
    match random.below(16) {
        0 => WaitStrategy::BusySpin,
        1..4 => WaitStrategy::SpinThenYield { spins: 10 },
        4..10 => WaitStrategy::park(),
        _ => WaitStrategy::default(),
    }
}

/// Lets the other side go ahead or fall behind now and then, so that rings are full and empty by turns.
pub(crate) fn pause(random: &mut Random) {
    match random.below(64) {
        0 => std::thread::sleep(Duration::from_micros(random.below(3000))),
        1..6 => std::thread::sleep(Duration::from_micros(random.below(100))),
        _ => {}
    }
}
