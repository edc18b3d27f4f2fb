//! `millstream verify`: the files of a durable stream, looked at word by word.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use millstream::{DurableError, DurableReport, Recovery, Synced, SyncedReport, verify, verify_synced};
use serde::Serialize;

use crate::exit;
use crate::kind;
use crate::output::Output;
use crate::report::{Form, Type};
use crate::wording::Verb;

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
    /// When `pub --recover-synced` goes back to it.
    recovery: String,
    /// What to do with it.
    #[serde(skip)]
    advice: String,
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
            Ok(report) => findings.take(file, report),
            Err(error) => {
                findings.synced = verify_synced(file).ok().map(|synced| Snapshot::of(file, synced));
                findings.refuse(file, &error);
            }
        }
        findings.whole = findings.errors.is_empty();
        findings
    }

    fn take(&mut self, file: &Path, report: DurableReport) {
        match &report.synced {
            Synced::Whole(synced) => self.synced = Some(Snapshot::of(file, synced.clone())),
            Synced::Refused(why) => {
                self.errors
                    .push(format!("what was synced last cannot be gone back to: {why}"));
                self.advice = Some("publish with `pub --sync`, which replaces it".into());
            }
            _ => {}
        }
        if report.other_boot {
            let error = DurableError::OtherBoot { path: file.into() };
            self.errors.push(Verb::Verify.words(&error.to_string()));
            self.advice = Some(match &self.synced {
                Some(synced) => synced.advice.clone(),
                None => "it was never synced: begin anew with other files, or these deleted".into(),
            });
        }
        self.stream = Some(Stream::of(&report));
    }

    /// What is said of a file that is no stream that can be opened.
    fn refuse(&mut self, file: &Path, error: &DurableError) {
        let of_stream = match error {
            DurableError::Foreign { found, .. } => beside(file, found),
            _ => None,
        };
        let (said, advice) = match (error, of_stream) {
            (_, Some((what, stream))) => (
                format!("{file:?} is {what} the stream in {stream:?}, and not a stream"),
                Some(format!(
                    "millstream verify {}, which looks at both",
                    stream.display()
                )),
            ),
            // Whatever it is: it may be precious.
            (DurableError::NotAFile { .. }, None) => not_a_file(file),
            _ => {
                let said = Verb::Verify.words(&error.to_string());
                match self.advice_on(error) {
                    Some(advice) => (found_alone(&said).into(), Some(advice)),
                    None => (said, None),
                }
            }
        };
        self.errors.push(said);
        self.advice = advice;
    }

    fn advice_on(&self, error: &DurableError) -> Option<String> {
        match error {
            // Nothing is wrong with the files, as far as that says.
            DurableError::WrongOwner { .. }
            | DurableError::WrongMode { .. }
            | DurableError::Version { .. }
            | DurableError::NotAFile { .. }
            | DurableError::Memory(_)
            | DurableError::Io { .. } => None,
            _ => self.synced.as_ref().map(|synced| synced.advice.clone()),
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

/// What was found, without the library's advice, which does not know of the snapshot: who deletes the file may lose that, too.
fn found_alone(said: &str) -> &str {
    [
        "; take it from a copy, or delete it",
        ": put it back beside the stream, or delete both",
        ": look at the path, or publish a durable stream there",
        "; take another path",
    ]
    .iter()
    .find_map(|advice| said.strip_suffix(advice))
    .unwrap_or(said)
}

/// What a file that begins so is, by its name, and beside which stream.
fn beside(file: &Path, begins: &[u8]) -> Option<(&'static str, PathBuf)> {
    let is_likely = begins.iter().zip(b"\x89ML").all(|(found, own)| found == own);
    let what = match file.extension()?.to_str()? {
        "position" => "the position of the consumer of",
        "synced" => "what was synced last of",
        _ => return None,
    };
    is_likely.then(|| (what, file.with_extension("")))
}

fn not_a_file(path: &Path) -> (String, Option<String>) {
    let what = path.symlink_metadata().map(|found| kind::word(found.file_type()));
    let what = what.unwrap_or("no regular file");
    let advice = match path.read_link() {
        Ok(target) => {
            // Where it points is said from its own directory.
            let target = path.parent().unwrap_or(Path::new("")).join(target);
            format!(
                "a durable stream is not taken through a link: millstream verify {}",
                target.display()
            )
        }
        Err(_) => "give the file of a stream, as it was given to `pub --durable`".into(),
    };
    (
        format!("{path:?} is {what}, and a durable stream is a regular file"),
        Some(advice),
    )
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
    fn of(file: &Path, report: SyncedReport) -> Self {
        let position = report.published;
        let (recovery, advice) = match &report.recovery {
            Recovery::Now => (
                "now".into(),
                format!(
                    "publish with `pub --recover-synced`, which goes back to position {position}: what was published after that \
                     is lost, and the files as they are stay beside it ({}.before-recovery)",
                    file.display()
                ),
            ),
            Recovery::AfterRestart => (
                "after a restart".into(),
                format!(
                    "put the files back from a copy of all of them. Without one leave them as they are: `pub --recover-synced` \
                     goes back to position {position}, but only when the machine has been restarted"
                ),
            ),
            Recovery::Never(why) => (
                format!("never: {why}"),
                format!(
                    "put the files back from a copy of all of them, or delete them all to begin anew. What was synced, up to \
                     position {position}, is in {}.synced, and `pub --recover-synced` cannot go back to it: {why}",
                    file.display()
                ),
            ),
            other => (format!("{other:?}"), format!("what was synced: {other:?}")),
        };
        Self {
            epoch: format!("{:016x}", report.epoch),
            bytes: report.bytes,
            released: report.released,
            published: report.published,
            recovery,
            advice,
        }
    }
}
