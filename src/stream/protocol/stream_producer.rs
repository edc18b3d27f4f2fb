//! `stream_producer`: how a producer is to be.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::messages::StreamProducerMsg;
use super::outlet::Publishing;
use super::producer::{Kept, Producer};
#[cfg(target_os = "linux")]
use super::remote::PublishedStream;
use crate::actor::Props;
#[cfg(target_os = "linux")]
use crate::element::Element;
use crate::stream::Buffer;
#[cfg(target_os = "linux")]
use crate::stream::{SinkRef, SourceRef, Travel, publish};
use crate::wait::WaitStrategy;

/// What a consumer may ask for at a time where nothing else was said.
const MAX_DEMAND: u64 = 1024;

/// A producer: an actor that gives out [`SinkRef`]s, and keeps what is put into them until a consumer asks for it.
///
/// Spawn what this returns. Its buffer is unbounded, as casty's is, unless a [`buffer_size`](StreamProducer::buffer_size) is
/// given.
///
/// ```
/// use std::time::Duration;
/// use millstream::{ActorSystem, GetSink, GetSource, SinkRef, SourceRef, stream_consumer, stream_producer};
///
/// let system = ActorSystem::builder("prices").build()?;
/// let producer = system.spawn("producer", stream_producer().buffer_size(16))?;
/// let consumer = system.spawn("consumer", stream_consumer(&producer).initial_demand(2))?;
///
/// let deadline = Duration::from_secs(5);
/// let mut sink: SinkRef<f64> = system.ask(&producer, GetSink::new, deadline)?;
/// let source: SourceRef<f64> = system.ask(&consumer, GetSource::new, deadline)?;
/// let reader = std::thread::spawn(move || source.sum::<f64>());
/// for price in [142.5, 143.1, 141.8] {
///     sink.put(price)?;
/// }
/// sink.complete()?;
/// assert_eq!(reader.join().unwrap(), 142.5 + 143.1 + 141.8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn stream_producer<T: Send + 'static>() -> StreamProducer<T> {
    StreamProducer {
        settings: Settings {
            buffer: Buffer::Unbounded,
            max_demand: MAX_DEMAND,
            strategy: WaitStrategy::default(),
            complete_on_drop: false,
            sinks: 1,
            publishing: None,
            directory: None,
        },
        kept: Arc::default(),
    }
}

/// How a producer is to be: see [`stream_producer`].
#[must_use]
pub struct StreamProducer<T> {
    settings: Settings<T>,
    /// What an instance that is restarted leaves to the next: the streams go on.
    kept: Kept<T>,
}

pub(super) struct Settings<T> {
    pub(super) buffer: Buffer,
    pub(super) max_demand: u64,
    pub(super) strategy: WaitStrategy,
    pub(super) complete_on_drop: bool,
    /// Sinks that are given out before the stream can be complete.
    pub(super) sinks: u64,
    pub(super) publishing: Option<Publishing<T>>,
    /// The runtime directory, if it is not the default one.
    pub(super) directory: Option<PathBuf>,
}

impl<T> Clone for Settings<T> {
    fn clone(&self) -> Self {
        Self {
            publishing: self.publishing.clone(),
            directory: self.directory.clone(),
            ..*self
        }
    }
}

impl<T: Send + 'static> StreamProducer<T> {
    /// Elements that wait in each sink's buffer beyond what was asked for, exactly. Without this, or with 0, any number.
    ///
    /// Of several sinks the first is asked. What another one gives in its place the first may still put, and that then waits beside its
    /// buffer until more is asked for.
    ///
    /// ```
    /// use std::time::Duration;
    /// use millstream::{ActorSystem, GetSink, SinkRef, stream_producer};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let producer = system.spawn("prices", stream_producer().buffer_size(2))?;
    /// let mut sink: SinkRef<u32> = system.ask(&producer, GetSink::new, Duration::from_secs(5))?;
    /// sink.try_put(1)?;
    /// sink.try_put(2)?;
    /// assert!(sink.try_put(3).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn buffer_size(mut self, elements: impl Into<Buffer>) -> Self {
        self.settings.buffer = elements.into();
        self
    }

    /// The most that a consumer may ask for at a time, 1,024 without this. Memory for it is set aside with the first sink, so
    /// give less to a producer of large elements.
    ///
    /// ```
    /// use millstream::stream_producer;
    /// let producer = stream_producer::<[u8; 4096]>().max_demand(16);
    /// # drop(producer);
    /// ```
    pub fn max_demand(mut self, elements: u64) -> Self {
        self.settings.max_demand = elements;
        self
    }

    /// How many sinks will be asked for, at least: the stream is not complete before so many have been given out, and all of
    /// them have completed. 1 without this.
    ///
    /// Say it where each of several threads asks for its own: else one that is done before another has asked completes the
    /// stream.
    ///
    /// ```
    /// use std::time::Duration;
    /// use millstream::{ActorSystem, GetSink, GetSource, SinkRef, SourceRef, stream_consumer, stream_producer};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let producer = system.spawn("prices", stream_producer().sinks(3))?;
    /// let consumer = system.spawn("reader", stream_consumer(&producer))?;
    /// let source: SourceRef<u64> = system.ask(&consumer, GetSource::new, Duration::from_secs(5))?;
    /// for number in 0..3 {
    ///     let (system, producer) = (system.handle(), producer.clone());
    ///     std::thread::spawn(move || {
    ///         let mut sink: SinkRef<u64> = system.ask(&producer, GetSink::new, Duration::from_secs(5)).unwrap();
    ///         sink.put(number).unwrap();
    ///         sink.complete().unwrap();
    ///     });
    /// }
    /// assert_eq!(source.sum::<u64>(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sinks(mut self, count: u64) -> Self {
        self.settings.sinks = count;
        self
    }

    /// How the sinks wait for room.
    ///
    /// ```
    /// use millstream::{WaitStrategy, stream_producer};
    /// let producer = stream_producer::<f64>().sink_wait(WaitStrategy::BusySpin);
    /// # drop(producer);
    /// ```
    pub fn sink_wait(mut self, strategy: WaitStrategy) -> Self {
        self.settings.strategy = strategy;
        self
    }

    /// Dropping a sink completes it. By default it fails it, so that a crash does not look like an end.
    ///
    /// ```
    /// let producer = millstream::stream_producer::<f64>().complete_on_drop();
    /// # drop(producer);
    /// ```
    pub fn complete_on_drop(mut self) -> Self {
        self.settings.complete_on_drop = true;
        self
    }
}

#[cfg(target_os = "linux")]
impl<T> StreamProducer<T>
where
    T: Element + Send + Travel<Sink = SinkRef<T>, Source = SourceRef<T>>,
{
    /// Publishes the stream under `name`, for a consumer in another process:
    /// [`lookup_stream`](crate::SystemRef::lookup_stream) finds it there. The actor takes the elements from the sinks then,
    /// and puts as many into shared memory as were asked for.
    ///
    /// Where the name cannot be had, asking for a sink says why. What waits in the sinks' buffers is this process's alone: if it
    /// is killed, its consumer gets what was carried over, which is at most what it had asked for. What
    /// [`publish`](crate::publish) opens lies in shared memory from the `put` on.
    ///
    /// ```no_run
    /// use millstream::{ActorSystem, stream_producer};
    /// let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("prices", stream_producer::<f64>().published("prices"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn published(mut self, name: impl Into<String>) -> Self {
        self.settings.publishing = Some(Publishing {
            name: name.into(),
            open: |wanted| {
                let mut publication = publish::<T>(wanted.name)
                    .buffer_size(Buffer::Rendezvous)
                    .max_demand(wanted.max_demand);
                if let Some(directory) = wanted.directory {
                    publication = publication.directory(directory);
                }
                publication.open().map_err(|error| error.to_string())
            },
            find: PublishedStream::new,
        });
        self
    }

    /// The runtime directory of the published name; as in [`PublishBuilder::directory`](crate::PublishBuilder::directory).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let producer = millstream::stream_producer::<f64>().published("prices").directory(dir.path().join("run"));
    /// # drop(producer);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.directory = Some(path.into());
        self
    }
}

impl<T> fmt::Debug for StreamProducer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamProducer")
            .field("buffer", &self.settings.buffer)
            .field("max_demand", &self.settings.max_demand)
            .field(
                "published",
                &self
                    .settings
                    .publishing
                    .as_ref()
                    .map(|publishing| &publishing.name),
            )
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Props for StreamProducer<T> {
    type Msg = StreamProducerMsg<T>;
    type Actor = Producer<T>;

    fn create(&mut self) -> Producer<T> {
        let standing = self.kept.lock().ok().and_then(|mut kept| kept.take());
        Producer::new(
            self.settings.clone(),
            self.kept.clone(),
            standing.unwrap_or_default(),
        )
    }
}
