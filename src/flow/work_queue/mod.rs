//! `work_queue`: many workers compete for the elements of one sink, and each element goes to one of them.
//!
//! Each worker has a lane of its own, a stream without a buffer. The sink deals an element to a worker that has asked for one,
//! and takes back what a worker leaves when it goes.

#![forbid(unsafe_code)]

mod builder;
mod deals;
mod desk;
mod queue;
mod sink;

pub use builder::{WorkQueueBuilder, work_queue};
pub use queue::WorkQueue;
pub use sink::{NotALane, WorkSink};
