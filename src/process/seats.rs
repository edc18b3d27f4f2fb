//! The places that a stream has for several consumers.
//!
//! Whoever asks for one is let in when it is invited, so that the position at which it starts is held during the handshake;
//! if that fails, it has gone again. The producer need not run for any of this: it finds who came and went in the lobby.
//!
//! One that dies and may be resumed keeps its place, and the producer goes on to wait for it, until the next of its name takes
//! the place over.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use mio::Token;

use super::notice::{ARRIVED, Notice};
use super::offer::{Invitation, Offer, Part, Prepared, Theirs};
use super::publication::Assembly;
use super::reactor::Wires;
use super::seat::Subscriber;
use super::socket::{self, Receipt};
use super::wire::{Code, Hello, Message, Refusal, Welcome};
use crate::primitive::Arc;
use crate::ring::page::StreamHeader;
use crate::ring::{Entry, NotHeld, Refused};
use crate::wait::Fence;

#[derive(Debug)]
pub(super) struct Seats {
    assembly: Assembly,
    notice: Arc<Notice>,
    /// Of this process, in which the producer runs.
    fence: Fence,
    taken: HashMap<Token, Taken>,
    /// Those who died and may be resumed: the producer waits for them where they were.
    left: Vec<Left>,
    /// Of the stream.
    buffer: u64,
}

#[derive(Debug)]
struct Taken {
    id: u64,
    subscriber: Subscriber,
    connection: OwnedFd,
}

/// A subscription without a process.
#[derive(Debug)]
struct Left {
    id: u64,
    subscriber: Subscriber,
    /// Where it is resumed.
    start: u64,
}

/// How far `pos` is ahead of `other`.
fn ahead(pos: u64, other: u64) -> i64 {
    pos.wrapping_sub(other) as i64
}

impl Seats {
    pub(super) fn new(assembly: Assembly, notice: Arc<Notice>, header: &StreamHeader) -> Self {
        Self {
            assembly,
            notice,
            fence: Fence::within_process(),
            taken: HashMap::new(),
            left: Vec::new(),
            buffer: header.buffer_size,
        }
    }

    pub(super) fn attention_fd(&self) -> BorrowedFd<'_> {
        self.assembly.attention.fd()
    }

    /// Lets a consumer in, and makes what it needs. What comes back last is for the consumer alone.
    pub(super) fn invite(
        &mut self,
        offer: &Offer,
        hello: &Hello,
        pid: Option<u32>,
    ) -> Result<(Invitation, Welcome, Theirs), Refusal> {
        let name = &hello.subscription;
        let named = |subscriber: &Subscriber| !name.is_empty() && subscriber.name == *name;
        if let Some(other) = self.taken.values().find(|taken| named(&taken.subscriber)) {
            return Err(other.subscriber.refusal(false));
        }
        let predecessor = self.left.iter().position(|left| named(&left.subscriber));
        let Assembly { lobby, history, .. } = &self.assembly;
        let announce = || self.notice.set(ARRIVED);
        let mut invited = None;
        let heir = predecessor.is_some();
        let before = predecessor.map(|index| self.left[index].subscriber.clone());
        let make = |entry: Entry| {
            let Prepared {
                mut subscriber,
                bell,
                theirs,
                welcome,
            } = offer.prepare(
                hello,
                pid,
                (entry.start, 0),
                entry.id.wrapping_add(1),
                before.as_ref(),
            )?;
            subscriber.gates = hello.join.gates;
            let evict_after = Duration::from_nanos(hello.join.evict_after);
            subscriber.evict_after = Some(evict_after).filter(|most| !most.is_zero());
            let arrival = subscriber.arrival(bell);
            let part = Part::OneOf { id: entry.id, heir };
            invited = Some((Invitation { subscriber, part }, welcome, theirs));
            Ok(arrival)
        };
        let joined = match predecessor {
            None => lobby.join(history, hello.join.from, announce, || self.fence.heavy(), make),
            Some(index) => {
                let place = (self.left[index].id, self.left[index].start);
                let joined = lobby.succeed(place, announce, make).map_err(Refused::Other);
                if joined.is_ok() {
                    self.left.swap_remove(index);
                }
                joined
            }
        };
        match (joined, invited) {
            (Ok(_), Some(invited)) => Ok(invited),
            (Err(Refused::Full), _) => Err(Refusal::values(Code::Full, lobby.most() as u64, 0)),
            (Err(Refused::Position(NotHeld { oldest, newest })), _) => {
                Err(Refusal::values(Code::NotHeld, oldest, newest))
            }
            (Err(Refused::Other(refusal)), _) => Err(refusal),
            // Whoever is let in is invited.
            (Ok(_), None) => Err(Refusal::new(Code::Exhausted)),
        }
    }

    /// The invitation was confirmed.
    pub(super) fn seat(&mut self, token: Token, id: u64, subscriber: Subscriber, connection: OwnedFd) {
        let taken = Taken {
            id,
            subscriber,
            connection,
        };
        self.taken.insert(token, taken);
    }

    /// Whoever was invited does not come. The place of an heir stays its predecessor's.
    pub(super) fn uninvite(&mut self, id: u64, heir: bool, subscriber: &Subscriber) {
        if heir {
            self.leave(id, subscriber);
        } else {
            self.give_up(id, subscriber);
        }
    }

    /// A consumer is gone, perhaps to be resumed.
    fn leave(&mut self, id: u64, subscriber: &Subscriber) {
        let held = |pos: &u64| {
            let history = &self.assembly.history;
            let reach = history.reach();
            let oldest = history.oldest(reach);
            ahead(*pos, oldest) >= 0 && ahead(history.newest(oldest, reach), *pos) >= 0
        };
        let resumption = subscriber.resumption(self.buffer);
        match resumption.map(|(position, _)| position).filter(held) {
            None => self.give_up(id, subscriber),
            Some(start) => self.left.push(Left {
                id,
                subscriber: subscriber.clone(),
                start,
            }),
        }
    }

    /// A consumer is gone for good.
    fn give_up(&mut self, id: u64, subscriber: &Subscriber) {
        let Assembly { lobby, history, .. } = &self.assembly;
        let released = subscriber.released();
        // What it says is not believed where the producer has not been.
        let is_right = ahead(released, subscriber.start) >= 0 && ahead(history.reach(), released) >= 0;
        lobby.go(id, || self.notice.set(ARRIVED));
        lobby.vacate(id, if is_right { released } else { subscriber.start });
    }

    /// Sees to it that the place is given up once its consumer has hung up, or talks nonsense.
    pub(super) fn look_at(&mut self, token: Token, wires: &mut Wires) {
        let Some(taken) = self.taken.get(&token) else {
            return;
        };
        if !matches!(
            socket::receive(&taken.connection, &mut wires.packet, 0),
            Ok(Receipt::Nothing)
        ) {
            self.vacate(token, wires);
        }
    }

    pub(super) fn look_at_all(&mut self, wires: &mut Wires) {
        let tokens: Vec<Token> = self.taken.keys().copied().collect();
        for token in tokens {
            self.look_at(token, wires);
        }
    }

    fn vacate(&mut self, token: Token, wires: &mut Wires) {
        if let Some(taken) = self.taken.remove(&token) {
            wires.remove(&taken.connection, token);
            self.leave(taken.id, &taken.subscriber);
        }
    }

    /// Ends the subscription of a consumer without which the producer goes on, and tells it.
    pub(super) fn expel(&mut self, id: u64, wires: &mut Wires) {
        let token = self.taken.iter().find(|(_, taken)| taken.id == id);
        if let Some(token) = token.map(|(token, _)| *token)
            && let Some(taken) = self.taken.remove(&token)
        {
            // Who does not take the message gets the hang-up that follows.
            let _ = socket::send(&taken.connection, &Message::Evicted.encode(), &[]);
            wires.remove(&taken.connection, token);
            self.give_up(id, &taken.subscriber);
        } else if let Some(index) = self.left.iter().position(|left| left.id == id) {
            let left = self.left.swap_remove(index);
            self.give_up(id, &left.subscriber);
        }
    }

    /// How many consumers there are, and the one that is furthest behind of those that the producer waits for, with whether it
    /// is connected.
    pub(super) fn census(&self) -> (usize, Option<(&Subscriber, bool)>) {
        let taken = self.taken.values().map(|taken| (&taken.subscriber, true));
        let left = self.left.iter().map(|left| (&left.subscriber, false));
        let reach = self.assembly.history.reach();
        let slowest = taken
            .chain(left)
            .filter(|(subscriber, _)| subscriber.gates)
            .min_by_key(|(subscriber, _)| ahead(subscriber.released(), reach));
        (self.taken.len() + self.left.len(), slowest)
    }

    pub(super) fn retire(&mut self, wires: &mut Wires) {
        for (token, taken) in self.taken.drain() {
            wires.remove(&taken.connection, token);
        }
    }
}
