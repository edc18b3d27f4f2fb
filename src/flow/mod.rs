//! Operators over the handles of several streams.

mod gathering;
mod inputs;
mod merge;

pub use merge::{EndPolicy, Indexed, Merge, MergeBuilder, merge};
