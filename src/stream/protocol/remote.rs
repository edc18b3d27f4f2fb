//! Streams that another process publishes, as producers.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use super::link::{Overseer, Reached};
use crate::actor::{Deadline, SystemRef};
use crate::element::Element;
use crate::stream::{Content, ObserveError, SourceRef, SubscribeError, Travel, observe, subscribe};

/// Between two looks for a stream that is not published yet.
const PAUSE: Duration = Duration::from_millis(5);

/// A stream of `T` that a process publishes under a name: what
/// [`lookup_stream`](crate::SystemRef::lookup_stream) finds, and [`stream_consumer`](crate::stream_consumer) takes in place of
/// a producer of this process.
pub struct PublishedStream<T> {
    name: String,
    directory: Option<PathBuf>,
    open: fn(&Self, &Wanted) -> Result<SourceRef<T>, SubscribeError>,
    elements: PhantomData<fn() -> T>,
}

/// How a published stream is to be subscribed to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) window: u64,
}

impl<T> PublishedStream<T>
where
    T: Element + Send + Travel<Source = SourceRef<T>>,
{
    pub(super) fn new(name: String, directory: Option<PathBuf>) -> Self {
        Self {
            name,
            directory,
            open: |stream, wanted| {
                let mut subscription = subscribe::<T>(&stream.name)
                    .initial_demand(wanted.window)
                    // Nothing is asked for until somebody has the source.
                    .manual_demand();
                if let Some(directory) = &stream.directory {
                    subscription = subscription.directory(directory);
                }
                subscription.open()
            },
            elements: PhantomData,
        }
    }
}

impl<T: Send + 'static> PublishedStream<T> {
    /// The name under which it is published.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use millstream::ActorSystem;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("run");
    /// # let sink = millstream::publish::<u64>("ticks").directory(&path).open()?;
    /// let system = ActorSystem::builder("reader").build()?;
    /// let stream = system.lookup_stream_in::<u64>(&path, "ticks", Duration::from_secs(5))?;
    /// assert_eq!(stream.name(), "ticks");
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Subscribes. Blocks for the handshake.
    pub(super) fn reach(&self, wanted: &Wanted) -> Result<Reached<T>, String> {
        let mut source = (self.open)(self, wanted).map_err(|error| error.to_string())?;
        let overseer = Overseer::Subscription(source.canceller());
        Ok(Reached { source, overseer })
    }
}

impl<T> Clone for PublishedStream<T> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            directory: self.directory.clone(),
            open: self.open,
            elements: PhantomData,
        }
    }
}

impl<T> fmt::Debug for PublishedStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishedStream")
            .field("name", &self.name)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

impl SystemRef {
    /// Finds the stream of `T` that a producer of any process [publishes](crate::StreamProducer::published) under `name`, in
    /// the default runtime directory; waits for it until the deadline.
    ///
    /// # Errors
    /// `NotFound` when nobody publishes the name before the deadline; `OtherType`; `Unreadable`.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use millstream::{ActorSystem, GetSource, stream_consumer};
    /// let system = ActorSystem::builder("reader").build()?;
    /// let prices = system.lookup_stream::<f64>("prices", Duration::from_secs(5))?;
    /// let consumer = system.spawn("reader", stream_consumer(&prices))?;
    /// for price in system.ask(&consumer, GetSource::new, Duration::from_secs(5))? {
    ///     println!("{price}");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lookup_stream<T>(
        &self,
        name: &str,
        deadline: impl Into<Deadline>,
    ) -> Result<PublishedStream<T>, LookupStreamError>
    where
        T: Element + Send + Travel<Source = SourceRef<T>>,
    {
        find(None, name, deadline.into())
    }

    /// As [`lookup_stream`](Self::lookup_stream), in another runtime directory.
    ///
    /// # Errors
    /// As [`lookup_stream`](Self::lookup_stream).
    ///
    /// ```
    /// # use std::time::Duration;
    /// use millstream::{ActorSystem, GetSource, LookupStreamError, SourceRef, stream_consumer, stream_producer};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("run");
    /// let system = ActorSystem::builder("prices").build()?;
    /// let producer = stream_producer::<f64>().published("prices").directory(&path);
    /// system.spawn("prices", producer)?;
    ///
    /// let stream = system.lookup_stream_in::<f64>(&path, "prices", Duration::from_secs(5))?;
    /// let consumer = system.spawn("reader", stream_consumer(&stream))?;
    /// let source: SourceRef<f64> = system.ask(&consumer, GetSource::new, Duration::from_secs(5))?;
    /// let other = system.lookup_stream_in::<u64>(&path, "prices", Duration::from_secs(5));
    /// assert!(matches!(other, Err(LookupStreamError::OtherType { .. })));
    /// # drop(source);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lookup_stream_in<T>(
        &self,
        directory: impl Into<PathBuf>,
        name: &str,
        deadline: impl Into<Deadline>,
    ) -> Result<PublishedStream<T>, LookupStreamError>
    where
        T: Element + Send + Travel<Source = SourceRef<T>>,
    {
        find(Some(directory.into()), name, deadline.into())
    }
}

fn find<T>(
    directory: Option<PathBuf>,
    name: &str,
    deadline: Deadline,
) -> Result<PublishedStream<T>, LookupStreamError>
where
    T: Element + Send + Travel<Source = SourceRef<T>>,
{
    let seen = loop {
        let error = match observe(name, directory.clone()) {
            Ok(seen) => break seen,
            Err(error) => error,
        };
        match error.reason() {
            SubscribeError::NotFound { .. } if deadline.has_passed() => {
                return Err(LookupStreamError::NotFound {
                    name: name.to_owned(),
                });
            }
            SubscribeError::NotFound { .. } => {}
            SubscribeError::Busy { .. } if !deadline.has_passed() => {}
            _ => return Err(LookupStreamError::Unreadable(error)),
        }
        std::thread::sleep(deadline.left(PAUSE));
    };
    let asked = T::schema();
    let carries = match seen.content() {
        Content::Elements(schema) if schema.fingerprint() == asked.fingerprint() => {
            return Ok(PublishedStream::new(name.to_owned(), directory));
        }
        Content::Elements(schema) => schema.to_string(),
        _ => "frames of bytes".to_owned(),
    };
    Err(LookupStreamError::OtherType {
        name: name.to_owned(),
        asked: asked.to_string(),
        carries,
    })
}

/// Why [`lookup_stream`](crate::SystemRef::lookup_stream) found nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupStreamError {
    /// Nobody publishes the name.
    #[error("nobody publishes {name:?}: start the producer, or wait longer")]
    NotFound {
        /// The name.
        name: String,
    },
    /// The stream carries something else.
    #[error("the stream {name:?} carries {carries}, where {asked} was asked for")]
    OtherType {
        /// The name.
        name: String,
        /// The schema asked for.
        asked: String,
        /// What it carries.
        carries: String,
    },
    /// The name is there, and cannot be looked at.
    #[error(transparent)]
    Unreadable(ObserveError),
}
