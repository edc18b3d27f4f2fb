//! Credit: what a consumer lets the producer do, as the producer checks it.

use std::fmt;

use crate::primitive::atomic::Ordering;

use super::page::{CreditLine, WordLine};

/// A word that a peer wrote and that cannot be right.
///
/// The stream ends with it: what a peer may have damaged is not used further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Corruption {
    /// Which word: `granted`, `stamp`, `end position`, ...
    pub word: &'static str,
    /// What it reads.
    pub value: u64,
    /// The lowest value that would have been right.
    pub lowest: u64,
    /// The highest value that would have been right.
    pub highest: u64,
}

impl Corruption {
    pub(crate) fn new(word: &'static str, value: u64, lowest: u64, highest: u64) -> Self {
        Self {
            word,
            value,
            lowest,
            highest,
        }
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the peer's word `{}` reads {}, outside {}..={}; restart the peer, and look for a writer of foreign memory in it",
            self.word, self.value, self.lowest, self.highest
        )
    }
}

/// One subscription as the producer sees it: the consumer's words, and the last values that were right.
#[derive(Debug)]
pub(crate) struct Ledger {
    line: *const CreditLine,
    control: *const WordLine,
    /// Largest demand that the consumer may have open.
    window: u64,
    /// Position of the first element that the consumer gets.
    start: u64,
    granted: u64,
    released: u64,
    released_bytes: u64,
}

// SAFETY: the lines outlive the ledger (`Ledger::new`) and are only accessed atomically.
unsafe impl Send for Ledger {}

impl Ledger {
    /// # Safety
    /// Both lines outlive the ledger.
    pub(crate) unsafe fn new(
        line: *const CreditLine,
        control: *const WordLine,
        window: u64,
        start: u64,
        start_byte: u64,
    ) -> Self {
        Self {
            line,
            control,
            window,
            start,
            granted: start,
            released: start,
            released_bytes: start_byte,
        }
    }

    fn line(&self) -> &CreditLine {
        // SAFETY: the line outlives the ledger.
        unsafe { &*self.line }
    }

    pub(crate) fn control(&self) -> &WordLine {
        // SAFETY: the line outlives the ledger.
        unsafe { &*self.control }
    }

    /// The largest demand that the consumer may have open.
    pub(crate) fn window(&self) -> u64 {
        self.window
    }

    /// The position before which the consumer needed nothing any more, when it was looked at last.
    #[cfg(not(millstream_loom))]
    pub(crate) fn released(&self) -> u64 {
        self.released
    }

    /// Position of the first element that the consumer gets.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// The position up to which the consumer let the producer go when it was looked at last.
    pub(crate) fn granted(&self) -> u64 {
        self.granted
    }

    /// Whether the consumer had taken everything before `pos` when it was looked at last, so that it most likely waits for more: it lets
    /// the producer go as far as it can. So it does at the beginning, too, where that says nothing.
    pub(crate) fn waits_at(&self, pos: u64) -> bool {
        self.granted.wrapping_sub(pos) == self.window && pos != self.start
    }

    /// The position up to which the consumer lets the producer go, for a report: the value is not checked.
    pub(crate) fn peek_granted(&self) -> u64 {
        self.line().granted.load(Ordering::Relaxed)
    }

    /// Reads `granted` again. It only moves forward, and never passes `pos` by more than the window.
    pub(crate) fn refresh_granted(&mut self, pos: u64) -> Result<u64, Corruption> {
        // Pairs with the Release in `ConsumerEndpoint::credit`: the slots before it are free.
        let granted = self.line().granted.load(Ordering::Acquire);
        let highest = pos.wrapping_add(self.window);
        in_order("granted", self.granted, granted, highest)?;
        self.granted = granted;
        Ok(granted)
    }

    /// Reads `released` again: the position before which the consumer needs nothing any more.
    pub(crate) fn refresh_released(&mut self, pos: u64) -> Result<u64, Corruption> {
        // Pairs with the Release in `ConsumerEndpoint::credit`.
        let released = self.line().released.load(Ordering::Acquire);
        in_order("released", self.released, released, pos)?;
        self.released = released;
        Ok(released)
    }

    /// Reads `released_bytes` again, for frames.
    pub(crate) fn refresh_released_bytes(&mut self, byte: u64) -> Result<u64, Corruption> {
        // Pairs with the Release in `ConsumerEndpoint::credit`.
        let released = self.line().released_bytes.load(Ordering::Acquire);
        in_order("released bytes", self.released_bytes, released, byte)?;
        if !released.is_multiple_of(8) {
            return Err(Corruption::new(
                "released bytes",
                released,
                self.released_bytes,
                byte,
            ));
        }
        self.released_bytes = released;
        Ok(released)
    }
}

/// Checks `lowest <= value <= highest` in wrapping arithmetic.
fn in_order(word: &'static str, lowest: u64, value: u64, highest: u64) -> Result<(), Corruption> {
    let span = highest.wrapping_sub(lowest);
    if value.wrapping_sub(lowest) <= span && (span as i64) >= 0 {
        return Ok(());
    }
    Err(Corruption::new(word, value, lowest, highest))
}
