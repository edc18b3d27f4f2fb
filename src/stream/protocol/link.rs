//! What a producer and a consumer of this crate hand each other instead of elements.

#[cfg(target_os = "linux")]
use super::remote::PublishedStream;
use crate::stream::{Canceller, Conduit, SourceRef};

/// How a consumer gets the elements of a producer.
pub(crate) enum Linked<T> {
    /// By the ring that both use.
    Stream(Box<Reached<T>>),
    /// By the name under which the producer publishes them.
    #[cfg(target_os = "linux")]
    Named(PublishedStream<T>),
}

/// A stream that a consumer has reached: its source, and how to end it when the source is in the hands of somebody else.
pub(crate) struct Reached<T> {
    pub(super) source: SourceRef<T>,
    pub(super) overseer: Overseer<T>,
}

/// By which a consumer ends the stream of a source that it gave out.
pub(crate) enum Overseer<T> {
    /// A stream within this process.
    Conduit(Conduit<T>),
    /// A subscription to a published stream.
    Subscription(Option<Canceller>),
}

impl<T: Send + 'static> Overseer<T> {
    pub(super) fn cancel(&self) {
        match self {
            Self::Conduit(conduit) => conduit.cancel(),
            Self::Subscription(Some(canceller)) => canceller.cancel(),
            Self::Subscription(None) => {}
        }
    }
}
