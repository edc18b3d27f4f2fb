#[millstream::element]
struct Order {
    id: u64,
    next: *const u64,
}

fn main() {}
