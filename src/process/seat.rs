//! The one place that a stream has for its consumer, and who takes it.

#![forbid(unsafe_code)]

use std::mem;
use std::os::fd::OwnedFd;
use std::time::Duration;

use mio::Token;

use super::commit;
use super::geometry::{CONTROL, GRANTED, RELEASED, RELEASED_BYTES};
use super::publication::Arrival;
use super::wire::{Code, Consumer, Hello, Refusal};
use crate::memory::SharedMemory;
use crate::primitive::Arc;
use crate::ring::page::WORD_CLOSED;

/// A subscription, as its producer's process knows it.
#[derive(Clone, Debug)]
pub(super) struct Subscriber {
    pub(super) pid: Option<u32>,
    pub(super) name: String,
    pub(super) resumable: bool,
    pub(super) membarrier: bool,
    pub(super) window: u64,
    pub(super) start: u64,
    pub(super) start_byte: u64,
    pub(super) gates: bool,
    pub(super) evict_after: Option<Duration>,
    /// Its page, for reading.
    pub(super) credit: Arc<SharedMemory>,
}

#[derive(Debug)]
pub(super) enum Seat {
    Free,
    Taken {
        subscriber: Subscriber,
        connection: OwnedFd,
        token: Token,
    },
    /// The consumer died, and may be resumed from here.
    Waiting {
        subscriber: Subscriber,
        start: u64,
        start_byte: u64,
    },
    /// The consumer closed or died, and the stream with it.
    Ended,
}

impl Seat {
    /// Where a consumer that says hello would start, at `first` if it is that.
    pub(super) fn place(
        &self,
        hello: &Hello,
        first: impl FnOnce() -> (u64, u64),
    ) -> Result<(u64, u64), Refusal> {
        match self {
            Self::Free => Ok(first()),
            Self::Waiting {
                subscriber,
                start,
                start_byte,
            } if subscriber.name == hello.subscription => Ok((*start, *start_byte)),
            Self::Taken { subscriber, .. } => Err(subscriber.refusal(false)),
            Self::Waiting { subscriber, .. } => Err(subscriber.refusal(true)),
            Self::Ended => Err(Refusal::new(Code::Ended)),
        }
    }

    /// The consumer hung up. `resumption` says where the next one starts, if one may.
    pub(super) fn leave(&mut self, resumption: impl FnOnce(&Subscriber) -> Option<(u64, u64)>) {
        *self = match mem::replace(self, Self::Ended) {
            Self::Taken { subscriber, .. } => match resumption(&subscriber) {
                Some((start, start_byte)) => Self::Waiting {
                    subscriber,
                    start,
                    start_byte,
                },
                None => Self::Ended,
            },
            other => other,
        };
    }

    /// Who has the seat, or left it to be resumed, and whether the connection stands.
    pub(super) fn holder(&self) -> Option<(&Subscriber, bool)> {
        match self {
            Self::Taken { subscriber, .. } => Some((subscriber, true)),
            Self::Waiting { subscriber, .. } => Some((subscriber, false)),
            Self::Free | Self::Ended => None,
        }
    }
}

impl Subscriber {
    pub(super) fn refusal(&self, waiting: bool) -> Refusal {
        let (pid, subscription) = (self.pid.unwrap_or(0), self.name.clone());
        Refusal {
            pid,
            subscription,
            waiting,
            ..Refusal::new(Code::AlreadySubscribed)
        }
    }

    pub(super) fn consumer(&self, connected: bool) -> Consumer {
        Consumer {
            pid: self.pid.unwrap_or(0),
            subscription: self.name.clone(),
            resumable: self.resumable,
            connected,
        }
    }

    pub(super) fn arrival(&self, bell: OwnedFd) -> Arrival {
        Arrival {
            credit: Arc::clone(&self.credit),
            bell,
            start: self.start,
            start_byte: self.start_byte,
            window: self.window,
            subscription: self.name.clone(),
            resumable: self.resumable,
            pid: self.pid,
            membarrier: self.membarrier,
            gates: self.gates,
            evict_after: self.evict_after,
            lent: 0,
        }
    }

    /// The position that it has released, as it says.
    pub(super) fn released(&self) -> u64 {
        self.credit.load(RELEASED).unwrap_or(self.start)
    }

    /// Where the next process of this subscription starts: at what this one has released. `None` when it closed,
    /// when nobody is to resume it, and when its words cannot be right.
    pub(super) fn resumption(&self, buffer: u64) -> Option<(u64, u64)> {
        let word = |offset| self.credit.load(offset);
        if !self.resumable || word(CONTROL)? & WORD_CLOSED != 0 {
            return None;
        }
        let (released, granted) = (word(RELEASED)?, word(GRANTED)?);
        let bytes = word(RELEASED_BYTES)?;
        let forward = released.wrapping_sub(self.start) as i64 >= 0
            && bytes.wrapping_sub(self.start_byte) as i64 >= 0
            && bytes.is_multiple_of(8);
        // Killed between telling `released` and `granted`, it leaves the latter behind the former: by the buffer at most,
        // for no more is published beyond what is granted. Whether so much was, the producer sees for itself.
        let open = granted.wrapping_sub(released);
        let within = open <= self.window || open.wrapping_neg() <= buffer;
        if !(forward && within) {
            log::error!(
                "the consumer {:?} left released = {released}, granted = {granted}, {bytes} bytes, which cannot be right",
                self.name
            );
            return None;
        }
        let most = self.window.saturating_add(buffer);
        Some((commit::resumption(&self.credit, released, most), bytes))
    }
}
