//! Operators over streams: what stands between several sources and sinks, on their handles alone.

mod work_queue;

pub use work_queue::{NotALane, WorkQueue, WorkQueueBuilder, WorkSink, work_queue};
