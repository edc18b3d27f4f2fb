//! Operators over the handles of streams: what stands between several sources and sinks.

mod arbitrate;
mod conflate;
mod gathering;
mod inputs;
mod merge;
mod tee;
mod work_queue;

pub use arbitrate::{ArbitrateBuilder, Arbitrated, Feed, LineCounts, arbitrate};
pub use conflate::{ConflateBuilder, ConflateError, Conflated, Latest, conflate};
pub use merge::{EndPolicy, Indexed, Merge, MergeBuilder, merge};
pub use tee::{Branch, Lossy, TeeBuilder, TeeError, tee};
pub use work_queue::{NotALane, WorkQueue, WorkQueueBuilder, WorkSink, work_queue};
