//! The consumer's side of a connection, after the handshake: nothing comes over it but its end, or that the producer goes on
//! without this consumer.

#![forbid(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use mio::Token;

use super::claim::{Incarnation, sweep_after};
use super::directory::RuntimeDirectory;
use super::name::Name;
use super::notice::{GONE, Notice};
use super::reactor::Wires;
use super::socket::{Receipt, receive, send};
use super::wire::Message;
use crate::primitive::Arc;
use crate::ring::notice::EVICTED;

/// First pause between looks whether the dead producer's lock is free; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// The last pause. A lock that is held for longer is held by a child that the producer forked.
const LAST_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Watch {
    pub(super) directory: Arc<RuntimeDirectory>,
    pub(super) name: Name,
    pub(super) notice: Arc<Notice>,
    /// The connection, until it hangs up, and its token once it is waited for.
    pub(super) connection: Option<(OwnedFd, Token)>,
    /// Whose leftovers are to be swept when it hangs up.
    pub(super) incarnation: Option<Incarnation>,
    /// When to try to sweep next, and the pause after that.
    pub(super) sweep: Option<(Instant, Duration)>,
}

impl Watch {
    /// Confirms the invitation, once nothing can fail any more on this side.
    pub(super) fn begin(&mut self, id: u64, wires: &mut Wires) -> io::Result<()> {
        if let Some((connection, token)) = &mut self.connection {
            *token = wires.add(connection, id)?;
            if let Err(errno) = send(connection, &Message::Ready.encode(), &[]) {
                self.end(wires);
                return Err(errno.into());
            }
        }
        Ok(())
    }

    pub(super) fn attend(&mut self, wires: &mut Wires) {
        let Some((connection, _)) = &self.connection else {
            return;
        };
        let receipt = receive(connection, &mut wires.packet, 0);
        if matches!(receipt, Ok(Receipt::Nothing)) {
            return;
        }
        if let Ok(Receipt::Packet(len, _)) = receipt
            && Message::decode(&wires.packet[..len]) == Ok(Message::Evicted)
        {
            // The producer lives, and so do its files.
            self.end(wires);
            self.notice.set(EVICTED | GONE);
            return;
        }
        // A hang-up; or words after the last one, of a producer that has lost its way.
        self.end(wires);
        self.notice.set(GONE);
        self.sweep = self.incarnation.map(|_| (Instant::now(), FIRST_PAUSE));
    }

    /// Closes the connection.
    pub(super) fn end(&mut self, wires: &mut Wires) {
        if let Some((connection, token)) = self.connection.take() {
            wires.remove(&connection, token);
            // A child that is being forked has a copy of the descriptor, and the producer is not to wait for that one's end. What
            // is not connected any more needs no hang-up.
            let _ = rustix::net::shutdown(&connection, rustix::net::Shutdown::Both);
        }
    }

    pub(super) fn next_tick(&self) -> Option<Instant> {
        self.sweep.map(|(next, _)| next)
    }

    /// Tries to sweep, when it is time.
    pub(super) fn tick(&mut self, now: Instant) {
        let (Some((next, pause)), Some(incarnation)) = (self.sweep, self.incarnation) else {
            return;
        };
        if now < next {
            return;
        }
        let again = match sweep_after(&self.directory, &self.name, incarnation) {
            Ok(done) => !done && pause <= LAST_PAUSE,
            Err(error) => {
                log::warn!(
                    "millstream leaves the files of {:?}, whose producer died: {error}",
                    self.name
                );
                false
            }
        };
        self.sweep = again.then(|| (now + pause, pause * 2));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Only a panic of the background thread, or the end of the subscription, drops a live connection. In the
        // first case nobody would hear of the producer's end any more.
        self.notice.set(GONE);
    }
}
