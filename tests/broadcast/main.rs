//! One producer and many consumers within one process.
#![forbid(unsafe_code)]

mod joining;
mod lossy;
mod model;
mod pacing;
mod storms;
mod support;
