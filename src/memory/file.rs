//! Memory that is a file, and stays when the processes that share it have gone.
//!
//! No seal keeps a file from being shortened: whoever truncates it while it is mapped ends those who touch it by SIGBUS. So
//! only a file of this user is mapped, and it is kept from everybody else by its mode.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

use super::error::file_size_limit;
use super::memfd::{Access, MemoryOptions, SharedMemory};
use super::{HugePages, MemoryError};

/// What was found where a file was to be.
#[derive(Debug)]
pub(crate) enum Found {
    /// The file, and what the system says of it.
    File(OwnedFd, Stat),
    Missing,
    Link,
    /// A directory or another foreign thing.
    Foreign,
}

impl Found {
    /// The file, or what is the matter with what is in its place.
    pub(crate) fn file(self) -> Result<(OwnedFd, Stat), &'static str> {
        match self {
            Self::File(file, stat) => Ok((file, stat)),
            Self::Missing => Err("is missing"),
            Self::Link => Err("is a link"),
            Self::Foreign => Err("is no regular file"),
        }
    }
}

/// What was found where a file was to be opened for one process alone.
#[derive(Debug)]
pub(crate) enum Opened {
    /// The file, locked for this process, and what the system says of it.
    File(OwnedFd, Stat),
    Missing,
    /// Somebody else has it open and locked.
    Locked,
    /// A link, a directory or another foreign thing.
    Foreign,
}

/// Opens the file at `path` for this process alone.
pub(crate) fn open_locked(path: &Path) -> Result<Opened, io::Error> {
    Ok(match open(path, OFlags::RDWR)? {
        Found::File(file, stat) if lock(&file)? => Opened::File(file, stat),
        Found::File(..) => Opened::Locked,
        Found::Missing => Opened::Missing,
        Found::Link | Found::Foreign => Opened::Foreign,
    })
}

/// Opens the file at `path` for reading, whoever else has it.
pub(crate) fn open_for_reading(path: &Path) -> Result<Found, io::Error> {
    open(path, OFlags::RDONLY)
}

fn open(path: &Path, access: OFlags) -> Result<Found, io::Error> {
    // NONBLOCK, because a FIFO in the way would hold up the opening.
    let flags = access | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(Found::Missing),
        Err(Errno::LOOP) => return Ok(Found::Link),
        Err(Errno::ISDIR | Errno::NXIO | Errno::NODEV) => return Ok(Found::Foreign),
        Err(errno) => return Err(errno.into()),
    };
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(Found::Foreign);
    }
    Ok(Found::File(file, stat))
}

/// Locks an open file for its descriptor; false when another has the lock. The kernel gives it back when the last copy of the
/// descriptor is closed, however that comes about.
pub(crate) fn lock(file: impl AsFd) -> Result<bool, io::Error> {
    match retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Gives the lock back before the descriptor is closed.
pub(crate) fn unlock(file: BorrowedFd<'_>) {
    // What cannot be unlocked is no lock.
    let _ = retry_on_intr(|| rustix::fs::flock(file, FlockOperation::Unlock));
}

/// A file without a name in the directory of `path`, so that a crash before [`link`] leaves nothing.
pub(crate) fn unnamed(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    retry_on_intr(|| rustix::fs::open(directory_of(path), flags, mode))
}

/// Gives an unnamed file its name. `AlreadyExists` when something has it.
pub(crate) fn link(file: BorrowedFd<'_>, path: &Path) -> Result<(), io::Error> {
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(retry_on_intr(|| {
        rustix::fs::linkat(CWD, &unnamed, CWD, path, AtFlags::SYMLINK_FOLLOW)
    })?)
}

/// Gives an unnamed file its name in place of whatever has it, by one step: at every moment the name is the former's or this
/// one's. A kill may leave a second name behind, which [`sweep`] removes. Whoever calls this is the only one to.
pub(crate) fn put_in_place(file: BorrowedFd<'_>, path: &Path) -> Result<(), io::Error> {
    // No system call gives a file without a name one that is taken.
    sweep(path)?;
    let unfinished = unfinished(path);
    link(file, &unfinished)?;
    Ok(retry_on_intr(|| rustix::fs::rename(&unfinished, path))?)
}

/// Removes what a [`put_in_place`] that was interrupted has left. Nobody else puts something in place there.
pub(crate) fn sweep(path: &Path) -> Result<(), io::Error> {
    match retry_on_intr(|| rustix::fs::unlink(unfinished(path))) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// The name that a file has for the moment before it is put in place.
fn unfinished(path: &Path) -> PathBuf {
    beside(path, ".millstream-unfinished")
}

/// The path of a file beside that at `path`: its name, and `suffix` behind it.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Whether the name is that of the file of which the system says this.
pub(crate) fn is_named(path: &Path, stat: &Stat) -> Result<bool, io::Error> {
    match retry_on_intr(|| rustix::fs::lstat(path)) {
        Ok(named) => Ok((named.st_dev, named.st_ino) == (stat.st_dev, stat.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// The largest file that this process may make, if there is a limit: who writes beyond it is ended by SIGXFSZ.
pub(crate) fn size_limit() -> Option<u64> {
    file_size_limit()
}

/// Waits until the disk has the names in the directory of `path`.
pub(crate) fn sync_directory(path: &Path) -> Result<(), io::Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = retry_on_intr(|| rustix::fs::open(directory_of(path), flags, Mode::empty()))?;
    Ok(retry_on_intr(|| rustix::fs::fsync(&directory))?)
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The error for what the system answered to `what`, when a file of `need` bytes was asked for.
fn refused(what: &'static str, need: u64) -> impl FnOnce(Errno) -> MemoryError {
    move |errno| match errno {
        Errno::NOSPC | Errno::DQUOT => MemoryError::DiskFull { need },
        errno => MemoryError::from_errno(what, errno, need),
    }
}

impl SharedMemory {
    /// Zeroed memory of `len` bytes in a file without a name in the directory of `path`, every byte of which is reserved.
    pub(crate) fn create_file(path: &Path, len: usize, options: MemoryOptions) -> Result<Self, MemoryError> {
        let need = len as u64;
        if len == 0 || isize::try_from(len).is_err() {
            return Err(MemoryError::Length { len: need });
        }
        if let Some(limit) = file_size_limit()
            && limit < need
        {
            return Err(MemoryError::FileSizeLimit { need, limit });
        }
        let file = unnamed(path).map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::OPNOTSUPP => {
                MemoryError::Directory {
                    path: directory_of(path).into(),
                    source: errno.into(),
                }
            }
            errno => refused("making a file without a name", need)(errno),
        })?;
        retry_on_intr(|| rustix::fs::ftruncate(&file, need)).map_err(refused("ftruncate of a file", need))?;
        let memory = Self::of_file(file, need, Access::ReadWrite)?;
        if options.prefault {
            memory.populate()?;
        }
        Ok(memory.without_huge_pages(options))
    }

    /// Maps an open file of exactly `len` bytes. Holes in it are filled, so that no access finds the disk full.
    pub(crate) fn of_file(file: OwnedFd, len: u64, access: Access) -> Result<Self, MemoryError> {
        let whole = usize::try_from(len).ok().filter(|len| *len > 0);
        let whole = whole.ok_or(MemoryError::Length { len })?;
        let memory = Self::map(file, whole, access)?;
        if access == Access::ReadWrite {
            memory.reserve().map_err(refused("fallocate of a file", len))?;
        }
        Ok(memory)
    }

    /// Waits until the disk has everything that was written.
    pub(crate) fn sync(&self) -> Result<(), io::Error> {
        Ok(retry_on_intr(|| rustix::fs::fdatasync(self.fd()))?)
    }

    /// Files are in huge pages only where their file system has been told so.
    fn without_huge_pages(mut self, options: MemoryOptions) -> Self {
        if options.huge_pages {
            self.huge_pages = HugePages::Refused;
        }
        self
    }
}
