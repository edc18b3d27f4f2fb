//! Why a stream could not be subscribed to or observed.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::Duration;

use super::error::{DirectoryError, SystemError, by};
use super::name::InvalidName;
use crate::memory::MemoryError;

/// Why a stream could not be subscribed to.
///
/// ```
/// use millstream::SubscribeError;
///
/// let error = SubscribeError::DemandTooLarge { name: "quotes".into(), asked: 5000, max: 1024 };
/// assert!(error.to_string().contains("1024"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The stream's name, or the subscription's, cannot be used.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// The runtime directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Nobody publishes under this name.
    #[error("nobody publishes {name:?} at {path:?}: start the producer, or give it time with `wait_for`")]
    NotFound {
        /// The stream.
        name: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The deadline passed first.
    #[error("the deadline passed after {waited:?} of waiting for {name:?} at {path:?}: {last}")]
    TimedOut {
        /// The stream.
        name: String,
        /// Where it was looked for.
        path: PathBuf,
        /// How long.
        waited: Duration,
        /// What stood in the way last.
        last: String,
    },
    /// The stream has its one consumer.
    #[error(
        "{name:?} has a consumer already: subscription {subscription:?} of {}{}",
        by(pid),
        waiting(*resumable_waiting)
    )]
    AlreadySubscribed {
        /// The stream.
        name: String,
        /// The process of the other consumer, if the system tells.
        pid: Option<u32>,
        /// The name of its subscription; may be empty.
        subscription: String,
        /// That process is gone and its subscription waits to be resumed under its name.
        resumable_waiting: bool,
    },
    /// A stream for several consumers has as many as it admits.
    #[error("{name:?} has all of its {most} consumers; cancel one, or publish it with more `consumers`")]
    Full {
        /// The stream.
        name: String,
        /// The most at a time.
        most: u64,
    },
    /// The position to begin at is not held any more, or was not published yet.
    #[error(
        "{name:?} does not hold position {asked}, only {oldest} to {newest}; join at one of those, or publish it with more `history`"
    )]
    NotHeld {
        /// The stream.
        name: String,
        /// Position asked for.
        asked: u64,
        /// The oldest that is held.
        oldest: u64,
        /// That of the next element.
        newest: u64,
    },
    /// What only one of several consumers can have was asked of a stream for one: a position to begin at, or not to be waited
    /// for.
    #[error(
        "{name:?} is for one consumer, which begins at its first element or where a predecessor left off, and is waited for: leave `from`, `lossy` and `evict_after` away, or publish it with `consumers`"
    )]
    NotABroadcast {
        /// The stream.
        name: String,
    },
    /// A durable stream keeps its consumer's position, and that needs a name.
    #[error("{name:?} is durable, and keeps its consumer's position under a name: say `resumable` with one")]
    Durable {
        /// The stream.
        name: String,
    },
    /// What was committed under this subscription is a state of another type.
    #[error(
        "the state that subscription {subscription:?} of {name:?} has committed is of another type: take the type that it was committed with, or begin anew: under another name or, of a durable stream, which has one, with another file"
    )]
    StateType {
        /// The stream.
        name: String,
        /// The name of the subscription.
        subscription: String,
        /// Fingerprint of the type asked for.
        ours: [u8; 16],
        /// Fingerprint of the type that was committed.
        found: [u8; 16],
    },
    /// The state belongs to another position than the one at which the subscription goes on: somebody consumed without committing.
    #[error(
        "the state that subscription {subscription:?} of {name:?} has committed belongs to position {state}, and the subscription goes on at {position}: somebody consumed under this name without committing; begin anew: under another name or, of a durable stream, which has one, with another file"
    )]
    StatePosition {
        /// The stream.
        name: String,
        /// The name of the subscription.
        subscription: String,
        /// The position that the state belongs to.
        state: u64,
        /// The position at which the subscription goes on.
        position: u64,
    },
    /// The consumer that the stream had is gone, and with it the stream.
    #[error("{name:?} has ended: its consumer left; wait for the producer to publish it anew")]
    Ended {
        /// The stream.
        name: String,
    },
    /// The producer speaks another version of the protocol.
    #[error(
        "{name:?} is published by version {}.{} of the protocol and this is {}.{}: build both sides with one version",
        theirs.0, theirs.1, ours.0, ours.1
    )]
    Version {
        /// The stream.
        name: String,
        /// Major and minor version of this side.
        ours: (u16, u16),
        /// Major and minor version of the producer.
        theirs: (u16, u16),
    },
    /// The stream carries elements of another type.
    #[error(
        "{name:?} carries another type{}: build both sides from one definition",
        list(differences)
    )]
    Fingerprint {
        /// The stream.
        name: String,
        /// Fingerprint of the type asked for.
        ours: [u8; 16],
        /// Fingerprint of the type that the stream carries.
        theirs: [u8; 16],
        /// Where the two types differ, as far as their schemas tell.
        differences: Vec<String>,
    },
    /// The stream carries frames where elements were asked for, or the other way round.
    #[error("{name:?} carries {theirs} and {ours} were asked for")]
    Kind {
        /// The stream.
        name: String,
        /// What was asked for.
        ours: &'static str,
        /// What the stream carries.
        theirs: &'static str,
    },
    /// More demand than the stream allows.
    #[error(
        "a demand of {asked} was announced and {name:?} allows {max}: lower `initial_demand`, or publish it with a larger `max_demand` (a rendezvous allows 1: see `subscriber`)"
    )]
    DemandTooLarge {
        /// The stream.
        name: String,
        /// The demand asked for.
        asked: u64,
        /// The most that the stream allows.
        max: u64,
    },
    /// Nothing would ever flow.
    #[error(
        "an initial demand of 0 lets nothing of {name:?} flow; ask for at least 1, or by hand with `manual_demand()`"
    )]
    ZeroDemand {
        /// The stream.
        name: String,
    },
    /// The producer belongs to another user.
    #[error(
        "{name:?} is published by user {theirs} and would be taken from user {ours} alone: stop that producer, or say `from_user({theirs})` to trust it"
    )]
    WrongUser {
        /// The stream.
        name: String,
        /// The user from whom it would be taken: that of this process, or the one named by `from_user`.
        ours: u32,
        /// The user of the producer.
        theirs: u32,
    },
    /// The producer, of another user, does not admit this process.
    #[error(
        "{name:?} admits {}, and this process is of user {user} and group {own_group}: have it published with `group({own_group})`, or join its group",
        admitted(group)
    )]
    NotAdmitted {
        /// The stream.
        name: String,
        /// The user of this process.
        user: u32,
        /// The group of this process.
        own_group: u32,
        /// The group that the stream admits; `None` when it admits the user of its producer alone.
        group: Option<u32>,
    },
    /// The producer is there and does not answer.
    #[error("{} publishes {name:?} and does not answer: is it stopped?", by(pid))]
    Unresponsive {
        /// The stream.
        name: String,
        /// Its process, if the system tells.
        pid: Option<u32>,
    },
    /// The producer answers too many at once.
    #[error("the producer of {name:?} is busy with others: try again")]
    Busy {
        /// The stream.
        name: String,
    },
    /// The producer could not make what a subscription needs.
    #[error("the producer of {name:?} has no memory or no descriptors left for a subscription")]
    ProducerExhausted {
        /// The stream.
        name: String,
    },
    /// The producer hung up during the handshake.
    #[error("the producer of {name:?} hung up during the handshake: it ended, or look at its log")]
    PeerGone {
        /// The stream.
        name: String,
    },
    /// What the producer says of the stream cannot be right.
    #[error("the producer of {name:?} is damaged: `{word}` reads {value}; restart it")]
    PeerCorrupt {
        /// The stream.
        name: String,
        /// Which word.
        word: &'static str,
        /// What it reads.
        value: u64,
    },
    /// The memory could not be mapped.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The background thread of this process does not run.
    #[error("the background thread of this process does not run: {why}")]
    ServiceUnavailable {
        /// Why.
        why: String,
    },
    /// The system refused.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a stream could not be observed.
///
/// ```
/// use millstream::{ObserveError, SubscribeError};
///
/// let error = ObserveError::from(SubscribeError::NotFound { name: "quotes".into(), path: "/run/x".into() });
/// assert!(error.to_string().contains("quotes"));
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ObserveError(#[from] SubscribeError);

impl ObserveError {
    /// The reason: an observer calls a producer just as a consumer does.
    ///
    /// ```
    /// use millstream::{ObserveError, SubscribeError};
    ///
    /// let busy = SubscribeError::Busy { name: "quotes".into() };
    /// assert!(matches!(ObserveError::from(busy).reason(), SubscribeError::Busy { .. }));
    /// ```
    #[must_use]
    pub fn reason(&self) -> &SubscribeError {
        &self.0
    }
}

fn admitted(group: &Option<u32>) -> String {
    group.map_or_else(
        || "only the user who publishes it".into(),
        |group| format!("besides the user who publishes it members of group {group} only"),
    )
}

fn waiting(waiting: bool) -> &'static str {
    if waiting {
        ", which is gone; resume it under its name"
    } else {
        "; stop that one first"
    }
}

fn list(differences: &[String]) -> String {
    if differences.is_empty() {
        String::new()
    } else {
        format!(" ({})", differences.join("; "))
    }
}
