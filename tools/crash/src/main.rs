//! `crash`: kills a process at every instruction, or at every system call, of an operation, and checks what it leaves behind: that
//! nothing it was told to have published is lost, nothing comes twice, nothing is torn, nobody hangs, and the name is free at once.
//!
//! A scene is a victim, those who live beside it, and one who comes after its death; each is a process, forked from this one. The
//! victim stops at a mark, is led on by `ptrace` and killed by SIGKILL. [`operation`] lists the operations.

#![cfg_attr(not(target_os = "linux"), allow(unused))]

#[cfg(target_os = "linux")]
mod campaign;
#[cfg(target_os = "linux")]
mod fault;
#[cfg(target_os = "linux")]
mod ledger;
#[cfg(target_os = "linux")]
mod operation;
#[cfg(target_os = "linux")]
mod pattern;
#[cfg(target_os = "linux")]
mod play;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod scene;
#[cfg(target_os = "linux")]
mod stage;
#[cfg(target_os = "linux")]
mod trace;
#[cfg(target_os = "linux")]
mod verdict;
#[cfg(target_os = "linux")]
mod watched;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("SKIPPED: streams between processes are for Linux");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    match command::run() {
        Ok(true) => std::process::ExitCode::SUCCESS,
        Ok(false) => std::process::ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("crash: {fault}");
            std::process::ExitCode::from(2)
        }
    }
}

#[cfg(target_os = "linux")]
mod command {
    use std::io::Write;
    use std::time::Duration;

    use clap::Parser;

    use crate::campaign::{Campaign, Points};
    use crate::fault::Fault;
    use crate::operation::{self, Operation};
    use crate::scene::Ground;
    use crate::trace::By;
    use crate::{report, trace};

    /// Kills processes at every step of what they do with a stream, and checks who is left
    #[derive(Debug, Parser)]
    #[command(name = "crash", version, max_term_width = 100)]
    struct Arguments {
        /// Lists the operations, with the number of their points
        #[arg(long, conflicts_with_all = ["all", "point"])]
        list: bool,
        /// The names of the operations, and nothing else
        #[arg(long)]
        names: bool,
        /// Every point of every operation
        #[arg(long, conflicts_with = "point")]
        all: bool,
        /// Which points a sample is made of
        #[arg(long, default_value_t = 1, value_name = "N")]
        seed: u64,
        /// About how many points a sample has, all operations together
        #[arg(long, default_value_t = 1000, value_name = "M")]
        points: u64,
        /// Only this operation
        #[arg(long, value_name = "OPERATION")]
        only: Option<String>,
        /// Only this point, of one operation
        #[arg(long, requires = "only", value_name = "K")]
        point: Option<u64>,
        /// Begins no more points of a sample after about so many seconds, which the operations share
        #[arg(long, value_name = "SECONDS")]
        within: Option<u64>,
    }

    /// Whether nothing was found wrong.
    pub(super) fn run() -> Result<bool, Fault> {
        let arguments = Arguments::parse();
        if arguments.names {
            operation::ALL
                .iter()
                .for_each(|operation| println!("{}", operation.name));
            return Ok(true);
        }
        if let Err(why) = trace::is_allowed() {
            println!("SKIPPED: no process may be traced here, so none was killed at a chosen point: {why}");
            return Ok(true);
        }
        let chosen: Vec<&'static Operation> = match &arguments.only {
            None => operation::ALL.iter().collect(),
            Some(name) => vec![operation::named(name).ok_or_else(|| {
                Fault::broken(format!(
                    "there is no operation {name:?}; `crash --list` names them"
                ))
            })?],
        };
        let points = match arguments.point {
            Some(point) => Points::One(point),
            None if arguments.list => Points::None,
            None if arguments.all => Points::All,
            None => Points::Sample {
                seed: arguments.seed,
                each: arguments.points.div_ceil(chosen.len() as u64),
            },
        };
        trace::tick()?;
        let base = tempfile::tempdir()?;
        let ground = Ground::new(base.path())?;
        let mut campaign = Campaign::new(ground, points, arguments.within.map(Duration::from_secs));
        let watched = trace::may_watch();
        let mut rows = Vec::new();
        let count = chosen.len();
        for (index, operation) in chosen.into_iter().enumerate() {
            if matches!(operation.by, By::Store | By::Lending)
                && let Err(why) = &watched
            {
                println!(
                    "SKIPPED: {}, because no store can be watched here: {why}",
                    operation.name
                );
                continue;
            }
            let row = campaign.play(operation, count - index)?;
            if arguments.list {
                println!(
                    "{:<18} {:?} by {:?}, {} points",
                    operation.name, operation.side, operation.by, row.points
                );
            }
            std::io::stdout().flush()?;
            if arguments.all {
                eprintln!(
                    "{}: {} points, {} faults",
                    operation.name,
                    row.points,
                    row.faults()
                );
            }
            rows.push(row);
        }
        if campaign.left_out() > 0 {
            println!(
                "SKIPPED: {} points of the sample, for which there was no time",
                campaign.left_out()
            );
        }
        Ok(report::print(&rows) == 0)
    }
}
