//! How a consumer leaves: by an end, or for a successor to go on.

#![forbid(unsafe_code)]

use super::consumer::ConsumerEndpoint;
use crate::primitive::atomic::Ordering;
use crate::ring::page::{WORD_CLOSED, WORD_ON_RINGS, WORD_PARKED};
use crate::stream::end::End;
use crate::wait::Fence;

impl ConsumerEndpoint {
    /// What a resumable consumer leaves when its source is dropped: the stream goes on without it.
    #[cold]
    #[inline(never)]
    pub(crate) fn depart(&mut self, pos: u64) {
        if self.ended.is_none() && !self.is_inherited() {
            // The element that a panic interrupted is the successor's to do again.
            self.leave(
                pos,
                if std::thread::panicking() {
                    self.demand.lag
                } else {
                    0
                },
            );
        }
    }

    /// Ends the stream at `pos` from this side: nothing is taken any more.
    pub(crate) fn close(&mut self, end: End, pos: u64) {
        if self.shut(end, pos) {
            self.announce();
            // The page is another's from here on.
            self.hold = None;
        }
    }

    /// As [`close`](Self::close), but wakes nobody. False when the stream had ended, or is not this process's to end.
    pub(crate) fn shut(&mut self, end: End, pos: u64) -> bool {
        if self.ended.is_some() {
            return false;
        }
        self.ended = Some(end);
        if self.is_inherited() {
            return false;
        }
        // Where what was not released is done again, the element that a panic interrupted is.
        let lag = if self.demand.lag != 0 && std::thread::panicking() {
            self.demand.lag
        } else {
            0
        };
        self.leave(pos, lag);
        // Last, so that the producer that sees it sees `released` and owns what lies behind it. Pairs with the
        // Acquire in `ProducerEndpoint::look`.
        self.control().word.store(WORD_CLOSED, Ordering::Release);
        self.ask_attention();
        // After `released`, from which on nobody was there if this was the last.
        self.seat = None;
        true
    }

    /// Wakes a producer that waits for room there will not be.
    pub(crate) fn announce(&self) {
        Fence::Full.light();
        let waiting = self.waiting().word.load(Ordering::Relaxed);
        if waiting & WORD_PARKED != 0 {
            self.bell.ring(waiting & WORD_ON_RINGS != 0);
        }
    }

    /// Tells how far everything is released.
    fn leave(&mut self, pos: u64, lag: u64) {
        let released = self.releasable(pos, lag);
        self.released = released;
        let line = self.credit_line();
        line.released.store(released, Ordering::Release);
        line.released_bytes.store(self.bytes, Ordering::Release);
    }
}
