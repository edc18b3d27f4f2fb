#[millstream::element]
struct Order {
    id: u64,
    count: usize,
}

fn main() {}
