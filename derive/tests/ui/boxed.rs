#[millstream::element]
struct Order {
    id: u64,
    book: Box<u64>,
}

fn main() {}
