//! Why an actor of the protocol gives no handle.

use crate::actor::ActorPath;
use crate::stream::{ChannelError, CloseReason, LaneError};

/// Why a producer gives no [`SinkRef`](crate::SinkRef): what is in [`AskError::Refused`](crate::AskError::Refused) after
/// [`GetSink`](crate::GetSink), and after a [`Push`](crate::Push) that had no sink.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GetSinkError {
    /// A producer without a buffer has one sink, and that was given.
    #[error(
        "a stream without a buffer (`Buffer::Rendezvous`) has one sink, and that was given out; give the stream a buffer size"
    )]
    Taken,
    /// The stream takes nothing any more.
    #[error("the stream takes nothing any more: {0}")]
    Ended(CloseReason),
    /// There is no memory for another sink's buffer.
    #[error("no memory for another sink's buffer; lower the stream's buffer size")]
    NoMemory,
    /// The stream cannot be made as it was asked for.
    #[error(transparent)]
    Unmade(#[from] ChannelError),
    /// The stream could not be published.
    #[error("the stream is not published: {0}")]
    Unpublished(String),
}

impl From<LaneError> for GetSinkError {
    fn from(error: LaneError) -> Self {
        match error {
            LaneError::Rendezvous => Self::Taken,
            LaneError::Ended(reason) => Self::Ended(reason),
            LaneError::NoMemory => Self::NoMemory,
        }
    }
}

/// Why a consumer gives no [`SourceRef`](crate::SourceRef): what is in [`AskError::Refused`](crate::AskError::Refused) after
/// [`GetSource`](crate::GetSource).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GetSourceError {
    /// It was given already. A stream has one reader.
    #[error("the source was given out before; a stream has one reader")]
    Taken,
    /// The producer has another consumer.
    #[error("the producer has a consumer already: {by}")]
    AlreadySubscribed {
        /// Which.
        by: String,
    },
    /// The consumer asks for more at a time than the producer has room for.
    #[error(
        "a demand of {asked} was asked for, where the producer allows {most}; lower initial_demand, or raise the producer's max_demand"
    )]
    DemandTooLarge {
        /// Elements asked for.
        asked: u64,
        /// The most.
        most: u64,
    },
    /// Nothing would ever flow.
    #[error(
        "an initial demand of 0 lets nothing flow; ask for at least 1, or by hand with `manual_demand()`"
    )]
    ZeroDemand,
    /// The stream cannot be made as it was asked for.
    #[error(transparent)]
    Unmade(#[from] ChannelError),
    /// The producer has stopped.
    #[error("the producer {path} has stopped")]
    ProducerStopped {
        /// Which.
        path: ActorPath,
    },
    /// The producer refuses, and says why.
    #[error("the producer refuses: {0}")]
    Refused(String),
    /// The published stream cannot be subscribed to.
    #[error("{0}")]
    Unsubscribed(String),
}
