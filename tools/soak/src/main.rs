//! The soak: producers and consumers in many processes, killed, stopped and attacked at random, every element checked.

mod actor;
mod census;
mod committer;
mod consumer;
mod drive;
mod element;
mod intake;
mod ledger;
mod line;
mod outlet;
mod part;
mod producer;
mod queue;
mod random;
mod scene;
mod tally;
mod vandal;
mod verdict;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs streams of every kind between many processes, which are killed, stopped, restarted and attacked at random, checks
/// every element, and prints what was counted. Exits with 1 if anything was lost, duplicated, torn, leaked, hung or wrong.
#[derive(Debug, Parser)]
#[command(
    name = "soak",
    version,
    args_conflicts_with_subcommands = true,
    max_term_width = 100
)]
struct Command {
    #[command(subcommand)]
    part: Option<Played>,
    #[command(flatten)]
    arguments: drive::Arguments,
}

#[derive(Debug, Subcommand)]
enum Played {
    /// One process of a scene, as the driver starts it.
    #[command(hide = true)]
    Part(part::Part),
}

fn main() -> ExitCode {
    let command = Command::parse();
    if let Some(Played::Part(part)) = command.part {
        return part.play();
    }
    match drive::run(&command.arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}
