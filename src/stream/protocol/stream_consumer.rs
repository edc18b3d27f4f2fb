//! `stream_consumer`: how a consumer is to be.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::consumer::{Consumer, Kept};
use super::messages::StreamConsumerMsg;
use super::upstream::Upstream;
use crate::actor::Props;
use crate::stream::settings::SourceSettings;
use crate::wait::WaitStrategy;

/// A consumer: an actor that subscribes to `producer` when it starts, demands nothing until it is asked for its
/// [`SourceRef`](crate::SourceRef), and cancels when it stops.
///
/// Spawn what this returns. `producer` is the reference of a [`stream_producer`](crate::stream_producer), of an actor of the
/// user's own that speaks the protocol, or a [`PublishedStream`](crate::PublishedStream). For the parameters see the methods;
/// [`stream_producer`](crate::stream_producer) shows both at work.
///
/// ```
/// use millstream::{ActorSystem, stream_consumer, stream_producer};
/// let system = ActorSystem::builder("prices").build()?;
/// let producer = system.spawn("producer", stream_producer::<f64>())?;
/// system.spawn("consumer", stream_consumer(&producer).initial_demand(2))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn stream_consumer<T: Send + 'static>(producer: impl Into<Upstream<T>>) -> StreamConsumer<T> {
    StreamConsumer {
        upstream: producer.into(),
        settings: SourceSettings::default(),
        kept: Arc::default(),
    }
}

/// How a consumer is to be: see [`stream_consumer`].
#[must_use]
pub struct StreamConsumer<T> {
    upstream: Upstream<T>,
    settings: SourceSettings,
    /// What an instance that is restarted leaves to the next: the stream goes on.
    kept: Kept<T>,
}

impl<T: Send + 'static> StreamConsumer<T> {
    /// The window: elements asked for and not taken. 16 without this. Taking replenishes it.
    ///
    /// ```
    /// # use millstream::{ActorSystem, stream_consumer, stream_producer};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// # let producer = system.spawn("producer", stream_producer::<f64>())?;
    /// system.spawn("consumer", stream_consumer(&producer).initial_demand(64))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn initial_demand(mut self, elements: u64) -> Self {
        self.settings.window = elements;
        self
    }

    /// The source asks by hand, with [`SourceRef::request`](crate::SourceRef::request). `initial_demand` is then the most that
    /// is open at a time; at first nothing is, and a `next` without demand waits as for a producer that says nothing, up to the
    /// timeout.
    ///
    /// ```
    /// # use millstream::{ActorSystem, stream_consumer, stream_producer};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// # let producer = system.spawn("producer", stream_producer::<f64>())?;
    /// system.spawn("consumer", stream_consumer(&producer).manual_demand())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn manual_demand(mut self) -> Self {
        self.settings.manual = true;
        self
    }

    /// Replenishes the demand with every element taken, rather than about every half or quarter of the window.
    ///
    /// ```
    /// # use millstream::{ActorSystem, stream_consumer, stream_producer};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// # let producer = system.spawn("producer", stream_producer::<f64>())?;
    /// system.spawn("consumer", stream_consumer(&producer).replenish_each())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replenish_each(mut self) -> Self {
        self.settings.eager = true;
        self
    }

    /// How long the source waits for an element before it ends the stream: 30 seconds without this; `None` waits for ever.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use millstream::{ActorSystem, stream_consumer, stream_producer};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// # let producer = system.spawn("producer", stream_producer::<f64>())?;
    /// system.spawn("consumer", stream_consumer(&producer).timeout(Duration::from_secs(5)))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.idle = timeout.into();
        self
    }

    /// How the source waits for elements.
    ///
    /// ```
    /// # use millstream::{ActorSystem, WaitStrategy, stream_consumer, stream_producer};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// # let producer = system.spawn("producer", stream_producer::<f64>())?;
    /// system.spawn("consumer", stream_consumer(&producer).source_wait(WaitStrategy::BusySpin))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn source_wait(mut self, strategy: WaitStrategy) -> Self {
        self.settings.strategy = strategy;
        self
    }
}

impl<T: 'static> fmt::Debug for StreamConsumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamConsumer")
            .field("upstream", &self.upstream)
            .field("settings", &self.settings)
            .finish()
    }
}

impl<T: Send + 'static> Props for StreamConsumer<T> {
    type Msg = StreamConsumerMsg<T>;
    type Actor = Consumer<T>;

    fn create(&mut self) -> Consumer<T> {
        let standing = self.kept.lock().ok().and_then(|mut kept| kept.take());
        Consumer::new(
            self.upstream.0.clone(),
            self.settings,
            self.kept.clone(),
            standing.unwrap_or_default(),
        )
    }
}
