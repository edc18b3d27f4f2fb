//! `conflate`: a consumer that may be slow gets the latest element of each key, and is told how many older ones that replaced.
//!
//! A thread takes from the source as fast as elements come, into a table; the consumer takes from the table.

#![forbid(unsafe_code)]

mod builder;
mod conflated;
mod intake;
mod table;

pub use builder::{ConflateBuilder, ConflateError, conflate};
pub use conflated::{Conflated, Latest};
