#[millstream::element]
enum Side {
    Buy,
    Sell,
}

fn main() {}
