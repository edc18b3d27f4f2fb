//! Work that one side has with each element.

use std::hint::black_box;

/// Divisions that follow from each other; about as long as taking a few elements.
const STEPS: u64 = 8;

/// Gives the element on, after work if there is any.
#[inline(always)]
pub(crate) fn labour<T>(any: bool, element: T) -> T {
    if any {
        let mut left = black_box(u64::MAX);
        for _ in 0..STEPS {
            left /= black_box(3);
        }
        black_box(left);
    }
    element
}
