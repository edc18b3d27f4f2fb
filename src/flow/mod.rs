//! Operators over the handles of streams: what stands between several sources and sinks.

#[cfg(not(millstream_loom))]
mod arbitrate;
#[cfg(not(millstream_loom))]
mod conflate;
#[cfg(not(millstream_loom))]
mod gathering;
#[cfg(not(millstream_loom))]
mod inputs;
#[cfg(not(millstream_loom))]
mod merge;
mod tee;
#[cfg(not(millstream_loom))]
mod work_queue;

#[cfg(not(millstream_loom))]
pub use arbitrate::{ArbitrateBuilder, Arbitrated, Feed, LineCounts, arbitrate};
#[cfg(not(millstream_loom))]
pub use conflate::{ConflateBuilder, ConflateError, Conflated, Latest, conflate};
#[cfg(not(millstream_loom))]
pub use merge::{EndPolicy, Indexed, Merge, MergeBuilder, merge};
pub use tee::{Branch, Lossy, TeeBuilder, TeeError, tee};
#[cfg(not(millstream_loom))]
pub use work_queue::{NotALane, WorkQueue, WorkQueueBuilder, WorkSink, work_queue};
