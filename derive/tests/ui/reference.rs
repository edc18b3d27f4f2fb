#[millstream::element]
struct Order {
    id: u64,
    name: &'static u64,
}

fn main() {}
