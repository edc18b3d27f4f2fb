//! A consumer as one of several: how it asks for attention, how it learns that the producer goes on without it, and its place.

use super::Keep;
use super::consumer::ConsumerEndpoint;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::ring::notice::EVICTED;

/// The word by which a consumer of several asks its producer for attention, and its bit in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attention {
    pub(crate) word: *const AtomicU64,
    pub(crate) bit: u64,
}

impl ConsumerEndpoint {
    /// Whether the producer has gone on without this consumer.
    pub(crate) fn is_evicted(&self) -> bool {
        // Between processes the word is faster than the notice.
        self.notice().load(Ordering::Acquire) & EVICTED != 0
            || self.eviction.is_some_and(|(word, mark)| {
                // SAFETY: kept alive by `_keep`.
                unsafe { &*word }.load(Ordering::Acquire) == mark
            })
    }

    /// Says where the producer tells that it goes on without this consumer, and by which value.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn set_eviction(&mut self, word: *const AtomicU64, mark: u64) {
        self.eviction = Some((word, mark));
    }

    /// Makes this one of several consumers of its producer.
    pub(crate) fn set_attention(&mut self, attention: Attention) {
        self.attention = Some(attention);
    }

    /// Has this one of several give up its place, by dropping what keeps it, when it takes nothing any more.
    pub(crate) fn set_seat(&mut self, seat: Keep) {
        self.seat = Some(seat);
    }

    /// Has the producer of several consumers look at this one's control word, which was stored before.
    pub(super) fn ask_attention(&self) {
        if let Some(Attention { word, bit }) = self.attention {
            // SAFETY: kept alive by `_keep`. Release pairs with the Acquire in `ProducerEndpoint::attend_crowd`.
            unsafe { &*word }.fetch_or(bit, Ordering::Release);
        }
    }
}
