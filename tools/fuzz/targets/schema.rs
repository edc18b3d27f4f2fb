//! Any bytes as an encoded schema, and as the notation of one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millstream::Schema;

fn check(schema: &Schema) {
    assert_eq!(Schema::decode(&schema.encode()).as_ref(), Ok(schema));
    if schema.size() <= 4096 {
        let bytes = vec![0xa5; schema.size()];
        let value = schema.value(&bytes).unwrap();
        let mut again = Vec::new();
        schema.encode_value(&value, &mut again).unwrap();
        assert_eq!(again, bytes);
        let _ = value.to_string();
    }
    let _ = schema.difference(schema);
}

fuzz_target!(|data: &[u8]| {
    if let Ok(schema) = Schema::decode(data) {
        assert_eq!(schema.encode(), data, "one encoding for each schema");
        check(&schema);
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for schema in [Schema::parse("Row", text), Schema::parse_type(text)]
        .into_iter()
        .flatten()
    {
        check(&schema);
    }
});
