//! Why the files of a durable stream are not used, with what was found in them.

#![forbid(unsafe_code)]

use std::io;
use std::path::PathBuf;

use crate::memory::MemoryError;
use crate::ring::Corruption;

/// Why the files of a durable stream are not used. They are left as they were found: nothing in them is guessed at, and
/// nothing is overwritten.
///
/// ```
/// use millstream::DurableError;
///
/// let error = DurableError::Truncated { path: "/var/orders".into(), have: 4096, need: 12288 };
/// assert!(error.to_string().contains("12288"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DurableError {
    /// There is no such file.
    #[error("there is no file {path:?}: look at the path, or publish a durable stream there")]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// Another producer has the file open, perhaps a stopped one.
    #[error("another producer has {path:?} open: stop it, also if it is suspended, or take another file")]
    Taken {
        /// The path.
        path: PathBuf,
    },
    /// Something that is no regular file.
    #[error(
        "{path:?} is a link, a directory or another thing that is no regular file: remove it, or take another path"
    )]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file belongs to somebody else.
    #[error("{path:?} belongs to user {owner} and this process is of user {own}: take a file of your own")]
    WrongOwner {
        /// The path.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user of this process.
        own: u32,
    },
    /// Others may read or write the file.
    #[error("{path:?} has mode {mode:04o}, which lets others in: chmod 0600 {path:?}")]
    WrongMode {
        /// The path.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file does not begin as a stream does.
    #[error(
        "{path:?} is no stream of millstream: it {}; take another path",
        begins(found)
    )]
    Foreign {
        /// The path.
        path: PathBuf,
        /// Its first bytes.
        found: Vec<u8>,
    },
    /// The file was made by another version.
    #[error(
        "{path:?} was made by version {}.{} of the layout and this is {}.{}: read it out with the version that made it",
        found.0, found.1, ours.0, ours.1
    )]
    Version {
        /// The path.
        path: PathBuf,
        /// Major and minor version of the file.
        found: (u16, u16),
        /// Major and minor version of this program.
        ours: (u16, u16),
    },
    /// The file is shorter than its header says.
    #[error(
        "{path:?} has {have} bytes and should have {need}: it was truncated; take it from a copy, or delete it"
    )]
    Truncated {
        /// The path.
        path: PathBuf,
        /// Bytes found.
        have: u64,
        /// Bytes that it should have.
        need: u64,
    },
    /// The file is longer than its header says.
    #[error(
        "{path:?} has {have} bytes and should have {need}: something else was appended; take it from a copy, or delete it"
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Bytes found.
        have: u64,
        /// Bytes that it should have.
        need: u64,
    },
    /// A word that cannot be right.
    #[error("{path:?} is damaged: `{word}` reads {value:#x}; take it from a copy, or delete it")]
    Corrupt {
        /// The path.
        path: PathBuf,
        /// Which word.
        word: &'static str,
        /// What it reads.
        value: u64,
    },
    /// A stamp or a position that contradicts the others.
    #[error("{path:?} is damaged: {corruption}")]
    Contradiction {
        /// The path.
        path: PathBuf,
        /// What was found, and what would have been right.
        corruption: Corruption,
    },
    /// The file carries elements of another type, or frames where elements were to be.
    #[error(
        "{path:?} carries another type{}: build from the definition with which it was made, or take another file",
        list(differences)
    )]
    WrongType {
        /// The path.
        path: PathBuf,
        /// Fingerprint of the type asked for; zero for frames.
        ours: [u8; 16],
        /// Fingerprint of the type in the file; zero for frames.
        found: [u8; 16],
        /// Where the two types differ, as far as their schemas tell.
        differences: Vec<String>,
    },
    /// The file was made with another setting.
    #[error(
        "{path:?} was made with {what} = {found}, and {asked} is asked for: say {what} = {found}, or take another file"
    )]
    Setting {
        /// The path.
        path: PathBuf,
        /// Which setting.
        what: &'static str,
        /// What the file was made with.
        found: u64,
        /// What is asked for.
        asked: u64,
    },
    /// The file with the consumer's position is not there, or belongs to another stream.
    #[error(
        "{path:?}, which says what the consumer has released, {why}: put it back beside the stream, or delete both"
    )]
    Position {
        /// The path of the position's file.
        path: PathBuf,
        /// What is the matter.
        why: &'static str,
    },
    /// The snapshot of the last sync is not there, or belongs to another stream.
    #[error(
        "{path:?}, the stream as it was synced last, {why}: put it back beside the stream, or delete them all to begin anew"
    )]
    Synced {
        /// The path of the snapshot.
        path: PathBuf,
        /// What is the matter.
        why: &'static str,
    },
    /// The machine was restarted since the file was written last, and may have lost part of what was written.
    #[error(
        "{path:?} was written before this machine was started, and not all of it may have reached the disk: go back to the last `sync` with `recover_synced`, or delete it"
    )]
    OtherBoot {
        /// The path.
        path: PathBuf,
    },
    /// The memory could not be had.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The system refused.
    #[error("{what} {path:?} failed: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn begins(found: &[u8]) -> String {
    if found.is_empty() {
        "is empty".into()
    } else {
        format!("begins with {found:02x?}")
    }
}

fn list(differences: &[String]) -> String {
    if differences.is_empty() {
        String::new()
    } else {
        format!(" ({})", differences.join("; "))
    }
}
