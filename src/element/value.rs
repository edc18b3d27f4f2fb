//! An element whose type is known at run time only.
#![forbid(unsafe_code)]

use std::fmt;

use crate::element::{Kind, Scalar, Schema, ValueError};

/// One element, or a part of one, decoded by its [`Schema`].
///
/// Prints as Rust would write it, without the name of the type: floats with the fewest digits that
/// read back as the same number.
///
/// ```
/// use millstream::{Schema, Value};
///
/// let schema = Schema::parse("Quote", "bid:f64,qty:u32[2]")?;
/// let mut bytes = 0.1_f64.to_ne_bytes().to_vec();
/// bytes.extend_from_slice(&7_u32.to_ne_bytes());
/// bytes.extend_from_slice(&9_u32.to_ne_bytes());
///
/// let value = schema.value(&bytes)?;
/// assert_eq!(value.to_string(), "{ bid: 0.1, qty: [7, 9] }");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A `u8`, `u16`, `u32`, `u64` or `u128`.
    Unsigned(u128),
    /// An `i8`, `i16`, `i32`, `i64` or `i128`.
    Signed(i128),
    /// An `f32`.
    F32(f32),
    /// An `f64`.
    F64(f64),
    /// The elements of an array.
    Array(Vec<Value>),
    /// The names and values of a struct's fields, in order.
    Struct(Vec<(String, Value)>),
}

impl Schema {
    /// Decodes one element. Numbers are in the byte order of this machine, as in shared memory.
    ///
    /// # Errors
    ///
    /// `bytes` are not as many as [`size`](Schema::size) says. Every element of the right size has a value.
    ///
    /// ```
    /// use millstream::{Element, Value, ValueError};
    /// assert_eq!(u16::schema().value(&513_u16.to_ne_bytes())?, Value::Unsigned(513));
    /// # Ok::<(), ValueError>(())
    /// ```
    pub fn value(&self, bytes: &[u8]) -> Result<Value, ValueError> {
        let wrong = || ValueError::Length {
            expected: self.size(),
            found: bytes.len(),
        };
        if bytes.len() != self.size() {
            return Err(wrong());
        }
        Ok(match self.kind() {
            Kind::Scalar(scalar) => read(*scalar, bytes).ok_or_else(wrong)?,
            Kind::Array { element, .. } => {
                // No element has the size zero.
                let parts = bytes.chunks_exact(element.size()).map(|part| element.value(part));
                Value::Array(parts.collect::<Result<_, _>>()?)
            }
            Kind::Struct(fields) => {
                let mut rest = bytes;
                let mut parts = Vec::with_capacity(fields.len());
                for field in fields {
                    // Fields follow each other without a gap.
                    let (part, tail) = rest.split_at_checked(field.schema().size()).ok_or_else(wrong)?;
                    parts.push((field.name().to_owned(), field.schema().value(part)?));
                    rest = tail;
                }
                Value::Struct(parts)
            }
        })
    }

    /// Appends to `out` the [`size`](Schema::size) bytes of one element: what [`value`](Schema::value)
    /// decodes to `value`.
    ///
    /// # Errors
    ///
    /// The value has another shape than the schema (also a [`Value::Signed`] for a `u64`, or fields in
    /// another order), or a number does not fit its type. `out` is then as it was.
    ///
    /// ```
    /// use millstream::{Element, Value, ValueError};
    ///
    /// let mut out = Vec::new();
    /// u16::schema().encode_value(&Value::Unsigned(513), &mut out)?;
    /// assert_eq!(out, 513_u16.to_ne_bytes());
    /// assert!(u16::schema().encode_value(&Value::Unsigned(65_536), &mut out).is_err());
    /// assert_eq!(out.len(), 2);
    /// # Ok::<(), ValueError>(())
    /// ```
    pub fn encode_value(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), ValueError> {
        let before = out.len();
        let written = self.write(value, out);
        if written.is_err() {
            out.truncate(before);
        }
        // A field knows its name; an element that is a number or an array goes by its type's.
        written.map_err(|error| match &error {
            ValueError::Shape { field, .. } | ValueError::Range { field, .. }
                if field.is_empty() || field.starts_with('[') =>
            {
                error.within(self.name())
            }
            _ => error,
        })
    }

    /// The errors name the fields from this schema downwards.
    fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), ValueError> {
        let shape = |found: String| ValueError::Shape {
            field: String::new(),
            expected: self.label(),
            found,
        };
        match (self.kind(), value) {
            (Kind::Scalar(scalar), value) => write(*scalar, value, out),
            (Kind::Array { element, len }, Value::Array(parts)) if parts.len() == *len => {
                for (index, part) in parts.iter().enumerate() {
                    element
                        .write(part, out)
                        .map_err(|error| error.within(&format!("[{index}]")))?;
                }
                Ok(())
            }
            (Kind::Struct(fields), Value::Struct(parts)) => {
                let names = || parts.iter().map(|(name, _)| name.as_str());
                if !fields.iter().map(|field| field.name()).eq(names()) {
                    return Err(shape(format!(
                        "a struct of {}",
                        names().collect::<Vec<_>>().join(", ")
                    )));
                }
                for (field, (name, part)) in fields.iter().zip(parts) {
                    field
                        .schema()
                        .write(part, out)
                        .map_err(|error| error.within(name))?;
                }
                Ok(())
            }
            (Kind::Array { .. } | Kind::Struct(_), value) => Err(shape(value.label())),
        }
    }
}

/// The number in `bytes`, if they are as many as it has.
fn read(scalar: Scalar, bytes: &[u8]) -> Option<Value> {
    macro_rules! number {
        ($type:ty, $value:ident) => {
            Value::$value(<$type>::from_ne_bytes(bytes.try_into().ok()?).into())
        };
    }
    Some(match scalar {
        Scalar::U8 => number!(u8, Unsigned),
        Scalar::U16 => number!(u16, Unsigned),
        Scalar::U32 => number!(u32, Unsigned),
        Scalar::U64 => number!(u64, Unsigned),
        Scalar::U128 => number!(u128, Unsigned),
        Scalar::I8 => number!(i8, Signed),
        Scalar::I16 => number!(i16, Signed),
        Scalar::I32 => number!(i32, Signed),
        Scalar::I64 => number!(i64, Signed),
        Scalar::I128 => number!(i128, Signed),
        Scalar::F32 => number!(f32, F32),
        Scalar::F64 => number!(f64, F64),
    })
}

/// Appends the number, or says why it is none of this type. The field is left for the caller to name.
fn write(scalar: Scalar, value: &Value, out: &mut Vec<u8>) -> Result<(), ValueError> {
    let field = String::new();
    macro_rules! number {
        ($type:ty, $value:ident) => {
            if let Value::$value(number) = value {
                let range = |_| ValueError::Range {
                    field,
                    value: number.to_string(),
                    scalar,
                };
                out.extend_from_slice(&<$type>::try_from(*number).map_err(range)?.to_ne_bytes());
                return Ok(());
            }
        };
    }
    match scalar {
        Scalar::U8 => number!(u8, Unsigned),
        Scalar::U16 => number!(u16, Unsigned),
        Scalar::U32 => number!(u32, Unsigned),
        Scalar::U64 => number!(u64, Unsigned),
        Scalar::U128 => number!(u128, Unsigned),
        Scalar::I8 => number!(i8, Signed),
        Scalar::I16 => number!(i16, Signed),
        Scalar::I32 => number!(i32, Signed),
        Scalar::I64 => number!(i64, Signed),
        Scalar::I128 => number!(i128, Signed),
        Scalar::F32 => number!(f32, F32),
        Scalar::F64 => number!(f64, F64),
    }
    Err(ValueError::Shape {
        field,
        expected: scalar.name().to_owned(),
        found: value.label(),
    })
}

impl Value {
    /// The shape in a few words.
    fn label(&self) -> String {
        match self {
            Self::Unsigned(_) => "an unsigned integer".to_owned(),
            Self::Signed(_) => "a signed integer".to_owned(),
            Self::F32(_) => "an f32".to_owned(),
            Self::F64(_) => "an f64".to_owned(),
            Self::Array(parts) => format!("an array of {}", parts.len()),
            Self::Struct(parts) => format!("a struct of {} fields", parts.len()),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(number) => write!(f, "{number}"),
            Self::Signed(number) => write!(f, "{number}"),
            // As `{:?}` does: a float stays a float (1.0), and large ones take an exponent.
            Self::F32(number) => write!(f, "{number:?}"),
            Self::F64(number) => write!(f, "{number:?}"),
            Self::Array(parts) => {
                f.write_str("[")?;
                for (index, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Struct(parts) => {
                f.write_str("{")?;
                for (index, (name, part)) in parts.iter().enumerate() {
                    write!(f, "{} {name}: {part}", if index == 0 { "" } else { "," })?;
                }
                f.write_str(" }")
            }
        }
    }
}
