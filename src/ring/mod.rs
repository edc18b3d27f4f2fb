//! Stamped lines, credit, frames.
pub(crate) mod page;
