//! A value of whatever type, as an element of a ring.

use std::any::Any;

use smallbox::space::S4;
use smallbox::{SmallBox, smallbox};

/// A value of whatever type: in place if it has no more than four words and the alignment of one, elsewhere if it is larger. With
/// a number it fills a line.
pub(crate) type Parcel = SmallBox<dyn Any + Send, S4>;

/// A parcel that is made where it arrives. Each does one of its things once.
pub(crate) trait Envelope: Send {
    /// It is there: a number, and what is in it.
    fn open(&mut self) -> Option<(u64, Parcel)>;
    /// It does not get there: goes another way.
    fn turn_back(&mut self);
}

/// An envelope of whatever type, in place as a [`Parcel`] is.
pub(crate) type Sealed = SmallBox<dyn Envelope, S4>;

/// Whether a value of this type lies in its parcel in place.
pub(crate) const fn is_small<T>() -> bool {
    size_of::<T>() <= size_of::<S4>() && align_of::<T>() <= align_of::<S4>()
}

/// Wraps a value up.
#[inline]
pub(crate) fn wrap<T: Send + 'static>(value: T) -> Parcel {
    // The macro makes a pointer to `dyn Any` of one to the value, which on stable no function can be told to do.
    smallbox!(value)
}

/// Seals an envelope.
#[inline]
pub(crate) fn seal<E: Envelope + 'static>(envelope: E) -> Sealed {
    smallbox!(envelope)
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_is_in_place() {
        assert!(!wrap([1u64; 4]).is_heap() && is_small::<[u64; 4]>());
        assert!(wrap([1u64; 5]).is_heap() && !is_small::<[u64; 5]>());
        assert!(wrap(1u128).is_heap() && !is_small::<u128>());
        assert_eq!(
            wrap(7u32).downcast::<u32>().map(SmallBox::into_inner).ok(),
            Some(7)
        );
        assert!(wrap(7u32).downcast::<i32>().is_err());
        assert_eq!(size_of::<(u64, Parcel)>(), 56);
    }
}
