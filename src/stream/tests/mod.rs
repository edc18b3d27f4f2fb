//! What the handles do for the rest of the crate.

mod arming;
mod hooks;
