//! A stream within one process that a third party oversees: it hands out the sinks, and can end the stream from outside.

use std::fmt;
use std::sync::PoisonError;

use super::buffer::Buffer;
use super::channel::{ChannelError, Wiring, capacity, endpoints};
use super::end::{CloseReason, End, StreamFault};
use super::endpoint::{Audience, ConsumerEndpoint, Oversight};
use super::lane::{Lane, Overseen};
use super::lanes::Lanes;
use super::settings::{MOST_ELEMENTS, SinkSettings, SourceSettings};
use super::sink::SinkRef;
use super::source::SourceRef;
use crate::primitive::{Arc, Mutex, MutexGuard};
use crate::ring::shape::Fixed;
use crate::ring::{Consumer, HeapRing, cursors};
use crate::wait::{Doorbell, Fence, Ringer, WaitStrategy};

#[cfg(all(test, not(millstream_loom)))]
mod tests;

/// A stream within one process, as whoever oversees it holds it.
///
/// The first sink writes the ring that was made with the stream; each later one has a lane of its own, a ring of the
/// buffer's size that the same source reads.
pub(crate) struct Conduit<T>(Arc<Shared<T>>);

struct Shared<T> {
    overseen: Arc<Overseen<T>>,
    /// The first sink, until somebody asks for it.
    first: Mutex<Option<SinkRef<T>>>,
    buffer: Buffer,
    source: Ringer,
    fence: Fence,
}

/// Why a stream has no sink for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LaneError {
    /// There is no buffer in which a second sink's elements could wait.
    #[error(
        "a stream without a buffer (`Buffer::Rendezvous`) has one sink, and that was given out; give the stream a buffer size"
    )]
    Rendezvous,
    /// The stream takes nothing any more.
    #[error("the stream takes nothing any more: {0}")]
    Ended(CloseReason),
    /// The allocation failed.
    #[error("no memory for another sink's lane; lower the stream's buffer size")]
    NoMemory,
}

/// The two halves of one lane.
struct Halves<T> {
    sink: SinkRef<T>,
    ring: Consumer<Fixed<T>>,
    endpoint: Box<ConsumerEndpoint>,
    unbounded: Option<Arc<HeapRing<T>>>,
}

impl<T> Clone for Conduit<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Conduit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conduit")
            .field("buffer", &self.0.buffer)
            .field("ended", &self.is_ended())
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Conduit<T> {
    /// Makes the stream, and its one source, which asks for nothing until it is [adopted](SourceRef::adopt): until then puts
    /// go into the buffer. No adoption can ask for a larger window than `max_window`.
    ///
    /// # Errors
    /// As [`ChannelBuilder::build`](crate::ChannelBuilder::build).
    pub(crate) fn new(buffer: Buffer, max_window: u64) -> Result<(Self, SourceRef<T>), ChannelError> {
        let elements = whole(buffer, max_window)?;
        let fence = Fence::within_process();
        let (bell, _) = Doorbell::pair();
        let no_memory = ChannelError::NoMemory {
            elements: elements as u64,
            element: size_of::<T>(),
        };
        let source = bell.ringer().ok_or(no_memory)?;
        let oversight = Arc::new(Oversight::new(source.clone()));
        let Halves {
            sink,
            ring,
            endpoint,
            unbounded,
        } = halves(&oversight, &source, fence, buffer, elements, max_window).ok_or(no_memory)?;
        let overseen = Arc::new(Overseen::new(oversight));
        // SAFETY: made for each other.
        let mut reader = unsafe { SourceRef::new((ring, endpoint), None, None, unbounded) };
        reader.cold.set_lanes(Lanes::new(
            Arc::clone(&overseen),
            bell,
            fence,
            buffer.bound(),
            max_window,
        ));
        let shared = Shared {
            overseen,
            first: Mutex::new(Some(sink)),
            buffer,
            source,
            fence,
        };
        Ok((Self(Arc::new(shared)), reader))
    }

    /// A sink of the stream, for a user of its own.
    ///
    /// # Errors
    /// `Rendezvous` for a second sink of a stream without a buffer, `Ended`, `NoMemory`.
    pub(crate) fn sink(
        &self,
        strategy: WaitStrategy,
        complete_on_drop: bool,
    ) -> Result<SinkRef<T>, LaneError> {
        self.open(strategy, complete_on_drop, false)
    }

    /// A sink for the overseer itself: the stream ends when all others have, whether or not this one has.
    ///
    /// # Errors
    /// As [`sink`](Self::sink).
    pub(crate) fn attendant(&self) -> Result<SinkRef<T>, LaneError> {
        // Without a buffer there is one sink, and whoever has it keeps the stream open.
        let attends = self.0.buffer.bound() != 0;
        self.open(WaitStrategy::default(), true, attends)
    }

    fn open(
        &self,
        strategy: WaitStrategy,
        complete_on_drop: bool,
        attends: bool,
    ) -> Result<SinkRef<T>, LaneError> {
        let Shared {
            overseen,
            buffer,
            source,
            fence,
            ..
        } = &*self.0;
        let oversight = &overseen.oversight;
        if let Some(reason) = oversight.ruling().reason() {
            return Err(LaneError::Ended(reason));
        }
        let first = if attends { None } else { self.first().take() };
        let (mut sink, lane) = match first {
            Some(sink) => (sink, None),
            None if buffer.bound() == 0 => return Err(LaneError::Rendezvous),
            None => {
                // It fits, since the first ring did.
                let elements = usize::try_from(buffer.bound()).unwrap_or(usize::MAX);
                let halves = halves(oversight, source, *fence, *buffer, elements, 0);
                let halves = halves.ok_or(LaneError::NoMemory)?;
                let lane = Lane::new(halves.ring, halves.endpoint, halves.unbounded, attends);
                (halves.sink, Some(lane))
            }
        };
        sink.endpoint.set_manner(strategy, complete_on_drop);
        let mut ruling = oversight.ruling();
        // A look at what happened meanwhile: from here on the end rings this sink, and the source finds the lane.
        if let Some(reason) = ruling.reason() {
            drop(ruling);
            return Err(LaneError::Ended(reason));
        }
        if let Some(ringer) = sink.endpoint.ringer() {
            ruling.enrol(ringer);
        }
        if !attends {
            sink.endpoint.set_counted();
            ruling.hand_out();
        }
        if let Some(lane) = lane {
            overseen.desk().push(lane);
            oversight.announce_lane(ruling);
        }
        Ok(sink)
    }

    fn first(&self) -> MutexGuard<'_, Option<SinkRef<T>>> {
        self.0.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Conduit<T> {
    /// Completes the stream: the sinks take nothing more, and the source ends when it has taken everything. Whoever ends
    /// the stream first has ended it.
    pub(crate) fn complete(&self) {
        self.0.overseen.oversight.end_for_sinks(End::Completed);
    }

    /// As [`complete`](Self::complete), with a fault; where all sinks have ended, of no effect.
    pub(crate) fn fail(&self, fault: StreamFault) {
        self.0.overseen.oversight.end_for_sinks(End::Failed(fault));
    }

    /// Cancels the stream: the sinks take nothing more, and the source ends at its next look, whatever is in the buffers.
    pub(crate) fn cancel(&self) {
        self.0.overseen.oversight.end(End::Cancelled);
    }

    /// As [`cancel`](Self::cancel), for the reason that the sinks are to be told.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.0.overseen.oversight.end(match reason {
            CloseReason::PeerGone => End::PeerGone,
            CloseReason::PeerCorrupt(corruption) => End::PeerCorrupt(corruption),
            _ => End::Cancelled,
        });
    }

    /// Whether nothing more is put into the stream: its sinks have ended, or it was ended from outside.
    pub(crate) fn is_complete(&self) -> bool {
        self.0.overseen.oversight.is_complete()
    }

    /// Whether the stream was ended from outside, or the source takes nothing any more.
    pub(crate) fn is_ended(&self) -> bool {
        self.0.overseen.oversight.ruling().reason().is_some()
    }
}

/// How many elements the first ring holds.
fn whole(buffer: Buffer, max_window: u64) -> Result<usize, ChannelError> {
    let sink = SinkSettings {
        buffer,
        ..SinkSettings::default()
    };
    // A window of 0 lets the buffer flow.
    let window = if buffer.bound() > 0 {
        max_window.max(1)
    } else {
        max_window
    };
    let source = SourceSettings {
        window,
        ..SourceSettings::default()
    };
    capacity(&sink, &source)
}

/// A lane of `elements`, for a sink of its own and the source that `source` wakes. `None` when there is no memory for it.
fn halves<T: Send + 'static>(
    oversight: &Arc<Oversight>,
    source: &Ringer,
    fence: Fence,
    buffer: Buffer,
    elements: usize,
    max_window: u64,
) -> Option<Halves<T>> {
    let (ring, place) = HeapRing::<T>::new(elements, 0)?;
    let ring = Arc::new(ring);
    let sink_bell = Doorbell::toward(source.clone());
    let wiring = Wiring {
        fence,
        source_bell: Doorbell::toward(sink_bell.ringer()?),
        sink_bell,
        notice: oversight.notice(),
        audience: Audience::Overseen(Arc::clone(oversight)),
        max_window,
    };
    let sink = SinkSettings {
        buffer,
        ..SinkSettings::default()
    };
    let keep = (Arc::clone(&ring), Arc::clone(oversight));
    // SAFETY: the lines belong to the ring, the notice to the oversight.
    let (mut producer, endpoint) =
        unsafe { endpoints(&ring.lines, &keep, &sink, &SourceSettings::by_hand(0), wiring) };
    // SAFETY: the first place belongs to the first position; this is the only producer and the only consumer, and both keep
    // the ring.
    let (put, take) = unsafe { cursors(place, 0, producer.watch()) };
    let unbounded = (buffer == Buffer::Unbounded).then(|| Arc::clone(&ring));
    if unbounded.is_some() {
        producer.set_grower(Box::new(move |least, pos| ring.grow(least, pos)));
    }
    Some(Halves {
        sink: SinkRef {
            ring: put,
            endpoint: producer,
            capacity: if unbounded.is_some() {
                usize::try_from(MOST_ELEMENTS).unwrap_or(usize::MAX)
            } else {
                elements
            },
        },
        ring: take,
        endpoint,
        unbounded,
    })
}
