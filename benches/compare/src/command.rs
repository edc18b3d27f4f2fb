//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::harness::options::Extent;
use crate::regimes;

/// Measures millstream beside its rivals and its limits on this machine.
#[derive(Clone, Debug, Parser)]
#[command(name = "millstream-compare", max_term_width = 100)]
pub(crate) struct Command {
    /// Shorter measurements, and three rounds: a look, not a figure
    #[arg(long)]
    pub(crate) quick: bool,
    /// Everything once, tiny, to see that it works and that nothing is lost
    #[arg(long)]
    pub(crate) test: bool,
    /// Rounds of which medians are taken [default: 5, quick 3]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Waits for separate cores before each round of a group, and before a figure is taken again, at most SECS seconds in all
    #[arg(long, value_name = "SECS", default_value_t = 0)]
    patience: u64,
    /// Only groups with this in their names
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) filter: String,
    /// Writes every figure to FILE as well
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Writes plots to DIR as well
    #[arg(long, value_name = "DIR")]
    pub(crate) svg: Option<PathBuf>,
    /// Names the groups and who is in them, and measures nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// Runs our flows 20 times each, with a slow, an equal and a fast consumer, beside rtrb's chunks and bare lines, to see whether some runs are slow; nothing else, whatever --rounds says
    #[arg(long)]
    pub(crate) regimes: bool,
}

impl Command {
    pub(crate) fn extent(&self) -> Extent {
        match (self.test, self.quick) {
            (true, _) => Extent::Test,
            (false, true) => Extent::Quick,
            (false, false) => Extent::Full,
        }
    }

    /// Rounds of the comparison, or runs of each flow where regimes are looked for.
    pub(crate) fn rounds(&self) -> usize {
        if self.regimes {
            return regimes::runs(self.extent());
        }
        let usual = match self.extent() {
            Extent::Full => 5,
            Extent::Quick => 3,
            Extent::Test => 1,
        };
        self.rounds.unwrap_or(usual).max(1)
    }

    /// What the run may spend on waiting for separate cores.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }

    /// How often a figure is measured again that was taken on a shared core.
    pub(crate) fn repeats(&self) -> usize {
        if self.test { 0 } else { 5 }
    }
}
