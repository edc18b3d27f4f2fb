//! Why a schema or a value was refused.
#![forbid(unsafe_code)]

use crate::element::{Scalar, Schema};

/// Why a [`Schema`] could not be made, read or parsed.
///
/// ```
/// use millstream::{Schema, SchemaError};
/// assert!(matches!(Schema::decode(&[]), Err(SchemaError::Truncated { at: 0 })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The encoded schema ends in the middle.
    #[error("the encoded schema ends at byte {at}, before it is complete")]
    Truncated {
        /// Where the missing part begins, in bytes.
        at: usize,
    },
    /// The encoded schema goes on after its end.
    #[error("{bytes} bytes follow the end of the encoded schema")]
    Trailing {
        /// How many bytes are left over.
        bytes: usize,
    },
    /// The schema was encoded by a version that this one does not know.
    #[error(
        "the schema is encoded in version {found}; this side reads version {}",
        Schema::VERSION
    )]
    Version {
        /// The version found.
        found: u8,
    },
    /// A byte that says what follows has no meaning.
    #[error("byte {at} of the encoded schema is {found:#04x}, which stands for no {expected}")]
    Code {
        /// What a code was expected for.
        expected: &'static str,
        /// The byte found.
        found: u8,
        /// Where it stands, in bytes.
        at: usize,
    },
    /// The schema is longer than [`Schema::MAX_ENCODED`].
    #[error(
        "the schema takes {bytes} bytes encoded, above the limit of {}",
        Schema::MAX_ENCODED
    )]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Structs and arrays are nested deeper than [`Schema::MAX_DEPTH`].
    #[error("the schema is nested deeper than {} levels", Schema::MAX_DEPTH)]
    TooDeep,
    /// A struct has more fields than [`Schema::MAX_FIELDS`].
    #[error("'{name}' has {count} fields, above the limit of {}", Schema::MAX_FIELDS)]
    TooManyFields {
        /// The struct.
        name: String,
        /// How many fields it has.
        count: usize,
    },
    /// A struct without fields, or an array without elements: there is nothing to carry.
    #[error("'{name}' has no size: there is nothing to carry")]
    Empty {
        /// The struct or array.
        name: String,
    },
    /// An element is larger than [`Schema::MAX_SIZE`].
    #[error("'{name}' is larger than the limit of {} bytes", Schema::MAX_SIZE)]
    TooLarge {
        /// The struct or array.
        name: String,
    },
    /// A name is empty, longer than [`Schema::MAX_NAME`] bytes or has a character that may not stand
    /// in it, or is not UTF-8. Only letters, digits and `_` may, and in the name of a type also `:.-<>`:
    /// names go into messages and onto terminals.
    #[error(
        "{name:?} is no name for a field or type: letters, digits and '_', at most {} bytes",
        Schema::MAX_NAME
    )]
    Name {
        /// The name, shortened if it is long.
        name: String,
    },
    /// Two fields of a struct have one name.
    #[error("'{name}' has two fields of the name '{field}'")]
    Duplicate {
        /// The struct.
        name: String,
        /// The field.
        field: String,
    },
    /// A field does not begin where the one before it ends.
    #[error(
        "field '{field}' of '{name}' lies at offset {found}, not at {expected}: an element has no padding"
    )]
    Offset {
        /// The struct.
        name: String,
        /// The field.
        field: String,
        /// Where the field before it ends, in bytes.
        expected: usize,
        /// Where the field begins, in bytes.
        found: usize,
    },
    /// The fields of a struct do not add up to its size.
    #[error("the fields of '{name}' end at byte {end}, but its size is {size} bytes")]
    Size {
        /// The struct.
        name: String,
        /// Where its last field ends, in bytes.
        end: usize,
        /// Its size in bytes.
        size: usize,
    },
    /// An alignment is not a power of two, above [`Schema::MAX_ALIGN`], or does not divide the size.
    #[error("'{name}' of {size} bytes cannot have an alignment of {align} bytes")]
    Align {
        /// The type.
        name: String,
        /// Its size in bytes.
        size: usize,
        /// The alignment found, in bytes.
        align: usize,
    },
    /// The notation of a field is not `name:type`.
    #[error("{text:?} is not a field: write name:type, as in bid:f64")]
    Notation {
        /// The text found, shortened if it is long.
        text: String,
    },
    /// The notation names a type that there is not.
    #[error("{text:?} is not a type: u8 to u128, i8 to i128, f32, f64, or an array such as u8[8]")]
    UnknownType {
        /// The text found, shortened if it is long.
        text: String,
    },
    /// By the rules of `repr(C)` there would be padding before a field.
    #[error(
        "field '{field}' needs {bytes} bytes of padding before it, and an element has none: \
         order the fields from largest to smallest, or add a field such as pad:u8[{bytes}]"
    )]
    Padding {
        /// The field.
        field: String,
        /// How many bytes of padding it needs.
        bytes: usize,
    },
    /// By the rules of `repr(C)` there would be padding after the last field.
    #[error(
        "{bytes} bytes of padding are needed after the last field '{field}', and an element has none: \
         add a field such as pad:u8[{bytes}]"
    )]
    TrailingPadding {
        /// The last field.
        field: String,
        /// How many bytes of padding are needed.
        bytes: usize,
    },
}

/// Why bytes, a [`Value`](crate::Value) or a row of text is not an element of a schema.
///
/// ```
/// use millstream::{Element, ValueError};
/// let error = u32::schema().value(&[1, 2]).unwrap_err();
/// assert_eq!(error, ValueError::Length { expected: 4, found: 2 });
/// assert_eq!(error.to_string(), "an element of this type has 4 bytes, not 2");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The bytes are not one element.
    #[error("an element of this type has {expected} bytes, not {found}")]
    Length {
        /// The element's size in bytes.
        expected: usize,
        /// How many bytes there are.
        found: usize,
    },
    /// The value has another shape than the schema.
    #[error("'{field}' is {expected}, not {found}")]
    Shape {
        /// The field, with the fields that it lies in (`leg.bid`).
        field: String,
        /// What the schema says.
        expected: String,
        /// What the value is.
        found: String,
    },
    /// The number does not fit the type of its field.
    #[error("'{field}': {value} is outside the range of {scalar}")]
    Range {
        /// The field, with the fields that it lies in (`leg.bid`).
        field: String,
        /// The number, as text.
        value: String,
        /// The type of the field.
        scalar: Scalar,
    },
    /// The row has too few or too many cells.
    #[error("the row has {found} cells for {expected} columns")]
    Columns {
        /// How many fields the schema has.
        expected: usize,
        /// How many cells the row has.
        found: usize,
    },
    /// The text of a cell is not a number of the column's type.
    #[error("column '{column}': {text:?} is not a number of type {scalar}")]
    Cell {
        /// The column.
        column: String,
        /// The text, shortened if it is long.
        text: String,
        /// The type of the column.
        scalar: Scalar,
    },
    /// The column is an array or a struct, which a cell of text cannot hold.
    #[error("column '{column}' is {kind}; a cell holds one number")]
    Nested {
        /// The column.
        column: String,
        /// What the schema says.
        kind: String,
    },
}

impl ValueError {
    /// The same error, seen from the struct that the field `outer` belongs to.
    pub(super) fn within(mut self, outer: &str) -> Self {
        if let Self::Shape { field, .. } | Self::Range { field, .. } = &mut self {
            if field.is_empty() {
                field.push_str(outer);
            } else {
                let dot = if field.starts_with('[') { "" } else { "." };
                *field = format!("{outer}{dot}{field}");
            }
        }
        self
    }
}

/// The beginning of a text from outside, short enough for a message.
pub(super) fn shortened(text: &str) -> String {
    const CHARS: usize = 40;
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
