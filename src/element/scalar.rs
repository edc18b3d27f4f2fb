//! The numbers in which every schema ends.
#![forbid(unsafe_code)]

use std::fmt;

/// A number of fixed width, the leaf of every [`Schema`](crate::Schema).
///
/// ```
/// use millstream::Scalar;
/// assert_eq!(Scalar::F64.to_string(), "f64");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scalar {
    /// `u8`
    U8,
    /// `u16`
    U16,
    /// `u32`
    U32,
    /// `u64`
    U64,
    /// `u128`
    U128,
    /// `i8`
    I8,
    /// `i16`
    I16,
    /// `i32`
    I32,
    /// `i64`
    I64,
    /// `i128`
    I128,
    /// `f32`, IEEE 754 binary32
    F32,
    /// `f64`, IEEE 754 binary64
    F64,
}

impl Scalar {
    /// Every scalar, in the order of their codes.
    ///
    /// ```
    /// use millstream::Scalar;
    /// let names: Vec<_> = Scalar::ALL.iter().map(|scalar| scalar.name()).collect();
    /// assert_eq!(names.join(" "), "u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f32 f64");
    /// ```
    pub const ALL: &'static [Scalar] = &[
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::U128,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::I128,
        Self::F32,
        Self::F64,
    ];

    /// The name that Rust has for it.
    ///
    /// ```
    /// assert_eq!(millstream::Scalar::U16.name(), "u16");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::U128 => "u128",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::I128 => "i128",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// The scalar that Rust calls `name`.
    ///
    /// ```
    /// use millstream::Scalar;
    /// assert_eq!(Scalar::from_name("i32"), Some(Scalar::I32));
    /// assert_eq!(Scalar::from_name("usize"), None);
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scalar| scalar.name() == name)
    }

    /// Its size in bytes.
    ///
    /// ```
    /// assert_eq!(millstream::Scalar::U128.size(), 16);
    /// ```
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
            Self::U128 | Self::I128 => 16,
        }
    }

    /// Its alignment in bytes in this process. A process of another width may have a smaller one.
    ///
    /// ```
    /// assert_eq!(millstream::Scalar::U32.align(), 4);
    /// ```
    #[must_use]
    pub const fn align(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => align_of::<u16>(),
            Self::U32 | Self::I32 => align_of::<u32>(),
            Self::U64 | Self::I64 => align_of::<u64>(),
            Self::U128 | Self::I128 => align_of::<u128>(),
            Self::F32 => align_of::<f32>(),
            Self::F64 => align_of::<f64>(),
        }
    }

    /// Its code in an encoded schema: the family in the high half, 1 + log2(size) in the low half.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::U8 => 0x01,
            Self::U16 => 0x02,
            Self::U32 => 0x03,
            Self::U64 => 0x04,
            Self::U128 => 0x05,
            Self::I8 => 0x11,
            Self::I16 => 0x12,
            Self::I32 => 0x13,
            Self::I64 => 0x14,
            Self::I128 => 0x15,
            Self::F32 => 0x23,
            Self::F64 => 0x24,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|scalar| scalar.code() == code)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
