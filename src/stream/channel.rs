//! Streams within one process: `channel`.

use std::fmt;
use std::marker::PhantomData;

use super::buffer::Buffer;
use super::endpoint::{
    Audience, ConsumerEndpoint, ConsumerLines, ConsumerSettings, ProducerEndpoint, ProducerLines,
    ProducerSettings,
};
use super::settings::{
    MOST_ELEMENTS, SinkSettings, SourceSettings, frame_setters, sink_setters, source_setters,
};
use super::sink::SinkRef;
use super::source::SourceRef;
use crate::primitive::Arc;
use crate::primitive::atomic::AtomicU64;
use crate::ring::{HeapLines, HeapRing, Ledger, cursors};
use crate::wait::{Doorbell, Fence};

/// What a stream within one process can carry: any `T: Send`, by move, or frames of bytes (`[u8]`).
///
/// It says which handles a stream has. It is implemented for every type that qualifies and cannot be implemented
/// elsewhere.
///
/// ```
/// fn ends<P: millstream::Payload + ?Sized>(
///     builder: millstream::ChannelBuilder<P>,
/// ) -> Result<(P::Sink, P::Source), millstream::ChannelError> {
///     builder.buffer_size(4).build()
/// }
/// let (mut sink, mut source) = ends(millstream::channel::<[u8]>())?;
/// sink.put(b"frame")?;
/// assert_eq!(&*source.next().unwrap(), b"frame");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Payload: 'static {
    /// The producer's handle.
    type Sink;
    /// The consumer's handle.
    type Source;

    /// Makes both.
    #[doc(hidden)]
    fn make(settings: sealed::Settings) -> Result<(Self::Sink, Self::Source), ChannelError>;
}

pub(super) mod sealed {
    use super::{SinkSettings, SourceSettings};

    /// Named nowhere outside of this crate, so that nobody else can implement the trait.
    #[derive(Debug)]
    #[allow(unreachable_pub, reason = "an argument of a public trait's method")]
    pub struct Settings {
        pub(crate) sink: SinkSettings,
        pub(crate) source: SourceSettings,
    }
}

/// Begins a stream of `T` within this process, or of frames for `[u8]`.
///
/// Elements travel by move; any `T: Send` will do. What the consumer does not take is dropped once.
///
/// ```
/// let (mut sink, mut source) = millstream::channel::<Box<u32>>().buffer_size(2).initial_demand(2).build()?;
/// sink.put(Box::new(5))?;
/// assert_eq!(source.next(), Some(Box::new(5)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn channel<P: Payload + ?Sized>() -> ChannelBuilder<P> {
    ChannelBuilder {
        sink: SinkSettings::default(),
        source: SourceSettings::default(),
        payload: PhantomData,
    }
}

/// Settings of a stream within this process; see [`channel`].
#[must_use]
pub struct ChannelBuilder<P: ?Sized> {
    sink: SinkSettings,
    source: SourceSettings,
    payload: PhantomData<fn(&P)>,
}

impl<P: ?Sized> fmt::Debug for ChannelBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelBuilder")
            .field("sink", &self.sink)
            .field("source", &self.source)
            .finish()
    }
}

impl<P: Payload + ?Sized> ChannelBuilder<P> {
    sink_setters!();
    frame_setters!();
    source_setters!();

    /// What the consumer works on counts as one of its window, so that with a window of 1 it asks when it looks.
    #[cfg(not(millstream_loom))]
    pub(crate) fn hold_one(mut self) -> Self {
        self.source.held = true;
        self
    }

    /// Makes the stream.
    ///
    /// # Errors
    /// `ZeroDemand`, `TooLarge` (more than 2^32 elements), `NoMemory`.
    ///
    /// ```
    /// let (sink, source) = millstream::channel::<u8>().build()?;
    /// # drop((sink, source));
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn build(self) -> Result<(P::Sink, P::Source), ChannelError> {
        P::make(sealed::Settings {
            sink: self.sink,
            source: self.source,
        })
    }
}

/// How many elements a ring holds for these settings.
pub(super) fn capacity(sink: &SinkSettings, source: &SourceSettings) -> Result<usize, ChannelError> {
    if source.window == 0 {
        return Err(ChannelError::ZeroDemand);
    }
    let elements = sink.buffer.bound().saturating_add(source.window);
    let too_large = |most| ChannelError::TooLarge { elements, most };
    if elements > MOST_ELEMENTS {
        return Err(too_large(MOST_ELEMENTS));
    }
    usize::try_from(elements).map_err(|_| too_large(usize::MAX as u64))
}

/// How the two endpoints of a stream within one process reach each other.
pub(super) struct Wiring {
    pub(super) fence: Fence,
    pub(super) sink_bell: Doorbell,
    pub(super) source_bell: Doorbell,
    /// The word by which others than the peer speak to both.
    pub(super) notice: *const AtomicU64,
    pub(super) audience: Audience,
    /// The most that the consumer may ask for at a time.
    pub(super) max_window: u64,
}

impl Wiring {
    /// Of two ends that have nobody besides them.
    pub(super) fn direct(lines: &HeapLines, window: u64) -> Self {
        let (sink_bell, source_bell) = Doorbell::pair();
        Self {
            fence: Fence::within_process(),
            sink_bell,
            source_bell,
            notice: &lines.notice,
            audience: Audience::Local,
            max_window: window,
        }
    }
}

/// The endpoints of a stream whose lines `keep` keeps alive.
///
/// # Safety
/// `lines`, and the wiring's notice, belong to `keep`.
pub(super) unsafe fn endpoints<K: Clone + Send + 'static>(
    lines: &HeapLines,
    keep: &K,
    sink: &SinkSettings,
    source: &SourceSettings,
    wiring: Wiring,
) -> (Box<ProducerEndpoint>, Box<ConsumerEndpoint>) {
    // SAFETY: the endpoint that gets the ledger keeps the lines.
    let ledger = unsafe { Ledger::new(&lines.credit, &lines.control, wiring.max_window, sink.start, 0) };
    // SAFETY: the endpoint keeps the lines and the notice.
    let producer = unsafe {
        ProducerEndpoint::new(ProducerSettings {
            lines: ProducerLines {
                waiting: &lines.waiting,
                end: &lines.end,
                notice: wiring.notice,
            },
            base: sink.start,
            buffer: sink.buffer.bound(),
            complete_on_drop: sink.complete_on_drop,
            strategy: sink.strategy,
            fence: wiring.fence,
            bell: wiring.sink_bell,
            audience: wiring.audience,
            ledger: Some(ledger),
            keep: Box::new(keep.clone()),
        })
    };
    // SAFETY: the endpoint keeps the lines and the notice.
    let consumer = unsafe {
        ConsumerEndpoint::new(ConsumerSettings {
            lines: ConsumerLines {
                control: &lines.control,
                credit: &lines.credit,
                waiting: &lines.waiting,
                end: &lines.end,
                notice: wiring.notice,
            },
            start: sink.start,
            start_byte: 0,
            demand: source.demand(false),
            idle: source.idle,
            resumable: false,
            strategy: source.strategy,
            fence: wiring.fence,
            bell: wiring.source_bell,
            keep: Box::new(keep.clone()),
        })
    };
    (Box::new(producer), Box::new(consumer))
}

impl<T: Send + 'static> Payload for T {
    type Sink = SinkRef<T>;
    type Source = SourceRef<T>;

    fn make(settings: sealed::Settings) -> Result<(Self::Sink, Self::Source), ChannelError> {
        let sealed::Settings { sink, source } = settings;
        let capacity = capacity(&sink, &source)?;
        let no_memory = ChannelError::NoMemory {
            elements: capacity as u64,
            element: size_of::<T>(),
        };
        let (ring, place) = HeapRing::<T>::new(capacity, sink.start).ok_or(no_memory)?;
        let ring = Arc::new(ring);
        // SAFETY: the lines belong to the ring.
        let (mut producer, consumer) = unsafe {
            let wiring = Wiring::direct(&ring.lines, source.window);
            endpoints(&ring.lines, &ring, &sink, &source, wiring)
        };
        // SAFETY: the first place belongs to the first position; this is the only producer and the only consumer,
        // and both keep the ring.
        let (put, take) = unsafe { cursors(place, sink.start, producer.watch()) };
        let unbounded = sink.buffer == Buffer::Unbounded;
        if unbounded {
            let ring = ring.clone();
            producer.set_grower(Box::new(move |least, pos| ring.grow(least, pos)));
        }
        Ok((
            SinkRef {
                ring: put,
                endpoint: producer,
                capacity: if unbounded {
                    usize::try_from(MOST_ELEMENTS).unwrap_or(usize::MAX)
                } else {
                    capacity
                },
            },
            // SAFETY: made for each other.
            unsafe { SourceRef::new((take, consumer), None, None, unbounded.then_some(ring)) },
        ))
    }
}

/// Why a stream within this process could not be made.
///
/// ```
/// use millstream::ChannelError;
/// assert_eq!(millstream::channel::<u8>().initial_demand(0).build().err(), Some(ChannelError::ZeroDemand));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// Nothing would ever flow.
    #[error(
        "an initial demand of 0 lets nothing flow; ask for at least 1, or by hand with `manual_demand()`"
    )]
    ZeroDemand,
    /// More elements than a ring holds.
    #[error(
        "a ring of {elements} elements was asked for, where {most} is the most; lower buffer_size or initial_demand"
    )]
    TooLarge {
        /// Elements asked for: buffer size and initial demand.
        elements: u64,
        /// The most.
        most: u64,
    },
    /// An unbounded buffer, for frames.
    #[error(
        "a buffer size of 0 is unbounded, which frames cannot be; give a size, or say `Buffer::Rendezvous` to put only what was asked for"
    )]
    UnboundedFrames,
    /// Longer frames than a header can describe.
    #[error("frames of {asked} bytes were asked for, where {most} is the most; lower max_frame")]
    FrameTooLong {
        /// Bytes asked for.
        asked: usize,
        /// The most.
        most: usize,
    },
    /// The allocation failed.
    #[error(
        "no memory for a ring of {elements} elements of {element} bytes; lower buffer_size or initial_demand"
    )]
    NoMemory {
        /// Elements asked for.
        elements: u64,
        /// Bytes of each.
        element: usize,
    },
}
