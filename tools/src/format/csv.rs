//! Elements as rows of a CSV file.

use std::io::{self, Write};

use millstream::{Kind, Schema, Value};

/// Writes the names of the columns.
pub(super) fn header(schema: Option<&Schema>, out: &mut impl Write) -> io::Result<()> {
    let mut names = Vec::new();
    match schema {
        None => names.push("frame".into()),
        Some(schema) => collect(schema, String::new(), &mut names),
    }
    writeln!(out, "{}", names.join(","))
}

/// The names of a part's columns: `leg.bid`, `qty[0]`; `value` for an element that is a number.
fn collect(schema: &Schema, name: String, names: &mut Vec<String>) {
    match schema.kind() {
        Kind::Struct(fields) => {
            for field in fields {
                let dot = if name.is_empty() { "" } else { "." };
                collect(field.schema(), format!("{name}{dot}{}", field.name()), names);
            }
        }
        Kind::Array { element, len } => {
            for index in 0..*len {
                collect(element, format!("{name}[{index}]"), names);
            }
        }
        _ => names.push(if name.is_empty() { "value".into() } else { name }),
    }
}

/// Writes one element.
pub(super) fn value(value: &Value, out: &mut impl Write) -> io::Result<()> {
    cells(value, &mut true, out)?;
    out.write_all(b"\n")
}

fn cells(value: &Value, first: &mut bool, out: &mut impl Write) -> io::Result<()> {
    match value {
        Value::Array(parts) => parts.iter().try_for_each(|part| cells(part, first, out)),
        Value::Struct(parts) => parts.iter().try_for_each(|(_, part)| cells(part, first, out)),
        number => {
            let comma = if std::mem::take(first) { "" } else { "," };
            write!(out, "{comma}{number}")
        }
    }
}

/// Writes one frame, quoted where it has to be. Its bytes are otherwise as they are.
pub(super) fn frame(bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    if !bytes.is_empty()
        && !bytes
            .iter()
            .any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'))
    {
        out.write_all(bytes)?;
    } else {
        out.write_all(b"\"")?;
        for (index, part) in bytes.split(|byte| *byte == b'"').enumerate() {
            out.write_all(if index == 0 { b"" } else { b"\"\"" })?;
            out.write_all(part)?;
        }
        out.write_all(b"\"")?;
    }
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_columns() {
        let leg = Schema::parse("Leg", "px:f64,qty:u32[2]").unwrap();
        let both = Schema::array(leg, 2).unwrap();
        let mut out = Vec::new();
        header(Some(&both), &mut out).unwrap();
        value(&both.value(&[0; 32]).unwrap(), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "[0].px,[0].qty[0],[0].qty[1],[1].px,[1].qty[0],[1].qty[1]\n0.0,0,0,0.0,0,0\n"
        );
    }

    #[test]
    fn a_number_alone() {
        let mut out = Vec::new();
        header(Some(&Schema::parse_type("f64").unwrap()), &mut out).unwrap();
        value(&Value::F64(f64::NAN), &mut out).unwrap();
        assert_eq!(out, b"value\nNaN\n");
    }

    #[test]
    fn frames_are_quoted_where_needed() {
        let mut out = Vec::new();
        for bytes in [&b"plain"[..], b"", b"a,b", b"say \"hi\"", b"\"", b"\xff"] {
            frame(bytes, &mut out).unwrap();
        }
        assert_eq!(out, b"plain\n\"\"\n\"a,b\"\n\"say \"\"hi\"\"\"\n\"\"\"\"\n\xff\n");
    }
}
