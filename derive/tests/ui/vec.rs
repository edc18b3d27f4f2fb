#[millstream::element]
struct Order {
    id: u64,
    fills: Vec<u64>,
}

fn main() {}
