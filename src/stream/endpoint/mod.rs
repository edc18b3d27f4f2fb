//! What typed and byte handles share: the cold side of a producer and of a consumer.
//!
//! A handle keeps its cursors (`ring`) beside a boxed endpoint. Whatever happens off the hot path (no room, a
//! word that changed, a wait, an end) is a call to the endpoint, which gets positions by value and gives
//! limits by value: the cursors' addresses never leave the handle, so they stay in registers.

mod audience;
mod completion;
mod consumer;
mod crowd;
mod demand;
mod departure;
mod guidance;
mod member;
mod membership;
mod oversight;
mod parking;
mod patience;
mod producer;
mod room;

use std::any::Any;
use std::time::Instant;

pub(crate) use audience::Audience;
pub(crate) use consumer::{ConsumerEndpoint, ConsumerLines, ConsumerSettings, Vacancy, Waited};
pub(crate) use crowd::{Crowd, CrowdWords, Entrance};
pub(crate) use demand::Demand;
pub(crate) use member::{Call, Member};
pub(crate) use membership::Attention;
pub(crate) use oversight::Oversight;
pub(crate) use patience::{Lookout, Patience};
pub(crate) use producer::{Fate, ProducerEndpoint, ProducerLines, ProducerSettings};
pub(crate) use room::Granted;

use crate::ring::History;

/// What keeps an endpoint's memory alive. Dropped last.
pub(crate) type Keep = Box<dyn Any + Send>;

/// What a consumer of several is given that looks at what it copied: what the ring holds, where to start, and its endpoint,
/// which keeps both.
pub(crate) type Joined<S> = (History<S>, u64, Box<ConsumerEndpoint>);

/// The earlier of two moments that may be missing.
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
