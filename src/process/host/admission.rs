//! How a caller gets a seat, or one of several, and loses it before it has it: hello, invitation, confirmation.

#![forbid(unsafe_code)]

use std::os::fd::AsFd;

use mio::Token;
use rustix::io::Errno;

use super::{Host, Pending};
use crate::process::offer::{Invitation, Part, Prepared, Theirs};
use crate::process::reactor::Wires;
use crate::process::seat::Seat;
use crate::process::socket;
use crate::process::wire::{Code, Hello, Message, Refusal, Role, Welcome};

impl Host {
    /// Answers a hello. True when the connection goes on.
    pub(super) fn answer(&mut self, token: Token, hello: &Hello, wires: &mut Wires) -> Result<bool, Refusal> {
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
        let memory = self.offer.memory_fd()?;
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
            let mut fds = vec![memory.as_fd(), theirs.credit.as_fd(), theirs.bell.as_fd()];
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
    ) -> Result<(Invitation, Welcome, Theirs), Refusal> {
        self.hear_the_dead(wires);
        let start = self.seat.place(hello, || self.offer.first())?;
        let other = self
            .pending
            .values()
            .find_map(|pending| pending.invitation.as_ref());
        if let Some(other) = other {
            return Err(other.subscriber.refusal(false));
        }
        if self.offer.is_durable() {
            self.desk.lend();
        }
        let predecessor = self.seat.holder().map(|(subscriber, _)| subscriber);
        let Prepared {
            subscriber,
            bell,
            theirs,
            welcome,
        } = self.offer.prepare(hello, pid, start, 0, predecessor)?;
        let part = Part::Only(bell);
        let invitation = Invitation { subscriber, part };
        Ok((invitation, welcome, theirs))
    }

    /// Makes what one of several consumers needs, if there is a place.
    fn invite_among(
        &mut self,
        hello: &Hello,
        pid: Option<u32>,
        wires: &mut Wires,
    ) -> Result<(Invitation, Welcome, Theirs), Refusal> {
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
    ) -> Result<(Invitation, Welcome, Theirs), Refusal> {
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
    pub(super) fn uninvite(&mut self, invitation: &Invitation) {
        if let (Part::OneOf { id, heir }, Some(seats)) = (&invitation.part, &mut self.seats) {
            seats.uninvite(*id, *heir, &invitation.subscriber);
        }
    }

    /// The invitation was confirmed: the subscription begins.
    pub(super) fn seat(&mut self, token: Token) {
        let Some(Pending {
            connection,
            invitation: Some(Invitation { subscriber, part, .. }),
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

    /// Ends the subscription of one of several consumers, which may not have confirmed it yet.
    pub(in crate::process) fn expel(&mut self, consumer: u64, wires: &mut Wires) {
        let mut expelled = None;
        for (token, pending) in &mut self.pending {
            if let Some(Invitation {
                part: Part::OneOf { id, heir },
                ..
            }) = &mut pending.invitation
                && *id == consumer
            {
                // Nobody waits for its predecessor any more, either.
                *heir = false;
                let _ = socket::send(&pending.connection, &Message::Evicted.encode(), &[]);
                expelled = Some(*token);
            }
        }
        match (expelled, &mut self.seats) {
            (Some(token), _) => self.close(token, wires),
            (None, Some(seats)) => seats.expel(consumer, wires),
            (None, None) => {}
        }
    }
}
