//! What an element's type looks like.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fmt;

use crate::element::error::shortened;
use crate::element::{Fingerprint, Scalar, SchemaError};

/// Describes the type of an element: its name, size and alignment, and for a struct its fields.
///
/// A schema travels with a stream, so that a tool can print the elements of a type it was not
/// compiled with, and so that a refusal can say field by field what two sides disagree on.
///
/// Every schema there is has passed the same checks, also one that a hostile peer sent: fields
/// follow each other without gap or overlap and add up to the size, names are unique and printable,
/// and the limits below hold.
///
/// ```
/// use millstream::{Element, Kind, Scalar};
///
/// let schema = u64::schema();
/// assert_eq!((schema.name(), schema.size(), schema.align()), ("u64", 8, 8));
/// assert_eq!(schema.kind(), &Kind::Scalar(Scalar::U64));
/// assert_eq!(schema.to_string(), "u64 (8 bytes, align 8)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Schema {
    name: String,
    size: usize,
    align: usize,
    kind: Kind,
}

/// What a [`Schema`] is made of.
///
/// ```
/// use millstream::{Element, Kind};
///
/// let schema = <[u8; 8]>::schema();
/// assert!(matches!(schema.kind(), Kind::Array { element, len: 8 } if element.name() == "u8"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A number.
    Scalar(Scalar),
    /// A fixed number of equal parts, back to back.
    Array {
        /// What it is an array of.
        element: Box<Schema>,
        /// How many there are, at least one.
        len: usize,
    },
    /// Named parts, in the order of their offsets.
    Struct(Vec<Field>),
}

/// A named part of a struct.
///
/// ```
/// use millstream::{Element, Field};
///
/// let field = Field::new("bid", 8, f64::schema());
/// assert_eq!((field.name(), field.offset(), field.schema().name()), ("bid", 8, "f64"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    name: String,
    offset: usize,
    schema: Schema,
}

impl Field {
    /// A field that begins `offset` bytes after its struct does.
    ///
    /// Nothing is checked before the field becomes part of a [`Schema::structure`].
    ///
    /// ```
    /// use millstream::{Element, Field};
    /// assert_eq!(Field::new("ts", 0, i64::schema()).name(), "ts");
    /// ```
    #[must_use]
    pub fn new(name: &str, offset: usize, schema: Schema) -> Self {
        Self {
            name: name.to_owned(),
            offset,
            schema,
        }
    }

    /// Its name; a number for the field of a tuple struct.
    ///
    /// ```
    /// use millstream::{Element, Field};
    /// assert_eq!(Field::new("0", 0, i64::schema()).name(), "0");
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it begins, in bytes from the beginning of its struct.
    ///
    /// ```
    /// use millstream::{Element, Field};
    /// assert_eq!(Field::new("bid", 8, f64::schema()).offset(), 8);
    /// ```
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Its type.
    ///
    /// ```
    /// use millstream::{Element, Field};
    /// assert_eq!(Field::new("bid", 8, f64::schema()).schema(), &f64::schema());
    /// ```
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }
}

impl Schema {
    /// The version of the encoding that [`encode`](Schema::encode) writes.
    pub const VERSION: u8 = 1;
    /// Largest size of an element, in bytes.
    pub const MAX_SIZE: usize = u32::MAX as usize;
    /// Largest alignment of an element, in bytes: a cache line.
    pub const MAX_ALIGN: usize = 64;
    /// How deep structs and arrays may be nested; a number alone has depth 1.
    pub const MAX_DEPTH: usize = 16;
    /// Most fields of one struct.
    pub const MAX_FIELDS: usize = 1024;
    /// Longest name of a type or field, in bytes of UTF-8.
    pub const MAX_NAME: usize = 255;
    /// Longest encoding of a schema, in bytes: 1 MiB.
    pub const MAX_ENCODED: usize = 1 << 20;

    /// The schema of a number, aligned as in this process.
    ///
    /// ```
    /// use millstream::{Element, Scalar, Schema};
    /// assert_eq!(Schema::scalar(Scalar::I32), i32::schema());
    /// ```
    #[must_use]
    pub fn scalar(scalar: Scalar) -> Self {
        Self::scalar_of_align(scalar, scalar.align())
    }

    /// `align` has been checked: a process of another width may align its numbers differently.
    pub(super) fn scalar_of_align(scalar: Scalar, align: usize) -> Self {
        Self {
            name: scalar.name().to_owned(),
            size: scalar.size(),
            align,
            kind: Kind::Scalar(scalar),
        }
    }

    /// The schema of an array of `len` elements. Its name is that of the element and the length: `f64[4]`.
    ///
    /// # Errors
    ///
    /// The array has no elements, is too large, or is nested too deep.
    ///
    /// ```
    /// use millstream::{Element, Schema, SchemaError};
    /// assert_eq!(Schema::array(f64::schema(), 4)?, <[f64; 4]>::schema());
    /// assert!(Schema::array(f64::schema(), 0).is_err());
    /// # Ok::<(), SchemaError>(())
    /// ```
    pub fn array(element: Schema, len: usize) -> Result<Self, SchemaError> {
        let name = format!("{}[{len}]", element.name);
        if len == 0 {
            return Err(SchemaError::Empty { name });
        }
        let size = match element.size.checked_mul(len) {
            Some(size) if size <= Self::MAX_SIZE => size,
            _ => return Err(SchemaError::TooLarge { name }),
        };
        let align = element.align;
        Self {
            name,
            size,
            align,
            kind: Kind::Array {
                element: Box::new(element),
                len,
            },
        }
        .within_limits()
    }

    /// The schema of a struct of `size` bytes with an alignment of `align` bytes.
    ///
    /// `#[derive(Element)]` calls it with what the compiler says; by hand it is for elements that
    /// are described at run time.
    ///
    /// # Errors
    ///
    /// The fields are none or too many, overlap, leave padding, or do not add up to `size`; two of
    /// them have one name, or a name has characters that may not stand in one; the alignment is
    /// none; or the whole is too large or nested too deep.
    ///
    /// ```
    /// use millstream::{Element, Field, Schema, SchemaError};
    ///
    /// let tick = Schema::structure("Tick", 8, 4, [
    ///     Field::new("price", 0, f32::schema()),
    ///     Field::new("qty", 4, u32::schema()),
    /// ])?;
    /// assert_eq!(tick.fields().len(), 2);
    ///
    /// let hole = Schema::structure("Hole", 16, 8, [
    ///     Field::new("qty", 0, u32::schema()),
    ///     Field::new("price", 8, f64::schema()),
    /// ]);
    /// assert!(matches!(hole, Err(SchemaError::Offset { expected: 4, found: 8, .. })));
    /// # Ok::<(), SchemaError>(())
    /// ```
    pub fn structure(
        name: &str,
        size: usize,
        align: usize,
        fields: impl IntoIterator<Item = Field>,
    ) -> Result<Self, SchemaError> {
        check_name(name, IN_TYPE_NAMES)?;
        let owned = || name.to_owned();
        // One more than allowed is enough to know that there are too many.
        let fields: Vec<Field> = fields.into_iter().take(Self::MAX_FIELDS + 1).collect();
        if fields.is_empty() {
            return Err(SchemaError::Empty { name: owned() });
        }
        if fields.len() > Self::MAX_FIELDS {
            return Err(SchemaError::TooManyFields {
                name: owned(),
                count: fields.len(),
            });
        }
        if size > Self::MAX_SIZE {
            return Err(SchemaError::TooLarge { name: owned() });
        }
        let mut names = BTreeSet::new();
        let mut end = 0_usize;
        for field in &fields {
            check_name(&field.name, "")?;
            if !names.insert(field.name.as_str()) {
                return Err(SchemaError::Duplicate {
                    name: owned(),
                    field: field.name.clone(),
                });
            }
            if field.offset != end {
                let (expected, found) = (end, field.offset);
                return Err(SchemaError::Offset {
                    name: owned(),
                    field: field.name.clone(),
                    expected,
                    found,
                });
            }
            end = match end.checked_add(field.schema.size) {
                Some(end) if end <= Self::MAX_SIZE => end,
                _ => return Err(SchemaError::TooLarge { name: owned() }),
            };
        }
        if end != size {
            return Err(SchemaError::Size {
                name: owned(),
                end,
                size,
            });
        }
        if !align.is_power_of_two() || align > Self::MAX_ALIGN || !size.is_multiple_of(align) {
            return Err(SchemaError::Align {
                name: owned(),
                size,
                align,
            });
        }
        Self {
            name: owned(),
            size,
            align,
            kind: Kind::Struct(fields),
        }
        .within_limits()
    }

    fn within_limits(self) -> Result<Self, SchemaError> {
        if self.depth() > Self::MAX_DEPTH {
            return Err(SchemaError::TooDeep);
        }
        match self.encoded_len() {
            bytes if bytes > Self::MAX_ENCODED => Err(SchemaError::TooLong { bytes }),
            _ => Ok(self),
        }
    }

    /// Recursion ends: the parts were within [`Schema::MAX_DEPTH`] when they were made.
    fn depth(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar(_) => 0,
            Kind::Array { element, .. } => element.depth(),
            Kind::Struct(fields) => fields.iter().map(|field| field.schema.depth()).max().unwrap_or(0),
        }
    }

    /// The name of the type: for a struct its own, else as in the notation of
    /// [`parse_type`](Schema::parse_type).
    ///
    /// ```
    /// use millstream::Element;
    /// assert_eq!(<[f32; 3]>::schema().name(), "f32[3]");
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The size of an element, in bytes.
    ///
    /// ```
    /// use millstream::Element;
    /// assert_eq!(<[f32; 3]>::schema().size(), 12);
    /// ```
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The alignment of an element, in bytes.
    ///
    /// ```
    /// use millstream::Element;
    /// assert_eq!(<[f32; 3]>::schema().align(), 4);
    /// ```
    #[must_use]
    pub fn align(&self) -> usize {
        self.align
    }

    /// What the type is made of.
    ///
    /// ```
    /// use millstream::{Element, Kind, Scalar};
    /// assert_eq!(u8::schema().kind(), &Kind::Scalar(Scalar::U8));
    /// ```
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The fields of a struct, in the order of their offsets; none for a number or an array.
    ///
    /// ```
    /// use millstream::{Schema, SchemaError};
    /// let schema = Schema::parse("Quote", "bid:f64,ask:f64")?;
    /// let names: Vec<_> = schema.fields().iter().map(|field| field.name()).collect();
    /// assert_eq!(names, ["bid", "ask"]);
    /// # Ok::<(), SchemaError>(())
    /// ```
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        match &self.kind {
            Kind::Struct(fields) => fields,
            Kind::Scalar(_) | Kind::Array { .. } => &[],
        }
    }

    /// Identifies the schema: the hash of its encoding.
    ///
    /// ```
    /// use millstream::Element;
    /// assert_eq!(u8::schema().fingerprint(), u8::schema().fingerprint());
    /// assert_ne!(u8::schema().fingerprint(), i8::schema().fingerprint());
    /// ```
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.encode())
    }

    /// Writes the type without its size: what stands before the offset of a field.
    fn write_type(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Scalar(scalar) => f.write_str(scalar.name()),
            Kind::Array { element, len } => {
                element.write_type(f)?;
                write!(f, "[{len}]")
            }
            Kind::Struct(fields) => {
                write!(f, "{} {{", self.name)?;
                for (index, field) in fields.iter().enumerate() {
                    write!(f, "{} {}: ", if index == 0 { "" } else { "," }, field.name)?;
                    field.schema.write_type(f)?;
                    write!(f, " @{}", field.offset)?;
                }
                f.write_str(" }")
            }
        }
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_type(f)?;
        let unit = if self.size == 1 { "byte" } else { "bytes" };
        write!(f, " ({} {unit}, align {})", self.size, self.align)
    }
}

/// A type's name may also have these.
pub(super) const IN_TYPE_NAMES: &str = ":.-<>";

/// Names go into messages and onto terminals, so control and formatting characters stay out.
pub(super) fn check_name(name: &str, also: &str) -> Result<(), SchemaError> {
    let good = |c: char| c.is_alphanumeric() || c == '_' || also.contains(c);
    if name.is_empty() || name.len() > Schema::MAX_NAME || !name.chars().all(good) {
        return Err(SchemaError::Name {
            name: shortened(name),
        });
    }
    Ok(())
}
