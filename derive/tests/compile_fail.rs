//! What must not travel does not compile, and the message says why.
//!
//! Every case is refused by millstream's own macros, in millstream's own words: a compiler that
//! phrases its errors differently changes little in the expected output. What the bound `Element`
//! refuses beyond that is in the documentation tests of the trait.

#[test]
fn what_must_not_travel_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
