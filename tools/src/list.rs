//! `millstream list`: the streams there are.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use millstream::SubscribeError;
use serde::Serialize;

use crate::exit;
use crate::output::Output;
use crate::report::{self, Form, Report, pid};
use crate::wording::Verb;

/// List the streams that are published, one a row
#[derive(Debug, Args)]
#[command(after_help = exit::CODES)]
pub(crate) struct Arguments {
    /// How to write the list; json is one array of what `describe` writes of each
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// List what the user with this number publishes for a group of this one's (`pub --group`)
    #[arg(long, value_name = "UID")]
    from_user: Option<u32>,
}

/// A stream, or why it could not be looked at.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Entry {
    Seen(Box<Report>),
    Unseen { name: String, error: String },
}

pub(crate) fn run(arguments: &Arguments, directory: Option<PathBuf>) -> anyhow::Result<()> {
    let mut entries = Vec::new();
    let names = match arguments.from_user {
        None => millstream::list(directory.clone())?,
        Some(user) => millstream::list_from_user(user, directory.clone())?,
    };
    for name in names {
        match report::look(&name, arguments.from_user, directory.clone()) {
            Ok(seen) => entries.push(Entry::Seen(Box::new(Report::of(&seen)))),
            // It ended between the two looks.
            Err(error) if matches!(error.reason(), SubscribeError::NotFound { .. }) => {}
            Err(error) => entries.push(Entry::Unseen {
                name,
                error: Verb::List.words(&error.to_string()),
            }),
        }
    }
    let mut out = Output::stdout()?;
    match arguments.format {
        Form::Json => {
            serde_json::to_writer(&mut out, &entries)?;
            out.write_all(b"\n")?;
        }
        Form::Text => table(&entries, &mut out)?,
    }
    out.flush()?;
    Ok(())
}

const HEAD: [&str; 7] = [
    "NAME",
    "PRODUCER",
    "CONSUMER",
    "POSITION",
    "BUFFERED",
    "IN FLIGHT",
    "TYPE",
];

/// Its process; of several, how many there are.
fn consumer(report: &Report) -> String {
    match &report.consumer {
        _ if report.most_consumers > 1 => format!("{} of {}", report.consumers, report.most_consumers),
        None => "-".into(),
        Some(consumer) => pid(consumer.pid),
    }
}

fn table(entries: &[Entry], out: &mut impl Write) -> std::io::Result<()> {
    let mut rows = vec![HEAD.map(String::from)];
    for entry in entries {
        if let Entry::Seen(report) = entry {
            rows.push([
                report.name.clone(),
                pid(report.producer.pid),
                consumer(report),
                report.position.published.to_string(),
                report.buffered.to_string(),
                report.in_flight.to_string(),
                report.kind.name().into(),
            ]);
        }
    }
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    for row in &rows {
        let [name, numbers @ .., kind] = row;
        write!(out, "{name:<width$}", width = widths[0])?;
        for (number, width) in numbers.iter().zip(&widths[1..]) {
            write!(out, "  {number:>width$}")?;
        }
        writeln!(out, "  {kind}")?;
    }
    for entry in entries {
        if let Entry::Unseen { name, error } = entry {
            eprintln!("millstream: {name}: {error}");
        }
    }
    Ok(())
}
