//! Bits of a notice word: what an endpoint's own process tells it, besides its peer.
//!
//! A producer looks at its notice word and its consumer's control word at once, so the two share no bit: a control word
//! ends below these (`parked` in `ring/page.rs`).

#![forbid(unsafe_code)]

/// To the producer: new subscriptions wait to be taken, or some of several have ended.
pub(crate) const ARRIVED: u64 = 1 << 62;
/// Between processes: the peer hung up, and nobody will come in its place.
pub(crate) const GONE: u64 = 1 << 61;
/// Within one process, to the source: there are lanes on the desk.
pub(crate) const LANES: u64 = 1 << 60;
/// Within one process: whoever oversees the stream completed it.
pub(crate) const COMPLETE: u64 = 1 << 59;
/// Within one process: whoever oversees the stream failed it.
pub(crate) const FAIL: u64 = 1 << 58;
/// The stream was cancelled by somebody who does not hold its source.
pub(crate) const CANCEL: u64 = 1 << 57;
/// To a consumer of several: the producer waited for it long enough, and goes on without it.
pub(crate) const EVICTED: u64 = 1 << 56;
