//! The producer's side of the connections to one published stream: who may have it, and who has it.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::Token;
use rustix::io::Errno;

use super::claim::Claim;
use super::notice::GONE;
use super::offer::{Invitation, Offer, Part, Prepared};
use super::publication::{Assembly, Desk};
use super::reactor::Wires;
use super::seat::Seat;
use super::seats::Seats;
use super::socket::{self, Receipt};
use super::wire::{Code, Hello, Message, OWN_VERSION, Refusal, Role, Welcome, WireError, version};
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

    /// Ends the subscription of one of several consumers.
    pub(super) fn expel(&mut self, consumer: u64, wires: &mut Wires) {
        if let Some(seats) = &mut self.seats {
            seats.expel(consumer, wires);
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
        let own = rustix::process::geteuid().as_raw();
        let Ok(peer) = socket::peer(&connection) else {
            return;
        };
        if peer.uid != own {
            return refuse(
                &connection,
                Refusal::values(Code::User, own.into(), peer.uid.into()),
            );
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

    /// Answers a hello. True when the connection goes on.
    fn answer(&mut self, token: Token, hello: &Hello, wires: &mut Wires) -> Result<bool, Refusal> {
        self.offer.check(hello)?;
        if hello.role == Role::Observer {
            let (welcome, fds) = match &self.seats {
                None => self.offer.show(0, self.seat.holder())?,
                Some(seats) => {
                    let (count, slowest) = seats.census();
                    self.offer.show(count, slowest)?
                }
            };
            let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
            if let Some(pending) = self.pending.get(&token) {
                let _ = socket::send(&pending.connection, &Message::Welcome(welcome).encode(), &fds);
            }
            return Ok(false);
        }
        let pid = self.pending.get(&token).and_then(|pending| pending.pid);
        let (invitation, welcome, theirs) = if self.seats.is_some() {
            self.invite_among(hello, pid, wires)?
        } else {
            self.invite(hello, pid, wires)?
        };
        let Some(pending) = self.pending.get_mut(&token) else {
            self.uninvite(&invitation);
            return Ok(false);
        };
        let sent = {
            let mut fds = vec![
                self.offer.memory_fd(),
                invitation.subscriber.credit.fd(),
                theirs.as_fd(),
            ];
            fds.extend(self.seats.as_ref().map(|seats| seats.attention_fd()));
            socket::send(&pending.connection, &Message::Welcome(welcome).encode(), &fds)
        };
        if sent.is_err() {
            self.uninvite(&invitation);
        } else {
            pending.invitation = Some(invitation);
        }
        match sent {
            Ok(()) => Ok(true),
            // Descriptors in flight count against a limit of their own.
            Err(Errno::TOOMANYREFS | Errno::MFILE | Errno::NOMEM | Errno::NOBUFS) => {
                Err(Refusal::new(Code::Exhausted))
            }
            Err(_) => Ok(false),
        }
    }

    /// Makes what the only consumer needs, if there is none.
    fn invite(
        &mut self,
        hello: &Hello,
        pid: Option<u32>,
        wires: &mut Wires,
    ) -> Result<(Invitation, Welcome, OwnedFd), Refusal> {
        self.hear_the_dead(wires);
        let start = self.seat.place(hello, self.offer.base())?;
        let other = self
            .pending
            .values()
            .find_map(|pending| pending.invitation.as_ref());
        if let Some(other) = other {
            return Err(other.subscriber.refusal(false));
        }
        let Prepared {
            subscriber,
            bell,
            theirs,
            welcome,
        } = self.offer.prepare(hello, pid, start, 0)?;
        let part = Part::Only(bell);
        Ok((Invitation { subscriber, part }, welcome, theirs))
    }

    /// Makes what one of several consumers needs, if there is a place.
    fn invite_among(
        &mut self,
        hello: &Hello,
        pid: Option<u32>,
        wires: &mut Wires,
    ) -> Result<(Invitation, Welcome, OwnedFd), Refusal> {
        let name = &hello.subscription;
        if !name.is_empty() {
            self.hear_the_dead(wires);
            let invited = self
                .pending
                .values()
                .filter_map(|pending| pending.invitation.as_ref());
            if let Some(other) = invited.map(|one| &one.subscriber).find(|one| one.name == *name) {
                return Err(other.refusal(false));
            }
        }
        let invited = self.ask_seats(hello, pid);
        if !matches!(invited, Err(Refusal { code: Code::Full, .. })) {
            return invited;
        }
        self.hear_the_dead(wires);
        self.ask_seats(hello, pid)
    }

    fn ask_seats(
        &mut self,
        hello: &Hello,
        pid: Option<u32>,
    ) -> Result<(Invitation, Welcome, OwnedFd), Refusal> {
        match &mut self.seats {
            Some(seats) => seats.invite(&self.offer, hello, pid),
            None => Err(Refusal::new(Code::Ended)),
        }
    }

    /// Whoever died before somebody called may not have been noticed yet.
    fn hear_the_dead(&mut self, wires: &mut Wires) {
        let invited: Vec<Token> = self
            .pending
            .iter()
            .filter(|(_, other)| other.invitation.is_some())
            .map(|(token, _)| *token)
            .collect();
        for other in invited {
            while self.hear(other, wires) {}
        }
        match &mut self.seats {
            None => self.look_at_seat(wires),
            Some(seats) => seats.look_at_all(wires),
        }
    }

    /// An invitation comes to nothing.
    fn uninvite(&mut self, invitation: &Invitation) {
        if let (Part::OneOf { id, heir }, Some(seats)) = (&invitation.part, &mut self.seats) {
            seats.uninvite(*id, *heir, &invitation.subscriber);
        }
    }

    /// The invitation was confirmed: the subscription begins.
    fn seat(&mut self, token: Token) {
        let Some(Pending {
            connection,
            invitation: Some(Invitation { subscriber, part }),
            ..
        }) = self.pending.remove(&token)
        else {
            return;
        };
        match part {
            Part::Only(bell) => {
                self.desk.deliver(subscriber.arrival(bell));
                self.seat = Seat::Taken {
                    subscriber,
                    connection,
                    token,
                };
            }
            Part::OneOf { id, .. } => {
                if let Some(seats) = &mut self.seats {
                    seats.seat(token, id, subscriber, connection);
                }
            }
        }
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
        self.seat.leave(offer.header.buffer_size, |position, byte| {
            offer.position_at(position, byte)
        });
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
