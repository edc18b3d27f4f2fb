//! What the handles do for the rest of the crate.

mod arming;
#[cfg(target_os = "linux")]
mod cancelling;
mod headway;
mod hooks;
#[cfg(target_os = "linux")]
mod revisions;
mod trial;
