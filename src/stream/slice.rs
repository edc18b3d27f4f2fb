//! Elements put as many at a time as there are.

use super::end::CloseReason;
use super::endpoint::Granted;
use super::error::PutSliceError;
use super::sink::SinkRef;
use crate::ring::Order;
use crate::ring::shape::Shape;

/// The most elements that one `put_slice` publishes together: enough that the consumer does not chase the producer line by
/// line, few enough that it starts early.
const SLICE_BATCH: usize = 64;

impl<T> SinkRef<T> {
    /// Puts a whole slice, waiting for room as needed. Elements go in batches. A slice of up to 64 elements,
    /// and half of buffer and window together, is one batch, published at once, if there is room for it when it is put; one that
    /// fills more of a small buffer may be taken while it is written.
    ///
    /// # Errors
    /// When the stream takes nothing any more; the error says how many elements were taken.
    ///
    /// ```
    /// let (mut sink, source) = millstream::channel::<u32>().build()?;
    /// let reader = std::thread::spawn(move || source.collect::<Vec<_>>());
    /// sink.put_slice(&[1, 2, 3])?;
    /// sink.complete()?;
    /// assert_eq!(reader.join().unwrap(), [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn put_slice(&mut self, elements: &[T]) -> Result<(), PutSliceError>
    where
        T: Copy,
    {
        self.put_batches(elements, |sink| match sink.wait_for_room(None) {
            Granted::Closed(reason) => Err(reason),
            Granted::Room | Granted::TimedOut => Ok(true),
        })
        .map(|_| ())
    }

    /// Puts as many elements of the slice as there is room for. Never waits. Returns how many were taken.
    ///
    /// # Errors
    /// When the stream takes nothing any more.
    ///
    /// ```
    /// let (mut sink, _source) = millstream::channel::<u32>().buffer_size(2).initial_demand(2).build()?;
    /// assert_eq!(sink.try_put_slice(&[1, 2, 3, 4, 5])?, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_put_slice(&mut self, elements: &[T]) -> Result<usize, PutSliceError>
    where
        T: Copy,
    {
        self.put_batches(elements, |sink| match sink.make_room() {
            true => Ok(true),
            false => sink.endpoint.closed().map_or(Ok(false), Err),
        })
    }

    /// Puts the elements batch by batch, and has `make_room` make some where there is none: until it says that it cannot, or why
    /// the stream takes nothing any more. Returns how many were taken.
    #[inline(always)]
    fn put_batches(
        &mut self,
        elements: &[T],
        mut make_room: impl FnMut(&mut Self) -> Result<bool, CloseReason>,
    ) -> Result<usize, PutSliceError>
    where
        T: Copy,
    {
        let (batch, order) = self.batch_of(elements.len());
        let mut written = 0;
        while written < elements.len() {
            self.make_room_for(batch.min(elements.len() - written));
            if self.ring.is_full() && !make_room(self).map_err(|reason| PutSliceError { written, reason })? {
                break;
            }
            written += self
                .put_batch(&elements[written..], batch, order)
                .map_err(|(taken, reason)| PutSliceError {
                    written: written + taken,
                    reason,
                })?;
        }
        Ok(written)
    }

    /// Looks for more room where some is known, but less than a batch of `count` elements takes: what there is room for is not to be
    /// split because nobody had looked.
    #[inline(always)]
    fn make_room_for(&mut self, count: usize) {
        if !self.ring.is_full() && self.ring.free() < count as u64 {
            self.make_room();
        }
    }

    /// How many elements of a slice of `len` are put at a time, and how they become visible. One that fills much of the ring is taken
    /// while it is written: line by line where elements share lines with their stamps (at a capacity of 64, 8 bytes went 1.15 times as
    /// fast so), or else in quarters of the ring (256 bytes 1.14 times).
    #[inline]
    fn batch_of(&self, len: usize) -> (usize, Order) {
        let quarter = self.capacity / 4;
        if len <= self.capacity / 2 || quarter >= SLICE_BATCH {
            (SLICE_BATCH, Order::Together)
        } else if self.ring.shape().shares_lines() {
            (SLICE_BATCH, Order::BlockByBlock)
        } else {
            (quarter.max(1), Order::Together)
        }
    }

    /// Publishes as many elements as there is room for, at most `batch`.
    #[inline]
    fn put_batch(&mut self, elements: &[T], batch: usize, order: Order) -> Result<usize, (usize, CloseReason)>
    where
        T: Copy,
    {
        let count = elements
            .len()
            .min(batch)
            .min(usize::try_from(self.ring.free()).unwrap_or(usize::MAX));
        // SAFETY: as many slots are free, and the slice has as many elements, which are `Copy`.
        unsafe { self.ring.put_all(elements.as_ptr().cast(), count, order) };
        self.published(count).inspect_err(|(taken, _)| {
            // The caller has these yet, and there is nothing to drop in what is `Copy`.
            self.ring.retract((count - taken) as u64);
        })
    }
}
