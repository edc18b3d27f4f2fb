//! Operators over the handles of several streams.

mod arbitrate;
mod gathering;
mod inputs;
mod merge;

pub use arbitrate::{ArbitrateBuilder, Arbitrated, Feed, LineCounts, arbitrate};
pub use merge::{EndPolicy, Indexed, Merge, MergeBuilder, merge};
