#[millstream::element]
struct Order {
    id: u64,
    live: bool,
}

fn main() {}
