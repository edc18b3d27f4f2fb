//! Going on with the next producer of a name.

#![forbid(unsafe_code)]

use std::fmt;
use std::time::{Duration, Instant};

/// Between two tries of a source that does not wait.
pub(super) const PAUSE: Duration = Duration::from_millis(10);
/// What a source that does not wait gives a producer to answer. It answers within microseconds unless it is stopped.
const ANSWER: Duration = Duration::from_millis(5);
/// The longest single try of a source that waits, so that it sees its own deadline.
const TRY: Duration = Duration::from_millis(100);

type Connect<C> = Box<dyn FnMut(Instant) -> Tried<C> + Send>;

/// How a source gets the stream of the next producer, `C` being what it needs of it.
pub(super) struct Reconnect<C> {
    connect: Connect<C>,
    idle: Option<Duration>,
    /// When the producer was found gone.
    since: Option<Instant>,
    tried: Option<Instant>,
    epoch: u64,
}

impl<C> fmt::Debug for Reconnect<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("since", &self.since)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// What a try came to.
pub(super) enum Tried<C> {
    Connected(C),
    /// Not yet.
    Waiting,
    /// Nobody will come, or nobody that this source can follow.
    Over,
}

/// Whether a source went on with the next producer, and what it needs of it.
pub(super) enum Followed<C> {
    Yes(C),
    Waiting,
    No,
}

impl<C> Reconnect<C> {
    /// `connect` tries until a moment at the latest.
    pub(super) fn new(
        idle: Option<Duration>,
        connect: impl FnMut(Instant) -> Tried<C> + Send + 'static,
    ) -> Self {
        Self {
            connect: Box::new(connect),
            idle,
            since: None,
            tried: None,
            epoch: 0,
        }
    }

    /// How many producers this source has gone on from.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Tries once. With `wait`, waits a little for the producer, until `deadline` at the latest.
    pub(super) fn attempt(&mut self, wait: bool, deadline: Option<Instant>) -> Tried<C> {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let given_up = self.idle.and_then(|idle| since.checked_add(idle));
        if given_up.is_some_and(|end| now >= end) {
            return Tried::Over;
        }
        if !wait && self.tried.is_some_and(|tried| now < tried + PAUSE) {
            return Tried::Waiting;
        }
        self.tried = Some(now);
        let mut until = now + if wait { TRY } else { ANSWER };
        if wait {
            for end in [given_up, deadline].into_iter().flatten() {
                until = until.min(end);
            }
        }
        let tried = (self.connect)(until);
        if let Tried::Connected(_) = tried {
            self.since = None;
            self.tried = None;
            self.epoch += 1;
        }
        tried
    }
}
