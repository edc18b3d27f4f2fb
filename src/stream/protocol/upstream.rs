//! What a consumer can be given as its producer.

use std::fmt;

use super::messages::StreamProducerMsg;
#[cfg(target_os = "linux")]
use super::remote::PublishedStream;
use crate::actor::{ActorRef, Recipient};

/// The producer of a consumer: an actor of this process, or a stream that another process publishes.
pub struct Upstream<T>(pub(super) Kind<T>);

pub(super) enum Kind<T> {
    Actor(Recipient<StreamProducerMsg<T>>),
    #[cfg(target_os = "linux")]
    Published(PublishedStream<T>),
}

impl<T> Clone for Kind<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Actor(actor) => Self::Actor(actor.clone()),
            #[cfg(target_os = "linux")]
            Self::Published(stream) => Self::Published(stream.clone()),
        }
    }
}

impl<T, M> From<&ActorRef<M>> for Upstream<T>
where
    T: Send + 'static,
    M: Send + 'static + From<StreamProducerMsg<T>>,
{
    fn from(producer: &ActorRef<M>) -> Self {
        Self(Kind::Actor(producer.recipient()))
    }
}

impl<T, M> From<ActorRef<M>> for Upstream<T>
where
    T: Send + 'static,
    M: Send + 'static + From<StreamProducerMsg<T>>,
{
    fn from(producer: ActorRef<M>) -> Self {
        Self::from(&producer)
    }
}

impl<T> From<Recipient<StreamProducerMsg<T>>> for Upstream<T> {
    fn from(producer: Recipient<StreamProducerMsg<T>>) -> Self {
        Self(Kind::Actor(producer))
    }
}

#[cfg(target_os = "linux")]
impl<T> From<PublishedStream<T>> for Upstream<T> {
    fn from(stream: PublishedStream<T>) -> Self {
        Self(Kind::Published(stream))
    }
}

#[cfg(target_os = "linux")]
impl<T> From<&PublishedStream<T>> for Upstream<T> {
    fn from(stream: &PublishedStream<T>) -> Self {
        Self(Kind::Published(stream.clone()))
    }
}

impl<T: 'static> fmt::Debug for Upstream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Actor(actor) => actor.fmt(f),
            #[cfg(target_os = "linux")]
            Kind::Published(stream) => stream.fmt(f),
        }
    }
}
