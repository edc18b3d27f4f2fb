#[millstream::element]
struct Order<T> {
    id: T,
}

fn main() {}
