//! `tee`: several branches of one source, of which each gets every element.
//!
//! There is no thread. A branch that finds nothing pumps the source, one at a time, and gives a clone to each of the others.

#![forbid(unsafe_code)]

mod branch;
mod builder;
mod flight;
mod trunk;

pub use branch::Branch;
pub use builder::{Lossy, TeeBuilder, TeeError, tee};
