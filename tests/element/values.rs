//! Elements as values: read, printed, and made from rows.

use millstream::{Element, Schema, Value, ValueError};

use crate::{Book, Level, Quote, parsed};

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
