#[millstream::element]
struct Order {
    id: u64,
    flags: [[bool; 2]; 4],
}

fn main() {}
