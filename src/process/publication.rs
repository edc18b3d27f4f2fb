//! A published stream, as its producer holds it.

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::Duration;

use super::claim::{Claim, ClaimError};
use super::directory::{Circle, Missing, RuntimeDirectory};
use super::durable::PositionFile;
use super::error::{PublishError, SystemError};
use super::geometry::{CONTROL, GRANTED};
use super::host::Host;
use super::name::Name;
use super::notice::{ARRIVED, Notice};
use super::offer::Offer;
use super::reactor::Command;
use super::service::{Lease, Unavailable};
use super::socket;
use crate::memory::{Counter, SharedMemory};
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::{Arc, Mutex};
use crate::ring::page::{CONSUMER_RINGS, PRODUCER_RINGS, StreamHeader, WORD_CLOSED};
use crate::ring::shape::Measured;
use crate::ring::{History, Lobby};
use crate::wait::Rings;

/// What to publish, and where.
#[derive(Debug)]
pub(crate) struct PublicationSettings {
    /// The runtime directory, when it is not the one that the environment names.
    pub(crate) dir: Option<PathBuf>,
    pub(crate) name: String,
    /// The group whose members may subscribe besides the user of this process.
    pub(crate) group: Option<u32>,
    /// The header that stands in the memory.
    pub(crate) header: StreamHeader,
    pub(crate) schema: Vec<u8>,
    /// Sealed for its writer only.
    pub(crate) memory: Arc<SharedMemory>,
    /// Whether the producer's process is registered for memory barriers by its peers.
    pub(crate) membarrier: bool,
    /// Of a stream for several consumers: what they share.
    pub(crate) assembly: Option<Assembly>,
    /// Of a durable stream: the file with its consumer's position.
    pub(crate) position: Option<PositionFile>,
}

/// What a stream for several consumers has besides its memory, which keeps what the history reads.
#[derive(Clone, Debug)]
pub(crate) struct Assembly {
    /// Where those wait who have come.
    pub(crate) lobby: Arc<Lobby<Arrival>>,
    pub(crate) history: History<Measured>,
    /// The page with the word by which they ask for attention.
    pub(crate) attention: Arc<SharedMemory>,
}

/// A consumer that has subscribed.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The consumer's page, mapped for reading.
    pub(crate) credit: Arc<SharedMemory>,
    /// The producer's end of the doorbell.
    pub(crate) bell: OwnedFd,
    /// Position of the first element that the consumer gets. For a resumed subscription it comes from a page that
    /// the consumer's predecessor wrote: a producer has to see for itself that it has published so far.
    pub(crate) start: u64,
    pub(crate) start_byte: u64,
    pub(crate) window: u64,
    /// Name of the subscription; may be empty.
    pub(crate) subscription: String,
    pub(crate) resumable: bool,
    pub(crate) pid: Option<u32>,
    pub(crate) membarrier: bool,
    /// Of one of several: whether the producer waits for it.
    pub(crate) gates: bool,
    /// Of one of several: for how long at a time.
    pub(crate) evict_after: Option<Duration>,
    /// Of a durable stream: how often its page had been lent, with this time.
    pub(crate) lent: u64,
}

impl Arrival {
    /// The position up to which it has asked, for a report: the value is not checked.
    pub(crate) fn granted(&self) -> u64 {
        self.credit.load(GRANTED).unwrap_or(self.start)
    }
}

/// Where the background thread leaves what is for the producer.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) notice: Arc<Notice>,
    slot: Mutex<Option<Arrival>>,
    /// How often the page of a durable stream was lent to a consumer.
    lent: AtomicU64,
}

impl Desk {
    /// Leaves an arrival, in place of one that the producer has not taken: that one was resumed meanwhile.
    pub(super) fn deliver(&self, mut arrival: Arrival) {
        // By this very thread, for this arrival: nobody else was invited meanwhile.
        arrival.lent = self.lent.load(Ordering::Relaxed);
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(arrival);
        // Under the lock, so that whoever takes this arrival clears this bit.
        self.notice.set(ARRIVED);
    }

    /// The page of a durable stream is about to be lent again.
    pub(super) fn lend(&self) {
        // Before the words that the next consumer begins with, of which each is a Release: who reads one of them reads this.
        self.lent.fetch_add(1, Ordering::Release);
    }
}

/// A published stream. Dropping it ends the publication: no file and no connection is left then.
#[derive(Debug)]
pub(crate) struct Publication {
    id: u64,
    desk: Arc<Desk>,
    /// Counts how often the producer rings its only consumer, if the revision of its page has a place for it.
    rings: Option<Counter>,
    lease: Lease,
}

impl Publication {
    pub(crate) fn open(settings: PublicationSettings) -> Result<Self, PublishError> {
        let PublicationSettings {
            dir,
            name,
            group,
            header,
            schema,
            memory,
            membarrier,
            assembly,
            position,
        } = settings;
        let name = Name::new(&name)?;
        let path = RuntimeDirectory::locate(dir.as_deref());
        let circle = group.map_or(Circle::Own, Circle::ForGroup);
        let directory = Arc::new(RuntimeDirectory::open(path, Missing::Create, circle)?);
        let claim = Claim::take(&directory, &name).map_err(|error| match error {
            ClaimError::Taken { pid } => PublishError::NameTaken {
                name: name.to_string(),
                pid,
            },
            ClaimError::System(error) => error.into(),
        })?;
        let listener = socket::listen(&directory, &name)?;
        let desk = Arc::new(Desk {
            notice: Arc::new(Notice::new()?),
            slot: Mutex::new(None),
            lent: AtomicU64::new(0),
        });
        let durable = match position {
            None => None,
            Some(position) => Some((position, memory.reopen_read_only()?)),
        };
        let rings = (header.minor > 0)
            .then(|| Counter::at(&memory, PRODUCER_RINGS))
            .flatten();
        let offer = Offer {
            header,
            schema,
            memory,
            membarrier,
            group,
            durable,
        };
        let host = Box::new(Host::new(claim, listener, offer, assembly, Arc::clone(&desk)));
        let lease = Lease::take()?;
        let id = lease
            .call(|reply| Command::Host(host, reply))?
            .map_err(|source| SystemError::Io {
                what: "waiting for consumers",
                path: directory.at(&name.socket_file()),
                source,
            })?;
        Ok(Self {
            id,
            desk,
            rings,
            lease,
        })
    }

    pub(crate) fn notice(&self) -> &Arc<Notice> {
        &self.desk.notice
    }

    /// How the producer and the only consumer, whose page this is, ring each other, if not by sockets.
    pub(crate) fn rings(&self, credit: &Arc<SharedMemory>) -> Option<Rings> {
        let peer = Counter::at(credit, CONSUMER_RINGS)?;
        Rings::new(self.rings.clone()?, peer, Arc::clone(self.desk.notice.rings()))
    }

    /// Whether it is of this process, and not of one that forked it.
    pub(crate) fn is_own(&self) -> bool {
        self.lease.is_own()
    }

    /// Ends the subscription of one of several consumers, without which the producer goes on.
    pub(crate) fn expel(&self, consumer: u64) {
        self.lease.messenger().tell(Command::Expel(self.id, consumer));
    }

    /// What a consumer that has come and was not taken yet has asked for: the position that it grants.
    pub(crate) fn arriving_grant(&self) -> Option<u64> {
        let slot = self.desk.slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().and_then(|arrival| arrival.credit.load(GRANTED))
    }

    /// Whether the consumer of an arrival that was not taken yet takes nothing any more.
    pub(crate) fn arriving_is_closed(&self) -> bool {
        let slot = self.desk.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let control = slot.as_ref().and_then(|arrival| arrival.credit.load(CONTROL));
        control.is_some_and(|control| control & WORD_CLOSED != 0)
    }

    /// Whether the page of a durable stream has been lent since the `lent` of an arrival, so that what stands there may be of a
    /// consumer that has not arrived yet.
    pub(crate) fn has_lent_since(&self, lent: u64) -> bool {
        // Pairs with the Release in `Desk::lend`, by way of a word of the page.
        self.desk.lent.load(Ordering::Acquire) != lent
    }

    /// The consumer that has come since the last call, if any.
    pub(crate) fn take_arrival(&self) -> Option<Arrival> {
        let mut slot = self.desk.slot.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that the bit of an arrival that comes next is not cleared with this one's.
        self.desk.notice.clear(ARRIVED);
        slot.take()
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        // In a forked child the publication is the parent's, and in a thread that has panicked it is gone.
        if let Err(why) = self.lease.call(|reply| Command::Retire(self.id, reply)) {
            log::debug!("millstream's publication was gone before it was dropped: {why:?}");
        }
    }
}

impl From<Unavailable> for PublishError {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Ended(why) => Self::ServiceUnavailable { why },
            Unavailable::Refused(error) => error.into(),
        }
    }
}
