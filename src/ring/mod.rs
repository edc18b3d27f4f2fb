//! The ring: stamped blocks, credit, frames.

pub(crate) mod block;
mod consumer;
mod credit;
mod heap;
pub(crate) mod page;
mod producer;

pub(crate) use consumer::Consumer;
pub use credit::Corruption;
pub(crate) use credit::Ledger;
pub(crate) use heap::{HeapRing, stamp_all};
pub(crate) use producer::{Producer, Walk, Watch};
