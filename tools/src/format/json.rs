//! Elements as JSON, one value a line.

use std::fmt::Write as _;
use std::io::Write;

use millstream::Value;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Writes one element.
pub(super) fn value(value: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, &Json(value))?;
    out.write_all(b"\n")?;
    Ok(())
}

/// Writes one frame: text as a string, other bytes as an object that says so.
pub(super) fn frame(bytes: &[u8], out: &mut impl Write) -> anyhow::Result<()> {
    match std::str::from_utf8(bytes) {
        Ok(text) => serde_json::to_writer(&mut *out, text)?,
        Err(_) => {
            let mut hex = String::with_capacity(2 * bytes.len());
            for byte in bytes {
                let _ = write!(hex, "{byte:02x}");
            }
            write!(out, "{{\"hex\":\"{hex}\"}}")?;
        }
    }
    out.write_all(b"\n")?;
    Ok(())
}

struct Json<'a>(&'a Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Unsigned(number) => out.serialize_u128(*number),
            Value::Signed(number) => out.serialize_i128(*number),
            Value::F32(number) if number.is_finite() => out.serialize_f32(*number),
            Value::F64(number) if number.is_finite() => out.serialize_f64(*number),
            Value::Array(parts) => out.collect_seq(parts.iter().map(Json)),
            Value::Struct(parts) => {
                let mut map = out.serialize_map(Some(parts.len()))?;
                for (name, part) in parts {
                    map.serialize_entry(name, &Json(part))?;
                }
                map.end()
            }
            // JSON has no numbers for NaN and the infinities.
            other => out.collect_str(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: &Value) -> String {
        let mut out = Vec::new();
        super::value(value, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_exact() {
        for (value, expected) in [
            (Value::Signed(i64::MIN.into()), "-9223372036854775808\n"),
            (
                Value::Unsigned(u128::MAX),
                "340282366920938463463374607431768211455\n",
            ),
            (Value::F64(86.655), "86.655\n"),
            (Value::F64(-0.0), "-0.0\n"),
            (Value::F64(f64::MIN_POSITIVE), "2.2250738585072014e-308\n"),
            (Value::F32(0.1), "0.1\n"),
            (Value::F32(16_777_216.0), "16777216.0\n"),
            (Value::F64(f64::NAN), "\"NaN\"\n"),
            (Value::F64(f64::INFINITY), "\"inf\"\n"),
            (Value::F32(f32::NEG_INFINITY), "\"-inf\"\n"),
        ] {
            assert_eq!(json(&value), expected);
        }
    }

    #[test]
    fn fields_keep_their_order() {
        let value = Value::Struct(vec![
            ("z".into(), Value::Unsigned(1)),
            (
                "a".into(),
                Value::Array(vec![Value::Signed(-2), Value::F64(1e300)]),
            ),
        ]);
        assert_eq!(json(&value), "{\"z\":1,\"a\":[-2,1e+300]}\n");
    }

    #[test]
    fn frames() {
        for (bytes, expected) in [
            (&b"a\"b\n"[..], "\"a\\\"b\\n\"\n"),
            (b"", "\"\"\n"),
            (b"\xff\x00", "{\"hex\":\"ff00\"}\n"),
        ] {
            let mut out = Vec::new();
            frame(bytes, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
