//! File descriptors that a worker watches for its actors.

use std::collections::HashMap;

use mio::Token;

use super::body::{Descriptor, forget_descriptor};
use super::context::Context;
use super::poller::WAKE;

/// What to watch a descriptor for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interest {
    /// That it can be read, or accepted from.
    Readable,
    /// That it can be written.
    Writable,
    /// Both.
    Both,
}

impl Interest {
    #[cfg(unix)]
    pub(super) fn mio(self) -> mio::Interest {
        match self {
            Self::Readable => mio::Interest::READABLE,
            Self::Writable => mio::Interest::WRITABLE,
            Self::Both => mio::Interest::READABLE.add(mio::Interest::WRITABLE),
        }
    }
}

/// What a descriptor is ready for.
///
/// It is told once, when it becomes so: read, or write, until it would block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Readiness {
    /// It can be read, or accepted from; also when the other side hung up.
    pub readable: bool,
    /// It can be written.
    pub writable: bool,
    /// Nothing more will come: the other side closed, or there was an error.
    pub closed: bool,
}

impl From<&mio::event::Event> for Readiness {
    fn from(event: &mio::event::Event) -> Self {
        Self {
            readable: event.is_readable(),
            writable: event.is_writable(),
            closed: event.is_read_closed() || event.is_error(),
        }
    }
}

/// A descriptor that is watched, to be given up by [`Context::unwatch_io`](crate::Context::unwatch_io).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IoId(pub(super) usize);

/// Which actor's descriptor a token stands for.
#[derive(Debug, Default)]
pub(super) struct IoTable {
    actors: HashMap<usize, u64>,
    /// Under which token each descriptor was registered last: its number may have been closed and given anew since.
    tokens: HashMap<i32, usize>,
    given: usize,
}

impl IoTable {
    pub(super) fn add(&mut self, actor: u64) -> IoId {
        loop {
            self.given = self.given.wrapping_add(1);
            if Token(self.given) != WAKE && !self.actors.contains_key(&self.given) {
                self.actors.insert(self.given, actor);
                return IoId(self.given);
            }
        }
    }

    /// The kernel watches the descriptor under this token.
    pub(super) fn registered(&mut self, id: IoId, descriptor: i32) {
        self.tokens.insert(descriptor, id.0);
    }

    /// Forgets a token. Whether it is still the one under which the descriptor is watched.
    pub(super) fn remove(&mut self, id: IoId, descriptor: i32) -> bool {
        self.actors.remove(&id.0);
        let is_watched = self.tokens.get(&descriptor) == Some(&id.0);
        if is_watched {
            self.tokens.remove(&descriptor);
        }
        is_watched
    }

    pub(super) fn actor(&self, token: Token) -> Option<u64> {
        self.actors.get(&token.0).copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.actors.is_empty()
    }
}

impl<M: Send + 'static> Context<'_, M> {
    /// Lets the worker watch a file descriptor, which the actor keeps: each time that it becomes ready, `make` makes a message
    /// of it. Read, or write, until it would block: readiness is told once. So the descriptor must not block; else the last
    /// read would hold up the worker.
    ///
    /// # Errors
    /// `InvalidInput` when the descriptor blocks (on Linux), and those of `epoll_ctl(2)`: among them a descriptor that is watched on this worker already, and a regular file.
    ///
    /// ```
    /// # use std::net::UdpSocket;
    /// # use millstream::{ActorSystem, Interest, Next, Readiness, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("feed", || setup(|context| {
    ///     let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    ///     socket.set_nonblocking(true).unwrap();
    ///     context.watch_io(&socket, Interest::Readable, |ready| ready).unwrap();
    ///     receive(move |_, _: Readiness| {
    ///         let mut packet = [0; 1500];
    ///         while let Ok(length) = socket.recv(&mut packet) {
    ///             println!("{length} bytes");
    ///         }
    ///         Next::Same
    ///     })
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(unix)]
    pub fn watch_io(
        &mut self,
        descriptor: &impl std::os::fd::AsFd,
        interest: Interest,
        make: impl FnMut(Readiness) -> M + 'static,
    ) -> std::io::Result<IoId> {
        #[cfg(target_os = "linux")]
        if !rustix::fs::fcntl_getfl(descriptor)?.contains(rustix::fs::OFlags::NONBLOCK) {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                "the descriptor blocks, and would hold up the worker: call set_nonblocking(true) first",
            ));
        }
        self.watch_any_io(descriptor, interest, make)
    }

    /// As [`watch_io`](Self::watch_io), of a descriptor that is never read in a way that blocks.
    #[cfg(unix)]
    pub(crate) fn watch_any_io(
        &mut self,
        descriptor: &impl std::os::fd::AsFd,
        interest: Interest,
        make: impl FnMut(Readiness) -> M + 'static,
    ) -> std::io::Result<IoId> {
        use std::os::fd::AsRawFd;
        let fd = descriptor.as_fd().as_raw_fd();
        let id = self.worker.io.add(self.body.me.id());
        let registry = self.worker.poller.registry();
        if let Err(refused) =
            registry.register(&mut mio::unix::SourceFd(&fd), mio::Token(id.0), interest.mio())
        {
            self.worker.io.remove(id, fd);
            return Err(refused);
        }
        self.worker.io.registered(id, fd);
        let make = Box::new(make);
        self.body.descriptors.insert(id.0, Descriptor { make, fd });
        Ok(id)
    }

    /// Lets the worker watch a descriptor no more. Do it before the descriptor is closed.
    ///
    /// ```
    /// # use std::net::UdpSocket;
    /// # use millstream::{ActorSystem, Interest, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("feed", || setup(|context| {
    ///     let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    ///     let watched = context.watch_io(&socket, Interest::Readable, |_| ()).unwrap();
    ///     context.unwatch_io(watched);
    ///     receive(|_, ()| Next::Same)
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unwatch_io(&mut self, id: IoId) {
        if let Some(descriptor) = self.body.descriptors.remove(&id.0) {
            forget_descriptor(self.worker, id, &descriptor);
        }
    }
}
