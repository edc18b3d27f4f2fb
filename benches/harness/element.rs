//! Elements of any size, every word of which is written and read.

/// An element of `8 * W` bytes.
pub(crate) type Words<const W: usize> = [u64; W];

/// The element number `index`.
#[inline(always)]
pub(crate) fn make<const W: usize>(index: u64) -> Words<W> {
    [index; W]
}

/// Reads every word.
#[inline(always)]
pub(crate) fn sum<const W: usize>(element: &Words<W>) -> u64 {
    element.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word))
}

/// What [`sum`] comes to over the elements `0..count`.
pub(crate) fn expected<const W: usize>(count: u64) -> u64 {
    let indices = u128::from(count) * u128::from(count.saturating_sub(1)) / 2;
    (indices as u64).wrapping_mul(W as u64)
}

/// Runs `$body` with the constant `$width` for the number of words, which is known at run time only.
macro_rules! for_width {
    ($words:expr, $width:ident => $body:expr) => {
        match $words {
            1 => {
                const $width: usize = 1;
                $body
            }
            6 => {
                const $width: usize = 6;
                $body
            }
            7 => {
                const $width: usize = 7;
                $body
            }
            8 => {
                const $width: usize = 8;
                $body
            }
            32 => {
                const $width: usize = 32;
                $body
            }
            128 => {
                const $width: usize = 128;
                $body
            }
            other => panic!("no bench has elements of {other} words"),
        }
    };
}

pub(crate) use for_width;
