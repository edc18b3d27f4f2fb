#[millstream::element]
struct Order {
    id: u64,
    limit: Option<u64>,
}

fn main() {}
