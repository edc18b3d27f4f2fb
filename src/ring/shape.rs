//! The sizes of a block: how many elements share a stamp, and where they lie. What they are and why is written in
//! [`block`](super::block).

#![forbid(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;

/// Bytes of a cache line.
pub(crate) const LINE: usize = 64;
/// Bytes of a stamp.
pub(crate) const STAMP: usize = size_of::<u64>();
/// Elements of a bundle. Eight gain half as much in batches, and no more in single puts.
const BUNDLE: usize = 16;
/// Bytes of the largest element that travels in a bundle.
const MOST_BUNDLED: usize = 128;

/// Sizes of a block, known at compile time ([`Fixed`]) or when the stream is opened ([`Measured`]).
pub(crate) trait Shape: Copy + fmt::Debug {
    /// Bytes of an element.
    fn size(self) -> usize;
    /// Elements in a block.
    fn per(self) -> usize;
    /// Offset of the first element.
    fn first(self) -> usize;
    /// Bytes from block to block.
    fn stride(self) -> usize;

    /// Whether several elements share a line with their stamp.
    #[inline(always)]
    fn shares_lines(self) -> bool {
        self.per() > 1 && self.stride() <= LINE
    }

    /// Whether blocks are of several elements that share no line with their stamp.
    #[inline(always)]
    fn is_bundle(self) -> bool {
        self.per() > 1 && self.stride() > LINE
    }

    /// Whether a block is of one element, and larger than a line.
    #[inline(always)]
    fn is_record(self) -> bool {
        self.per() == 1 && self.stride() > LINE
    }
}

/// The shape of blocks of `T`.
pub(crate) struct Fixed<T>(PhantomData<fn() -> T>);

/// A shape read from the header of a stream whose type is not known to this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) size: usize,
    pub(crate) per: usize,
    pub(crate) first: usize,
    pub(crate) stride: usize,
}

impl Measured {
    /// The shape for elements of `size` bytes aligned to `align`, a power of two.
    ///
    /// `None` when a block would not fit in memory.
    pub(crate) const fn of(size: usize, align: usize) -> Option<Self> {
        let first = if align > STAMP { align } else { STAMP };
        // A type without a size still takes a step through the block, so that its stamps move on.
        let step = if size == 0 { 1 } else { size };
        if first < LINE && step <= LINE - first {
            return Some(Self {
                size,
                per: (LINE - first) / step,
                first,
                stride: LINE,
            });
        }
        let (per, first) = match size {
            1..=MOST_BUNDLED => (BUNDLE, if first > LINE { first } else { LINE }),
            _ => (1, first),
        };
        // Of a bundle far from where it would overflow.
        let Some(end) = first.checked_add(size * per) else {
            return None;
        };
        let Some(padded) = end.checked_add(first - 1) else {
            return None;
        };
        Some(Self {
            size,
            per,
            first,
            stride: padded & !(first - 1),
        })
    }

    /// How many blocks hold `capacity` elements while the producer never enters a block that the
    /// consumer has not left. `None` when that overflows.
    pub(crate) fn blocks(self, capacity: usize) -> Option<usize> {
        Some(capacity.checked_add(self.per - 1)?.div_ceil(self.per).max(1))
    }
}

impl<T> Fixed<T> {
    const SHAPE: Measured = match Measured::of(size_of::<T>(), align_of::<T>()) {
        Some(shape) => shape,
        None => panic!("no type is larger than isize::MAX, less its alignment"),
    };

    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }

    /// The same sizes as values.
    pub(crate) const fn measured() -> Measured {
        Self::SHAPE
    }
}

impl<T> Clone for Fixed<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Fixed<T> {}

impl<T> fmt::Debug for Fixed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::SHAPE.fmt(f)
    }
}

impl<T> Shape for Fixed<T> {
    #[inline(always)]
    fn size(self) -> usize {
        Self::SHAPE.size
    }
    #[inline(always)]
    fn per(self) -> usize {
        Self::SHAPE.per
    }
    #[inline(always)]
    fn first(self) -> usize {
        Self::SHAPE.first
    }
    #[inline(always)]
    fn stride(self) -> usize {
        Self::SHAPE.stride
    }
}

impl Shape for Measured {
    #[inline(always)]
    fn size(self) -> usize {
        self.size
    }
    #[inline(always)]
    fn per(self) -> usize {
        self.per
    }
    #[inline(always)]
    fn first(self) -> usize {
        self.first
    }
    #[inline(always)]
    fn stride(self) -> usize {
        self.stride
    }
}
