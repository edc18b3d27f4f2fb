//! The ring: stamped blocks, credit, frames.

pub(crate) mod block;
#[cfg(not(millstream_loom))]
pub(crate) mod checksum;
mod consumer;
mod credit;
mod expected;
#[cfg(not(millstream_loom))]
pub(crate) mod frame;
mod heap;
mod history;
#[cfg(not(millstream_loom))]
pub(crate) mod lane;
mod lobby;
pub(crate) mod notice;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub(crate) mod packing;
pub(crate) mod page;
#[cfg(not(millstream_loom))]
pub(crate) mod parcel;
mod producer;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub(crate) mod recovery;
pub(crate) mod shape;
mod straggler;
mod telescope;

pub(crate) use consumer::{Consumer, Filled, Run};
pub use credit::Corruption;
pub(crate) use credit::Ledger;
pub(crate) use expected::Expected;
#[cfg(not(millstream_loom))]
pub(crate) use frame::{FrameArea, FrameConsumer, FrameProducer};
#[cfg(not(millstream_loom))]
pub(crate) use heap::HeapFrames;
pub(crate) use heap::{HeapLines, HeapRing, cursors, stamp_all};
pub(crate) use history::History;
pub(crate) use lobby::{Entry, Lobby, News, NotHeld, Refused};
pub use lobby::{JoinPosition, OnNoConsumer};
pub(crate) use producer::{Order, Producer, Walk, Watch};
pub(crate) use straggler::{Sight, Straggler};
pub(crate) use telescope::{Spot, Telescope};
