//! Elements through the public interface: their schemas, bytes, fingerprints, differences and values.
#![forbid(unsafe_code)]

use millstream::{Element, Field, Fingerprint, Kind, Scalar, Schema, SchemaError, Value, ValueError};

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

#[test]
fn structure_refuses_what_is_no_layout() {
    let field = |name: &str, offset| Field::new(name, offset, u32::schema());
    let make = |size, align, fields: Vec<Field>| Schema::structure("S", size, align, fields);
    assert!(make(8, 4, vec![field("a", 0), field("b", 4)]).is_ok());
    assert!(matches!(make(0, 1, vec![]), Err(SchemaError::Empty { .. })));
    assert!(matches!(
        make(8, 4, vec![field("a", 0), field("b", 2)]),
        Err(SchemaError::Offset { .. })
    ));
    assert!(matches!(
        make(8, 4, vec![field("a", 4), field("b", 0)]),
        Err(SchemaError::Offset { .. })
    ));
    assert!(matches!(
        make(12, 4, vec![field("a", 0), field("b", usize::MAX)]),
        Err(SchemaError::Offset { .. })
    ));
    assert!(matches!(
        make(12, 4, vec![field("a", 0), field("b", 4)]),
        Err(SchemaError::Size { .. })
    ));
    for align in [0, 3, 8, 128, usize::MAX] {
        assert!(
            matches!(
                make(4, align, vec![field("a", 0)]),
                Err(SchemaError::Align { .. })
            ),
            "{align}"
        );
    }
    assert!(matches!(
        make(8, 4, vec![field("a", 0), field("a", 4)]),
        Err(SchemaError::Duplicate { .. })
    ));
    let huge = Field::new("a", 0, Schema::array(u8::schema(), Schema::MAX_SIZE).unwrap());
    assert!(matches!(
        Schema::structure(
            "S",
            usize::MAX,
            1,
            [huge, Field::new("b", Schema::MAX_SIZE, u8::schema())]
        ),
        Err(SchemaError::TooLarge { .. })
    ));
    // Many fields of many fields: the encoding outgrows its limit before the memory does.
    let wide = |inner: &Schema| {
        let fields =
            (0..1024).map(|index| Field::new(&format!("f{index}"), index * inner.size(), inner.clone()));
        Schema::structure("W", 1024 * inner.size(), 1, fields)
    };
    let first = wide(&u8::schema()).unwrap();
    assert!(matches!(wide(&first), Err(SchemaError::TooLong { .. })));
}

#[test]
fn hostile_encodings_are_errors() {
    for schema in [
        Quote::schema(),
        Book::schema(),
        <[[u8; 3]; 5]>::schema(),
        u64::schema(),
    ] {
        let good = schema.encode();
        for end in 0..good.len() {
            let at = end;
            assert_eq!(
                Schema::decode(&good[..end]),
                Err(SchemaError::Truncated { at }),
                "{end}"
            );
        }
        let longer = [good.as_slice(), &[0]].concat();
        assert_eq!(Schema::decode(&longer), Err(SchemaError::Trailing { bytes: 1 }));
        for at in 0..good.len() {
            for value in 0..=255 {
                let mut bytes = good.clone();
                bytes[at] = value;
                if let Ok(read) = Schema::decode(&bytes) {
                    // Canonical: what is accepted is what would have been written.
                    assert_eq!(read.encode(), bytes);
                    assert_eq!(read.difference(&schema).is_empty(), read == schema);
                    assert_eq!(read.fingerprint() == schema.fingerprint(), read == schema);
                    if read.size() < 1 << 12 {
                        assert!(read.value(&vec![0xa5; read.size()]).is_ok());
                    }
                }
            }
        }
    }
    assert_eq!(
        Schema::decode(&vec![0; (1 << 20) + 1]),
        Err(SchemaError::TooLong { bytes: (1 << 20) + 1 })
    );
    // Nested as deep as a megabyte allows.
    let deep = [&[1][..], &[2, 1, 0, 0, 0].repeat(200_000)].concat();
    assert_eq!(Schema::decode(&deep), Err(SchemaError::TooDeep));
    // More fields than bytes.
    let wide = b"\x01\x03\xff\xff\xff\xff\x01\x01S\xff\xff";
    assert!(matches!(
        Schema::decode(wide),
        Err(SchemaError::TooManyFields { count: 65_535, .. })
    ));
    let hole = b"\x01\x03\xff\xff\xff\xff\x01\x01S\x00\x04";
    assert!(matches!(Schema::decode(hole), Err(SchemaError::Truncated { .. })));
    // A name that would clear the terminal.
    let escape = b"\x01\x03\x01\0\0\0\x01\x04\x1b[2J\x01\0\0\0\0\0\x01a\x01\x01\x01";
    let error = Schema::decode(escape).unwrap_err();
    assert!(matches!(error, SchemaError::Name { .. }));
    assert!(!error.to_string().contains('\x1b'));
    let latin = b"\x01\x03\x01\0\0\0\x01\x01\xe9\x01\0\0\0\0\0\x01a\x01\x01\x01";
    assert!(matches!(Schema::decode(latin), Err(SchemaError::Name { .. })));
}

#[test]
fn random_bytes_never_panic() {
    // xorshift64*: the same bytes in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    };
    let good = Book::schema().encode();
    for _ in 0..50_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + next() % 6 {
            let at = usize::try_from(next() % bytes.len() as u64).unwrap();
            match next() % 3 {
                0 => bytes[at] = next().to_le_bytes()[0],
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, (next() % 5) as u8),
            }
        }
        if let Ok(read) = Schema::decode(&bytes) {
            assert_eq!(read.encode(), bytes);
        }
    }
}

#[test]
fn values_roundtrip_and_print() {
    use millstream::zerocopy::IntoBytes;

    let book = Book {
        best: Quote {
            ts: -5,
            bid: 0.1,
            ask: f64::NAN,
        },
        depth: [
            Level {
                price: 1e300,
                size: 7,
                orders: u32::MAX,
            },
            Level {
                price: 1.0,
                ..Level::default()
            },
        ],
        symbol: *b"ABCDEFGH",
    };
    let schema = Book::schema();
    let value = schema.value(book.as_bytes()).unwrap();
    assert_eq!(
        value.to_string(),
        "{ best: { ts: -5, bid: 0.1, ask: NaN }, depth: [{ price: 1e300, size: 7, orders: 4294967295 }, \
         { price: 1.0, size: 0, orders: 0 }], symbol: [65, 66, 67, 68, 69, 70, 71, 72] }"
    );
    let mut out = vec![9];
    schema.encode_value(&value, &mut out).unwrap();
    assert_eq!(out[0], 9);
    assert_eq!(&out[1..], book.as_bytes());
    assert_eq!(
        schema.value(&[0; 63]),
        Err(ValueError::Length {
            expected: 64,
            found: 63
        })
    );
    assert_eq!(
        f32::schema().value(&0.1_f32.to_ne_bytes()).unwrap().to_string(),
        "0.1"
    );
    assert_eq!(
        i128::schema().value(i128::MIN.as_bytes()),
        Ok(Value::Signed(i128::MIN))
    );
    assert_eq!(
        u128::schema().value(u128::MAX.as_bytes()),
        Ok(Value::Unsigned(u128::MAX))
    );
}

#[test]
fn values_of_another_shape_are_refused_by_name() {
    let schema = Book::schema();
    let good = schema.value(&[0; 64]).unwrap();
    type Change<'a> = &'a dyn Fn(&mut Vec<(String, Value)>);
    let refused = |change: Change<'_>| {
        let mut value = good.clone();
        let Value::Struct(parts) = &mut value else {
            panic!("not a struct")
        };
        change(parts);
        let mut out = vec![1, 2, 3];
        let error = schema.encode_value(&value, &mut out).unwrap_err();
        assert_eq!(out, [1, 2, 3]);
        error.to_string()
    };
    assert_eq!(
        refused(&|parts| parts[2].1 = Value::Array(vec![Value::Unsigned(256); 8])),
        "'symbol[0]': 256 is outside the range of u8"
    );
    assert_eq!(
        refused(&|parts| parts[2].1 = Value::Array(vec![Value::Unsigned(1); 7])),
        "'symbol' is u8[8], not an array of 7"
    );
    assert_eq!(
        refused(&|parts| {
            let Value::Array(levels) = &mut parts[1].1 else {
                panic!("not an array")
            };
            let Value::Struct(level) = &mut levels[1] else {
                panic!("not a struct")
            };
            level[0].1 = Value::Signed(1);
        }),
        "'depth[1].price' is f64, not a signed integer"
    );
    assert_eq!(
        refused(&|parts| parts.swap(0, 1)),
        "'market.Book' is struct market.Book, not a struct of depth, best, symbol"
    );
    let mut out = Vec::new();
    let error = u8::schema()
        .encode_value(&Value::Signed(1), &mut out)
        .unwrap_err();
    assert_eq!(error.to_string(), "'u8' is u8, not a signed integer");
}

#[test]
fn rows_become_elements() {
    let schema = parsed("ts:i64,bid:f64,ask:f64");
    let bytes = schema
        .parse_row(&["1700000000000000000", "1.5", " -0.0 "])
        .unwrap();
    assert_eq!(
        schema.value(&bytes).unwrap().to_string(),
        "{ ts: 1700000000000000000, bid: 1.5, ask: -0.0 }"
    );
    assert_eq!(u16::schema().parse_row(&["513"]).unwrap(), 513_u16.to_ne_bytes());

    let small = Schema::parse("S", "f:f32,a:u8,b:i8,c:u16").unwrap();
    let refused = |cells: &[&str]| small.parse_row(cells).unwrap_err().to_string();
    assert_eq!(refused(&["1", "2", "3"]), "the row has 3 cells for 4 columns");
    assert_eq!(
        refused(&["x", "2", "3", "4"]),
        "column 'f': \"x\" is not a number of type f32"
    );
    assert_eq!(
        refused(&["1e39", "2", "3", "4"]),
        "'f': 1e39 is outside the range of f32"
    );
    assert_eq!(
        refused(&["1", "256", "3", "4"]),
        "'a': 256 is outside the range of u8"
    );
    assert_eq!(
        refused(&["1", "-1", "3", "4"]),
        "'a': -1 is outside the range of u8"
    );
    assert_eq!(
        refused(&["1", "1.5", "3", "4"]),
        "column 'a': \"1.5\" is not a number of type u8"
    );
    assert_eq!(
        refused(&["1", "", "3", "4"]),
        "column 'a': \"\" is not a number of type u8"
    );
    assert_eq!(
        refused(&["1", "2", "-129", "4"]),
        "'b': -129 is outside the range of i8"
    );
    assert!(refused(&["1", &"9".repeat(500), "3", "4"]).len() < 100);
    assert!(small.parse_row(&["inf", "2", "-128", "4"]).is_ok());
    assert!(small.parse_row(&["NaN", "255", "127", "65535"]).is_ok());

    let nested = Book::schema().parse_row(&["1", "2", "3"]).unwrap_err();
    assert_eq!(
        nested.to_string(),
        "column 'best' is struct Quote; a cell holds one number"
    );
}
