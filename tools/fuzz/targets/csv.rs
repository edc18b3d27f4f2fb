//! A schema's notation, and lines of text as its rows: by the parser and the printer of the `millstream` command.
#![no_main]
#![allow(dead_code, unreachable_pub, reason = "a part of the command is built here")]

#[path = "../../src/columns.rs"]
mod columns;
#[path = "../../src/timestamp.rs"]
mod timestamp;

#[path = "../../src/format"]
mod format {
    mod csv;
    mod json;

    use millstream::{Schema, Value};

    pub(super) fn csv(value: &Value) -> String {
        let mut out = Vec::new();
        csv::value(value, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    pub(super) fn others(schema: &Schema, value: &Value, line: &[u8]) {
        let mut out = Vec::new();
        csv::header(Some(schema), &mut out).unwrap();
        json::value(value, &mut out).unwrap();
        csv::frame(line, &mut out).unwrap();
        json::frame(line, &mut out).unwrap();
    }
}

use libfuzzer_sys::fuzz_target;
use millstream::Schema;

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|byte| *byte == b'\n');
    let Some(Ok(notation)) = lines.next().map(std::str::from_utf8) else {
        return;
    };
    let Ok(schema) = Schema::parse("Row", notation) else {
        return;
    };
    let Ok(mut columns) = columns::Columns::new(schema.clone()) else {
        return;
    };
    let _ = lines.next().map(|header| columns.check_header(header));
    for line in lines {
        let Ok(bytes) = columns.element(line) else {
            continue;
        };
        let value = schema.value(&bytes).unwrap();
        let text = format::csv(&value);
        format::others(&schema, &value, line);
        // What was printed is read again, and is the same.
        let again = columns.element(text.trim_end().as_bytes()).unwrap();
        assert_eq!(format::csv(&schema.value(&again).unwrap()), text);
    }
});
