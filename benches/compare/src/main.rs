//! millstream beside its rivals and its limits, measured by one command; README.md beside says what each figure means.

mod catalogue;
mod child;
mod command;
mod contender;
mod data;
mod flow;
#[path = "../../harness/mod.rs"]
mod harness;
mod labour;
mod measured;
mod outcome;
mod patience;
mod plot;
mod regimes;
mod rivals;
mod rounds;
mod seam;
mod sides;
mod table;
mod target;
mod wake;

use std::io;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use crate::command::Command;
use crate::harness::machine;
use crate::harness::process::Role;
use crate::rounds::Conductor;

fn main() -> anyhow::Result<ExitCode> {
    // The order matters: a second process has the environment of the first one, too.
    if let Some(mut role) = Role::played() {
        child::play(&mut role)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(job) = child::job()? {
        child::measure(job)?;
        return Ok(ExitCode::SUCCESS);
    }
    let command = Command::parse();
    let all = if command.regimes {
        catalogue::regimes()
    } else {
        catalogue::groups()
    };
    let groups: Vec<_> = all
        .into_iter()
        .filter(|group| group.name.contains(&command.filter))
        .collect();
    anyhow::ensure!(
        !groups.is_empty(),
        "no group has {:?} in its name; --list names them all",
        command.filter
    );
    if command.list {
        return match table::list(&groups, &mut io::stdout().lock()) {
            // Who reads no further has seen what it wanted.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(ExitCode::SUCCESS),
        };
    }
    let machine = machine::describe();
    let mut conductor = Conductor::new(command.extent(), command.repeats(), command.patience())?;
    table::begin(&command, conductor.bounce()?);
    let (outcomes, verdicts) = if command.regimes {
        let outcomes = regimes::run(&mut conductor, groups, command.extent());
        (outcomes, Vec::new())
    } else {
        let outcomes = conductor.run(groups, command.rounds());
        for outcome in &outcomes {
            table::outcome(outcome);
        }
        let verdicts = target::verdicts(&outcomes);
        if !command.test {
            table::cells(&outcomes);
            table::verdicts(&verdicts);
        }
        (outcomes, verdicts)
    };
    table::end(&conductor);
    if let Some(path) = &command.json {
        let data = data::collect(&machine, &command, &outcomes, &verdicts);
        data::write(path, &data).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    if let Some(dir) = &command.svg {
        plot::all(dir, &outcomes).with_context(|| format!("no plots in {}", dir.display()))?;
    }
    Ok(conductor.code())
}
