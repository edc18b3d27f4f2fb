//! The protocol of a stream, row by row of the features that it takes over from casty (C1 to C50), as far as one
//! process shows it; and what its elements may be.
//!
//! The bodies are generic over how the pair is made: see `support::Setting`.
#![forbid(unsafe_code)]

mod batches;
mod bundles;
mod close;
mod credit;
mod distance;
mod drops;
mod elements;
mod ends;
mod flow;
mod idle;
mod support;
mod taken_at_once;
mod unbounded;
