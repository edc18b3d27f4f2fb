//! The streams that are measured, in one process and between processes.

use std::path::Path;
use std::time::Duration;

use millstream::{ChannelBuilder, Payload, PublishBuilder, SubscribeBuilder, Travel, WaitStrategy};

/// The one name in a bench's runtime directory, but for round trips.
pub(crate) const NAME: &str = "bench";

/// The longest that the second process may take to begin.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What peeking and frames of another process refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// A copy.
    Copied,
    /// The shared memory itself.
    InPlace,
}

/// A stream that holds `capacity` elements, half of them asked for ahead; both ends spin.
pub(crate) fn channel<P: Payload + ?Sized>(capacity: usize, consumer: WaitStrategy) -> ChannelBuilder<P> {
    millstream::channel::<P>()
        .buffer_size(capacity / 2)
        .initial_demand(capacity as u64 / 2)
        .idle_timeout(None)
        .sink_wait(WaitStrategy::BusySpin)
        .source_wait(consumer)
}

/// The producer's end of the same stream, between processes.
pub(crate) fn publish<P: Travel + ?Sized>(dir: &Path, name: &str, capacity: usize) -> PublishBuilder<P> {
    millstream::publish::<P>(name)
        .directory(dir)
        .buffer_size(capacity / 2)
        .max_demand(capacity as u64 / 2)
        .sink_wait(WaitStrategy::BusySpin)
        .prefault()
}

/// The consumer's end of the same stream, between processes.
pub(crate) fn subscribe<P: Travel + ?Sized>(
    dir: &Path,
    name: &str,
    capacity: usize,
    consumer: WaitStrategy,
    trust: Trust,
) -> SubscribeBuilder<P> {
    let builder = millstream::subscribe::<P>(name)
        .directory(dir)
        .wait_for(PATIENCE)
        .initial_demand(capacity as u64 / 2)
        .idle_timeout(None)
        .source_wait(consumer);
    match trust {
        Trust::Copied => builder,
        // SAFETY: the producer is this very program, which writes through its sink alone.
        Trust::InPlace => unsafe { builder.trust_producer() },
    }
}
