#[millstream::element]
struct Order {
    id: u64,
    side: char,
}

fn main() {}
