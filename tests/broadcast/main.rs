//! One producer and many consumers within one process.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_types,
    reason = "the crate's own atomics are for what loom looks at"
)]

mod joining;
mod lossy;
mod model;
mod pacing;
mod storms;
mod support;
