#[millstream::element]
struct Order {
    id: u32,
    price: f64,
}

fn main() {}
