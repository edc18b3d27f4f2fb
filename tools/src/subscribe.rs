//! `millstream sub`: what a stream carries, onto standard output.

use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use millstream::{End, FrameSource, JoinPosition, TryNext};

use crate::exit;
use crate::format::{Format, Printer};
use crate::output::{self, Output};
use crate::patience::Patience;
use crate::stop::{SLICE, Stop};

const HALF_A_MINUTE: Patience = Patience::For(Duration::from_secs(30));

/// Subscribe to a stream and write what it carries
///
/// A stream of elements is decoded by the schema that it carries. Waits 30 seconds for somebody to publish the name,
/// and ends with the stream: 0 when the producer completed it. When nobody reads standard output any more (`| head`),
/// the stream is cancelled.
///
/// The producer waits for this command as for any consumer, so a slow terminal, or a pager, paces it. To look without
/// taking part there is `describe`.
#[derive(Debug, Args)]
#[command(after_help = exit::CODES)]
pub(crate) struct Arguments {
    /// Name of the stream
    name: String,
    /// Take so many elements, then cancel the stream
    #[arg(short = 'n', long = "count", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// How to write an element
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// When the stream ends, however it ends, go on with the next producer of the name
    #[arg(long, conflicts_with = "idle")]
    follow: bool,
    /// How long to wait for somebody to publish the name, in seconds or `forever`
    /// [default: 30; with --follow, forever]
    #[arg(long, value_name = "SECONDS")]
    wait: Option<Patience>,
    /// How long to wait for an element before the stream is given up, in seconds or `forever`
    /// [default: 30; with --follow, forever]
    #[arg(long, value_name = "SECONDS")]
    idle: Option<Patience>,
    /// Elements to ask for at a time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..))]
    initial_demand: u64,
    /// Make the subscription resumable under this name, or resume it
    ///
    /// When this process ends before the stream does (also by -n or Ctrl-C), the stream waits, and the next subscription
    /// of this name goes on where it stopped. Every element is written out before it counts as taken.
    #[arg(long, value_name = "SUBSCRIPTION")]
    resume: Option<String>,
    /// Where to begin in a stream for several consumers: `live`, `oldest`, or a position
    ///
    /// With --follow, the next producer's stream is taken from its oldest element on unless this is `live`.
    #[arg(long, value_name = "POSITION", default_value = "live", value_parser = join_position)]
    from: JoinPosition,
    /// Take the stream from the user with this number, who publishes it for a group of this one's (`pub --group`)
    #[arg(long, value_name = "UID")]
    from_user: Option<u32>,
}

fn join_position(text: &str) -> Result<JoinPosition, String> {
    match text {
        "live" => Ok(JoinPosition::Live),
        "oldest" => Ok(JoinPosition::Oldest),
        number => number
            .parse()
            .map(JoinPosition::At)
            .map_err(|_| "neither `live` nor `oldest` nor a number".into()),
    }
}

/// What ended the taking of elements, other than an error.
#[derive(Debug)]
enum Over {
    /// As many as were asked for are taken, or nobody reads them.
    Enough,
    Ended(End),
}

/// A subscription in progress.
struct Taking<'a> {
    arguments: &'a Arguments,
    stop: Stop,
    out: Output,
    printer: Option<Printer>,
    taken: u64,
}

pub(crate) fn run(arguments: Arguments, directory: Option<PathBuf>) -> anyhow::Result<()> {
    let stop = Stop::on_signals()?;
    let out = Output::stdout()?;
    let mut taking = Taking {
        arguments: &arguments,
        stop,
        out,
        printer: None,
        taken: 0,
    };
    let patience = if arguments.follow {
        Patience::Forever
    } else {
        HALF_A_MINUTE
    };
    let mut wait = arguments.wait.unwrap_or(patience);
    let mut from = arguments.from;
    loop {
        let mut source = taking.open(directory.clone(), wait, from)?;
        let over = taking.take(&mut source);
        // Whatever happened, what was taken is written.
        let flushed = taking.out.flush();
        let over = match over {
            Ok(over) => over,
            // Nobody reads: no failure, and nothing more to do.
            Err(error) if output::is_closed(&error) => Over::Enough,
            Err(error) => return Err(error),
        };
        flushed?;
        match over {
            // Dropping the source cancels the stream, or leaves a resumable one to its successor.
            Over::Enough => return Ok(()),
            Over::Ended(end) if arguments.follow => {
                eprintln!(
                    "millstream: {:?}: {end}; waiting for the next producer",
                    arguments.name
                );
                wait = Patience::Forever;
                // A position of that stream says nothing of the next one.
                if matches!(from, JoinPosition::At(_)) {
                    from = JoinPosition::Oldest;
                }
            }
            Over::Ended(End::Completed) => return Ok(()),
            Over::Ended(end) => bail!("{:?}: {end}", arguments.name),
        }
    }
}

impl Taking<'_> {
    /// Subscribes. A signal ends the wait.
    fn open(
        &self,
        directory: Option<PathBuf>,
        wait: Patience,
        from: JoinPosition,
    ) -> anyhow::Result<FrameSource> {
        let mut builder = millstream::subscribe::<[u8]>(&self.arguments.name)
            .initial_demand(self.arguments.initial_demand)
            .from(from)
            // Idle time is counted here: the waits of this command are shorter.
            .idle_timeout(None);
        if wait.duration() > Duration::ZERO {
            builder = builder.wait_for(wait.duration());
        }
        if let Some(directory) = directory {
            builder = builder.directory(directory);
        }
        if let Some(user) = self.arguments.from_user {
            builder = builder.from_user(user);
        }
        if let Some(subscription) = &self.arguments.resume {
            builder = builder.resumable(subscription);
        }
        let (done, opened) = mpsc::channel();
        thread::Builder::new().name("subscribe".into()).spawn(move || {
            // Nobody waits any more after a signal.
            let _ = done.send(builder.open());
        })?;
        loop {
            match opened.recv_timeout(SLICE) {
                Ok(source) => return Ok(source?),
                Err(RecvTimeoutError::Timeout) => self.stop.check()?,
                Err(RecvTimeoutError::Disconnected) => bail!("subscribing was interrupted"),
            }
        }
    }

    /// Writes what comes until there is a reason not to.
    fn take(&mut self, source: &mut FrameSource) -> anyhow::Result<Over> {
        let printer = Printer::new(self.arguments.format, source.schema().cloned());
        if self.printer.as_ref() != Some(&printer) {
            printer.header(&mut self.out)?;
        }
        let printer = self.printer.insert(printer);
        let resumable = self.arguments.resume.is_some();
        let patience = if self.arguments.follow {
            Patience::Forever
        } else {
            HALF_A_MINUTE
        };
        let patience = self.arguments.idle.unwrap_or(patience);
        let mut idle_end = None;
        loop {
            self.stop.check()?;
            match source.try_next() {
                TryNext::Item(frame) => {
                    idle_end = None;
                    let mut written = printer.element(&frame, &mut self.out);
                    if resumable && written.is_ok() {
                        written = self.out.flush().map_err(anyhow::Error::from);
                    }
                    if let Err(error) = written {
                        frame.leave();
                        return Err(error);
                    }
                    drop(frame);
                    self.taken += 1;
                    if self.arguments.count == Some(self.taken) {
                        return Ok(Over::Enough);
                    }
                    continue;
                }
                TryNext::End(end) => return Ok(Over::Ended(end)),
                TryNext::Empty => {}
            }
            self.out.flush()?;
            if self.out.is_abandoned() {
                return Ok(Over::Enough);
            }
            let now = Instant::now();
            let end = *idle_end.get_or_insert_with(|| patience.deadline());
            if end.is_some_and(|end| now >= end) {
                return Ok(Over::Ended(End::IdleTimeout));
            }
            let slice = now + SLICE;
            if let Ok(Some(frame)) = source.next_deadline(end.map_or(slice, |end| end.min(slice))) {
                frame.leave();
            }
        }
    }
}
