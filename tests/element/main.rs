//! Elements through the public interface: their schemas, bytes, fingerprints and differences.
#![forbid(unsafe_code)]

mod refusals;
mod values;

use millstream::{Element, Field, Fingerprint, Kind, Scalar, Schema, SchemaError};

#[millstream::element]
#[derive(Debug, PartialEq)]
struct Quote {
    ts: i64,
    bid: f64,
    ask: f64,
}

#[millstream::element(name = "market.Book")]
struct Book {
    best: Quote,
    depth: [Level; 2],
    symbol: [u8; 8],
}

#[millstream::element]
#[derive(Default)]
struct Level {
    price: f64,
    size: u32,
    orders: u32,
}

const QUOTE: &[u8] = b"\x01\
    \x03\x18\0\0\0\x08\x05Quote\x03\0\
    \0\0\0\0\x02ts\x01\x14\x08\
    \x08\0\0\0\x03bid\x01\x24\x08\
    \x10\0\0\0\x03ask\x01\x24\x08";

fn parsed(fields: &str) -> Schema {
    Schema::parse("Quote", fields).unwrap()
}

#[test]
fn golden_encoding_and_fingerprint() {
    assert_eq!(Quote::schema().encode(), QUOTE);
    assert_eq!(
        Quote::fingerprint().to_string(),
        "ca551778db619f734cf1e864d007956b"
    );
    assert_eq!(
        Quote::fingerprint(),
        Fingerprint::from_bytes(Quote::fingerprint().to_bytes())
    );
    // The first byte is the least significant.
    assert_eq!(
        format!("{:02x}", Quote::fingerprint().to_bytes()[15]),
        Quote::fingerprint().to_string()[..2]
    );
}

#[test]
fn every_scalar_is_an_element_and_reads_back() {
    fn schema<T: Element>(name: &str) -> Schema {
        let schema = T::schema();
        assert_eq!(
            (schema.name(), schema.size(), schema.align()),
            (name, size_of::<T>(), align_of::<T>())
        );
        assert_eq!(Schema::decode(&schema.encode()), Ok(schema.clone()));
        assert_eq!(Schema::parse_type(name), Ok(schema.clone()));
        assert_eq!(T::fingerprint(), schema.fingerprint());
        schema
    }
    let schemas = [
        schema::<u8>("u8"),
        schema::<u16>("u16"),
        schema::<u32>("u32"),
        schema::<u64>("u64"),
        schema::<u128>("u128"),
        schema::<i8>("i8"),
        schema::<i16>("i16"),
        schema::<i32>("i32"),
        schema::<i64>("i64"),
        schema::<i128>("i128"),
        schema::<f32>("f32"),
        schema::<f64>("f64"),
    ];
    let kinds: Vec<_> = Scalar::ALL.iter().map(|&scalar| Kind::Scalar(scalar)).collect();
    assert!(schemas.iter().map(Schema::kind).eq(&kinds));
    let mut fingerprints: Vec<_> = schemas.iter().map(Schema::fingerprint).collect();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), schemas.len());
    schema::<[u16; 4]>("u16[4]");
    schema::<[[u16; 4]; 2]>("u16[4][2]");
}

#[test]
fn nested_schema_roundtrips_and_prints() {
    let schema = Book::schema();
    assert_eq!(
        schema.to_string(),
        "market.Book { best: Quote { ts: i64 @0, bid: f64 @8, ask: f64 @16 } @0, \
         depth: Level { price: f64 @0, size: u32 @8, orders: u32 @12 }[2] @24, symbol: u8[8] @56 } \
         (64 bytes, align 8)"
    );
    assert_eq!(Schema::decode(&schema.encode()), Ok(schema.clone()));
    assert_eq!(schema.fields()[1].schema().name(), "Level[2]");
    assert_eq!(u8::schema().to_string(), "u8 (1 byte, align 1)");
}

#[test]
fn macro_takes_tuple_structs_raw_names_and_other_layouts() {
    #[millstream::element]
    #[derive(Clone, Copy)]
    struct Pair(u32, u32);
    assert_eq!(
        Pair::schema().to_string(),
        "Pair { 0: u32 @0, 1: u32 @4 } (8 bytes, align 4)"
    );

    #[millstream::element]
    struct Raw {
        r#type: u8,
    }
    assert_eq!(Raw::schema().fields()[0].name(), "type");

    #[millstream::element]
    #[repr(C, align(64))]
    struct Line {
        words: [u64; 8],
    }
    assert_eq!(Line::schema().align(), 64);

    #[millstream::element]
    #[repr(C, packed)]
    struct Packed {
        price: f64,
        size: u32,
    }
    assert_eq!((Packed::schema().size(), Packed::schema().align()), (12, 1));
    assert_eq!(Schema::decode(&Packed::schema().encode()), Ok(Packed::schema()));

    #[millstream::element]
    #[repr(transparent)]
    struct Price(f64);
    assert_eq!(Price::schema().size(), 8);

    #[millstream::element]
    struct Configured {
        #[cfg(any())]
        gone: String,
        kept: u16,
    }
    assert_eq!(
        Configured::schema().to_string(),
        "Configured { kept: u16 @0 } (2 bytes, align 2)"
    );
}

/// The name of the attribute is also that of the derive's helper; neither may hide the other.
mod both_names_imported {
    use millstream::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
    use millstream::{Element, element};

    #[element(name = "A")]
    #[derive(Debug)]
    struct ByAttribute {
        word: u64,
    }

    #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Element)]
    #[zerocopy(crate = "millstream::zerocopy")]
    #[repr(C)]
    struct ByDerive {
        word: u64,
    }

    #[test]
    fn both_work() {
        assert_eq!(ByAttribute::schema().name(), "A");
        assert_eq!(ByDerive::schema().name(), "ByDerive");
        assert_ne!(ByAttribute::fingerprint(), ByDerive::fingerprint());
    }
}

#[test]
fn parse_lays_out_as_the_compiler_does() {
    assert_eq!(parsed("ts:i64,bid:f64,ask:f64"), Quote::schema());
    assert_eq!(
        parsed(" ts : i64 ,\nbid:f64, ask: f64 ").fingerprint(),
        Quote::fingerprint()
    );
    let bytes = parsed("symbol:u8[8]");
    assert_eq!(bytes.fields()[0].schema(), &<[u8; 8]>::schema());
}

#[test]
fn parse_refuses_with_a_reason() {
    let refused = |fields: &str| Schema::parse("Q", fields).unwrap_err().to_string();
    assert_eq!(refused(""), "'Q' has no size: there is nothing to carry");
    assert_eq!(refused(" "), "'Q' has no size: there is nothing to carry");
    assert_eq!(
        refused("a"),
        "\"a\" is not a field: write name:type, as in bid:f64"
    );
    assert_eq!(
        refused("a:u8,"),
        "\"\" is not a field: write name:type, as in bid:f64"
    );
    assert_eq!(
        refused("a:usize"),
        "\"usize\" is not a type: u8 to u128, i8 to i128, f32, f64, or an array such as u8[8]"
    );
    assert_eq!(refused("a:u8,a:u8"), "'Q' has two fields of the name 'a'");
    assert_eq!(
        refused("a:u8[0]"),
        "'u8[0]' has no size: there is nothing to carry"
    );
    assert_eq!(
        refused("side:u8,price:f64"),
        "field 'price' needs 7 bytes of padding before it, and an element has none: \
         order the fields from largest to smallest, or add a field such as pad:u8[7]"
    );
    assert_eq!(
        refused("price:f64,side:u8"),
        "7 bytes of padding are needed after the last field 'side', and an element has none: \
         add a field such as pad:u8[7]"
    );
    assert!(refused(":u8").starts_with("\"\" is no name"));
    assert!(refused("a b:u8").starts_with("\"a b\" is no name"));
    assert!(refused("\u{1b}[2J:u8").starts_with("\"\\u{1b}[2J\" is no name"));
    for text in [
        "a:u8[",
        "a:u8[]",
        "a:u8]",
        "a:u8[-1]",
        "a:u8[8]x",
        "a:[u8]",
        "a:u8[99999999999]",
    ] {
        assert!(
            matches!(Schema::parse("Q", text), Err(SchemaError::UnknownType { .. })),
            "{text}"
        );
    }
    assert!(matches!(
        Schema::parse("Q", "a:u64[4294967295]"),
        Err(SchemaError::TooLarge { .. })
    ));
    assert!(matches!(
        Schema::parse("Q", "a:u8[4294967295],b:u8[4294967295]"),
        Err(SchemaError::TooLarge { .. })
    ));
    assert_eq!(
        Schema::parse("Q", &format!("a:u8{}", "[1]".repeat(40))),
        Err(SchemaError::TooDeep)
    );
    assert!(matches!(
        Schema::parse("Q\n", "a:u8"),
        Err(SchemaError::Name { .. })
    ));
    let many: Vec<_> = (0..2000).map(|index| format!("f{index}:u8")).collect();
    assert!(matches!(
        Schema::parse("Q", &many.join(",")),
        Err(SchemaError::TooManyFields { .. })
    ));
    assert!(Schema::parse("Q", &many[..1024].join(",")).is_ok());
    let long = "x".repeat(1000);
    assert!(refused(&long).len() < 200);
    assert!(refused(&format!("{long}:u8")).len() < 200);
}

#[test]
fn difference_names_every_field() {
    let here = parsed("ts:i64,bid:f64,qty:u64");
    assert_eq!(here.difference(&here.clone()), Vec::<String>::new());

    let there = Schema::parse("Trade", "bid:f32,qty:f32,ts:i64,venue:u8[16]").unwrap();
    assert_eq!(
        here.difference(&there),
        [
            "type: here struct Quote, there struct Trade",
            "size: here 24 bytes, there 32 bytes",
            "field 'ts': here i64 at offset 0, there i64 at offset 8",
            "field 'bid': here f64 at offset 8, there f32 at offset 0",
            "field 'qty': here u64 at offset 16, there f32 at offset 4",
            "field 'venue' is missing here",
        ]
    );
    assert_eq!(
        there.difference(&here).last().unwrap(),
        "field 'venue' is missing there"
    );
    assert_eq!(
        u32::schema().difference(&u64::schema()),
        [
            "type: here u32, there u64",
            "size: here 4 bytes, there 8 bytes",
            "alignment: here 4 bytes, there 8 bytes"
        ]
    );
    assert_eq!(
        f64::schema()
            .difference(&Schema::structure("f64", 8, 8, [Field::new("x", 0, f64::schema())]).unwrap()),
        ["type: here f64, there struct f64"]
    );
}

#[test]
fn difference_reaches_into_nested_types() {
    #[millstream::element]
    struct Level {
        price: f64,
        size: u64,
    }
    #[millstream::element(name = "market.Book")]
    struct Other {
        best: Quote,
        depth: [Level; 2],
        symbol: [u8; 8],
    }
    assert_eq!(
        Book::schema().difference(&Other::schema()),
        [
            "field 'depth[].size': here u32 at offset 8, there u64 at offset 8",
            "field 'depth[].orders' is missing there",
        ]
    );
    // A 32-bit process: everything the same but the alignment.
    let ours = parsed("ts:i64").encode();
    let mut theirs = ours.clone();
    *theirs.last_mut().unwrap() = 4;
    assert_eq!(
        Schema::decode(&ours)
            .unwrap()
            .difference(&Schema::decode(&theirs).unwrap()),
        ["field 'ts': here aligned to 8 bytes, there to 4 bytes"]
    );
}
