//! What the background thread does: it waits for commands, connections and hang-ups, and never for a peer.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};

use super::host::Host;
use super::service::WAKE;
use super::watch::Watch;
use crate::primitive::Arc;

/// What endpoints ask of the thread.
#[derive(Debug)]
pub(super) enum Command {
    /// Listen for a published stream. The answer is its number.
    Host(Box<Host>, Sender<io::Result<u64>>),
    /// The stream is published no longer: no file, no socket is left when the answer comes.
    Retire(u64, Sender<()>),
    /// Listen for the hang-up of a producer. The answer is the watch's number.
    Watch(Box<Watch>, Sender<io::Result<u64>>),
    /// Close the connection. The answer gives back the watch, unless it has ended.
    Forget(u64, Sender<Option<Box<Watch>>>),
    /// Close the connection; the watch stays. Nobody waits for an answer.
    HangUp(u64),
    /// Go on without one of several consumers of a published stream, and tell it. Nobody waits for an answer.
    Expel(u64, u64),
    /// The last stream is gone.
    Stop,
    #[cfg(test)]
    Panic,
}

/// The descriptors that are waited for, and whose they are.
#[derive(Debug)]
pub(super) struct Wires {
    registry: Registry,
    owners: HashMap<Token, u64>,
    last: usize,
    /// Where packets are received.
    pub(super) packet: Vec<u8>,
}

impl Wires {
    /// Waits for the descriptor from now on; what is there already counts.
    pub(super) fn add(&mut self, fd: &OwnedFd, owner: u64) -> io::Result<Token> {
        self.last += 1;
        let token = Token(self.last);
        self.registry
            .register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE)?;
        self.owners.insert(token, owner);
        Ok(token)
    }

    pub(super) fn remove(&mut self, fd: &OwnedFd, token: Token) {
        // It fails when the descriptor is not waited for, which is what is wanted.
        let _ = self.registry.deregister(&mut SourceFd(&fd.as_raw_fd()));
        self.owners.remove(&token);
    }
}

#[derive(Debug)]
pub(super) struct Reactor {
    /// Dropped first, so that whoever hears of a panic's consequences finds this thread dead.
    _alive: Arc<()>,
    poll: Poll,
    inbox: Receiver<Command>,
    wires: Wires,
    hosts: HashMap<u64, Box<Host>>,
    watches: HashMap<u64, Box<Watch>>,
    last: u64,
}

impl Reactor {
    pub(super) fn new(poll: Poll, inbox: Receiver<Command>, alive: Arc<()>) -> io::Result<Self> {
        let wires = Wires {
            registry: poll.registry().try_clone()?,
            owners: HashMap::new(),
            last: WAKE.0,
            packet: vec![0; super::wire::LONGEST_MESSAGE],
        };
        Ok(Self {
            _alive: alive,
            poll,
            inbox,
            wires,
            hosts: HashMap::new(),
            watches: HashMap::new(),
            last: 0,
        })
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            match self.poll.poll(&mut events, self.timeout()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    // Cannot happen to a valid descriptor. Ending tells every stream.
                    log::error!("millstream's background thread cannot wait: {error}");
                    return;
                }
            }
            for event in &events {
                let token = event.token();
                let Some(owner) = self.wires.owners.get(&token) else {
                    continue;
                };
                if let Some(host) = self.hosts.get_mut(owner) {
                    host.attend(token, &mut self.wires);
                } else if let Some(watch) = self.watches.get_mut(owner) {
                    watch.attend(&mut self.wires);
                }
            }
            let now = Instant::now();
            self.hosts
                .values_mut()
                .for_each(|host| host.tick(now, &mut self.wires));
            self.watches.values_mut().for_each(|watch| watch.tick(now));
            while let Ok(command) = self.inbox.try_recv() {
                if !self.obey(command) {
                    return;
                }
            }
        }
    }

    /// How long to wait when nothing comes.
    fn timeout(&self) -> Option<Duration> {
        let hosts = self.hosts.values().filter_map(|host| host.next_tick());
        let watches = self.watches.values().filter_map(|watch| watch.next_tick());
        let next = hosts.chain(watches).min()?;
        // Rounded up, because the kernel counts milliseconds and would be asked in vain before the next is over.
        Some(next.saturating_duration_since(Instant::now()) + Duration::from_millis(1))
    }

    fn obey(&mut self, command: Command) -> bool {
        // Whoever asked waits for the answer; that it cannot be sent means that its thread is gone.
        match command {
            Command::Host(mut host, reply) => {
                self.last += 1;
                let begun = host.begin(self.last, &mut self.wires);
                if begun.is_ok() {
                    self.hosts.insert(self.last, host);
                }
                let _ = reply.send(begun.map(|()| self.last));
            }
            Command::Retire(id, reply) => {
                if let Some(host) = self.hosts.remove(&id) {
                    host.retire(&mut self.wires);
                }
                let _ = reply.send(());
            }
            Command::Watch(mut watch, reply) => {
                self.last += 1;
                let begun = watch.begin(self.last, &mut self.wires);
                if begun.is_ok() {
                    self.watches.insert(self.last, watch);
                }
                let _ = reply.send(begun.map(|()| self.last));
            }
            Command::Forget(id, reply) => {
                let mut watch = self.watches.remove(&id);
                if let Some(watch) = &mut watch {
                    // It may have hung up since the last look.
                    watch.attend(&mut self.wires);
                    watch.end(&mut self.wires);
                }
                let _ = reply.send(watch);
            }
            Command::HangUp(id) => {
                if let Some(watch) = self.watches.get_mut(&id) {
                    watch.end(&mut self.wires);
                }
            }
            Command::Expel(id, consumer) => {
                if let Some(host) = self.hosts.get_mut(&id) {
                    host.expel(consumer, &mut self.wires);
                }
            }
            Command::Stop => return false,
            #[cfg(test)]
            Command::Panic => panic!("as the test asked for"),
        }
        true
    }
}
