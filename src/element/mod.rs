//! What may travel between processes, and how both sides know that they mean the same by it.
//!
//! One noun a file: the trait ([`Element`]) here, its description (`schema`), the numbers a
//! description ends in (`scalar`), its bytes (`encoding`), its text (`notation`), its identity
//! (`fingerprint`), what tells two of them apart (`difference`), and elements as values (`value`,
//! `row`).
#![forbid(unsafe_code)]

mod difference;
mod encoding;
mod error;
mod fingerprint;
mod notation;
mod row;
mod scalar;
mod schema;
mod value;

pub use error::{SchemaError, ValueError};
pub use fingerprint::Fingerprint;
pub use scalar::Scalar;
pub use schema::{Field, Kind, Schema};
pub use value::Value;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A type whose values may travel from a producer to a consumer, also in another process.
///
/// The consumer takes what the shared memory holds without asking the producer. So every bit
/// pattern must be a valid value, there must be no padding and no address, and both processes must
/// have the same layout in mind. The first is what the traits of [`zerocopy`] prove when the type is
/// compiled; the second is what [`schema`](Element::schema) says and the handshake compares.
///
/// Elements are `u8` to `u128`, `i8` to `i128`, `f32`, `f64`, arrays of elements, and structs of
/// elements that carry [`#[millstream::element]`](macro@crate::element). Not elements:
///
/// | type | why | instead |
/// |---|---|---|
/// | references, `Box`, `String`, `Vec` | an address means nothing in another process | `[u8; N]` and a length, or a stream of frames |
/// | `usize`, `isize` | 32 or 64 bits, as the process was built | `u64`, `i64` |
/// | `bool`, `char`, enums | most bit patterns are invalid, and a peer may write any | `u8`, `u32`, checked after receipt |
/// | `()` and other types of no size | there is nothing to carry | |
/// | tuples | the compiler orders their fields as it likes | a struct |
///
/// An element has 1 byte to [`Schema::MAX_SIZE`] bytes and an alignment of at most
/// [`Schema::MAX_ALIGN`] bytes.
///
/// ```
/// use millstream::Element;
///
/// #[millstream::element]
/// #[derive(Debug, PartialEq)]
/// struct Quote {
///     ts: i64,
///     bid: f64,
///     ask: f64,
/// }
///
/// assert_eq!(Quote::schema().to_string(), "Quote { ts: i64 @0, bid: f64 @8, ask: f64 @16 } (24 bytes, align 8)");
/// assert_ne!(Quote::fingerprint(), f64::fingerprint());
/// ```
///
/// A type that may not travel is refused by the compiler:
///
/// ```compile_fail,E0277
/// fn carry<T: millstream::Element>(_: T) {}
/// carry(7_usize);
/// ```
/// ```compile_fail,E0277
/// fn carry<T: millstream::Element>(_: T) {}
/// carry(true);
/// ```
/// ```compile_fail,E0277
/// fn carry<T: millstream::Element>(_: T) {}
/// carry(());
/// ```
/// ```compile_fail,E0277
/// type Hidden = bool;
/// #[millstream::element]
/// struct Quote { live: Hidden }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` may not travel between processes: it is not an `Element`",
    label = "not an `Element`",
    note = "addresses (references, `Box`, `String`, `Vec`), `usize` and `isize` mean nothing in another process, and \
            the bits of a `bool`, a `char`, an enum or padding cannot be trusted when another process wrote them",
    note = "use fixed-width integers, floats and arrays of them, or put `#[millstream::element]` (or \
            `#[derive(Element)]` and `#[repr(C)]`) on a struct of such fields"
)]
pub trait Element: Copy + Send + Sync + 'static + FromBytes + IntoBytes + Immutable + KnownLayout {
    /// Describes the type: its name, its fields, and where in the element they lie.
    ///
    /// # Panics
    ///
    /// What the macros and this crate implement panics for a type beyond the limits that the
    /// compiler does not check: [`Schema::MAX_DEPTH`] and [`Schema::MAX_ENCODED`]. That depends on
    /// the type alone, so a type that passes once passes always.
    ///
    /// ```
    /// use millstream::Element;
    /// assert_eq!(<[u16; 4]>::schema().name(), "u16[4]");
    /// ```
    fn schema() -> Schema;

    /// Identifies the type: equal for two processes when their schemas are.
    ///
    /// # Panics
    ///
    /// As [`schema`](Element::schema) does.
    ///
    /// ```
    /// use millstream::Element;
    /// assert_eq!(u64::fingerprint(), u64::schema().fingerprint());
    /// assert_ne!(u64::fingerprint(), i64::fingerprint());
    /// ```
    fn fingerprint() -> Fingerprint {
        Self::schema().fingerprint()
    }
}

macro_rules! scalar_elements {
    ($($type:ty => $scalar:ident),* $(,)?) => {$(
        impl Element for $type {
            fn schema() -> Schema {
                Schema::scalar(Scalar::$scalar)
            }
        }
    )*};
}

scalar_elements! {
    u8 => U8, u16 => U16, u32 => U32, u64 => U64, u128 => U128,
    i8 => I8, i16 => I16, i32 => I32, i64 => I64, i128 => I128,
    f32 => F32, f64 => F64,
}

impl<T: Element, const N: usize> Element for [T; N] {
    fn schema() -> Schema {
        const {
            assert!(N > 0, "an array of no elements has nothing to carry");
            assert!(
                size_of::<Self>() <= Schema::MAX_SIZE,
                "an element has at most Schema::MAX_SIZE bytes"
            );
        }
        match Schema::array(T::schema(), N) {
            Ok(schema) => schema,
            Err(error) => panic!("this array type has no schema: {error}"),
        }
    }
}
