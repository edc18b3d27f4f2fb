//! The protocol of casty's reactive streams, spoken by actors: who produces, who consumes, and what they tell each other.
//!
//! Actors set a stream up, and end it; its elements go from `SinkRef` to `SourceRef` by a ring and meet no mailbox. Only
//! where one side is an actor of the user's own that speaks the protocol itself do elements travel as messages.

#![forbid(unsafe_code)]

mod consumer;
mod link;
mod messages;
mod outlet;
mod producer;
mod refusal;
#[cfg(target_os = "linux")]
mod remote;
mod stream_consumer;
mod stream_producer;
mod upstream;

pub use messages::{
    CompleteStream, ConsumerState, GetSink, GetSource, GetState, InputReady, ProducerState, Push,
    StreamCancel, StreamCompleted, StreamConsumerMsg, StreamDemand, StreamElement, StreamFailed,
    StreamProducerMsg, StreamSubscribe,
};
pub use refusal::{GetSinkError, GetSourceError};
#[cfg(target_os = "linux")]
pub use remote::{LookupStreamError, PublishedStream};
pub use stream_consumer::{StreamConsumer, stream_consumer};
pub use stream_producer::{StreamProducer, stream_producer};
pub use upstream::Upstream;
