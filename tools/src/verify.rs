//! `millstream verify`: the files of a durable stream, looked at word by word.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use millstream::{DurableError, DurableReport, Synced, SyncedReport, verify, verify_synced};
use serde::Serialize;

use crate::exit;
use crate::output::Output;
use crate::report::{Form, Type};

/// Look whether the files of a durable stream are whole
///
/// Looks at the file, at the position of its consumer (FILE.position) and at what was synced last (FILE.synced), and changes
/// nothing. Ends with 0 when a producer can go on with them, with 1 when not; then it says what was found, and what to do.
/// The bytes of the elements in FILE bear no checksum, so damage to them is not seen.
#[derive(Debug, Args)]
#[command(after_help = exit::CODES)]
pub(crate) struct Arguments {
    /// File of the stream, as it was given to `pub --durable`
    file: PathBuf,
    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    format: Form,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Findings {
    file: String,
    /// Whether a producer can go on with the files as they are.
    whole: bool,
    /// What is the matter.
    errors: Vec<String>,
    /// What to do about it.
    advice: Option<String>,
    stream: Option<Stream>,
    synced: Option<Snapshot>,
}

#[derive(Debug, Serialize)]
struct Stream {
    /// Hexadecimal, as everywhere.
    epoch: String,
    #[serde(rename = "type")]
    kind: Type,
    bytes: u64,
    buffer_size: u64,
    max_demand: u64,
    base: u64,
    released: u64,
    published: u64,
    unpublished_blocks: u64,
    subscription: String,
    commits: u64,
    in_use: bool,
    other_boot: bool,
}

#[derive(Debug, Serialize)]
struct Snapshot {
    epoch: String,
    bytes: u64,
    released: u64,
    published: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let findings = Findings::of(&arguments.file);
    let mut out = Output::stdout()?;
    match arguments.format {
        Form::Json => {
            serde_json::to_writer(&mut out, &findings)?;
            out.write_all(b"\n")?;
        }
        Form::Text => findings.write(&mut out)?,
    }
    out.flush()?;
    if findings.whole {
        return Ok(());
    }
    bail!(findings.errors.join("; "))
}

impl Findings {
    fn of(file: &Path) -> Self {
        let mut findings = Self {
            file: file.display().to_string(),
            whole: false,
            errors: Vec::new(),
            advice: None,
            stream: None,
            synced: None,
        };
        match verify(file) {
            Ok(report) => findings.take(file, &report),
            Err(error) => {
                findings.synced = verify_synced(file).ok().map(Snapshot::of);
                findings.advice = findings.advice_on(&error);
                findings.errors.push(error.to_string());
            }
        }
        findings.whole = findings.errors.is_empty();
        findings
    }

    fn take(&mut self, file: &Path, report: &DurableReport) {
        match &report.synced {
            Synced::Whole(synced) => self.synced = Some(Snapshot::of(synced.clone())),
            Synced::Refused(why) => {
                self.errors
                    .push(format!("what was synced last cannot be gone back to: {why}"));
                self.advice = Some("let its producer `sync` again, which replaces it".into());
            }
            _ => {}
        }
        if report.other_boot {
            let error = DurableError::OtherBoot { path: file.into() };
            self.errors.push(error.to_string());
            self.advice = Some(match &self.synced {
                Some(synced) => synced.advice(),
                None => "it was never synced: begin anew with other files, or these deleted".into(),
            });
        }
        self.stream = Some(Stream::of(report));
    }

    fn advice_on(&self, error: &DurableError) -> Option<String> {
        match error {
            // Nothing is wrong with the files.
            DurableError::Missing { .. }
            | DurableError::WrongOwner { .. }
            | DurableError::WrongMode { .. }
            | DurableError::Version { .. }
            | DurableError::NotAFile { .. } => None,
            _ => self.synced.as_ref().map(Snapshot::advice),
        }
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let mut line = |label: &str, value: &dyn Display| writeln!(out, "{label:<12} {value}");
        line("file", &self.file)?;
        line("whole", &if self.whole { "yes" } else { "no" })?;
        for error in &self.errors {
            line("found", error)?;
        }
        if let Some(stream) = &self.stream {
            line("epoch", &stream.epoch)?;
            match &stream.kind {
                Type::Frames { max_frame } => line("type", &format!("frames of at most {max_frame} bytes"))?,
                Type::Elements { schema, .. } => line("type", schema)?,
                Type::Unknown => line("type", &"unknown")?,
            }
            let held = stream.published.wrapping_sub(stream.released);
            line("published", &stream.published)?;
            line("released", &stream.released)?;
            line(
                "held",
                &format!("{held} elements, in a file of {} bytes", stream.bytes),
            )?;
            let consumer = match (stream.subscription.as_str(), stream.commits) {
                ("", _) => "none yet".into(),
                (name, 0) => name.into(),
                (name, commits) => format!("{name}, which committed a state {commits} times"),
            };
            line("consumer", &consumer)?;
            if stream.in_use {
                line("in use", &"yes: the positions were read while they moved")?;
            }
        }
        match &self.synced {
            Some(synced) => line(
                "synced",
                &format!(
                    "up to {}, released {}, in {} bytes",
                    synced.published, synced.released, synced.bytes
                ),
            )?,
            None if self.whole => line("synced", &"never")?,
            None => {}
        }
        match &self.advice {
            Some(advice) => line("what to do", advice),
            None => Ok(()),
        }
    }
}

impl Stream {
    fn of(report: &DurableReport) -> Self {
        Self {
            epoch: format!("{:016x}", report.epoch),
            kind: match &report.schema {
                Some(schema) => Type::elements(schema),
                None => Type::Frames {
                    max_frame: usize::try_from(report.max_frame).unwrap_or(usize::MAX),
                },
            },
            bytes: report.bytes,
            buffer_size: report.buffer_size,
            max_demand: report.max_demand,
            base: report.base,
            released: report.released,
            published: report.published,
            unpublished_blocks: report.unpublished_blocks,
            subscription: report.subscription.clone(),
            commits: report.commits,
            in_use: report.in_use,
            other_boot: report.other_boot,
        }
    }
}

impl Snapshot {
    fn of(report: SyncedReport) -> Self {
        Self {
            epoch: format!("{:016x}", report.epoch),
            bytes: report.bytes,
            released: report.released,
            published: report.published,
        }
    }

    fn advice(&self) -> String {
        format!(
            "publish with `recover_synced` (`pub --recover-synced`), which goes back to position {} if the machine was restarted since",
            self.published
        )
    }
}
