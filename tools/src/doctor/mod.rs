//! `millstream doctor`: what this machine, and the runtime directory, are like, and what to do about it.

mod check;
mod directory;
mod kernel;
mod machine;
mod memory;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::output::Output;
use crate::report::{Form, pid};
use check::{Check, State};
use directory::{Directory, Life};

/// What `--help` says of the exit code.
const CODES: &str = "\
Exit codes: 0 all is well (notes are no fault), 1 something needs attention (or the look failed: a message is on standard \
error), 2 wrong usage.";

/// Look at this machine and at the runtime directory, and say what to do
///
/// Every call to the kernel that millstream makes is tried. Looking disturbs no stream, and removes nothing without --sweep.
#[derive(Debug, Args)]
#[command(after_help = CODES)]
pub(crate) struct Arguments {
    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// Remove what dead publishers left in the runtime directory, and nothing else
    #[arg(long)]
    sweep: bool,
}

/// Something is not as it should be; what, is on standard output.
#[derive(Debug, thiserror::Error)]
#[error("{0} of these need attention")]
struct Attention(usize);

#[derive(Debug, Serialize)]
struct Diagnosis {
    machine: Vec<Check>,
    memory: Vec<Check>,
    kernel: Vec<Check>,
    directory: Directory,
    /// Names that `--sweep` has freed.
    swept: Vec<String>,
    /// How many of the checks need attention.
    attention: usize,
}

pub(crate) fn run(arguments: &Arguments, explicit: Option<PathBuf>) -> anyhow::Result<()> {
    let look = || Directory::look(explicit.as_deref());
    let (mut directory, mut swept) = (look(), Vec::new());
    if arguments.sweep {
        let stale: Vec<String> = directory.stale().map(Into::into).collect();
        directory.sweep()?;
        directory = look();
        swept.extend(
            stale
                .into_iter()
                .filter(|name| directory.stale().all(|left| left != name)),
        );
    }
    let mut diagnosis = Diagnosis {
        machine: machine::checks(),
        memory: memory::checks(),
        kernel: kernel::checks(),
        directory,
        swept,
        attention: 0,
    };
    let checks = diagnosis.groups().into_iter().flat_map(|(_, checks)| checks);
    diagnosis.attention = checks.filter(|check| check.state == State::Attention).count();
    let mut out = Output::stdout()?;
    match arguments.format {
        Form::Json => {
            serde_json::to_writer(&mut out, &diagnosis)?;
            out.write_all(b"\n")?;
        }
        Form::Text => diagnosis.write(&mut out)?,
    }
    out.flush()?;
    match diagnosis.attention {
        0 => Ok(()),
        some => Err(Attention(some).into()),
    }
}

impl Diagnosis {
    fn groups(&self) -> [(&'static str, &[Check]); 4] {
        [
            ("machine", &self.machine),
            ("memory", &self.memory),
            ("kernel", &self.kernel),
            ("directory", &self.directory.checks),
        ]
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let names = self.groups().into_iter().flat_map(|(_, checks)| checks);
        let width = names.map(|check| check.name.chars().count()).max().unwrap_or(0);
        for (group, checks) in self.groups() {
            writeln!(out, "{group}")?;
            if group == "directory" {
                self.write_directory(width, out)?;
            }
            for check in checks {
                let Check {
                    name, state, found, ..
                } = check;
                writeln!(out, "  {state:<9}  {name:<width$}  {found}")?;
                if let Some(advice) = &check.advice {
                    writeln!(out, "  {:<9}  {:<width$}  -> {advice}", "", "")?;
                }
            }
        }
        if !self.swept.is_empty() {
            writeln!(out, "removed what was left of {}", self.swept.join(", "))?;
        }
        Ok(())
    }

    fn write_directory(&self, width: usize, out: &mut impl Write) -> std::io::Result<()> {
        let directory = &self.directory;
        let mut line = |name: &str, value: String| writeln!(out, "  {:<9}  {name:<width$}  {value}", "");
        line("path", directory.path.display().to_string())?;
        line("chosen by", directory.chosen_by.into())?;
        if let (Some(owner), Some(mode)) = (directory.owner, &directory.mode) {
            line("owner, mode", format!("user {owner}, {mode}"))?;
        }
        for name in &directory.names {
            let how = match &name.life {
                Life::Live {
                    state,
                    pid: producer,
                    consumers,
                    memory,
                } => format!(
                    "{state}, process {}, {consumers} consumers, {memory} bytes",
                    pid(*producer)
                ),
                Life::Silent { .. } => "held, and nobody answers".into(),
                Life::Stale { files } => format!("its publisher is dead: {}", files.join(", ")),
            };
            line(&name.name, how)?;
        }
        Ok(())
    }
}
