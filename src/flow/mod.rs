//! Operators over streams: what stands between several sources and sinks, on their handles alone.

mod conflate;
mod tee;
mod work_queue;

pub use conflate::{ConflateBuilder, ConflateError, Conflated, Latest, conflate};
pub use tee::{Branch, Lossy, TeeBuilder, TeeError, tee};
pub use work_queue::{NotALane, WorkQueue, WorkQueueBuilder, WorkSink, work_queue};
