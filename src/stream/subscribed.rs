//! A subscription to a published stream: its memory, checked, and an endpoint on it.

use std::time::{Duration, Instant};

use super::endpoint::{Attention, ConsumerEndpoint, ConsumerLines, ConsumerSettings, Joined};
use super::source::SourceRef;
use super::subscribe::sealed;
use super::{SubscribeError, frame_source, source};
use crate::element::{Element, Schema};
use crate::memory::SharedMemory;
use crate::primitive::Arc;
use crate::process::{Hold, Kind, Subscription, SubscriptionSettings};
use crate::ring::block::{Area, Place};
use crate::ring::page::{
    AttentionPage, CreditPage, DURABLE, EvictionLines, KIND_FRAMES, StreamPage, attention_bit,
};
use crate::ring::shape::{Fixed, Measured, Shape};
use crate::ring::{Consumer, FrameArea, FrameConsumer, History, JoinPosition};
use crate::wait::{Doorbell, Fence, Remote};

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

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
            user: self.user,
            subscription: self.subscription.clone(),
            resumable: self.subscription.is_some(),
            any_type: schema.is_none(),
            window: self.source.window,
            kind,
            fingerprint: schema.map_or([0; 16], |schema| schema.fingerprint().to_bytes()),
            schema: schema.map_or_else(Vec::new, Schema::encode),
            deadline,
            membarrier: Fence::register_machine(),
            join: self.join,
        })
    }

    /// As it is to be with the next producer.
    pub(super) fn again(mut self) -> Self {
        if matches!(self.join.from, JoinPosition::At(_)) {
            self.join.from = JoinPosition::Oldest;
        }
        self
    }

    /// A consumer's endpoint on a connected subscription, which it keeps. `taken_before` says that the newest element
    /// taken may still be worked on, because it is handed out by value; a frame is taken when the work on it is done.
    /// Nothing can fail here: the producer has seated this consumer, and would see its failure as its end.
    fn endpoint(&self, subscription: Subscription, taken_before: bool) -> Box<ConsumerEndpoint> {
        let rings = subscription.rings();
        let Subscription {
            memory,
            credit: credit_memory,
            attention,
            bell,
            own_bell,
            link,
            start,
            start_byte,
            membarrier,
            window,
            epoch,
            pid,
            header,
            ..
        } = subscription;
        log::debug!(
            "subscribed to {:?} of process {pid:?}, epoch {epoch:x}, from {start} on, window {window}",
            self.name
        );
        // One that commits holds its page beyond the end, for its last commit.
        let is_held = header.flags & DURABLE != 0 && !self.transactional;
        let hold = is_held.then(|| Hold::new(Arc::clone(&credit_memory)));
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
        let mut doorbell = Remote::new(own_bell);
        doorbell.connect(bell, rings);
        let resumable = self.subscription.is_some();
        let hang_up = link.hang_up();
        let asking = attention.as_ref().map(|(page, number)| {
            let page = page.as_ptr().cast::<AttentionPage>();
            // SAFETY: the memories begin with these pages; no reference is made to them.
            let (word, evicted) = unsafe {
                let evicted = EvictionLines::word(&raw const (*stream).evicted, *number);
                (&raw const (*page).attention.word, evicted)
            };
            let attention = Attention {
                word,
                bit: attention_bit(*number),
            };
            (attention, evicted, number.wrapping_add(1))
        });
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
                bell: Doorbell::Remote(doorbell),
                keep: Box::new((memory, credit_memory, attention, link)),
            })
        });
        if let Some(hold) = hold {
            endpoint.set_hold(Box::new(hold));
        }
        endpoint.set_hang_up(hang_up);
        if let Some((attention, evicted, mark)) = asking {
            endpoint.set_attention(attention);
            endpoint.set_eviction(evicted, mark);
        }
        endpoint
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let now = Instant::now();
        // As good as for ever, where the clock does not go so far.
        self.patience
            .map(|patience| now.checked_add(patience).unwrap_or_else(|| now + CENTURY))
    }
}

/// The blocks of a subscription.
fn area_of(subscription: &Subscription, shape: impl Shape) -> Area {
    let header = &subscription.header;
    // The header was checked against the memory, which fits into the address space.
    let begin = subscription
        .memory
        .as_ptr()
        .wrapping_add(header.area_offset as usize);
    // SAFETY: so many blocks of this shape lie there, checked at the handshake, and the endpoint keeps the memory.
    unsafe { Area::new(begin, header.blocks as usize, shape, header.base) }
}

/// Where the elements of a subscription begin.
fn start_of(subscription: &Subscription, shape: impl Shape) -> Place {
    let (start, base) = (subscription.start, subscription.header.base);
    area_of(subscription, shape).place(shape, start.wrapping_sub(base), start)
}

/// A subscription to elements of `T`.
fn subscribe_typed<T: Element>(
    settings: &sealed::Subscribe,
    deadline: Option<Instant>,
) -> Result<Subscription, SubscribeError> {
    let subscription = settings.connect(Kind::Elements, Some(&T::schema()), deadline)?;
    let header = subscription.header;
    if header.shape() == Fixed::<T>::measured() {
        Ok(subscription)
    } else {
        Err(SubscribeError::PeerCorrupt {
            name: settings.name.clone(),
            word: "block stride",
            value: header.stride,
        })
    }
}

pub(super) fn connect_typed<T: Element>(
    settings: &sealed::Subscribe,
    deadline: Option<Instant>,
) -> Result<source::Connected<T>, SubscribeError> {
    let subscription = subscribe_typed::<T>(settings, deadline)?;
    Ok(connected(settings, subscription))
}

/// A subscription whose consumer commits.
pub(super) struct Committing<T> {
    pub(super) connected: source::Connected<T>,
    /// The consumer's own.
    pub(super) page: Arc<SharedMemory>,
    /// The lock of the page, if it is a file.
    pub(super) hold: Option<Hold>,
    /// Where it begins.
    pub(super) start: u64,
}

pub(super) fn connect_transactional<T: Element>(
    settings: &sealed::Subscribe,
) -> Result<Committing<T>, SubscribeError> {
    let subscription = subscribe_typed::<T>(settings, settings.deadline())?;
    let (page, start) = (Arc::clone(&subscription.credit), subscription.start);
    let is_held = subscription.header.flags & DURABLE != 0;
    let hold = is_held.then(|| Hold::new(Arc::clone(&page)));
    Ok(Committing {
        connected: connected(settings, subscription),
        page,
        hold,
        start,
    })
}

/// The source of a connection that is released by commits, the last of them at `start`.
pub(super) fn released_by_commits<T>(connected: source::Connected<T>, start: u64) -> SourceRef<T> {
    let (ring, mut endpoint) = connected;
    endpoint.set_committed(start);
    // SAFETY: made for each other.
    unsafe { SourceRef::new((ring, endpoint), Some(Vec::new()), None, None) }
}

fn connected<T: Element>(settings: &sealed::Subscribe, subscription: Subscription) -> source::Connected<T> {
    let (place, start) = (start_of(&subscription, Fixed::<T>::new()), subscription.start);
    let endpoint = settings.endpoint(subscription, true);
    // SAFETY: the place is that of the start; this subscription has one consumer, which keeps it by its endpoint.
    let ring = unsafe { Consumer::new(Fixed::new(), place, start) };
    (ring, endpoint)
}

/// A subscription of one of several consumers, for which the producer does not wait, or not for ever: what the ring holds,
/// and where to start. The endpoint keeps both.
pub(super) fn connect_lossy<T: Element>(
    settings: &sealed::Subscribe,
    deadline: Option<Instant>,
) -> Result<Joined<Fixed<T>>, SubscribeError> {
    let subscription = subscribe_typed::<T>(settings, deadline)?;
    let (start, base) = (subscription.start, subscription.header.base);
    let area = area_of(&subscription, Fixed::<T>::new());
    let page = subscription.memory.as_ptr().cast::<StreamPage>();
    // SAFETY: the memory begins with this page, of which no reference is made; the endpoint keeps it, and the blocks.
    let history = unsafe { History::new(area, Fixed::new(), base, &raw const (*page).reach) };
    Ok((history, start, settings.endpoint(subscription, false)))
}

pub(super) fn connect_bytes(
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
    let shape = header.shape();
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
