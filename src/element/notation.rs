//! A schema as a person writes it: `ts:i64,bid:f64,ask:f64`.
#![forbid(unsafe_code)]

use crate::element::error::shortened;
use crate::element::schema::{IN_TYPE_NAMES, check_name};
use crate::element::{Field, Scalar, Schema, SchemaError};

impl Schema {
    /// The schema of a struct called `name` whose fields stand in `fields`, laid out by the rules of
    /// `repr(C)` in this process.
    ///
    /// Fields are separated by commas, each is `name:type`, and a type is as in
    /// [`parse_type`](Schema::parse_type). Space around names and types does not matter.
    ///
    /// # Errors
    ///
    /// The text is not of this form, names a type that there is not or a field twice, or the struct
    /// would have padding; the error says where, and what to do.
    ///
    /// ```
    /// use millstream::{Schema, SchemaError};
    ///
    /// let trade = Schema::parse("Trade", "ts:i64, price:f64, qty:u32, venue:u8[4]")?;
    /// assert_eq!((trade.size(), trade.align()), (24, 8));
    ///
    /// let error = Schema::parse("Trade", "qty:u32,price:f64").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "field 'price' needs 4 bytes of padding before it, and an element has none: \
    ///      order the fields from largest to smallest, or add a field such as pad:u8[4]",
    /// );
    /// # Ok::<(), SchemaError>(())
    /// ```
    pub fn parse(name: &str, fields: &str) -> Result<Self, SchemaError> {
        check_name(name, IN_TYPE_NAMES)?;
        if fields.trim().is_empty() {
            return Err(SchemaError::Empty {
                name: name.to_owned(),
            });
        }
        let mut laid: Vec<Field> = Vec::new();
        let mut end = 0_usize;
        let mut align = 1;
        // One more than allowed is enough for `structure` to refuse them.
        for text in fields.split(',').take(Self::MAX_FIELDS + 1) {
            let (field, kind) = text.split_once(':').ok_or_else(|| SchemaError::Notation {
                text: shortened(text.trim()),
            })?;
            let (field, schema) = (field.trim(), Self::parse_type(kind)?);
            check_name(field, "")?;
            let over = end % schema.align();
            if over != 0 {
                let bytes = schema.align() - over;
                return Err(SchemaError::Padding {
                    field: field.to_owned(),
                    bytes,
                });
            }
            align = align.max(schema.align());
            let next = end
                .checked_add(schema.size())
                .filter(|&next| next <= Self::MAX_SIZE);
            laid.push(Field::new(field, end, schema));
            end = next.ok_or_else(|| SchemaError::TooLarge {
                name: name.to_owned(),
            })?;
        }
        if let (Some(last), over @ 1..) = (laid.last(), end % align) {
            let field = last.name().to_owned();
            return Err(SchemaError::TrailingPadding {
                field,
                bytes: align - over,
            });
        }
        Self::structure(name, end, align, laid)
    }

    /// The schema of a number or an array: `u8` to `u128`, `i8` to `i128`, `f32`, `f64`, or a type
    /// followed by a length in brackets. `f64[3][2]` is two arrays of three `f64`.
    ///
    /// # Errors
    ///
    /// There is no such type, or the array is empty, too large or nested too deep.
    ///
    /// ```
    /// use millstream::{Element, Schema, SchemaError};
    ///
    /// assert_eq!(Schema::parse_type("f64[3][2]")?, <[[f64; 3]; 2]>::schema());
    /// assert!(Schema::parse_type("usize").is_err());
    /// # Ok::<(), SchemaError>(())
    /// ```
    pub fn parse_type(text: &str) -> Result<Self, SchemaError> {
        let unknown = || SchemaError::UnknownType {
            text: shortened(text.trim()),
        };
        let mut parts = text.trim().split('[');
        let scalar = parts
            .next()
            .and_then(|name| Scalar::from_name(name.trim_end()))
            .ok_or_else(unknown)?;
        let mut schema = Self::scalar(scalar);
        for part in parts {
            let len = part.trim().strip_suffix(']').ok_or_else(unknown)?;
            let len: u32 = len.trim().parse().map_err(|_| unknown())?;
            schema = Self::array(schema, usize::try_from(len).map_err(|_| unknown())?)?;
        }
        Ok(schema)
    }
}
