//! Schemas that are none: refused with a reason, whatever the bytes.

use millstream::{Element, Field, Schema, SchemaError};

use crate::{Book, Quote};

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
