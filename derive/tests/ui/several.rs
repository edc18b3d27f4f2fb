#[millstream::element]
struct Order {
    name: String,
    count: usize,
    live: std::primitive::bool,
}

fn main() {}
