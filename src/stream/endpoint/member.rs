//! One of several consumers, as their producer knows it, and how it is reached.

use std::time::{Duration, Instant};

use super::Keep;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::ring::Ledger;
use crate::ring::page::WORD_CLOSED;
use crate::wait::Ringer;

/// One consumer.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: u64,
    pub(crate) ledger: Ledger,
    /// Whether the producer waits for it.
    pub(crate) gates: bool,
    /// How long the producer waits for it at a time.
    pub(crate) evict_after: Option<Duration>,
    pub(crate) call: Call,
    /// Since when the producer has been held up by it.
    pub(crate) stuck: Option<Instant>,
    /// Its control word for which it was rung last.
    pub(crate) rung: u64,
    /// Keeps the ledger's lines, and the notice of the call.
    pub(crate) _keep: Keep,
}

impl Member {
    pub(super) fn has_closed(&self) -> bool {
        // Acquire pairs with the Release in `ConsumerEndpoint::shut`.
        self.ledger.control().word.load(Ordering::Acquire) & WORD_CLOSED != 0
    }
}

/// How a consumer is reached.
#[derive(Debug)]
pub(crate) enum Call {
    /// In this process: its bell, and its notice.
    Local(Ringer, *const AtomicU64),
    /// By the producer's own doorbell, which knows it by its number.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    Remote,
}

// SAFETY: the notice is kept by the member that the call belongs to, and only accessed atomically.
unsafe impl Send for Call {}
