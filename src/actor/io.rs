//! File descriptors that a worker watches for its actors.

use std::collections::HashMap;

use mio::Token;

/// The token of a worker's own waker.
pub(super) const WAKE: Token = Token(usize::MAX);

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
