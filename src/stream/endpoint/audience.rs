//! Whom a producer produces for: one consumer in this process, or whoever subscribes.

use super::producer::ProducerEndpoint;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
use crate::primitive::atomic::Ordering;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
use crate::ring::Ledger;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
use crate::ring::page::WORD_CLOSED;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
use crate::stream::end::CloseReason;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
use crate::wait::{Doorbell, Fence};

/// The peers of a producer: one in this process, or whoever subscribes.
#[derive(Debug)]
pub(crate) enum Audience {
    Local,
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    Published(crate::process::Publication, crate::memory::HugePages),
}

impl ProducerEndpoint {
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
                .is_some_and(|ledger| ledger.control().word.load(Ordering::Acquire) & WORD_CLOSED != 0);
            self.close(if cancelled {
                CloseReason::Cancelled
            } else {
                CloseReason::PeerGone
            });
        }
    }

    #[cfg(not(all(target_os = "linux", not(millstream_loom))))]
    pub(super) fn heed(&mut self, _: u64) {}

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
            Audience::Local => None,
            Audience::Published(_, huge_pages) => Some(*huge_pages),
        }
    }

    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    /// Takes a subscription over from the background thread. The page of the one before it is let go: the watch on it is
    /// replaced by what the caller returns, before the next publication.
    fn welcome(&mut self, arrival: crate::process::Arrival) {
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
        // SAFETY: `credit` below keeps the page as long as the ledger is used.
        let ledger = unsafe { Ledger::new(line, control, arrival.window, arrival.start, arrival.start_byte) };
        self.ledgers = vec![ledger];
        if let Doorbell::Remote(bell) = &mut self.bell {
            bell.connect(arrival.bell);
        }
        if !arrival.membarrier {
            self.fence = Fence::Full;
        }
        self.rung = 0;
        self.credit = Some(arrival.credit);
    }
}
