//! How an endpoint waits: strategies, doorbells, and the fence that lets the other side not pay for it.

mod doorbell;
mod fence;
mod selector;
mod strategy;
#[cfg(not(millstream_loom))]
mod wait_set;

#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub(crate) use doorbell::remote::Remote;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub(crate) use doorbell::rings::{Rings, ring_within};
pub(crate) use doorbell::{Doorbell, Ringer};
pub use fence::Fence;
pub(crate) use selector::{Bells, Ring, Selector};
pub use strategy::WaitStrategy;
pub(crate) use strategy::{LOOKS_OF_A_PAUSE, Turn, Turns};
#[cfg(not(millstream_loom))]
pub(crate) use wait_set::WaitSet;
