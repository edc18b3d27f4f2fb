//! A schema as bytes: written into the memory of a stream, read from that of a stranger.
//!
//! The layout is in the documentation of [`Schema::encode`].
#![forbid(unsafe_code)]

use crate::element::error::shortened;
use crate::element::schema::{IN_TYPE_NAMES, check_name};
use crate::element::{Field, Kind, Scalar, Schema, SchemaError};

const SCALAR: u8 = 1;
const ARRAY: u8 = 2;
const STRUCT: u8 = 3;

impl Schema {
    /// The schema as bytes. Equal schemas have equal bytes, in every process and of every byte order.
    ///
    /// ```text
    /// schema   u8   version, 1
    ///          type
    ///
    /// type     u8   1: number      u8   2: array           u8   3: struct
    ///          u8   code           u32  length             u32  size in bytes
    ///          u8   alignment      type of its elements    u8   alignment in bytes
    ///               in bytes                               name
    ///                                                      u16  count of the fields
    ///                                                      fields
    ///
    /// field    u32  offset in bytes          name   u8   length in bytes
    ///          name                                 UTF-8
    ///          type
    ///
    /// code     01 u8   02 u16   03 u32   04 u64   05 u128
    ///          11 i8   12 i16   13 i32   14 i64   15 i128
    ///                            23 f32   24 f64              (hexadecimal)
    /// ```
    ///
    /// Integers are little-endian and nothing is aligned. The size of a number follows from its
    /// code, that of an array from its elements, and so does an array's alignment.
    ///
    /// ```
    /// use millstream::Element;
    /// assert_eq!(u64::schema().encode(), [1, 1, 0x04, 8]);
    /// assert_eq!(<[u8; 3]>::schema().encode(), [1, 2, 3, 0, 0, 0, 1, 0x01, 1]);
    /// ```
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        out.push(Self::VERSION);
        self.encode_type(&mut out);
        out
    }

    /// The length of [`encode`](Schema::encode)'s result, in bytes.
    pub(super) fn encoded_len(&self) -> usize {
        1 + self.type_len()
    }

    fn type_len(&self) -> usize {
        match self.kind() {
            Kind::Scalar(_) => 3,
            Kind::Array { element, .. } => 5 + element.type_len(),
            Kind::Struct(fields) => {
                let fields = fields
                    .iter()
                    .map(|field| 5 + field.name().len() + field.schema().type_len());
                9 + self.name().len() + fields.sum::<usize>()
            }
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "checked when the schema was made")]
    fn encode_type(&self, out: &mut Vec<u8>) {
        let name = |out: &mut Vec<u8>, name: &str| {
            out.push(name.len() as u8);
            out.extend_from_slice(name.as_bytes());
        };
        match self.kind() {
            Kind::Scalar(scalar) => out.extend_from_slice(&[SCALAR, scalar.code(), self.align() as u8]),
            Kind::Array { element, len } => {
                out.push(ARRAY);
                out.extend_from_slice(&(*len as u32).to_le_bytes());
                element.encode_type(out);
            }
            Kind::Struct(fields) => {
                out.push(STRUCT);
                out.extend_from_slice(&(self.size() as u32).to_le_bytes());
                out.push(self.align() as u8);
                name(out, self.name());
                out.extend_from_slice(&(fields.len() as u16).to_le_bytes());
                for field in fields {
                    out.extend_from_slice(&(field.offset() as u32).to_le_bytes());
                    name(out, field.name());
                    field.schema().encode_type(out);
                }
            }
        }
    }

    /// Reads what [`encode`](Schema::encode) wrote. The bytes may come from anybody: whatever they
    /// are, this returns, and takes memory in proportion to their length alone.
    ///
    /// # Errors
    ///
    /// The bytes are not the encoding of a schema within the limits, or something follows it. What is
    /// accepted encodes to the same bytes again.
    ///
    /// ```
    /// use millstream::{Element, Schema, SchemaError};
    ///
    /// let schema = <[f64; 4]>::schema();
    /// assert_eq!(Schema::decode(&schema.encode())?, schema);
    /// assert_eq!(Schema::decode(&[9, 1, 4, 8]), Err(SchemaError::Version { found: 9 }));
    /// # Ok::<(), SchemaError>(())
    /// ```
    pub fn decode(bytes: &[u8]) -> Result<Self, SchemaError> {
        if bytes.len() > Self::MAX_ENCODED {
            return Err(SchemaError::TooLong { bytes: bytes.len() });
        }
        let mut cursor = Cursor { bytes, at: 0 };
        match cursor.byte()? {
            Self::VERSION => {}
            found => return Err(SchemaError::Version { found }),
        }
        let schema = cursor.schema(1)?;
        match bytes.len() - cursor.at {
            0 => Ok(schema),
            bytes => Err(SchemaError::Trailing { bytes }),
        }
    }
}

/// How far an encoded schema has been read. `at` never passes the end.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], SchemaError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest
            .get(..len)
            .ok_or(SchemaError::Truncated { at: self.bytes.len() })?;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SchemaError> {
        let at = self.bytes.len();
        self.take(N)?
            .try_into()
            .map_err(|_| SchemaError::Truncated { at })
    }

    fn byte(&mut self) -> Result<u8, SchemaError> {
        self.array().map(|[byte]| byte)
    }

    fn size(&mut self) -> Result<usize, SchemaError> {
        let size = u32::from_le_bytes(self.array()?);
        // Only a machine of 16 bits could not hold it.
        usize::try_from(size).map_err(|_| SchemaError::TooLarge {
            name: size.to_string(),
        })
    }

    fn name(&mut self) -> Result<&'a str, SchemaError> {
        let len = self.byte()?;
        let bytes = self.take(usize::from(len))?;
        str::from_utf8(bytes).map_err(|_| SchemaError::Name {
            name: shortened(&String::from_utf8_lossy(bytes)),
        })
    }

    fn schema(&mut self, depth: usize) -> Result<Schema, SchemaError> {
        // Before the parts are read, for reading them recurses.
        if depth > Schema::MAX_DEPTH {
            return Err(SchemaError::TooDeep);
        }
        let at = self.at;
        match self.byte()? {
            SCALAR => self.scalar(),
            ARRAY => {
                let len = self.size()?;
                Schema::array(self.schema(depth + 1)?, len)
            }
            STRUCT => {
                let size = self.size()?;
                let align = usize::from(self.byte()?);
                let name = self.name()?;
                check_name(name, IN_TYPE_NAMES)?;
                let count = usize::from(u16::from_le_bytes(self.array()?));
                if count > Schema::MAX_FIELDS {
                    return Err(SchemaError::TooManyFields {
                        name: name.to_owned(),
                        count,
                    });
                }
                // Grows as fields are found: the count alone reserves nothing.
                let mut fields = Vec::new();
                for _ in 0..count {
                    let offset = self.size()?;
                    let name = self.name()?;
                    fields.push(Field::new(name, offset, self.schema(depth + 1)?));
                }
                Schema::structure(name, size, align, fields)
            }
            found => Err(SchemaError::Code {
                expected: "kind of type",
                found,
                at,
            }),
        }
    }

    fn scalar(&mut self) -> Result<Schema, SchemaError> {
        let at = self.at;
        let code = self.byte()?;
        let scalar = Scalar::from_code(code).ok_or(SchemaError::Code {
            expected: "number",
            found: code,
            at,
        })?;
        let align = usize::from(self.byte()?);
        if !align.is_power_of_two() || align > scalar.size() {
            let (name, size) = (scalar.name().to_owned(), scalar.size());
            return Err(SchemaError::Align { name, size, align });
        }
        Ok(Schema::scalar_of_align(scalar, align))
    }
}
