#[millstream::element]
struct Order;

fn main() {}
