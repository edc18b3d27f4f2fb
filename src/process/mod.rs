//! Streams between processes: names, the handshake, and the news that a peer is gone.
//!
//! A published stream is a name in the [runtime directory](directory): a [lock file](claim) and a
//! listening [socket]. A consumer [calls](call), both sides [tell](wire) what they are, and the producer
//! passes the descriptors of the memory. From then on nothing goes over the connection: that it
//! hangs up is the news that the peer has closed or died. One [background thread](service) in each process
//! [listens](host) and [hears](watch) the hang-ups; endpoints learn of them by a [word](notice).
//!
//! ```text
//! Publication ──┐ commands                                    commands ┌── Subscription
//!               ▼                                                      ▼
//!            Reactor ─ Host (Offer, Seats) ◄── connection ──► Watch ── Reactor
//!               │                                                      │
//!    Notice ◄───┘ ARRIVED, GONE                                  GONE  └───► Notice
//! ```

mod call;
mod claim;
mod commit;
mod directory;
mod durable;
mod error;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod geometry;
mod host;
mod name;
mod notice;
mod observer;
mod offer;
mod publication;
mod reactor;
mod seat;
mod seats;
mod service;
mod socket;
mod subscribe_error;
mod subscription;
mod watch;
mod wire;

#[cfg(test)]
mod tests;

pub(crate) use commit::{Commit, store as commit};
pub(crate) use durable::{Cursor, DurableFiles, Hold, PositionFile, SyncPoint, sum as durable_sum};
pub use durable::{
    DurableError, DurableReport, Recovery, SyncError, Synced, SyncedReport, verify, verify_synced,
};
pub use error::{DirectoryError, ListError, PublishError, SystemError};
pub use name::InvalidName;
pub(crate) use name::check as check_name;
pub(crate) use notice::{ARRIVED, GONE};
pub(crate) use observer::{Observation, list, observe};
pub(crate) use publication::{Arrival, Assembly, Publication, PublicationSettings};
pub use subscribe_error::{ObserveError, SubscribeError};
pub(crate) use subscription::{HangUp, Subscription, SubscriptionSettings};
pub(crate) use wire::{Join, Kind};
