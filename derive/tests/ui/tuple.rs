#[millstream::element]
struct Order {
    id: u64,
    level: (u64, u64),
}

fn main() {}
