//! How an element is written.

mod csv;
mod json;

use std::io::Write;

use clap::ValueEnum;
use millstream::Schema;

/// The forms in which elements and frames are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: one element a line, `{ bid: 1.5 }`; a frame as it is, followed by a newline
    #[default]
    Text,
    /// One value a line. Numbers are exact; NaN and infinities are the strings "NaN", "inf" and "-inf". A frame is a
    /// string, or {"hex":"ff00"} if it is not UTF-8
    Json,
    /// A line of names, then one element a line; a part of an array or a struct is a column of its own
    Csv,
    /// The bytes as they are, with nothing between them
    Raw,
}

/// Writes the elements of one stream.
#[derive(Debug, PartialEq)]
pub(crate) struct Printer {
    format: Format,
    /// `None` for frames.
    schema: Option<Schema>,
}

impl Printer {
    pub(crate) fn new(format: Format, schema: Option<Schema>) -> Self {
        Self { format, schema }
    }

    /// Writes what comes before the first element.
    pub(crate) fn header(&self, out: &mut impl Write) -> anyhow::Result<()> {
        if self.format == Format::Csv {
            csv::header(self.schema.as_ref(), out)?;
        }
        Ok(())
    }

    /// Writes one element, or one frame.
    pub(crate) fn element(&self, bytes: &[u8], out: &mut impl Write) -> anyhow::Result<()> {
        match (self.format, &self.schema) {
            (Format::Raw, _) => out.write_all(bytes)?,
            (Format::Text, None) => {
                out.write_all(bytes)?;
                out.write_all(b"\n")?;
            }
            (Format::Text, Some(schema)) => writeln!(out, "{}", schema.value(bytes)?)?,
            (Format::Json, None) => json::frame(bytes, out)?,
            (Format::Json, Some(schema)) => json::value(&schema.value(bytes)?, out)?,
            (Format::Csv, None) => csv::frame(bytes, out)?,
            (Format::Csv, Some(schema)) => csv::value(&schema.value(bytes)?, out)?,
        }
        Ok(())
    }
}
