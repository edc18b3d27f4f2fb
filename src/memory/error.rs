//! Why shared memory could not be had.

#![forbid(unsafe_code)]

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

/// Why shared memory could not be created, or what came from a peer could not be mapped.
///
/// ```
/// use millstream::MemoryError;
///
/// fn advice(error: &MemoryError) -> &'static str {
///     match error {
///         MemoryError::NoSpace { .. } => "a smaller buffer",
///         MemoryError::TooManyFiles { .. } => "a higher `ulimit -n`",
///         _ => "a look at the message",
///     }
/// }
/// # let _ = advice;
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// No memory has this length.
    #[error("shared memory of {len} bytes is impossible: ask for 1 to {max} bytes", max = isize::MAX)]
    Length {
        /// Bytes asked for.
        len: u64,
    },
    /// The machine, or the control group that this process is in, has not so much memory left.
    #[error(
        "{need} bytes of shared memory are needed and {have} are to be had: ask for less, or free memory"
    )]
    NoSpace {
        /// Bytes asked for.
        need: u64,
        /// Bytes left when asked, as far as the system tells.
        have: u64,
    },
    /// The disk of a durable stream, or its user's quota of it, is full.
    #[error(
        "{need} bytes of disk are needed for a durable stream and are not to be had: free some, or ask for less"
    )]
    DiskFull {
        /// Bytes asked for.
        need: u64,
    },
    /// The directory of a durable stream's file, in which no file can be made.
    #[error(
        "no file can be made in the directory {path:?} ({source}): make it, let this user write there, or take another path"
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The limit on the size of a file, which counts for shared memory too.
    #[error("{need} bytes of shared memory exceed the file size limit of {limit}: raise `ulimit -f`")]
    FileSizeLimit {
        /// Bytes asked for.
        need: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// This process, or the machine, has too many open files.
    #[error("too many open files for another piece of shared memory ({what}): raise `ulimit -n`")]
    TooManyFiles {
        /// The call that was refused.
        what: &'static str,
    },
    /// No address range is free, or the process has too many mappings.
    #[error("no room to map {need} bytes: look at `ulimit -v` and at vm.max_map_count, or ask for less")]
    AddressSpace {
        /// Bytes to be mapped.
        need: u64,
    },
    /// The system forbids the call, or does not know it.
    #[error("{what} is not permitted here ({source}): a sandbox has to allow it, on Linux 5.1 or later")]
    NotPermitted {
        /// The call that was refused.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The memory that a peer passed has another length than it said.
    #[error("the peer passed memory of {found} bytes and announced {want}")]
    WrongLength {
        /// Bytes announced.
        want: u64,
        /// Bytes found.
        found: u64,
    },
    /// The memory that a peer passed could still change its length, or be written by others.
    #[error("the peer passed memory without the seals {missing}")]
    NotSealed {
        /// The seals that are missing.
        missing: String,
    },
    /// Another error of the system.
    #[error("{what} failed: {source}")]
    Io {
        /// The call that failed.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl MemoryError {
    /// The variant for what the system answered to `what`, when `need` bytes were asked for.
    pub(super) fn from_errno(what: &'static str, errno: Errno, need: u64) -> Self {
        match errno {
            Errno::MFILE | Errno::NFILE => Self::TooManyFiles { what },
            // A page that cannot be had while populating is reported as a bad address.
            Errno::NOSPC | Errno::DQUOT | Errno::NOMEM | Errno::FAULT => Self::NoSpace {
                need,
                have: super::available::bytes().unwrap_or(0),
            },
            Errno::FBIG => Self::FileSizeLimit {
                need,
                limit: file_size_limit().unwrap_or(need),
            },
            Errno::PERM | Errno::ACCESS | Errno::NOSYS => Self::NotPermitted {
                what,
                source: errno.into(),
            },
            _ => Self::Io {
                what,
                source: errno.into(),
            },
        }
    }

    /// The same for a mapping, where "no memory" means that there are no addresses.
    pub(super) fn from_mapping(source: io::Error, need: u64) -> Self {
        let what = "mapping shared memory";
        match Errno::from_io_error(&source) {
            Some(Errno::NOMEM) => Self::AddressSpace { need },
            Some(errno) => Self::from_errno(what, errno, need),
            None => Self::Io { what, source },
        }
    }
}

/// The largest file that this process may make, when there is a limit.
pub(super) fn file_size_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Fsize).current
}
