//! What a consumer that has gone left in the ring: it is the sink's again, to be given to another.

use super::end::CloseReason;
use super::sink::SinkRef;

impl<T> SinkRef<T> {
    /// Takes back, in order, what was put and the consumer, which takes nothing any more, has not released. Nothing as long
    /// as it may take, or when this sink has ended the stream, or when somebody oversees it.
    ///
    /// Of a consumer in this process that is exactly what it did not take, if it was told to
    /// [leave](super::source::SourceRef::leave_behind) it. Of one in another process it is what it had not said to have done,
    /// so some of it may be done twice.
    pub(crate) fn reclaim(&mut self) -> Vec<T> {
        let (left, distance) = self.endpoint.left_behind(self.ring.pos());
        // A peer cannot have more than lies in the ring, whatever its words say.
        let count = left.min(self.capacity as u64);
        if count == 0 {
            return Vec::new();
        }
        let mut elements = Vec::with_capacity(count as usize);
        let first = self.ring.pos().wrapping_sub(count);
        self.ring.retreat(distance.wrapping_add(left - count), first);
        let mut walk = self.ring.walk();
        for _ in 0..count {
            // SAFETY: published by this sink and not released by a consumer that takes nothing any more. Within one process
            // that is exactly what was not taken (invariant 8), so it is the sink's own, in a slot that no later element has
            // got, for that takes a release; its position was given up just now, so nobody reads or drops it a second time.
            // Between processes the peer's word may be wrong or late, and elements are values of any bits, to be copied freely.
            elements.push(unsafe { walk.next_slot().cast::<T>().read() });
        }
        elements
    }

    /// Elements that were put and the consumer has not released, and why it will not any more.
    pub(crate) fn undrained(&mut self) -> (u64, Option<CloseReason>) {
        let undrained = self.endpoint.undrained(self.ring.pos());
        // A consumer may have arrived meanwhile, with words of its own.
        self.ring.watch = self.endpoint.watch();
        undrained
    }

    /// Elements that there is room for, as far as the sink knows without a look.
    pub(crate) fn known_room(&self) -> u64 {
        self.ring.free()
    }

    /// Elements that it takes beyond the demand.
    pub(crate) fn buffer(&self) -> u64 {
        self.endpoint.buffer()
    }

    /// Whether every one of several consumers gets what is put.
    pub(crate) fn is_broadcast(&self) -> bool {
        self.endpoint.has_crowd()
    }
}
