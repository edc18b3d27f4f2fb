use millstream::Element;
use millstream::zerocopy::{FromBytes, Immutable, KnownLayout};

#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Element)]
#[zerocopy(crate = "millstream::zerocopy")]
struct Order {
    id: u64,
}

fn main() {}
