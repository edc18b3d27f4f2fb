//! Whom a producer produces for: one consumer in this process, or whoever subscribes.

#[cfg(all(target_os = "linux", not(millstream_loom)))]
use super::member::{Call, Member};
use super::oversight::{self, Oversight};
use super::producer::ProducerEndpoint;
use crate::primitive::Arc;
use crate::primitive::atomic::Ordering;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
use crate::process::Arrival;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
use crate::ring::Ledger;
use crate::ring::notice::{ARRIVED, CANCEL, GONE};
use crate::ring::page::{END_COMPLETED, WORD_CLOSED};
use crate::stream::end::CloseReason;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
use crate::wait::{Doorbell, Fence};

/// The peers of a producer: one in this process, or whoever subscribes.
#[derive(Debug)]
pub(crate) enum Audience {
    Local,
    /// One in this process, and somebody who oversees the stream.
    Overseen(Arc<Oversight>),
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    Published(crate::process::Publication, crate::memory::HugePages),
}

impl Audience {
    /// Whether the words that a consumer left may be its successor's by now, who is on its way in: the page of a durable
    /// stream, lent since the arrival that bears `lent`, says less than the last one had asked for.
    #[cfg_attr(
        not(all(target_os = "linux", not(millstream_loom))),
        allow(unused_variables, reason = "only what is published can be durable")
    )]
    pub(super) fn has_passed_on(&self, lent: u64) -> bool {
        match self {
            Self::Local | Self::Overseen(_) => false,
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            Self::Published(publication, _) => publication.has_lent_since(lent),
        }
    }
}

impl ProducerEndpoint {
    /// Attends to a notice, at position `pos`: to the background thread's, or to that of whoever oversees the stream.
    pub(super) fn attend_to(&mut self, notice: u64, pos: u64) {
        if self.crowd.is_some() {
            if notice & ARRIVED != 0 {
                self.admit();
            }
            if notice & GONE != 0 {
                // Nobody would hear of consumers, coming or going, any more.
                self.close(CloseReason::PeerGone);
            }
            return;
        }
        let Audience::Overseen(oversight) = &self.audience else {
            return self.heed(notice);
        };
        let Some(reason) = oversight::reason(notice) else {
            return;
        };
        let oversight = Arc::clone(oversight);
        let ruling = oversight.ruling();
        let reason = ruling.verdict.as_ref().map_or(reason, CloseReason::of);
        // The source closes a lane under this lock. Acquire, as in `look`.
        let closed = self
            .ledgers
            .first()
            .is_some_and(|ledger| ledger.control().word.load(Ordering::Acquire) & WORD_CLOSED != 0);
        self.close(reason);
        if !closed {
            // The source may be taking this very element, so it travels, and is the last.
            self.seal(pos, END_COMPLETED, None);
        }
    }

    /// Why a consumer that closed did so.
    pub(super) fn reason_of_close(&self) -> CloseReason {
        // Whoever sees the close sees why: the source knew when it closed.
        match &self.audience {
            Audience::Overseen(oversight) => oversight.ruling().verdict.as_ref().map(CloseReason::of),
            _ => None,
        }
        .unwrap_or(CloseReason::Cancelled)
    }

    /// Why nothing more will be taken, where somebody outside has said so and the source may not have looked since.
    pub(super) fn dismissed(&self) -> Option<CloseReason> {
        match &self.audience {
            Audience::Overseen(oversight) if oversight.notice().load(Ordering::Acquire) & CANCEL != 0 => {
                Some(self.reason_of_close())
            }
            _ => None,
        }
    }

    /// Attends to the word that the process's background thread writes.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(super) fn heed(&mut self, notice: u64) {
        let Audience::Published(publication, _) = &mut self.audience else {
            return;
        };
        let mut arrived = None;
        while let Some(arrival) = publication.take_arrival() {
            arrived = Some(arrival);
        }
        if let Some(arrival) = arrived {
            self.welcome(arrival);
        }
        if notice & crate::process::GONE != 0 {
            let cancelled = self
                .ledgers
                .first()
                .is_some_and(|ledger| self.has_left(ledger.control().word.load(Ordering::Acquire)));
            self.close(if cancelled {
                CloseReason::Cancelled
            } else {
                CloseReason::PeerGone
            });
        }
    }

    #[cfg(not(all(target_os = "linux", not(millstream_loom))))]
    pub(super) fn heed(&mut self, _: u64) {}

    /// Whether the stream is that of a process which has forked this one: its memory is not here.
    pub(super) fn is_inherited(&self) -> bool {
        match &self.audience {
            Audience::Local | Audience::Overseen(_) => false,
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            Audience::Published(publication, _) => !publication.is_own(),
        }
    }

    /// Whether a consumer is there, or on its way in.
    pub(crate) fn has_consumer(&self) -> bool {
        #[cfg(all(target_os = "linux", not(millstream_loom)))]
        if let Audience::Published(publication, _) = &self.audience
            && publication.arriving_grant().is_some()
        {
            return true;
        }
        !self.ledgers.is_empty()
    }

    pub(super) fn is_gone(&self) -> bool {
        #[cfg(all(target_os = "linux", not(millstream_loom)))]
        if matches!(self.audience, Audience::Published(..)) {
            return self.notice().load(Ordering::Acquire) & crate::process::GONE != 0;
        }
        false
    }

    /// Memory that the kernel gave in huge pages.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn huge_pages(&self) -> Option<crate::memory::HugePages> {
        match &self.audience {
            Audience::Local | Audience::Overseen(_) => None,
            Audience::Published(_, huge_pages) => Some(*huge_pages),
        }
    }

    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    /// Takes a subscription over from the background thread. The page of the one before it is let go: the watch on it is
    /// replaced by what the caller returns, before the next publication.
    fn welcome(&mut self, arrival: Arrival) {
        // SAFETY: `credit` below keeps the page as long as the ledger is used.
        let ledger = unsafe { self.ledger_of(&arrival) };
        self.ledgers = vec![ledger];
        if let Doorbell::Remote(bell) = &mut self.bell {
            let rings = match &self.audience {
                Audience::Published(publication, _) => publication.rings(&arrival.credit),
                Audience::Local | Audience::Overseen(_) => None,
            };
            bell.connect(arrival.bell, rings);
        }
        self.rung = 0;
        self.lent = arrival.lent;
        self.credit = Some(arrival.credit);
    }

    /// Takes one of several subscriptions over from the background thread.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(super) fn receive(&mut self, id: u64, arrival: Arrival) -> Member {
        // SAFETY: the member keeps the page.
        let ledger = unsafe { self.ledger_of(&arrival) };
        self.bell.admit(id, arrival.bell);
        Member {
            id,
            ledger,
            gates: arrival.gates,
            evict_after: arrival.evict_after,
            call: Call::Remote,
            stuck: None,
            rung: 0,
            _keep: Box::new(arrival.credit),
        }
    }

    /// Has the background thread end the subscription of one of several.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(super) fn expel(&self, id: u64) {
        if let Audience::Published(publication, _) = &self.audience {
            publication.expel(id);
        }
    }

    /// The words of a subscription, as this side checks them.
    ///
    /// # Safety
    /// The ledger's owner keeps the page of the arrival.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    unsafe fn ledger_of(&mut self, arrival: &Arrival) -> Ledger {
        log::debug!(
            "subscription {:?} of process {:?} from {} on, resumable: {}",
            arrival.subscription,
            arrival.pid,
            arrival.start,
            arrival.resumable
        );
        let page = arrival.credit.as_ptr().cast::<crate::ring::page::CreditPage>();
        // SAFETY: the memory is one credit page; no reference is made to it.
        let (line, control) = unsafe { (&raw const (*page).credit, &raw const (*page).control) };
        if !arrival.membarrier {
            self.fence = Fence::Full;
        }
        // SAFETY: kept, as the caller promises.
        unsafe { Ledger::new(line, control, arrival.window, arrival.start, arrival.start_byte) }
    }
}
