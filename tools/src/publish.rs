//! `millstream pub`: lines, or rows of a CSV file, into a stream.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use millstream::Schema;

use crate::columns::Columns;
use crate::delivery::Delivery;
use crate::exit::{self, Usage};
use crate::feed::Feed;
use crate::lines::Lines;
use crate::patience::Patience;
use crate::progress::Progress;
use crate::schedule;
use crate::stop::Stop;

/// The longest row of a CSV file.
const LONGEST_ROW: usize = 1 << 20;

/// Publish lines as frames, or the rows of a CSV file as elements
///
/// Each line becomes one frame, without its newline. With --csv and --schema each row becomes one element. After the
/// last one the stream is completed, and the command waits until the consumer has taken everything. When it cannot go
/// on (a cell that is no number, Ctrl-C), the stream fails, and the consumer sees why.
#[derive(Debug, Args)]
#[command(after_help = exit::CODES)]
pub(crate) struct Arguments {
    /// Name of the stream: 1 to 80 of A-Za-z0-9._-
    name: String,
    /// File whose lines to publish; - is standard input
    #[arg(default_value = "-", conflicts_with = "csv")]
    file: PathBuf,
    /// CSV file whose rows to publish as elements; - is standard input
    #[arg(long, value_name = "FILE", requires = "schema", conflicts_with = "max_frame")]
    csv: Option<PathBuf>,
    /// Names and types of the columns, in their order: 'ts:i64,bid:f64,ask:f64'
    ///
    /// Types are u8 to u128, i8 to i128, f32 and f64. A cell of an i64 column is an integer, or a time such as
    /// '2013-01-01 22:00:00.295000+00:00', which becomes nanoseconds since the Unix epoch, exactly.
    #[arg(long, requires = "csv")]
    schema: Option<String>,
    /// Name of the elements' type [default: the name of the stream]
    #[arg(long = "type", value_name = "NAME", requires = "csv")]
    kind: Option<String>,
    /// The CSV file begins with data, not with a line of names
    #[arg(long, requires = "csv")]
    no_header: bool,
    /// Elements a second, by the clock: what was late is caught up [default: as fast as the consumer takes them]
    #[arg(long, value_name = "N", value_parser = schedule::rate)]
    rate: Option<f64>,
    /// Elements held beyond what the consumer has asked for
    #[arg(long, value_name = "N", default_value_t = 16)]
    buffer_size: usize,
    /// The most that a consumer may ask for at a time [default: 16 to 1024, as many as fit a mebibyte]
    #[arg(long, value_name = "N")]
    max_demand: Option<u64>,
    /// Longest line, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 65_536)]
    max_frame: usize,
    /// Keep the stream in this file, and go on where it stopped if it is there
    ///
    /// What is published stays there for a consumer that comes later, under the name by which it resumes (`sub --resume`). It holds as
    /// many as --buffer-size says; more wait for that consumer.
    #[arg(long, value_name = "FILE")]
    durable: Option<PathBuf>,
    /// Have the disk keep what was published, before the command ends (FILE.synced)
    #[arg(long, requires = "durable")]
    sync: bool,
    /// If the machine was restarted since, go back to what was synced last
    #[arg(long, requires = "durable")]
    recover_synced: bool,
    /// Let members of the group with this number subscribe, and look, besides this user
    ///
    /// The directory becomes one for the group: it must be empty, or have been given to that group before. They say whose stream they
    /// want (`sub --from-user`).
    #[arg(long, value_name = "GID")]
    group: Option<u32>,
    /// How long to wait at the end for the consumer, in seconds or `forever`
    /// [default: forever; with --durable, not at all; for one that is just coming to a stream that failed, 2]
    #[arg(long, value_name = "SECONDS")]
    linger: Option<Patience>,
}

impl Arguments {
    /// The columns of a typed stream.
    fn columns(&self) -> anyhow::Result<Option<(Schema, Columns)>> {
        let Some(fields) = &self.schema else {
            return Ok(None);
        };
        let kind = self.kind.as_ref().unwrap_or(&self.name);
        let schema = Schema::parse(kind, fields).map_err(|error| Usage(format!("--schema: {error}")))?;
        let columns = Columns::new(schema.clone()).map_err(|error| Usage(format!("--schema: {error}")))?;
        Ok(Some((schema, columns)))
    }
}

pub(crate) fn run(arguments: Arguments, directory: Option<PathBuf>) -> anyhow::Result<()> {
    let (schema, mut columns) = arguments.columns()?.unzip();
    let longest = if schema.is_some() {
        LONGEST_ROW
    } else {
        arguments.max_frame
    };
    let mut lines = Lines::open(arguments.csv.as_ref().unwrap_or(&arguments.file), longest)?;
    let stop = Stop::on_signals()?;

    let mut builder = millstream::publish::<[u8]>(&arguments.name).buffer_size(arguments.buffer_size);
    if let Some(directory) = &directory {
        builder = builder.directory(directory);
    }
    if let Some(demand) = arguments.max_demand {
        builder = builder.max_demand(demand);
    }
    let is_durable = arguments.durable.is_some();
    if let Some(file) = &arguments.durable {
        builder = builder.durable(file);
    }
    if let Some(group) = arguments.group {
        builder = builder.group(group);
    }
    if arguments.recover_synced {
        builder = builder.recover_synced();
    }
    builder = match schema {
        Some(schema) => builder.schema(schema),
        None => builder.max_frame(arguments.max_frame),
    };
    let mut feed = Feed::new(builder.open()?, stop, arguments.rate, Progress::new(lines.size()));
    let delivery = Delivery {
        name: arguments.name,
        directory,
        linger: arguments.linger,
        user: arguments.group.map(|_| rustix::process::geteuid().as_raw()),
        is_durable,
    };

    let outcome = match &mut columns {
        None => put_lines(&mut feed, &mut lines),
        Some(columns) => put_rows(&mut feed, &mut lines, columns, !arguments.no_header),
    };
    let outcome = outcome.and_then(|()| {
        if arguments.sync {
            feed.sink.sync()?;
        }
        Ok(())
    });
    match outcome {
        Ok(()) => delivery.complete(&mut feed),
        Err(error) => {
            feed.progress.clear();
            delivery.fail(&mut feed, &error);
            Err(error)
        }
    }
}

fn put_lines(feed: &mut Feed, lines: &mut Lines) -> anyhow::Result<()> {
    while let Some(line) = lines.next(|| feed.idle())? {
        feed.put(line.bytes, line.read)?;
    }
    Ok(())
}

fn put_rows(
    feed: &mut Feed,
    lines: &mut Lines,
    columns: &mut Columns,
    mut header: bool,
) -> anyhow::Result<()> {
    let name = lines.name().to_owned();
    while let Some(line) = lines.next(|| feed.idle())? {
        let row = line
            .bytes
            .strip_prefix(b"\xef\xbb\xbf")
            .filter(|_| line.number == 1)
            .unwrap_or(line.bytes);
        if std::mem::take(&mut header) {
            if columns.element(row).is_ok() {
                eprintln!(
                    "millstream: the first line of {name} is data; it is passed over without --no-header"
                );
            }
            columns
                .check_header(row)
                .with_context(|| format!("{name}, line {}", line.number))?;
        } else if !row.trim_ascii().is_empty() {
            let element = columns
                .element(row)
                .with_context(|| format!("{name}, line {}", line.number))?;
            feed.put(&element, line.read)?;
        }
    }
    Ok(())
}
