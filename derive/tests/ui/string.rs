#[millstream::element]
struct Order {
    id: u64,
    name: String,
}

fn main() {}
