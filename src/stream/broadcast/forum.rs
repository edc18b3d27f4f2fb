//! What the producer and the consumers of a broadcast within one process share.

use std::time::Duration;

use super::{Extent, Subscribers};
use crate::primitive::Arc;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::ring::notice::ARRIVED;
use crate::ring::page::{CreditLine, ReachLine, WordLine, attention_bit};
use crate::ring::shape::Fixed;
use crate::ring::{Entry, HeapRing, History, JoinPosition, Ledger, Lobby, OnNoConsumer, Producer, Refused};
use crate::stream::endpoint::{
    Attention, Audience, Call, ConsumerEndpoint, ConsumerLines, ConsumerSettings, Crowd, CrowdWords,
    Entrance, Member, ProducerEndpoint, ProducerLines, ProducerSettings,
};
use crate::stream::settings::{SinkSettings, SourceSettings};
use crate::stream::sink::SinkRef;
use crate::wait::{Doorbell, Fence, Ringer};

/// The ring, and the words around it.
#[derive(Debug)]
pub(super) struct Forum<T> {
    ring: HeapRing<T>,
    reach: ReachLine,
    attention: WordLine,
    notice: WordLine,
    lobby: Arc<Lobby<Member>>,
    fence: Fence,
    producer: Ringer,
}

/// The lines that one consumer writes, and the notice to it.
#[derive(Debug)]
struct MemberLines {
    control: WordLine,
    credit: CreditLine,
    notice: AtomicU64,
}

/// A consumer's place, given up when it is dropped: when the consumer takes nothing any more.
#[derive(Debug)]
struct Seat {
    lobby: Arc<Lobby<Member>>,
    id: u64,
    lines: Arc<MemberLines>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        // Relaxed: this side stored it.
        self.lobby
            .vacate(self.id, self.lines.credit.released.load(Ordering::Relaxed));
    }
}

/// How a consumer takes part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) from: JoinPosition,
    pub(super) gates: bool,
    pub(super) evict_after: Option<Duration>,
}

impl<T: Copy + Send + Sync + 'static> Forum<T> {
    /// Both sides of a broadcast. `None` when there is no memory for it.
    pub(super) fn open(
        sink: &SinkSettings,
        extent: Extent,
        consumers: usize,
        absence: OnNoConsumer,
    ) -> Option<(SinkRef<T>, Subscribers<T>)> {
        let capacity = usize::try_from(extent.slots).ok()?;
        let (ring, place) = HeapRing::<T>::new(capacity, sink.start)?;
        let bell = Doorbell::lone();
        let fence = Fence::within_process();
        let forum = Arc::new(Self {
            ring,
            reach: ReachLine::new(sink.start),
            attention: WordLine::new(),
            notice: WordLine::new(),
            lobby: Arc::new(Lobby::new(consumers, sink.start, absence)),
            fence,
            producer: bell.ringer()?,
        });
        let lines = &forum.ring.lines;
        // SAFETY: the endpoint keeps the forum, to which the lines and the notice belong.
        let mut endpoint = unsafe {
            ProducerEndpoint::new(ProducerSettings {
                lines: ProducerLines {
                    waiting: &lines.waiting,
                    end: &lines.end,
                    notice: &forum.notice.word,
                },
                base: sink.start,
                buffer: sink.buffer.bound(),
                complete_on_drop: sink.complete_on_drop,
                strategy: sink.strategy,
                fence,
                bell,
                audience: Audience::Local,
                ledger: None,
                keep: Box::new(Arc::clone(&forum)),
            })
        };
        let words = CrowdWords {
            reach: &forum.reach,
            attention: &forum.attention.word,
            evicted: None,
        };
        // SAFETY: the endpoint keeps the forum, to which the words belong.
        endpoint.set_crowd(unsafe {
            Crowd::new(
                Entrance::Local(Arc::clone(&forum.lobby)),
                words,
                sink.start,
                extent.span,
                absence,
                fence,
            )
        });
        // SAFETY: the first place belongs to the first position; this is the only producer, and keeps the ring.
        let ring = unsafe { Producer::new(Fixed::new(), place, sink.start, endpoint.watch()) };
        let sink = SinkRef {
            ring,
            endpoint: Box::new(endpoint),
            // It fits into the ring.
            capacity: extent.span as usize,
        };
        Some((sink, Subscribers::new(forum, extent.max_demand)))
    }

    /// What the ring holds.
    pub(super) fn history(&self) -> Option<History<Fixed<T>>> {
        // SAFETY: whoever has the history has the forum.
        unsafe { self.ring.history(&self.reach) }
    }

    pub(super) fn lobby(&self) -> &Lobby<Member> {
        &self.lobby
    }

    /// Lets a consumer in: its first position, and its endpoint.
    pub(super) fn join(
        forum: &Arc<Self>,
        history: &History<Fixed<T>>,
        part: Part,
        source: &SourceSettings,
    ) -> Result<(u64, Box<ConsumerEndpoint>), Refused<()>> {
        let bell = Doorbell::toward(forum.producer.clone());
        let mut made = None;
        let entry = forum.lobby.join(
            history,
            part.from,
            || {
                forum.notice.word.fetch_or(ARRIVED, Ordering::AcqRel);
            },
            || forum.fence.heavy(),
            |entry| {
                let ringer = bell.ringer().ok_or(())?;
                let (lines, member) = forum.member(entry, part, source.window, ringer);
                made = Some(lines);
                Ok(member)
            },
        )?;
        let Some(own) = made else {
            return Err(Refused::Other(()));
        };
        let seat = Seat {
            lobby: Arc::clone(&forum.lobby),
            id: entry.id,
            lines: Arc::clone(&own),
        };
        let shared = &forum.ring.lines;
        let lines = ConsumerLines {
            control: &own.control,
            credit: &own.credit,
            waiting: &shared.waiting,
            end: &shared.end,
            notice: &own.notice,
        };
        // SAFETY: the endpoint keeps the consumer's lines and the forum, to which the others belong.
        let mut endpoint = unsafe {
            ConsumerEndpoint::new(ConsumerSettings {
                lines,
                start: entry.start,
                start_byte: 0,
                demand: source.demand(false),
                idle: source.idle,
                resumable: false,
                strategy: source.strategy,
                fence: forum.fence,
                bell,
                keep: Box::new((own, Arc::clone(forum))),
            })
        };
        endpoint.set_attention(Attention {
            word: &forum.attention.word,
            bit: attention_bit(entry.id),
        });
        endpoint.set_seat(Box::new(seat));
        // It may have asked for nothing, and what waits for anybody to come is told.
        endpoint.announce();
        Ok((entry.start, Box::new(endpoint)))
    }

    fn member(&self, entry: Entry, part: Part, window: u64, ringer: Ringer) -> (Arc<MemberLines>, Member) {
        let lines = Arc::new(MemberLines {
            control: WordLine::new(),
            credit: CreditLine::new(entry.start),
            notice: AtomicU64::new(0),
        });
        // SAFETY: the member keeps the lines.
        let ledger = unsafe { Ledger::new(&lines.credit, &lines.control, window, entry.start, 0) };
        let member = Member {
            id: entry.id,
            ledger,
            gates: part.gates,
            evict_after: part.evict_after,
            call: Call::Local(ringer, &lines.notice),
            stuck: None,
            rung: 0,
            _keep: Box::new(Arc::clone(&lines)),
        };
        (lines, member)
    }
}

#[cfg(all(test, not(millstream_loom)))]
mod tests {
    use crate::stream::broadcast;

    #[test]
    fn who_came_and_went_while_the_producer_was_away_leaves_nothing() {
        let (sink, subscribers) = broadcast::<u64>().build().unwrap();
        for _ in 0..10 {
            drop(subscribers.subscribe().open().unwrap());
            drop(subscribers.subscribe().lossy().open().unwrap());
        }
        assert!(subscribers.forum().lobby.take(|| ()).is_empty());
        drop(sink);
    }
}
