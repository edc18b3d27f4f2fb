//! `millstream describe`: one stream in full.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::exit;
use crate::output::Output;
use crate::report::{self, Form, Report, Type, pid};

/// Describe one stream: what it carries, how far it is, who takes part
///
/// Looking disturbs neither side. Positions are read one after the other from a stream that goes on.
#[derive(Debug, Args)]
#[command(after_help = exit::CODES)]
pub(crate) struct Arguments {
    /// Name of the stream
    name: String,
    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// Describe the stream of the user with this number, who publishes it for a group of this one's (`pub --group`)
    #[arg(long, value_name = "UID")]
    from_user: Option<u32>,
}

pub(crate) fn run(arguments: &Arguments, directory: Option<PathBuf>) -> anyhow::Result<()> {
    let report = Report::of(&report::look(&arguments.name, arguments.from_user, directory)?);
    let mut out = Output::stdout()?;
    match arguments.format {
        Form::Json => {
            serde_json::to_writer(&mut out, &report)?;
            out.write_all(b"\n")?;
        }
        Form::Text => text(&report, &mut out)?,
    }
    out.flush()?;
    Ok(())
}

fn text(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    let mut line = |label: &str, value: &dyn std::fmt::Display| writeln!(out, "{label:<12} {value}");
    let position =
        |position: Option<u64>| position.map_or_else(|| "-".into(), |position| position.to_string());
    line("name", &report.name)?;
    line("state", &report.state)?;
    line("epoch", &report.epoch)?;
    match &report.kind {
        Type::Frames { max_frame } => line("type", &format!("frames of at most {max_frame} bytes"))?,
        Type::Elements {
            schema, fingerprint, ..
        } => {
            line("type", schema)?;
            line("fingerprint", fingerprint)?;
        }
        Type::Unknown => line("type", &"unknown")?,
    }
    line("durable", &if report.durable { "yes" } else { "no" })?;
    line("published", &report.position.published)?;
    line("granted", &position(report.position.granted))?;
    line("released", &position(report.position.released))?;
    line(
        "demand",
        &format!("{} of at most {}", report.demand, report.max_demand),
    )?;
    line(
        "buffered",
        &format!("{} of {}", report.buffered, report.buffer_size),
    )?;
    line("in flight", &report.in_flight)?;
    line("memory", &format!("{} bytes", report.memory))?;
    let awake = |parked| if parked { "parked" } else { "awake" };
    let producer = &report.producer;
    line(
        "producer",
        &format!("process {}, {}", pid(producer.pid), awake(producer.parked)),
    )?;
    let several = report.most_consumers > 1;
    if several {
        let (present, most) = (report.consumers, report.most_consumers);
        line("consumers", &format!("{present} of at most {most}"))?;
    }
    let label = if several { "slowest" } else { "consumer" };
    let Some(consumer) = &report.consumer else {
        return line(label, &"none");
    };
    let mut words = vec![format!("process {}", pid(consumer.pid))];
    words.push(
        if consumer.connected {
            awake(consumer.parked)
        } else {
            "gone, to be resumed"
        }
        .into(),
    );
    if consumer.closed {
        words.push("has cancelled".into());
    }
    words.push(format!("window {}", consumer.window));
    if !consumer.subscription.is_empty() {
        let resumable = if consumer.resumable { " (resumable)" } else { "" };
        words.push(format!("subscription {}{resumable}", consumer.subscription));
    }
    line(label, &words.join(", "))
}
