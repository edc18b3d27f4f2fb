//! What a published stream offers to those who call, and what it asks of them.

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;

use zerocopy::IntoBytes;

use super::commit;
use super::durable::{Cursor, NotLent, PositionFile, Terms};
use super::geometry::{self, GRANTED, RELEASED, RELEASED_BYTES};
use super::seat::Subscriber;
use super::socket::{self, Peer};
use super::wire::{Code, Hello, Join, Kind, Refusal, Role, Welcome};
use crate::memory::{MemoryError, MemoryOptions, SharedMemory};
use crate::primitive::Arc;
use crate::ring::page::{CreditHeader, ENDIAN_MARK, PAGE, StreamHeader};

#[derive(Debug)]
pub(super) struct Offer {
    pub(super) header: StreamHeader,
    pub(super) schema: Vec<u8>,
    pub(super) memory: Arc<SharedMemory>,
    pub(super) membarrier: bool,
    /// Whose members may call besides the user of this process.
    pub(super) group: Option<u32>,
    /// Of a durable stream: where its consumer's position stands, and the stream's descriptor for reading alone.
    pub(super) durable: Option<(PositionFile, OwnedFd)>,
}

/// A subscription that waits for its consumer's confirmation.
#[derive(Debug)]
pub(super) struct Invitation {
    pub(super) subscriber: Subscriber,
    pub(super) part: Part,
}

/// The part that a consumer would have in a stream.
#[derive(Debug)]
pub(super) enum Part {
    /// It would be the only one. The producer does not know of it yet, nor have its end of the doorbell.
    Only(OwnedFd),
    /// It is one of several, by this number; and perhaps the heir of one that is to be resumed.
    OneOf { id: u64, heir: bool },
}

/// What a new subscription needs.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) subscriber: Subscriber,
    /// The producer's end of the doorbell.
    pub(super) bell: OwnedFd,
    pub(super) theirs: Theirs,
    pub(super) welcome: Welcome,
}

/// What the consumer alone will have of a subscription: this side keeps no copy. So the lock on the credit page of a durable
/// stream goes with the consumer.
#[derive(Debug)]
pub(super) struct Theirs {
    /// By which it writes its credit page.
    pub(super) credit: OwnedFd,
    /// Its end of the doorbell.
    pub(super) bell: OwnedFd,
}

impl Offer {
    /// Where the first consumer of this publication begins: a position, and the bytes before it.
    pub(super) fn first(&self) -> (u64, u64) {
        match &self.durable {
            None => (self.header.base, 0),
            Some((file, _)) => {
                let Cursor { position, byte } = file.cursor();
                (self.position_at(position, byte), byte)
            }
        }
    }

    /// Where a consumer's successor goes on, as the words that it left say; `None` when nobody can.
    pub(super) fn resumption(&self, subscriber: &Subscriber) -> Option<(u64, u64)> {
        if self.durable.is_some() {
            return Some(self.first());
        }
        let (position, byte) = subscriber.resumption(self.header.buffer_size)?;
        Some((self.position_at(position, byte), byte))
    }

    /// Whether the stream is durable and nothing of it was released yet, so that any consumer may begin.
    pub(super) fn keeps_nobodys_position(&self) -> bool {
        self.durable.as_ref().is_some_and(|(file, _)| !file.is_begun())
    }

    /// The memory as a peer gets it: through this descriptor nobody can write.
    pub(super) fn memory_fd(&self) -> Result<OwnedFd, Refusal> {
        match &self.durable {
            None => self.memory.reopen_read_only().map_err(exhausted),
            Some((_, readable)) => readable.try_clone().map_err(exhausted),
        }
    }

    /// Whether the process at the other end of a connection may call at all.
    pub(super) fn admit(&self, connection: &OwnedFd, peer: Peer) -> Result<(), Refusal> {
        let own = rustix::process::geteuid().as_raw();
        if peer.uid == own {
            return Ok(());
        }
        match self.group {
            None => Err(Refusal::values(Code::User, own.into(), peer.uid.into())),
            Some(group) if socket::is_member(connection, peer, group).unwrap_or(false) => Ok(()),
            Some(group) => Err(Refusal::values(Code::Group, group.into(), peer.gid.into())),
        }
    }

    /// As [`geometry::position_at`], of this stream.
    pub(super) fn position_at(&self, position: u64, byte: u64) -> u64 {
        geometry::position_at(&self.memory, &self.header, position, byte)
    }

    pub(super) fn is_durable(&self) -> bool {
        self.durable.is_some()
    }

    /// Whether the stream is what the caller takes it for.
    pub(super) fn check(&self, hello: &Hello) -> Result<(), Refusal> {
        let header = &self.header;
        if hello.endian != ENDIAN_MARK {
            return Err(Refusal::values(
                Code::Endian,
                ENDIAN_MARK.into(),
                hello.endian.into(),
            ));
        }
        if hello.role == Role::Observer {
            return Ok(());
        }
        let carried = Kind::of(header);
        if hello.kind != Kind::Any && hello.kind != carried {
            return Err(Refusal::new(Code::Kind));
        }
        if carried == Kind::Elements && !hello.any_type && hello.fingerprint != header.fingerprint {
            let (fingerprint, schema) = (header.fingerprint, self.schema.clone());
            return Err(Refusal {
                fingerprint,
                schema,
                ..Refusal::new(Code::Fingerprint)
            });
        }
        if !(1..=header.max_demand).contains(&hello.window) {
            return Err(Refusal::values(Code::Window, header.max_demand, hello.window));
        }
        if header.consumers == 0 && hello.join != Join::default() {
            return Err(Refusal::new(Code::Exclusive));
        }
        // The position of a durable stream stands under a name.
        if self.durable.is_some() && !hello.resumable {
            return Err(Refusal::new(Code::Durable));
        }
        // Without a name nobody could resume it; and where the producer does not wait for it, nothing is held for its successor.
        if hello.resumable && (hello.subscription.is_empty() || !hello.join.gates) {
            return Err(Refusal::new(Code::Malformed));
        }
        Ok(())
    }

    fn welcome(&self) -> Welcome {
        Welcome {
            pid: std::process::id(),
            membarrier: self.membarrier,
            durable: self.durable.is_some(),
            memory_len: self.memory.len() as u64,
            epoch: self.header.epoch,
            start: self.header.base,
            start_byte: 0,
            window: 0,
            consumer: None,
            consumers: 0,
        }
    }

    /// What an observer gets to see: the stream, and a consumer of it, if there is any.
    pub(super) fn show(
        &self,
        consumers: usize,
        consumer: Option<(&Subscriber, bool)>,
    ) -> Result<(Welcome, Vec<OwnedFd>), Refusal> {
        let mut fds = vec![self.memory_fd()?];
        let mut welcome = self.welcome();
        welcome.consumers = u32::try_from(consumers).unwrap_or(u32::MAX);
        if let Some((subscriber, connected)) = consumer {
            fds.push(subscriber.credit.reopen_read_only().map_err(exhausted)?);
            welcome = Welcome {
                start: subscriber.start,
                start_byte: subscriber.start_byte,
                window: subscriber.window,
                consumer: Some(subscriber.consumer(connected)),
                ..welcome
            };
        }
        Ok((welcome, fds))
    }

    /// Makes what a new subscription needs, from `start`, a position and the bytes before it. `number` is its own among
    /// several, plus one. What a `predecessor` has committed is its own from here on.
    pub(super) fn prepare(
        &self,
        hello: &Hello,
        pid: Option<u32>,
        (start, start_byte): (u64, u64),
        number: u64,
        predecessor: Option<&Subscriber>,
    ) -> Result<Prepared, Refusal> {
        let (credit, writer) = match &self.durable {
            None => {
                let credit = self.credit(hello.window, (start, start_byte), number, predecessor);
                let (credit, writer) = credit.map_err(exhausted)?;
                (Arc::new(credit), writer)
            }
            Some((file, _)) => {
                let writer = lend(file, hello, (start, start_byte))?;
                (Arc::clone(file.page()), writer)
            }
        };
        let (bell, other) = socket::pair().map_err(exhausted)?;
        let subscriber = Subscriber {
            pid,
            name: hello.subscription.clone(),
            resumable: hello.resumable,
            membarrier: hello.membarrier,
            window: hello.window,
            start,
            start_byte,
            gates: true,
            evict_after: None,
            credit,
        };
        let welcome = Welcome {
            start,
            start_byte,
            window: hello.window,
            ..self.welcome()
        };
        Ok(Prepared {
            subscriber,
            bell,
            theirs: Theirs {
                credit: writer,
                bell: other,
            },
            welcome,
        })
    }

    /// A credit page for one consumer, which this process can only read from here on.
    fn credit(
        &self,
        window: u64,
        (start, start_byte): (u64, u64),
        number: u64,
        predecessor: Option<&Subscriber>,
    ) -> Result<(SharedMemory, OwnedFd), MemoryError> {
        let page = SharedMemory::create("millstream-credit", PAGE, MemoryOptions::default())?;
        let header = CreditHeader {
            window,
            number,
            ..CreditHeader::new(self.header.epoch, start, start_byte)
        };
        // All of it lies within the page.
        page.copy_in(0, header.as_bytes());
        page.store(GRANTED, start);
        page.store(RELEASED, start);
        page.store(RELEASED_BYTES, start_byte);
        if let Some(predecessor) = predecessor {
            commit::hand_on(&predecessor.credit, &page);
        }
        page.seal_size()?;
        page.into_read_only()
    }
}

/// Has the one consumer of a durable stream get its page.
fn lend(file: &PositionFile, hello: &Hello, (position, byte): (u64, u64)) -> Result<OwnedFd, Refusal> {
    let other = |waiting| Refusal {
        subscription: file.name().unwrap_or_default(),
        waiting,
        ..Refusal::new(Code::AlreadySubscribed)
    };
    let terms = Terms {
        subscription: &hello.subscription,
        cursor: Cursor { position, byte },
        window: hello.window,
    };
    if file.is_begun() && file.name().is_ok_and(|name| name != hello.subscription) {
        return Err(other(true));
    }
    file.lend(&terms).map_err(|error| match error {
        NotLent::Held => other(false),
        NotLent::Io(error) => exhausted(error),
    })
}

fn exhausted(error: impl std::fmt::Display) -> Refusal {
    log::warn!("millstream refuses a consumer for want of memory or descriptors: {error}");
    Refusal::new(Code::Exhausted)
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros;

    use super::*;
    use crate::ring::page::KIND_FRAMES;

    #[test]
    fn the_header_of_a_frame_tells_its_position_where_the_two_words_of_a_killed_consumer_disagree() {
        let memory = SharedMemory::create("torn", 2 * PAGE, MemoryOptions::default()).unwrap();
        let mut header = StreamHeader::new_zeroed();
        (header.kind, header.area_offset, header.area_len) = (KIND_FRAMES, PAGE as u64, PAGE as u64);
        let base = (1 << 32) - 2;
        // The frame at position base + 3, published with five bytes, 64 bytes into the second lap.
        assert!(memory.store(PAGE + 64, ((base + 4) << 32) | 1 << 31 | 5));
        let offer = Offer {
            header,
            schema: Vec::new(),
            memory: Arc::new(memory),
            membarrier: false,
            group: None,
            durable: None,
        };
        assert_eq!(offer.position_at(base + 5, PAGE as u64 + 64), base + 3);
        assert_eq!(offer.position_at(base + 3, PAGE as u64 + 64), base + 3);
        assert_eq!(offer.position_at(base + 5, PAGE as u64 + 72), base + 5);
    }
}
