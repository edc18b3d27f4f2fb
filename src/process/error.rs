//! Why a stream could not be published, subscribed to or observed.

#![forbid(unsafe_code)]

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use super::name::InvalidName;
use crate::memory::MemoryError;

/// What the system refused.
///
/// ```
/// use millstream::SystemError;
///
/// let error = SystemError::ReadOnly { what: "creating the lock file", path: "/mnt/x.lock".into() };
/// assert!(error.to_string().contains("/mnt/x.lock"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SystemError {
    /// The permissions of this process do not allow it.
    #[error("{what} at {path:?} is not permitted: look at owner and mode of it and of its directory")]
    Permission {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// The file system is mounted for reading only.
    #[error("{what} at {path:?}: the file system is read-only; set MILLSTREAM_DIR to a writable place")]
    ReadOnly {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// The file system, the user's quota or the machine is full.
    #[error("{what} at {path:?}: no space is left; free some, or set MILLSTREAM_DIR to another place")]
    NoSpace {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// This process, or the machine, has too many open files.
    #[error("{what} at {path:?}: too many open files; raise `ulimit -n`")]
    TooManyFiles {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// Something of another kind stands where a file of millstream's belongs.
    #[error("{what} at {path:?}: a link, a directory or another foreign thing is in the way; remove it")]
    InTheWay {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// Another error of the system.
    #[error("{what} at {path:?} failed: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl SystemError {
    /// What the system refused to this process, at no path.
    pub(crate) fn of_process(what: &'static str, source: io::Error) -> Self {
        let path = Path::new("this process");
        match Errno::from_io_error(&source) {
            Some(errno) => Self::new(what, path, errno),
            None => Self::Io {
                what,
                path: path.into(),
                source,
            },
        }
    }

    pub(super) fn new(what: &'static str, path: &Path, errno: Errno) -> Self {
        let path = path.to_path_buf();
        match errno {
            Errno::ACCESS | Errno::PERM => Self::Permission { what, path },
            Errno::ROFS => Self::ReadOnly { what, path },
            Errno::NOSPC | Errno::DQUOT | Errno::NOMEM | Errno::NOBUFS => Self::NoSpace { what, path },
            Errno::MFILE | Errno::NFILE => Self::TooManyFiles { what, path },
            Errno::LOOP | Errno::ISDIR | Errno::NOTDIR | Errno::NXIO | Errno::NOTSOCK | Errno::PROTOTYPE => {
                Self::InTheWay { what, path }
            }
            _ => Self::Io {
                what,
                path,
                source: errno.into(),
            },
        }
    }
}

/// Why the runtime directory, in which streams have their names, cannot be used.
///
/// ```
/// use millstream::DirectoryError;
///
/// let error = DirectoryError::WrongMode { path: "/run/x".into(), mode: 0o755 };
/// assert!(error.to_string().contains("0755"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// It does not exist, or its parent does not.
    #[error("the runtime directory {path:?} does not exist: create it with mode 0700, or set MILLSTREAM_DIR")]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// It is no directory.
    #[error("the runtime directory {path:?} is not a directory: remove it, or set MILLSTREAM_DIR")]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// It is a symbolic link, which somebody else could point elsewhere.
    #[error("the runtime directory {path:?} is a symbolic link: set MILLSTREAM_DIR to where it should point")]
    Link {
        /// The path.
        path: PathBuf,
    },
    /// It belongs to somebody else.
    #[error(
        "the runtime directory {path:?} belongs to user {owner} and not to {own}: set MILLSTREAM_DIR to a directory of your own"
    )]
    WrongOwner {
        /// The path.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user of this process.
        own: u32,
    },
    /// Others may enter it.
    #[error("the runtime directory {path:?} has mode {mode:04o}, which lets others in: chmod 0700 {path:?}")]
    WrongMode {
        /// The path.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The system refused.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why a stream could not be published.
///
/// ```
/// use millstream::PublishError;
///
/// let error = PublishError::NameTaken { name: "quotes".into(), pid: Some(17) };
/// assert!(error.to_string().contains("process 17"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The stream's name cannot be used.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// The runtime directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Somebody publishes under this name.
    #[error(
        "the stream {name:?} is published already by {}: stop that, or take another name",
        by(pid)
    )]
    NameTaken {
        /// The stream.
        name: String,
        /// The process that publishes it, if the system tells.
        pid: Option<u32>,
    },
    /// An unbounded buffer: the memory of a published stream is reserved when it is made.
    #[error(
        "{name:?} was to be unbounded (a buffer size of 0), which shared memory cannot be; give a size, or say `Buffer::Rendezvous` to put only what was asked for"
    )]
    UnboundedNotShareable {
        /// The stream.
        name: String,
    },
    /// A stream for several consumers that nobody could ever subscribe to.
    #[error(
        "{name:?} was to be for several consumers and admits none; say `consumers(most)` with at least 1, or leave `history` and `on_no_consumer` away"
    )]
    NoConsumers {
        /// The stream.
        name: String,
    },
    /// More elements than a ring holds, or none.
    #[error(
        "{name:?} was to hold {elements} elements, where 1 to {most} can be held: change buffer_size, max_demand or history"
    )]
    TooLarge {
        /// The stream.
        name: String,
        /// Elements asked for: buffer size, largest demand and history.
        elements: u64,
        /// The most.
        most: u64,
    },
    /// Longer frames than a header can describe.
    #[error("{name:?} was to carry frames of {asked} bytes, where {most} is the most; lower max_frame")]
    FrameTooLong {
        /// The stream.
        name: String,
        /// Bytes asked for.
        asked: usize,
        /// The most.
        most: usize,
    },
    /// The memory could not be had.
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
    #[error("nobody publishes {name:?} at {path:?}: start the producer, or wait for it with a deadline")]
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
        "a demand of {asked} was announced and {name:?} allows {max}: ask for less, or publish it with more"
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
    #[error("{name:?} is published by user {theirs} and this process is of user {ours}")]
    WrongUser {
        /// The stream.
        name: String,
        /// The user of this process.
        ours: u32,
        /// The user of the producer.
        theirs: u32,
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

/// Why the published streams could not be listed.
///
/// ```
/// use millstream::{DirectoryError, ListError};
///
/// let error = ListError::from(DirectoryError::NotADirectory { path: "/run/x".into() });
/// assert!(error.to_string().contains("/run/x"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The runtime directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The system refused.
    #[error(transparent)]
    System(#[from] SystemError),
}

fn by(pid: &Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
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
