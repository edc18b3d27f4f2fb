#[millstream::element(name = "an order")]
struct Order {
    id: u64,
}

fn main() {}
