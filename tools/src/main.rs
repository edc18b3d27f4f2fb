//! The `millstream` command: publishes, subscribes to, lists and describes streams, verifies the files of durable ones, and looks at
//! the machine.

#![forbid(unsafe_code)]

mod columns;
mod delivery;
mod describe;
mod doctor;
mod exit;
mod feed;
mod format;
mod kind;
mod lines;
mod list;
mod output;
mod patience;
mod progress;
mod publish;
mod report;
mod schedule;
mod stop;
mod subscribe;
mod timestamp;
mod verify;
mod wording;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Streams between a producer and a consumer over shared memory.
#[derive(Debug, Parser)]
#[command(name = "millstream", version, after_help = exit::CODES, max_term_width = 100)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
    /// The runtime directory, in which streams have their names [default: $MILLSTREAM_DIR, else
    /// $XDG_RUNTIME_DIR/millstream, else millstream-UID in the temporary directory]
    #[arg(long, global = true, value_name = "DIR")]
    directory: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Pub(publish::Arguments),
    Sub(subscribe::Arguments),
    List(list::Arguments),
    Describe(describe::Arguments),
    Verify(verify::Arguments),
    Doctor(doctor::Arguments),
}

fn main() -> ExitCode {
    let Command { verb, directory } = Command::parse();
    let speaking = verb.word();
    let outcome = match verb {
        Verb::Pub(arguments) => publish::run(arguments, directory),
        Verb::Sub(arguments) => subscribe::run(arguments, directory),
        Verb::List(arguments) => list::run(&arguments, directory),
        Verb::Describe(arguments) => describe::run(&arguments, directory),
        Verb::Verify(arguments) => verify::run(&arguments),
        Verb::Doctor(arguments) => doctor::run(&arguments, directory),
    };
    exit::code(speaking, outcome)
}

impl Verb {
    fn word(&self) -> wording::Verb {
        match self {
            Self::Pub(_) => wording::Verb::Pub,
            Self::Sub(_) => wording::Verb::Sub,
            Self::List(_) => wording::Verb::List,
            Self::Describe(_) => wording::Verb::Describe,
            Self::Verify(_) => wording::Verb::Verify,
            Self::Doctor(_) => wording::Verb::Doctor,
        }
    }
}
