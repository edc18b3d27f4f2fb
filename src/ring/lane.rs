//! A ring by itself, between two threads of a process: no demand, no end, nobody who waits.

use std::fmt;

use super::heap::HeapRing;
use super::producer::Watch;
use super::shape::Fixed;
use super::{Consumer, Producer};
use crate::primitive::Arc;
use crate::primitive::atomic::Ordering;

/// How often the receiver says what it has taken: so many times in a round.
const GIVEN_A_ROUND: u64 = 8;

/// A lane for `capacity` values. `None` when there is no memory for it.
pub(crate) fn lane<T: Send>(capacity: usize) -> Option<(LaneSender<T>, LaneReceiver<T>)> {
    let (ring, place) = HeapRing::new(capacity, 0)?;
    let ring = Arc::new(ring);
    ring.lines
        .credit
        .granted
        .store(capacity as u64, Ordering::Relaxed);
    let lines = &ring.lines;
    // SAFETY: the words belong to the ring, which the sender keeps.
    let watch = unsafe { Watch::new(&raw const lines.notice, &raw const lines.control.word, 0) };
    // SAFETY: the first place of the ring, of which this is the one producer, and which the sender keeps.
    let producer = unsafe { Producer::new(Fixed::new(), place.clone(), 0, watch) };
    // SAFETY: as above; the one consumer, and the receiver keeps the ring.
    let mut consumer = unsafe { Consumer::new(Fixed::new(), place, 0) };
    // Nothing is ever due besides.
    consumer.set_mark(u64::MAX / 2);
    let sender = LaneSender {
        cursor: producer,
        ring: ring.clone(),
    };
    let receiver = LaneReceiver {
        cursor: consumer,
        ring,
        capacity: capacity as u64,
        given: 0,
    };
    Some((sender, receiver))
}

/// The end that puts values in.
pub(crate) struct LaneSender<T> {
    cursor: Producer<Fixed<T>>,
    ring: Arc<HeapRing<T>>,
}

impl<T: Send> LaneSender<T> {
    /// Whether there is room for another value.
    #[inline]
    pub(crate) fn has_room(&mut self) -> bool {
        if self.cursor.is_full() {
            // Pairs with the Release in `LaneReceiver::pop`: the places before it are free.
            let granted = self.ring.lines.credit.granted.load(Ordering::Acquire);
            if granted == self.cursor.pos() {
                return false;
            }
            self.cursor.set_limit(granted);
        }
        true
    }

    /// Puts a value in, or gives it back when there is no room.
    #[inline]
    pub(crate) fn push(&mut self, value: T) -> Result<(), T> {
        if self.cursor.at_stop() {
            if !self.has_room() {
                return Err(value);
            }
            self.cursor.pass();
        }
        // SAFETY: not at a stop any more, and a whole value is written.
        unsafe { self.cursor.put(|at| at.cast::<T>().write(value)) };
        Ok(())
    }
}

/// The end that takes values out.
pub(crate) struct LaneReceiver<T> {
    cursor: Consumer<Fixed<T>>,
    ring: Arc<HeapRing<T>>,
    capacity: u64,
    /// The position up to which the sender knows that values were taken.
    given: u64,
}

impl<T: Send> LaneReceiver<T> {
    /// Whether nothing is there.
    #[inline]
    pub(crate) fn is_empty(&mut self) -> bool {
        !self.cursor.ready()
    }

    /// The next value, if it is there.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        if !self.cursor.ready() {
            return None;
        }
        // SAFETY: it is there, and is moved out: the cursor moves past it.
        let value = unsafe { self.cursor.take(|at| at.cast::<T>().read()) };
        let taken = self.cursor.pos();
        if taken.wrapping_sub(self.given) >= self.capacity.div_ceil(GIVEN_A_ROUND) {
            self.given = taken;
            // Pairs with the Acquire in `LaneSender::has_room`.
            let granted = taken.wrapping_add(self.capacity);
            self.ring.lines.credit.granted.store(granted, Ordering::Release);
        }
        Some(value)
    }
}

impl<T> Drop for LaneSender<T> {
    fn drop(&mut self) {
        // For the ring, which drops what lies between this and what was taken when both ends are gone.
        let end = &self.ring.lines.end.position;
        end.store(self.cursor.pos(), Ordering::Relaxed);
    }
}

impl<T> Drop for LaneReceiver<T> {
    fn drop(&mut self) {
        let released = &self.ring.lines.credit.released;
        released.store(self.cursor.pos(), Ordering::Relaxed);
    }
}

impl<T> fmt::Debug for LaneSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneSender")
            .field("put", &self.cursor.pos())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for LaneReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneReceiver")
            .field("taken", &self.cursor.pos())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_in_order_and_no_more_than_fit() {
        for capacity in [1, 3, 8, 1000] {
            let (mut sender, mut receiver) = lane::<u16>(capacity).unwrap();
            let (mut put, mut taken) = (0, 0);
            for round in 0..50 {
                while sender.push(put).is_ok() {
                    put += 1;
                }
                let step = capacity.div_ceil(GIVEN_A_ROUND as usize) as u16;
                let there = put - taken;
                assert!(there <= capacity as u16 && there + step > capacity as u16);
                for _ in 0..there.min(1 + round % 7) {
                    assert_eq!(receiver.pop(), Some(taken));
                    taken += 1;
                }
            }
        }
    }

    #[test]
    fn between_threads() {
        let (mut sender, mut receiver) = lane::<[u64; 7]>(16).unwrap();
        let thread = std::thread::spawn(move || {
            for number in 0..20_000 {
                while sender.push([number; 7]).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        for number in 0..20_000 {
            let value = loop {
                match receiver.pop() {
                    Some(value) => break value,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(value, [number; 7]);
        }
        assert!(receiver.is_empty());
        thread.join().unwrap();
    }

    #[test]
    fn what_was_not_taken_is_dropped_once() {
        let counted = Arc::new(());
        for sender_first in [true, false] {
            let (mut sender, mut receiver) = lane(8).unwrap();
            for _ in 0..6 {
                assert!(sender.push(counted.clone()).is_ok());
            }
            drop(receiver.pop());
            assert_eq!(Arc::strong_count(&counted), 6);
            if sender_first {
                drop(sender);
                drop(receiver);
            } else {
                drop(receiver);
                assert!(sender.push(counted.clone()).is_ok());
                drop(sender);
            }
            assert_eq!(Arc::strong_count(&counted), 1);
        }
    }
}
