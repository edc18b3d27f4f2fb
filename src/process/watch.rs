//! The consumer's side of a connection, after the handshake: nothing comes over it but its end.

#![forbid(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use mio::Token;

use super::claim::{Swept, sweep};
use super::directory::RuntimeDirectory;
use super::name::Name;
use super::notice::{GONE, Notice};
use super::reactor::Wires;
use super::socket::{self, Receipt, receive, send};
use super::wire::Message;
use crate::primitive::Arc;

/// First pause between looks whether the dead producer's lock is free; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// The last pause. A lock that is held for longer is held by a child that the producer forked.
const LAST_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Watch {
    directory: Arc<RuntimeDirectory>,
    name: Name,
    notice: Arc<Notice>,
    connection: Option<(OwnedFd, Token)>,
    /// The producer's process, if the system tells and it is another one.
    producer: Option<u32>,
    /// The producer's leftovers are to be swept: when next, and the pause after that.
    sweep: Option<(Instant, Duration)>,
}

impl Watch {
    pub(super) fn new(
        directory: Arc<RuntimeDirectory>,
        name: Name,
        notice: Arc<Notice>,
        connection: OwnedFd,
    ) -> Self {
        let pid = socket::peer(&connection).ok().and_then(|peer| peer.pid);
        Self {
            directory,
            name,
            notice,
            producer: pid.filter(|pid| *pid != std::process::id()),
            connection: Some((connection, super::service::WAKE)),
            sweep: None,
        }
    }

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
        if matches!(receive(connection, &mut wires.packet, 0), Ok(Receipt::Nothing)) {
            return;
        }
        // A hang-up; or words after the last one, of a producer that has lost its way.
        self.end(wires);
        self.notice.set(GONE);
        self.sweep = Some((Instant::now(), FIRST_PAUSE));
    }

    /// Closes the connection.
    pub(super) fn end(&mut self, wires: &mut Wires) {
        if let Some((connection, token)) = self.connection.take() {
            wires.remove(&connection, token);
        }
    }

    pub(super) fn next_tick(&self) -> Option<Instant> {
        self.sweep.map(|(next, _)| next)
    }

    /// Tries to sweep. A process that dies closes its connections in the moment before it lets go of its lock.
    pub(super) fn tick(&mut self, now: Instant) {
        let Some((next, pause)) = self.sweep else { return };
        if now < next {
            return;
        }
        let again = match sweep(&self.directory, &self.name) {
            Ok(Swept::Clean) => false,
            // The producer that hung up, on its way out; or another one, that has the name now.
            Ok(Swept::Live { pid }) => self.producer.is_some() && pid == self.producer && pause <= LAST_PAUSE,
            Ok(Swept::Held) => pause <= LAST_PAUSE,
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

    /// Whether the producer hung up and its leftovers are still to be swept.
    pub(super) fn is_sweeping(&self) -> bool {
        self.sweep.is_some()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Only a panic of the background thread, or the end of the subscription, drops a live connection. In the
        // first case nobody would hear of the producer's end any more.
        self.notice.set(GONE);
    }
}
