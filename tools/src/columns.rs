//! Rows of a CSV file as elements.

use std::borrow::Cow;

use anyhow::bail;
use csv_core::{ReadRecordResult, Reader};
use millstream::{Kind, Scalar, Schema};

use crate::timestamp;

/// Columns with the names and types of a schema's fields.
#[derive(Debug)]
pub(crate) struct Columns {
    schema: Schema,
    reader: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Columns {
    /// Every field of `schema` is a column, so it has to be a number.
    pub(crate) fn new(schema: Schema) -> anyhow::Result<Self> {
        for field in schema.fields() {
            if !matches!(field.schema().kind(), Kind::Scalar(_)) {
                bail!(
                    "column '{}' is {}; a cell holds one number",
                    field.name(),
                    field.schema().name()
                );
            }
        }
        Ok(Self {
            schema,
            reader: Reader::new(),
            text: Vec::new(),
            ends: Vec::new(),
        })
    }

    /// Refuses a header that has a column's name in another place: taken by place, the columns would be mixed up. Names that
    /// the header does not have are as good as any.
    pub(crate) fn check_header(&mut self, row: &[u8]) -> anyhow::Result<()> {
        let row = row.strip_suffix(b"\r").unwrap_or(row);
        let header = cells(&mut self.reader, &mut self.text, &mut self.ends, row)?;
        for (place, field) in self.schema.fields().iter().enumerate() {
            let named = header.iter().position(|cell| cell.trim() == field.name());
            if let Some(other) = named
                && other != place
            {
                bail!(
                    "the header has '{}' as column {}, and --schema as column {}: write the schema in the header's order",
                    field.name(),
                    other + 1,
                    place + 1
                );
            }
        }
        Ok(())
    }

    /// The bytes of the element in one row.
    pub(crate) fn element(&mut self, row: &[u8]) -> anyhow::Result<Vec<u8>> {
        let row = row.strip_suffix(b"\r").unwrap_or(row);
        let mut cells = cells(&mut self.reader, &mut self.text, &mut self.ends, row)?;
        for (field, cell) in self.schema.fields().iter().zip(&mut cells) {
            if *field.schema().kind() == Kind::Scalar(Scalar::I64)
                && let Some(number) = time(field.name(), cell)?
            {
                *cell = number.to_string().into();
            }
        }
        let cells: Vec<&str> = cells.iter().map(|cell| &**cell).collect();
        Ok(self.schema.parse_row(&cells)?)
    }
}

/// The cells of a row, unquoted. `text` and `ends` are room for them.
fn cells<'a>(
    reader: &mut Reader,
    text: &'a mut Vec<u8>,
    ends: &mut Vec<usize>,
    row: &[u8],
) -> anyhow::Result<Vec<Cow<'a, str>>> {
    // Unquoting makes a row shorter, and every cell but the first has a comma.
    text.resize(row.len(), 0);
    ends.resize(row.len() + 1, 0);
    reader.reset();
    let (_, _, written, count) = reader.read_record(row, text, ends);
    // Nothing more comes: the last cell ends.
    let (result, _, _, last) = reader.read_record(&[], &mut text[written..], &mut ends[count..]);
    if !matches!(result, ReadRecordResult::Record | ReadRecordResult::End) {
        bail!("the row is not CSV");
    }
    let mut begin = 0;
    let mut cells = Vec::with_capacity(count + last);
    for &end in &ends[..count + last] {
        let Ok(cell) = std::str::from_utf8(&text[begin..end]) else {
            bail!("cell {} is not UTF-8", cells.len() + 1);
        };
        cells.push(Cow::Borrowed(cell));
        begin = end;
    }
    Ok(cells)
}

/// The nanoseconds of a cell that is a point in time; `None` for one that is, or wants to be, an integer.
fn time(column: &str, cell: &str) -> anyhow::Result<Option<i64>> {
    let cell = cell.trim();
    if !cell.is_empty()
        && cell
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-'))
    {
        return Ok(None);
    }
    match timestamp::nanoseconds(cell) {
        Some(Ok(nanoseconds)) => Ok(Some(nanoseconds)),
        Some(Err(_)) => bail!("column '{column}': {cell:?} is beyond the nanoseconds that an i64 holds"),
        None => bail!(
            "column '{column}': {cell:?} is neither an integer (i64) nor a time with an offset, such as \
             2013-01-01T22:00:00.295Z"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(fields: &str) -> Columns {
        Columns::new(Schema::parse("Row", fields).unwrap()).unwrap()
    }

    #[test]
    fn a_header_in_another_order_is_refused() {
        let mut columns = columns("ts:i64,bid:f64,ask:f64");
        for good in [
            "ts,bid,ask",
            "ts , bid, ask\r",
            "timestamp,bid,ask",
            "a,b,c",
            "ts,bid",
        ] {
            columns.check_header(good.as_bytes()).unwrap();
        }
        for bad in ["ts,ask,bid", "bid,ts,ask", "x,ts,bid"] {
            let error = columns.check_header(bad.as_bytes()).unwrap_err().to_string();
            assert!(
                error.contains("write the schema in the header's order"),
                "{error}"
            );
        }
    }

    fn row(fields: &str, row: &str) -> String {
        let mut columns = columns(fields);
        match columns.element(row.as_bytes()) {
            Ok(bytes) => columns.schema.value(&bytes).unwrap().to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn rows() {
        let quote = "ts:i64,bid:f64,ask:f64";
        assert_eq!(row(quote, "-5,1.5,2"), "{ ts: -5, bid: 1.5, ask: 2.0 }");
        assert_eq!(row(quote, " 7 , 0.1 ,1e300\r"), "{ ts: 7, bid: 0.1, ask: 1e300 }");
        assert_eq!(row(quote, "\"7\",\"0.1\",NaN"), "{ ts: 7, bid: 0.1, ask: NaN }");
        assert_eq!(
            row(quote, "2013-01-01 22:00:00.295000+00:00,86.655,86.728"),
            "{ ts: 1357077600295000000, bid: 86.655, ask: 86.728 }"
        );
        assert_eq!(
            row("id:u64", "18446744073709551615"),
            "{ id: 18446744073709551615 }"
        );
    }

    #[test]
    fn rows_that_are_none() {
        let quote = "ts:i64,bid:f64";
        for (cells, message) in [
            ("1,many", "column 'bid': \"many\" is not a number of type f64"),
            ("1", "the row has 1 cells for 2 columns"),
            ("1,2,3", "the row has 3 cells for 2 columns"),
            ("1,", "column 'bid': \"\" is not a number of type f64"),
            (",1", "column 'ts': \"\" is neither"),
            (
                "soon,1",
                "column 'ts': \"soon\" is neither an integer (i64) nor a time",
            ),
            (
                "2013-01-01 22:00:00,1",
                "column 'ts': \"2013-01-01 22:00:00\" is neither",
            ),
            (
                "2500-01-01T00:00:00Z,1",
                "column 'ts': \"2500-01-01T00:00:00Z\" is beyond",
            ),
            (
                "9223372036854775808,1",
                "9223372036854775808 is outside the range of i64",
            ),
        ] {
            let found = row(quote, cells);
            assert!(found.contains(message), "{cells}: {found}");
        }
        let error = columns("id:u64").element(b"\xff").unwrap_err().to_string();
        assert_eq!(error, "cell 1 is not UTF-8");
    }

    #[test]
    fn one_row_leaves_nothing_to_the_next() {
        let mut columns = columns("a:u8,b:u8");
        assert!(columns.element(b"1,\"2").is_ok());
        assert_eq!(columns.element(b"3,4").unwrap(), [3, 4]);
        assert!(columns.element(b"").is_err());
        assert_eq!(columns.element(b"5,6").unwrap(), [5, 6]);
    }

    #[test]
    fn arrays_are_no_columns() {
        let schema = Schema::parse("Row", "venue:u8[4]").unwrap();
        let error = Columns::new(schema).unwrap_err().to_string();
        assert_eq!(error, "column 'venue' is u8[4]; a cell holds one number");
    }
}
