#[millstream::element(rename = "Order")]
struct Order {
    id: u64,
}

fn main() {}
