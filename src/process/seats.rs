//! The places that a stream has for several consumers.
//!
//! Whoever asks for one is let in when it is invited, so that the position at which it starts is held during the handshake;
//! if that fails, it has gone again. The producer need not run for any of this: it finds who came and went in the lobby.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use mio::Token;

use super::notice::{ARRIVED, Notice};
use super::offer::{Invitation, Offer, Part, Prepared};
use super::publication::Assembly;
use super::reactor::Wires;
use super::seat::Subscriber;
use super::socket::{self, Receipt};
use super::wire::{Code, Hello, Message, Refusal, Welcome};
use crate::primitive::Arc;
use crate::ring::page::attention_bit;
use crate::ring::{NotHeld, Refused};
use crate::wait::Fence;

#[derive(Debug)]
pub(super) struct Seats {
    assembly: Assembly,
    notice: Arc<Notice>,
    /// Of this process, in which the producer runs.
    fence: Fence,
    taken: HashMap<Token, Taken>,
    /// The furthest position that one of those who have gone had released.
    heard: u64,
}

#[derive(Debug)]
struct Taken {
    id: u64,
    subscriber: Subscriber,
    connection: OwnedFd,
}

/// How far `pos` is ahead of `other`.
fn ahead(pos: u64, other: u64) -> i64 {
    pos.wrapping_sub(other) as i64
}

impl Seats {
    pub(super) fn new(assembly: Assembly, notice: Arc<Notice>, base: u64) -> Self {
        Self {
            assembly,
            notice,
            fence: Fence::within_process(),
            taken: HashMap::new(),
            heard: base,
        }
    }

    pub(super) fn attention_fd(&self) -> BorrowedFd<'_> {
        self.assembly.attention.fd()
    }

    /// Lets a consumer in, and makes what it needs. The descriptor is its end of the doorbell.
    pub(super) fn invite(
        &self,
        offer: &Offer,
        hello: &Hello,
        pid: Option<u32>,
    ) -> Result<(Invitation, Welcome, OwnedFd), Refusal> {
        let Assembly { lobby, history, .. } = &self.assembly;
        let mut invited = None;
        let joined = lobby.join(
            history,
            hello.join.from,
            || self.notice.set(ARRIVED),
            || self.fence.heavy(),
            |entry| {
                let Prepared {
                    mut subscriber,
                    bell,
                    theirs,
                    welcome,
                } = offer.prepare(hello, pid, (entry.start, 0), attention_bit(entry.id))?;
                subscriber.gates = hello.join.gates;
                let evict_after = Duration::from_nanos(hello.join.evict_after);
                subscriber.evict_after = Some(evict_after).filter(|most| !most.is_zero());
                let arrival = subscriber.arrival(bell);
                let part = Part::OneOf(entry.id);
                invited = Some((Invitation { subscriber, part }, welcome, theirs));
                Ok(arrival)
            },
        );
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

    /// A consumer has gone, or was invited and does not come.
    pub(super) fn give_up(&mut self, id: u64, subscriber: &Subscriber) {
        let Assembly { lobby, history, .. } = &self.assembly;
        let released = subscriber.released();
        // What it says is not believed where the producer has not been.
        if ahead(released, self.heard) > 0 && ahead(history.reach(), released) >= 0 {
            self.heard = released;
        }
        lobby.go(id, || self.notice.set(ARRIVED));
        lobby.vacate();
        if lobby.seated() == 0 {
            // The producer, which says so too, may not run before the next one comes.
            lobby.desert(self.heard);
        }
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
            self.give_up(taken.id, &taken.subscriber);
        }
    }

    /// Ends the subscription of a consumer without which the producer goes on, and tells it.
    pub(super) fn expel(&mut self, id: u64, wires: &mut Wires) {
        let token = self.taken.iter().find(|(_, taken)| taken.id == id);
        if let Some((token, taken)) = token.map(|(token, taken)| (*token, taken)) {
            // Who does not take the message gets the hang-up that follows.
            let _ = socket::send(&taken.connection, &Message::Evicted.encode(), &[]);
            self.vacate(token, wires);
        }
    }

    /// How many consumers there are, and the one that is furthest behind of those that the producer waits for.
    pub(super) fn census(&self) -> (usize, Option<&Subscriber>) {
        let subscribers = self.taken.values().map(|taken| &taken.subscriber);
        let behind = |subscriber: &&Subscriber| ahead(subscriber.released(), self.assembly.history.reach());
        let slowest = subscribers.filter(|one| one.gates).min_by_key(behind);
        (self.taken.len(), slowest)
    }

    pub(super) fn retire(&mut self, wires: &mut Wires) {
        for (token, taken) in self.taken.drain() {
            wires.remove(&taken.connection, token);
        }
    }
}
