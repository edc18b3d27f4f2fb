#[millstream::element]
struct Order {
    price: f64,
    side: u8,
}

fn main() {}
