//! How the command ends: its exit code, and a message for whoever reads standard error.

use std::process::ExitCode;

use crate::output;
use crate::stop::Interrupted;
use crate::wording::Verb;

/// What `--help` says of it.
pub(crate) const CODES: &str = "\
Exit codes: 0 done, 1 failed (a message is on standard error), 2 wrong usage, 130 interrupted by Ctrl-C \
(143 by SIGTERM).";

/// What was asked for on the command line makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// The exit code for an outcome of a command, after its message is written.
pub(crate) fn code(verb: Verb, outcome: anyhow::Result<()>) -> ExitCode {
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    if output::is_closed(&error) {
        // Nobody reads any more, as with `| head`.
        return ExitCode::SUCCESS;
    }
    eprintln!("millstream: {}", verb.words(&told(&error)));
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        ExitCode::from(interrupted.exit_code())
    } else if error.is::<Usage>() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

/// An error and its causes, each said once: a message may have its cause in it.
fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| {
        let cause = cause.to_string();
        if told.contains(&cause) {
            told
        } else if told.is_empty() {
            cause
        } else {
            format!("{told}: {cause}")
        }
    })
}
