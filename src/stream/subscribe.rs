//! Streams between processes, the consumer's side: `subscribe`.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use super::broadcast::LossySubscribeBuilder;
use super::frame_source::FrameSource;
use super::publish::{self, Travel, publish_elements, publish_frames};
use super::reconnect::{Reconnect, Tried};
use super::settings::{SourceSettings, source_setters};
use super::sink::SinkRef;
use super::source::SourceRef;
use super::subscribed::{connect_bytes, connect_typed};
use super::transactional::TransactionalBuilder;
use super::{FrameSink, PublishError, SubscribeError};
use crate::element::Element;
use crate::process::Join;
use crate::ring::JoinPosition;

pub(super) mod sealed {
    use super::{Duration, Join, PathBuf, SourceSettings};

    /// Named nowhere outside of this crate, so that nobody else can implement the trait.
    #[derive(Clone, Debug)]
    #[allow(unreachable_pub, reason = "an argument of a public trait's method")]
    pub struct Subscribe {
        pub(crate) name: String,
        pub(crate) source: SourceSettings,
        pub(crate) directory: Option<PathBuf>,
        pub(crate) user: Option<u32>,
        pub(crate) subscription: Option<String>,
        pub(crate) patience: Option<Duration>,
        pub(crate) reconnect: bool,
        pub(crate) trust: bool,
        /// It is released by commits.
        pub(crate) transactional: bool,
        pub(crate) join: Join,
    }
}

/// Begins to consume the stream that is published under `name`: elements of `T`, or frames for `[u8]`.
///
/// A `[u8]` subscription takes a stream of elements, too, as bytes; [`FrameSource::schema`] then says what they are.
///
/// ```
/// use std::time::Duration;
/// # let dir = tempfile::tempdir()?;
/// # let path = &dir.path().join("run");
/// # let mut sink = millstream::publish::<u64>("ticks").directory(path).open()?;
/// let mut source =
///     millstream::subscribe::<u64>("ticks").wait_for(Duration::from_secs(5)).directory(path).open()?;
/// # sink.put(3)?;
/// assert_eq!(source.next(), Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn subscribe<P: Travel + ?Sized>(name: impl Into<String>) -> SubscribeBuilder<P> {
    SubscribeBuilder {
        source: SourceSettings::default(),
        name: name.into(),
        directory: None,
        user: None,
        subscription: None,
        patience: None,
        reconnect: false,
        trust: false,
        from: JoinPosition::Live,
        payload: PhantomData,
    }
}

/// Settings of a subscription; see [`subscribe`].
#[must_use]
pub struct SubscribeBuilder<P: ?Sized> {
    source: SourceSettings,
    name: String,
    directory: Option<PathBuf>,
    user: Option<u32>,
    subscription: Option<String>,
    patience: Option<Duration>,
    reconnect: bool,
    trust: bool,
    from: JoinPosition,
    payload: PhantomData<fn(&P)>,
}

impl<P: ?Sized> fmt::Debug for SubscribeBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscribeBuilder")
            .field("name", &self.name)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl<P: Travel + ?Sized> SubscribeBuilder<P> {
    source_setters!();

    /// The runtime directory; as in [`PublishBuilder::directory`](crate::PublishBuilder::directory).
    ///
    /// ```
    /// use millstream::SubscribeError;
    /// # let dir = tempfile::tempdir()?;
    /// let nobody = millstream::subscribe::<u64>("ticks").directory(dir.path().join("run")).open();
    /// assert!(matches!(nobody, Err(SubscribeError::NotFound { .. })));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// Takes the stream from the user with this number, and from nobody else. Default: from the user of this process.
    ///
    /// The runtime directory must belong to that user, who alone may write it, and the kernel must say that it is that user who
    /// listens there. That producer has to admit this process: [`PublishBuilder::group`](crate::PublishBuilder::group).
    ///
    /// ```
    /// use millstream::{DirectoryError, SubscribeError};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let sink = millstream::publish::<u64>("ticks").directory(path).open()?;
    /// let other = millstream::subscribe::<u64>("ticks").from_user(4_000_000).directory(path).open();
    /// assert!(matches!(other, Err(SubscribeError::Directory(DirectoryError::WrongOwner { own: 4_000_000, .. }))));
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_user(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }

    /// Waits for the producer at most this long, if it is not there yet. Default: not at all.
    ///
    /// ```
    /// use std::time::Duration;
    /// use millstream::SubscribeError;
    /// # let dir = tempfile::tempdir()?;
    /// let nobody = millstream::subscribe::<u64>("ticks")
    ///     .wait_for(Duration::from_millis(5))
    ///     .directory(dir.path().join("run"))
    ///     .open();
    /// assert!(matches!(nobody, Err(SubscribeError::TimedOut { .. })));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn wait_for(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Makes the subscription resumable under a name: when this process goes without cancelling, however it goes, the
    /// stream waits, and the next subscription of this name goes on where this one had released. Nothing is lost; what
    /// was taken and not released (the element being worked on, and up to half a window) comes again.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let mut sink = millstream::publish::<u64>("orders").directory(path).open()?;
    /// sink.put_slice(&[1, 2])?;
    /// let book = || millstream::subscribe::<u64>("orders").resumable("book").directory(path);
    ///
    /// let mut first = book().open()?;
    /// assert_eq!(first.next(), Some(1));
    /// drop(first);
    ///
    /// let mut second = book().wait_for(std::time::Duration::from_secs(5)).open()?;
    /// assert_eq!(second.next(), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resumable(mut self, subscription: impl Into<String>) -> Self {
        self.subscription = Some(subscription.into());
        self
    }

    /// An element counts as released when the next one is asked for, one by one, rather than when it is taken. So who deals out
    /// work (a [`WorkSink`](crate::WorkSink)) deals again what this process was working on when it died or panicked, and with
    /// an `initial_demand` of 1 it is sent nothing that another could do meanwhile.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let mut sink = millstream::publish::<u64>("work").directory(path).open()?;
    /// let mut source = millstream::subscribe::<u64>("work")
    ///     .initial_demand(1)
    ///     .release_on_next()
    ///     .directory(path)
    ///     .open()?;
    /// sink.put(1)?;
    /// assert_eq!(source.next(), Some(1));
    /// assert_eq!(sink.demand(), 0);
    /// let _ = source.try_next();
    /// assert_eq!(sink.demand(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn release_on_next(mut self) -> Self {
        self.source.late = true;
        self.source.eager = true;
        self
    }

    /// When the producer's process is gone and everything it had published is taken, waits for the next producer of the
    /// name (as long as the idle timeout allows) and goes on with its stream, from that one's first element.
    /// [`SourceRef::epoch`] then changes. Without it the stream ends with `End::PeerGone`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let sink = millstream::publish::<u64>("ticks").directory(path).open()?;
    /// let source = millstream::subscribe::<u64>("ticks").reconnect().directory(path).open()?;
    /// # drop((source, sink));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reconnect(mut self) -> Self {
        self.reconnect = true;
        self
    }

    /// Where to begin in a stream that is published for [several consumers](crate::PublishBuilder::consumers). Default: live. The
    /// only consumer of a stream begins with its first element, and can choose no other.
    ///
    /// A source that [reconnects](Self::reconnect) joins the next producer's stream live, or at the oldest element where a place
    /// further behind was asked for: a position of the one stream says nothing of the other.
    ///
    /// ```
    /// use millstream::{JoinPosition, OnNoConsumer, SubscribeError};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let builder = millstream::publish::<u64>("ticks").consumers(8).on_no_consumer(OnNoConsumer::Drop);
    /// let mut sink = builder.directory(path).open()?;
    /// sink.put_slice(&[10, 11, 12])?;
    /// let from = |position| millstream::subscribe::<u64>("ticks").from(position).directory(path).open();
    /// let mut all = from(JoinPosition::Oldest)?;
    /// let mut some = from(JoinPosition::At(2))?;
    /// assert_eq!((all.next(), some.next()), (Some(10), Some(12)));
    /// assert!(matches!(from(JoinPosition::At(9)), Err(SubscribeError::NotHeld { newest: 3, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from(mut self, position: JoinPosition) -> Self {
        self.from = position;
        self
    }

    /// Lets `peek`, and frames, refer to the shared memory itself rather than to a copy.
    ///
    /// # Safety
    /// The producer's process writes no element that it has published before this consumer has released it: a
    /// millstream of the same version in a process without memory errors. Otherwise a reference that this source gave
    /// would see its target change, which is undefined behaviour.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let mut sink = millstream::publish::<[u64; 512]>("books").directory(path).open()?;
    /// // SAFETY: the producer is this very program.
    /// let mut source = unsafe { millstream::subscribe::<[u64; 512]>("books").trust_producer() }
    ///     .directory(path)
    ///     .open()?;
    /// sink.put([1; 512])?;
    /// assert_eq!(source.peek(1).iter().next().unwrap()[511], 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub unsafe fn trust_producer(mut self) -> Self {
        self.trust = true;
        self
    }

    /// Subscribes.
    ///
    /// # Errors
    /// See [`SubscribeError`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let sink = millstream::publish::<u64>("ticks").directory(path).open()?;
    /// let source = millstream::subscribe::<u64>("ticks").directory(path).open()?;
    /// # drop((source, sink));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(self) -> Result<P::Source, SubscribeError> {
        P::subscribe(self.settings()?)
    }

    pub(super) fn settings(self) -> Result<sealed::Subscribe, SubscribeError> {
        if self.source.window == 0 {
            return Err(SubscribeError::ZeroDemand { name: self.name });
        }
        Ok(sealed::Subscribe {
            name: self.name,
            source: self.source,
            directory: self.directory,
            user: self.user,
            subscription: self.subscription,
            patience: self.patience,
            reconnect: self.reconnect,
            trust: self.trust,
            transactional: false,
            join: Join {
                from: self.from,
                ..Join::default()
            },
        })
    }
}

/// Of a stream that is published for [several consumers](crate::PublishBuilder::consumers).
impl<T: Element> SubscribeBuilder<T> {
    /// Takes part without holding the producer up: what this consumer does not take in time is overwritten, and it is told
    /// which elements those were. It may lag as far as the stream's [`history`](crate::PublishBuilder::history).
    ///
    /// Such a source does not [reconnect](Self::reconnect), and is not [resumable](Self::resumable): those settings count for
    /// nothing.
    ///
    /// ```
    /// use millstream::{Gap, Received};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let mut sink = millstream::publish::<u64>("ticks").consumers(8).history(64).directory(path).open()?;
    /// let mut slow = millstream::subscribe::<u64>("ticks").directory(path).lossy().open()?;
    /// for i in 0..100_000 {
    ///     sink.put(i)?;
    /// }
    /// let Some(Received::Gap(Gap { from: 0, count })) = slow.next() else { panic!() };
    /// assert_eq!(slow.next(), Some(Received::Element(count)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lossy(self) -> LossySubscribeBuilder<T> {
        LossySubscribeBuilder::new(self, None)
    }

    /// Has the producer wait for this consumer no longer than `patience` at a time: then it goes on without it, and the
    /// stream ends here as [`End::Evicted`](crate::End::Evicted), after one gap if it was overtaken. Like a [lossy](Self::lossy) source it does not reconnect, and
    /// is not resumable.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let mut sink = millstream::publish::<u64>("ticks").consumers(8).directory(path).open()?;
    /// let builder = millstream::subscribe::<u64>("ticks").directory(path);
    /// let mut stuck = builder.evict_after(Duration::from_millis(1)).open()?;
    /// let other = millstream::subscribe::<u64>("ticks").directory(path).open()?;
    /// let reader = std::thread::spawn(move || other.count());
    /// for i in 0..10_000 {
    ///     sink.put(i)?;
    /// }
    /// sink.complete()?;
    /// assert_eq!(reader.join().unwrap(), 10_000);
    /// while stuck.next().is_some() {}
    /// assert_eq!(stuck.end(), Some(millstream::End::Evicted));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evict_after(self, patience: Duration) -> LossySubscribeBuilder<T> {
        LossySubscribeBuilder::new(self, Some(patience))
    }
}

impl<T: Element> SubscribeBuilder<T> {
    /// Keeps a state of the type `S` beside the position, and has both change together, by one store: see
    /// [`TransactionalSource`](crate::TransactionalSource). The subscription is [resumable](Self::resumable). It does not
    /// [reconnect](Self::reconnect), nor is credit given but by commits: those settings count for nothing.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let mut sink = millstream::publish::<u64>("orders").directory(path).open()?;
    /// sink.put_slice(&[1, 2, 3])?;
    /// let book = || millstream::subscribe::<u64>("orders").resumable("book").directory(path);
    ///
    /// let mut source = book().transactional::<u64>().open()?;
    /// let mut sum = source.state().unwrap_or(0);
    /// sum += source.next()?.unwrap();
    /// source.commit(&sum);
    /// source.next()?;
    /// drop(source); // as if killed: what was taken since the commit was not done
    ///
    /// let book = book().wait_for(std::time::Duration::from_secs(5));
    /// let mut source = book.transactional::<u64>().open()?;
    /// assert_eq!((source.state(), source.next()?), (Some(1), Some(2)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transactional<S: Element>(self) -> TransactionalBuilder<T, S> {
        TransactionalBuilder::new(self)
    }
}

/// What a try to follow the next producer came to.
fn tried<C>(connected: Result<C, SubscribeError>) -> Tried<C> {
    match connected {
        Ok(connected) => Tried::Connected(connected),
        Err(
            SubscribeError::TimedOut { .. }
            | SubscribeError::NotFound { .. }
            | SubscribeError::PeerGone { .. }
            | SubscribeError::Busy { .. }
            | SubscribeError::Unresponsive { .. }
            | SubscribeError::Ended { .. },
        ) => Tried::Waiting,
        Err(error) => {
            log::warn!("a source does not follow the next producer of its stream: {error}");
            Tried::Over
        }
    }
}

impl<T: Element> Travel for T {
    type Sink = SinkRef<T>;
    type Source = SourceRef<T>;

    fn publish(settings: publish::sealed::Publish) -> Result<Self::Sink, PublishError> {
        publish_elements(settings)
    }

    fn subscribe(settings: sealed::Subscribe) -> Result<Self::Source, SubscribeError> {
        let connected = connect_typed::<T>(&settings, settings.deadline())?;
        let scratch = (!settings.trust).then(Vec::new);
        let reconnect = settings.reconnect.then(|| {
            let (idle, settings) = (settings.source.idle, settings.again());
            Reconnect::new(idle, move |until| {
                tried(connect_typed::<T>(&settings, Some(until)))
            })
        });
        // SAFETY: made for each other.
        Ok(unsafe { SourceRef::new(connected, scratch, reconnect, None) })
    }
}

impl Travel for [u8] {
    type Sink = FrameSink;
    type Source = FrameSource;

    fn publish(settings: publish::sealed::Publish) -> Result<Self::Sink, PublishError> {
        publish_frames(settings)
    }

    fn subscribe(settings: sealed::Subscribe) -> Result<Self::Source, SubscribeError> {
        let (lane, endpoint, schema) = connect_bytes(&settings, settings.deadline())?;
        let scratch = (!settings.trust).then(Vec::new);
        let reconnect = settings.reconnect.then(|| {
            let (idle, settings) = (settings.source.idle, settings.again());
            Reconnect::new(idle, move |until| tried(connect_bytes(&settings, Some(until))))
        });
        Ok(FrameSource {
            lane,
            endpoint,
            scratch,
            schema,
            reconnect,
        })
    }
}
