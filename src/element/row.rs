//! An element as a row of text, as a table has it.
#![forbid(unsafe_code)]

use crate::element::error::shortened;
use crate::element::{Kind, Scalar, Schema, Value, ValueError};

impl Schema {
    /// The bytes of one element from cells of text, one for each field in order; for a schema that is
    /// a number, from one cell. Space around a cell does not matter.
    ///
    /// Floats may be written as Rust reads them, `inf` and `NaN` included; a number too large for the
    /// type is an error, not infinity.
    ///
    /// # Errors
    ///
    /// The cells are too few or too many, a cell is not a number of its column's type, or a column is
    /// an array or a struct.
    ///
    /// ```
    /// use millstream::{Schema, Value};
    ///
    /// let schema = Schema::parse("Quote", "bid:f64,qty:u32,side:i32")?;
    /// let bytes = schema.parse_row(&["101.5", " 200", "-1"])?;
    /// assert_eq!(schema.value(&bytes)?.to_string(), "{ bid: 101.5, qty: 200, side: -1 }");
    ///
    /// let error = schema.parse_row(&["101.5", "many", "-1"]).unwrap_err();
    /// assert_eq!(error.to_string(), "column 'qty': \"many\" is not a number of type u32");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parse_row(&self, cells: &[&str]) -> Result<Vec<u8>, ValueError> {
        let columns: Vec<(&str, &Schema)> = match self.kind() {
            Kind::Struct(fields) => fields
                .iter()
                .map(|field| (field.name(), field.schema()))
                .collect(),
            Kind::Scalar(_) | Kind::Array { .. } => vec![(self.name(), self)],
        };
        if columns.len() != cells.len() {
            return Err(ValueError::Columns {
                expected: columns.len(),
                found: cells.len(),
            });
        }
        let mut out = Vec::new();
        for ((column, schema), cell) in columns.into_iter().zip(cells) {
            let Kind::Scalar(scalar) = schema.kind() else {
                return Err(ValueError::Nested {
                    column: column.to_owned(),
                    kind: schema.label(),
                });
            };
            let text = cell.trim();
            let outside = |scalar| ValueError::Range {
                field: column.to_owned(),
                value: shortened(text),
                scalar,
            };
            let value = match parse(*scalar, text) {
                Parsed::Value(value) => value,
                Parsed::Outside => return Err(outside(*scalar)),
                Parsed::Nothing => {
                    let (column, text) = (column.to_owned(), shortened(text));
                    return Err(ValueError::Cell {
                        column,
                        text,
                        scalar: *scalar,
                    });
                }
            };
            schema
                .encode_value(&value, &mut out)
                .map_err(|error| match error {
                    ValueError::Range { scalar, .. } => outside(scalar),
                    other => other,
                })?;
        }
        Ok(out)
    }
}

/// What a cell turned out to be. Whether an integer fits its type is found when it is written.
enum Parsed {
    Value(Value),
    /// A number, but none that the type can hold.
    Outside,
    Nothing,
}

fn parse(scalar: Scalar, text: &str) -> Parsed {
    // Rust reads 1e999 as infinity; only who writes infinity means it.
    let finite = || text.bytes().any(|byte| byte.is_ascii_digit());
    let value = match scalar {
        Scalar::U8 | Scalar::U16 | Scalar::U32 | Scalar::U64 | Scalar::U128 => {
            text.parse().ok().map(Value::Unsigned)
        }
        Scalar::I8 | Scalar::I16 | Scalar::I32 | Scalar::I64 | Scalar::I128 => {
            text.parse().ok().map(Value::Signed)
        }
        Scalar::F32 => match text.parse::<f32>() {
            Ok(number) if number.is_infinite() && finite() => return Parsed::Outside,
            number => return number.map_or(Parsed::Nothing, |number| Parsed::Value(Value::F32(number))),
        },
        Scalar::F64 => match text.parse::<f64>() {
            Ok(number) if number.is_infinite() && finite() => return Parsed::Outside,
            number => return number.map_or(Parsed::Nothing, |number| Parsed::Value(Value::F64(number))),
        },
    };
    match value {
        Some(value) => Parsed::Value(value),
        None if is_integer(text) => Parsed::Outside,
        None => Parsed::Nothing,
    }
}

/// Whether the text is an integer of any size and sign.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}
