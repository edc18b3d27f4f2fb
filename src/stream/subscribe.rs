//! Streams between processes, the consumer's side: `subscribe`.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::endpoint::{ConsumerEndpoint, ConsumerLines, ConsumerSettings};
use super::frame_source::{self, FrameSource};
use super::publish::{self, Travel, publish_elements, publish_frames};
use super::reconnect::{Reconnect, Tried};
use super::settings::{SourceSettings, source_setters};
use super::sink::SinkRef;
use super::source::{self, SourceRef};
use super::{FrameSink, PublishError, SubscribeError};
use crate::element::{Element, Schema};
use crate::process::{Kind, Subscription, SubscriptionSettings};
use crate::ring::block::{Area, Fixed, Measured, Place, Shape};
use crate::ring::page::{CreditPage, KIND_FRAMES, StreamPage};
use crate::ring::{Consumer, FrameArea, FrameConsumer};
use crate::wait::{Doorbell, Fence, Remote};

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

pub(super) mod sealed {
    use super::{Duration, PathBuf, SourceSettings};

    /// Named nowhere outside of this crate, so that nobody else can implement the trait.
    #[derive(Clone, Debug)]
    #[allow(unreachable_pub, reason = "an argument of a public trait's method")]
    pub struct Subscribe {
        pub(crate) name: String,
        pub(crate) source: SourceSettings,
        pub(crate) directory: Option<PathBuf>,
        pub(crate) subscription: Option<String>,
        pub(crate) patience: Option<Duration>,
        pub(crate) reconnect: bool,
        pub(crate) trust: bool,
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
        subscription: None,
        patience: None,
        reconnect: false,
        trust: false,
        payload: PhantomData,
    }
}

/// Settings of a subscription; see [`subscribe`].
#[must_use]
pub struct SubscribeBuilder<P: ?Sized> {
    source: SourceSettings,
    name: String,
    directory: Option<PathBuf>,
    subscription: Option<String>,
    patience: Option<Duration>,
    reconnect: bool,
    trust: bool,
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
        if self.source.window == 0 {
            return Err(SubscribeError::ZeroDemand { name: self.name });
        }
        P::subscribe(sealed::Subscribe {
            name: self.name,
            source: self.source,
            directory: self.directory,
            subscription: self.subscription,
            patience: self.patience,
            reconnect: self.reconnect,
            trust: self.trust,
        })
    }
}

impl sealed::Subscribe {
    fn connect(
        &self,
        kind: Kind,
        schema: Option<&Schema>,
        deadline: Option<Instant>,
    ) -> Result<Subscription, SubscribeError> {
        Subscription::open(SubscriptionSettings {
            dir: self.directory.clone(),
            name: self.name.clone(),
            subscription: self.subscription.clone(),
            resumable: self.subscription.is_some(),
            any_type: schema.is_none(),
            window: self.source.window,
            kind,
            fingerprint: schema.map_or([0; 16], |schema| schema.fingerprint().to_bytes()),
            schema: schema.map_or_else(Vec::new, Schema::encode),
            deadline,
            membarrier: Fence::register_machine(),
        })
    }

    /// A consumer's endpoint on a connected subscription, which it keeps. `taken_before` says that the newest element
    /// taken may still be worked on, because it is handed out by value; a frame is taken when the work on it is done.
    /// Nothing can fail here: the producer has seated this consumer, and would see its failure as its end.
    fn endpoint(&self, subscription: Subscription, taken_before: bool) -> Box<ConsumerEndpoint> {
        let Subscription {
            memory,
            credit: credit_memory,
            bell,
            own_bell,
            link,
            start,
            start_byte,
            membarrier,
            window,
            epoch,
            pid,
            ..
        } = subscription;
        log::debug!(
            "subscribed to {:?} of process {pid:?}, epoch {epoch:x}, from {start} on, window {window}",
            self.name
        );
        let stream = memory.as_ptr().cast::<StreamPage>();
        let credit = credit_memory.as_ptr().cast::<CreditPage>();
        // SAFETY: the memories begin with these pages; no reference is made to them.
        let lines = unsafe {
            ConsumerLines {
                control: &raw const (*credit).control,
                credit: &raw const (*credit).credit,
                waiting: &raw const (*stream).waiting,
                end: &raw const (*stream).end,
                notice: link.notice().word(),
            }
        };
        let resumable = self.subscription.is_some();
        let hang_up = link.hang_up();
        // SAFETY: the endpoint keeps what the subscription consists of, to which the lines belong.
        let mut endpoint = Box::new(unsafe {
            ConsumerEndpoint::new(ConsumerSettings {
                lines,
                start,
                start_byte,
                demand: self
                    .source
                    .demand((resumable || self.source.late) && taken_before),
                idle: self.source.idle,
                resumable,
                strategy: self.source.strategy,
                fence: if membarrier && Fence::register_machine() {
                    Fence::Machine
                } else {
                    Fence::Full
                },
                bell: Doorbell::Remote(Remote::new(own_bell, Some(bell))),
                keep: Box::new((memory, credit_memory, link)),
            })
        });
        endpoint.set_hang_up(hang_up);
        endpoint
    }

    fn deadline(&self) -> Option<Instant> {
        let now = Instant::now();
        // As good as for ever, where the clock does not go so far.
        self.patience
            .map(|patience| now.checked_add(patience).unwrap_or_else(|| now + CENTURY))
    }
}

/// Where the elements of a subscription begin.
fn start_of(subscription: &Subscription, shape: impl Shape) -> Place {
    let header = &subscription.header;
    // The header was checked against the memory, which fits into the address space.
    let begin = subscription
        .memory
        .as_ptr()
        .wrapping_add(header.area_offset as usize);
    // SAFETY: so many blocks of this shape lie there, checked at the handshake, and the endpoint keeps the memory.
    let area = unsafe { Area::new(begin, header.blocks as usize, shape, header.base) };
    area.place(
        shape,
        subscription.start.wrapping_sub(header.base),
        subscription.start,
    )
}

fn connect_typed<T: Element>(
    settings: &sealed::Subscribe,
    deadline: Option<Instant>,
) -> Result<source::Connected<T>, SubscribeError> {
    let subscription = settings.connect(Kind::Elements, Some(&T::schema()), deadline)?;
    let shape = Fixed::<T>::measured();
    let header = subscription.header;
    let same = header.stride == shape.stride as u64
        && header.per_block as usize == shape.per
        && header.first as usize == shape.first
        && header.element_size as usize == shape.size;
    if !same {
        return Err(SubscribeError::PeerCorrupt {
            name: settings.name.clone(),
            word: "block stride",
            value: header.stride,
        });
    }
    let (place, start) = (start_of(&subscription, Fixed::<T>::new()), subscription.start);
    let endpoint = settings.endpoint(subscription, true);
    // SAFETY: the place is that of the start; this subscription has one consumer, which keeps it by its endpoint.
    let ring = unsafe { Consumer::new(Fixed::new(), place, start) };
    Ok((ring, endpoint))
}

fn connect_bytes(
    settings: &sealed::Subscribe,
    deadline: Option<Instant>,
) -> Result<frame_source::Connected, SubscribeError> {
    let subscription = settings.connect(Kind::Any, None, deadline)?;
    let (header, start) = (subscription.header, subscription.start);
    if header.kind == KIND_FRAMES {
        let begin = subscription
            .memory
            .as_ptr()
            .wrapping_add(header.area_offset as usize);
        // SAFETY: the area is as long as its header says, checked at the handshake; this subscription has one consumer,
        // which keeps the memory by its endpoint.
        let mut ring = unsafe {
            let area = FrameArea::new(begin, header.area_len as usize);
            FrameConsumer::new(area, header.max_frame as usize, start, subscription.start_byte)
        };
        let endpoint = settings.endpoint(subscription, false);
        ring.credited(endpoint.mark());
        return Ok((frame_source::Lane::Frames(ring), endpoint, None));
    }
    let shape = Measured {
        size: header.element_size as usize,
        per: header.per_block as usize,
        first: header.first as usize,
        stride: header.stride as usize,
    };
    let corrupt = |word, value| SubscribeError::PeerCorrupt {
        name: settings.name.clone(),
        word,
        value,
    };
    let schema = Schema::decode(&subscription.schema)
        .map_err(|_| corrupt("schema length", u64::from(header.schema_len)))?;
    if Measured::of(schema.size(), schema.align()) != Some(shape) {
        return Err(corrupt("block stride", header.stride));
    }
    let place = start_of(&subscription, shape);
    let endpoint = settings.endpoint(subscription, false);
    // SAFETY: as in `connect_typed`.
    let mut ring = unsafe { Consumer::new(shape, place, start) };
    ring.set_mark(endpoint.mark());
    Ok((frame_source::Lane::Records(ring), endpoint, Some(schema)))
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
            let idle = settings.source.idle;
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
            let idle = settings.source.idle;
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
