//! The producer's side of the connections to one published stream: who may have it, and who has it.

#![forbid(unsafe_code)]

mod admission;

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use mio::Token;

use super::claim::Claim;
use super::notice::GONE;
use super::offer::{Invitation, Offer};
use super::publication::{Assembly, Desk};
use super::reactor::Wires;
use super::seat::Seat;
use super::seats::Seats;
use super::socket::{self, Receipt};
use super::wire::{Code, Message, OWN_VERSION, Refusal, WireError, version};
use crate::primitive::Arc;

/// Time for the whole of a handshake.
const HANDSHAKE: Duration = Duration::from_secs(1);
/// Handshakes at once.
const MOST_PENDING: usize = 64;
/// Connections accepted before others get their turn.
const ACCEPTED_AT_ONCE: usize = 64;
/// Until the next try, after connections could not be accepted for want of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(10);

/// A published stream.
#[derive(Debug)]
pub(super) struct Host {
    // Dropped first, so that the name leads nowhere before its connections hang up.
    claim: Option<Claim>,
    listener: OwnedFd,
    listening: Option<Token>,
    id: u64,
    offer: Offer,
    desk: Arc<Desk>,
    pending: HashMap<Token, Pending>,
    seat: Seat,
    /// The places of a stream for several consumers; then the seat stays free.
    seats: Option<Box<Seats>>,
    accept_at: Option<Instant>,
    /// A lack of descriptors is logged once.
    complained: bool,
}

/// A connection without a subscription.
#[derive(Debug)]
struct Pending {
    connection: OwnedFd,
    until: Instant,
    pid: Option<u32>,
    /// What was sent, and waits for its confirmation. Only then does the subscription begin, so that a consumer
    /// which dies or fails in the handshake ends nobody's stream.
    invitation: Option<Invitation>,
}

impl Host {
    pub(super) fn new(
        claim: Claim,
        listener: OwnedFd,
        offer: Offer,
        assembly: Option<Assembly>,
        desk: Arc<Desk>,
    ) -> Self {
        let notice = &desk.notice;
        let seats = assembly.map(|assembly| Seats::new(assembly, Arc::clone(notice), &offer.header));
        Self {
            claim: Some(claim),
            listener,
            listening: None,
            id: 0,
            offer,
            desk,
            pending: HashMap::new(),
            seat: Seat::Free,
            seats: seats.map(Box::new),
            accept_at: None,
            complained: false,
        }
    }

    pub(super) fn begin(&mut self, id: u64, wires: &mut Wires) -> io::Result<()> {
        self.id = id;
        self.listening = Some(wires.add(&self.listener, id)?);
        Ok(())
    }

    pub(super) fn retire(mut self, wires: &mut Wires) {
        drop(self.claim.take());
        if let Some(token) = self.listening {
            wires.remove(&self.listener, token);
        }
        for (token, pending) in self.pending.drain() {
            wires.remove(&pending.connection, token);
        }
        if let Seat::Taken {
            connection, token, ..
        } = &self.seat
        {
            wires.remove(connection, *token);
        }
        if let Some(seats) = &mut self.seats {
            seats.retire(wires);
        }
    }

    pub(super) fn next_tick(&self) -> Option<Instant> {
        self.pending
            .values()
            .map(|pending| pending.until)
            .chain(self.accept_at)
            .min()
    }

    pub(super) fn tick(&mut self, now: Instant, wires: &mut Wires) {
        if self.accept_at.is_some_and(|at| at <= now) {
            self.accept(wires);
        }
        let late: Vec<Token> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.until <= now)
            .map(|(token, _)| *token)
            .collect();
        for token in late {
            self.close(token, wires);
        }
    }

    /// Something happened to one of the descriptors. It is reported once, so all there is must be taken.
    pub(super) fn attend(&mut self, token: Token, wires: &mut Wires) {
        if self.listening == Some(token) {
            self.accept(wires);
        } else if self.pending.contains_key(&token) {
            while self.hear(token, wires) {}
        } else {
            self.look_at_consumer(token, wires);
        }
    }

    fn accept(&mut self, wires: &mut Wires) {
        self.accept_at = None;
        for _ in 0..ACCEPTED_AT_ONCE {
            match socket::accept(&self.listener) {
                Ok(Some(connection)) => self.admit(connection, wires),
                Ok(None) => return,
                Err(errno) => {
                    if !self.complained {
                        self.complained = true;
                        log::warn!("millstream cannot accept consumers: {errno}; it goes on trying");
                    }
                    self.accept_at = Some(Instant::now() + ACCEPT_AGAIN);
                    return;
                }
            }
        }
        self.accept_at = Some(Instant::now());
    }

    fn admit(&mut self, connection: OwnedFd, wires: &mut Wires) {
        let Ok(peer) = socket::peer(&connection) else {
            return;
        };
        if let Err(refusal) = self.offer.admit(&connection, peer) {
            return refuse(&connection, refusal);
        }
        if self.pending.len() >= MOST_PENDING {
            return refuse(&connection, Refusal::new(Code::Busy));
        }
        let Ok(token) = wires.add(&connection, self.id) else {
            return refuse(&connection, Refusal::new(Code::Exhausted));
        };
        let until = Instant::now() + HANDSHAKE;
        self.pending.insert(
            token,
            Pending {
                connection,
                until,
                pid: peer.pid,
                invitation: None,
            },
        );
    }

    /// Receives one packet of a handshake. True when there may be more.
    fn hear(&mut self, token: Token, wires: &mut Wires) -> bool {
        let Some(pending) = self.pending.get_mut(&token) else {
            return false;
        };
        let message = match socket::receive(&pending.connection, &mut wires.packet, 0) {
            Ok(Receipt::Nothing) => return false,
            Ok(Receipt::Packet(len, _)) => Message::decode(&wires.packet[..len]),
            Ok(Receipt::Overlong | Receipt::WithoutFds) => Err(WireError::Field {
                word: "message length",
                value: u64::MAX,
            }),
            Ok(Receipt::HungUp) | Err(_) => {
                self.close(token, wires);
                return false;
            }
        };
        match message {
            Ok(Message::Hello(hello)) if pending.invitation.is_none() => {
                let answered = self.answer(token, &hello, wires);
                if let Some(pending) = self.pending.get(&token) {
                    match answered {
                        Ok(true) => return true,
                        Ok(false) => {}
                        Err(refusal) => refuse(&pending.connection, refusal),
                    }
                }
            }
            Ok(Message::Ready) if pending.invitation.is_some() => {
                self.seat(token);
                self.look_at_consumer(token, wires);
                return false;
            }
            Ok(_) => refuse(&pending.connection, Refusal::new(Code::Malformed)),
            Err(WireError::Version { major, minor }) => {
                refuse(
                    &pending.connection,
                    Refusal::values(Code::Version, OWN_VERSION, version(major, minor)),
                );
            }
            Err(WireError::Field { value, .. }) => {
                refuse(&pending.connection, Refusal::values(Code::Malformed, 0, value));
            }
        }
        self.close(token, wires);
        false
    }

    /// Something happened to the connection of a consumer.
    fn look_at_consumer(&mut self, token: Token, wires: &mut Wires) {
        match &mut self.seats {
            None => self.look_at_seat(wires),
            Some(seats) => seats.look_at(token, wires),
        }
    }

    /// Sees to it that the seat is given up once its consumer has hung up, or talks nonsense.
    fn look_at_seat(&mut self, wires: &mut Wires) {
        let Seat::Taken {
            connection, token, ..
        } = &self.seat
        else {
            return;
        };
        if matches!(
            socket::receive(connection, &mut wires.packet, 0),
            Ok(Receipt::Nothing)
        ) {
            return;
        }
        wires.remove(connection, *token);
        let offer = &self.offer;
        self.seat.leave(|subscriber| offer.resumption(subscriber));
        if offer.keeps_nobodys_position() {
            self.seat = Seat::Free;
        }
        if matches!(self.seat, Seat::Ended) {
            self.desk.notice.set(GONE);
        }
    }

    fn close(&mut self, token: Token, wires: &mut Wires) {
        if let Some(pending) = self.pending.remove(&token) {
            wires.remove(&pending.connection, token);
            if let Some(invitation) = &pending.invitation {
                self.uninvite(invitation);
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // After a retirement nobody looks any more. After a panic of the background thread nobody would hear of
        // consumers, coming or going, so the stream ends.
        self.desk.notice.set(GONE);
    }
}

fn refuse(connection: &OwnedFd, refusal: Refusal) {
    // Who does not take the answer gets the hang-up that follows.
    let _ = socket::send(connection, &Message::Refusal(refusal).encode(), &[]);
}
