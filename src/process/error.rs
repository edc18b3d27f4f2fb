//! What the system refused, and why a stream could not be published, or the streams listed.

#![forbid(unsafe_code)]

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::durable::DurableError;
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
        "the runtime directory {path:?} belongs to user {owner} and not to {own}: set MILLSTREAM_DIR to a directory of user {own}, or say `from_user` to take what that one publishes"
    )]
    WrongOwner {
        /// The path.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user to whom it should belong: that of this process, or the one named by `from_user`.
        own: u32,
    },
    /// Others may enter it.
    #[error(
        "the runtime directory {path:?} has mode {mode:04o}, which lets others in: chmod 0700 {path:?}, or say for whom it is (`group`, `from_user`)"
    )]
    WrongMode {
        /// The path.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It belongs to the right user, and others may write it.
    #[error(
        "the runtime directory {path:?} has mode {mode:04o}, which lets others than its owner put names into it: chmod go-w {path:?}"
    )]
    Writable {
        /// The path.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It was to be open to a group, and is otherwise in use.
    #[error(
        "the runtime directory {path:?} has mode {mode:04o} and group {found}, and streams for group {group} need 0750 and that group: take a directory of their own, or chgrp {group} {path:?} && chmod 0750 {path:?}"
    )]
    NotForGroup {
        /// The path.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// Its group.
        found: u32,
        /// The group that was to be let in.
        group: u32,
    },
    /// Only root, or one of its members, can give a directory to a group.
    #[error(
        "user {own} may not give the runtime directory {path:?} to group {group}: make that user a member of it, or have root chgrp {group} {path:?} && chmod 0750 {path:?}"
    )]
    ForeignGroup {
        /// The path.
        path: PathBuf,
        /// The group that was to be let in.
        group: u32,
        /// The user of this process.
        own: u32,
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
    /// The files of a durable stream cannot be used.
    #[error(transparent)]
    Durable(#[from] DurableError),
    /// A durable stream that was to be for several consumers, each of which would have a position of its own to keep.
    #[error("{name:?} was to be durable and for several consumers: leave `consumers` away, or `durable`")]
    DurableForOne {
        /// The stream.
        name: String,
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

/// Who has what was asked for.
pub(super) fn by(pid: &Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}
