//! The file beside a durable stream that says what its consumer has released: a credit page that stays.
//!
//! One consumer at a time has it, by a lock that the kernel gives back when that one's process ends, however it ends. The lock
//! belongs to the descriptor that the consumer is passed, and the producer keeps no copy of that. So a consumer of a producer
//! that has died goes on with the page until it is done, and only then can the next producer's consumer begin.

#![forbid(unsafe_code)]

use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, getpid};
use zerocopy::{FromBytes, IntoBytes};

use super::DurableError;
use super::examined::must_be_ours;
use crate::memory::file::{self, Opened};
use crate::memory::{Access, MemoryOptions, SharedMemory};
use crate::primitive::Arc;
use crate::process::commit::{Commit, resumption};
use crate::process::geometry::{CONTROL, GRANTED, Lie, RELEASED, RELEASED_BYTES};
use crate::process::name::Name;
use crate::ring::page::{
    COMMITS, CONSUMER_RINGS, CREDIT_MAGIC, CreditHeader, MAJOR, MINOR, PAGE, SUBSCRIPTION, StreamHeader,
    SubscriptionLine, can_read,
};

/// Where a consumer goes on: a position, and the bytes before it in a stream of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) position: u64,
    pub(crate) byte: u64,
}

/// The file, as the producer has it.
#[derive(Clone, Debug)]
pub(crate) struct PositionFile {
    /// Mapped for reading.
    page: Arc<SharedMemory>,
    base: u64,
    /// The most that a consumer can have taken and not released.
    span: u64,
}

/// Why the page is not lent to a consumer.
#[derive(Debug)]
pub(crate) enum NotLent {
    /// Another consumer has it.
    Held,
    Io(io::Error),
}

/// What a consumer is to begin with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) subscription: &'a str,
    pub(crate) cursor: Cursor,
    pub(crate) window: u64,
}

/// The path of the file that goes with the stream at `path`.
pub(crate) fn beside(path: &Path) -> PathBuf {
    file::beside(path, ".position")
}

/// Removes the position of a stream whose making was interrupted before its own file had a name. Nothing, if somebody makes
/// it at this moment. Whatever else lies there is not this crate's to remove.
fn remove_leftover(path: &Path, stream: &Path) -> Result<(), DurableError> {
    let refused = |what| {
        move |source| DurableError::Io {
            what,
            path: path.into(),
            source,
        }
    };
    match file::open_locked(path).map_err(refused("opening"))? {
        // Somebody may have replaced the file between opening and locking. Under the lock of what is named nobody makes a stream
        // of this name: who does has its own position there, locked.
        Opened::File(file, stat)
            if file::is_named(path, &stat).map_err(refused("looking at"))? && !stream.exists() =>
        {
            must_be_leftover(path, &file, &stat)?;
            match rustix::fs::unlink(path) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(errno) => Err(refused("removing")(errno.into())),
            }
        }
        Opened::Foreign => Err(DurableError::NotAFile { path: path.into() }),
        Opened::File(..) | Opened::Missing | Opened::Locked => Ok(()),
    }
}

/// Refuses a file that is not as [`PositionFile::create`] leaves it when it is interrupted.
fn must_be_leftover(path: &Path, file: &OwnedFd, stat: &Stat) -> Result<(), DurableError> {
    let mut page = vec![0; PAGE];
    let read =
        retry_on_intr(|| rustix::io::pread(file, &mut page[..], 0)).map_err(|errno| DurableError::Io {
            what: "reading",
            path: path.into(),
            source: errno.into(),
        })?;
    page.truncate(read);
    if !page.starts_with(&CREDIT_MAGIC) {
        page.truncate(CREDIT_MAGIC.len());
        return Err(DurableError::Foreign {
            path: path.into(),
            found: page,
        });
    }
    must_be_ours(path, stat)?;
    let word = |at: usize| page.get(at..at + 8).unwrap_or_default();
    let is_begun = read < PAGE || [SUBSCRIPTION, COMMITS].iter().any(|at| word(*at) != [0; 8]);
    if is_begun || word(RELEASED) != word(offset_of!(CreditHeader, start)) {
        return Err(DurableError::Position {
            path: path.into(),
            why: "is there and the stream is not",
        });
    }
    Ok(())
}

impl PositionFile {
    /// Makes the file of a stream that begins, in place of one that an interrupted making left. `None` when somebody else makes
    /// one at this moment. As long as the second value lives nobody else does.
    pub(super) fn create(
        stream: &Path,
        header: &StreamHeader,
    ) -> Result<Option<(Self, SharedMemory)>, DurableError> {
        let path = beside(stream);
        let page = SharedMemory::create_file(&path, PAGE, MemoryOptions::default())?;
        let credit = CreditHeader::new(header.epoch, header.base, 0);
        // All of it lies within the page.
        page.copy_in(0, credit.as_bytes());
        page.store(GRANTED, header.base);
        page.store(RELEASED, header.base);
        let refused = |what| {
            let path = path.clone();
            move |source| DurableError::Io { what, path, source }
        };
        if !file::lock(page.fd()).map_err(refused("locking"))? {
            return Ok(None);
        }
        match file::link(page.fd(), &path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove_leftover(&path, stream)?;
                return Ok(None);
            }
            Err(error) => return Err(refused("naming")(error)),
        }
        let readable = SharedMemory::of_file(page.reopen_read_only()?, PAGE as u64, Access::ReadOnly)?;
        Ok(Some((Self::new(readable, header), page)))
    }

    /// Opens the file that goes with the stream at `path`, whose header says what it must be.
    pub(super) fn open(path: &Path, header: &StreamHeader) -> Result<Self, DurableError> {
        let path = beside(path);
        let wrong = |why| DurableError::Position {
            path: path.clone(),
            why,
        };
        let found = file::open_for_reading(&path).map_err(|source| DurableError::Io {
            what: "opening",
            path: path.clone(),
            source,
        })?;
        let (fd, stat) = found.file().map_err(wrong)?;
        must_be_ours(&path, &stat)?;
        let have = u64::try_from(stat.st_size).unwrap_or(0);
        if have != PAGE as u64 {
            let (need, path) = (PAGE as u64, path.clone());
            return Err(if have < need {
                DurableError::Truncated { path, have, need }
            } else {
                DurableError::TooLong { path, have, need }
            });
        }
        Self::examine(SharedMemory::of_file(fd, have, Access::ReadOnly)?, &path, header)
    }

    /// Looks at every word of a page that is to go with the stream of this header, and that was found at `path`.
    pub(super) fn examine(
        page: SharedMemory,
        path: &Path,
        header: &StreamHeader,
    ) -> Result<Self, DurableError> {
        let path = path.to_path_buf();
        let wrong = |why| DurableError::Position {
            path: path.clone(),
            why,
        };
        let bytes = page.copy_out(0, size_of::<CreditHeader>());
        let credit = bytes
            .as_deref()
            .and_then(|bytes| CreditHeader::read_from_bytes(bytes).ok());
        let credit = credit.ok_or(wrong("cannot be read"))?;
        if credit.magic != CREDIT_MAGIC {
            return Err(DurableError::Foreign {
                path,
                found: credit.magic.to_vec(),
            });
        }
        if !can_read(credit.major, credit.minor) {
            return Err(DurableError::Version {
                path,
                found: (credit.major, credit.minor),
                ours: (MAJOR, MINOR),
            });
        }
        if credit.epoch != header.epoch {
            return Err(wrong("belongs to another stream"));
        }
        let found = Self::new(page, header);
        let corrupt = |Lie { word, value }| DurableError::Corrupt {
            path: path.clone(),
            word,
            value,
        };
        Commit::last(&found.page).map_err(corrupt)?;
        let name = found.name().map_err(corrupt)?;
        // Otherwise no consumer could ever be told from a stranger.
        if name.is_empty() && found.is_begun() {
            return Err(corrupt(Lie {
                word: "name of the subscription",
                value: 0,
            }));
        }
        let Cursor { position, byte } = found.released();
        if (position.wrapping_sub(header.base) as i64) < 0 {
            return Err(corrupt(Lie {
                word: "released",
                value: position,
            }));
        }
        // Nor is it near where a sum of bytes would overflow.
        if !byte.is_multiple_of(8) || byte > u64::MAX / 2 {
            return Err(corrupt(Lie {
                word: "released bytes",
                value: byte,
            }));
        }
        Ok(found)
    }

    fn new(page: SharedMemory, header: &StreamHeader) -> Self {
        Self {
            page: Arc::new(page),
            base: header.base,
            span: header.buffer_size + header.max_demand,
        }
    }

    /// What the consumer has released, as it says.
    pub(crate) fn released(&self) -> Cursor {
        Cursor {
            position: self.page.load(RELEASED).unwrap_or(self.base),
            byte: self.page.load(RELEASED_BYTES).unwrap_or(0),
        }
    }

    /// Where the next consumer begins.
    pub(crate) fn cursor(&self) -> Cursor {
        let released = self.released();
        Cursor {
            position: resumption(&self.page, released.position, self.span),
            ..released
        }
    }

    /// Where the last commit stands, if that is further on than what was released.
    pub(super) fn committed_ahead(&self) -> Option<u64> {
        let released = self.released().position;
        let next = resumption(&self.page, released, self.span);
        (next != released).then_some(next)
    }

    /// The most that a consumer can have taken and not released.
    pub(super) fn span(&self) -> u64 {
        self.span
    }

    /// How many states were committed.
    pub(crate) fn commits(&self) -> u64 {
        self.page.load(COMMITS).unwrap_or(0)
    }

    /// The name of the subscription whose position it is; empty before the first.
    pub(in crate::process) fn name(&self) -> Result<String, Lie> {
        let len = self.page.load(SUBSCRIPTION).unwrap_or(0);
        let name = usize::try_from(len)
            .ok()
            .and_then(|len| {
                self.page
                    .copy_out(SUBSCRIPTION + offset_of!(SubscriptionLine, name), len)
            })
            .filter(|bytes| bytes.len() <= size_of::<SubscriptionLine>() - 8)
            .and_then(|bytes| String::from_utf8(bytes).ok());
        match name {
            Some(name) if name.is_empty() || Name::new(&name).is_ok() => Ok(name),
            _ => Err(Lie {
                word: "name of the subscription",
                value: len,
            }),
        }
    }

    /// Whether anything was released or committed, which then is the position, or the state, of one name.
    pub(crate) fn is_begun(&self) -> bool {
        self.commits() > 0 || self.cursor().position != self.base
    }

    /// The page, for reading.
    pub(crate) fn page(&self) -> &Arc<SharedMemory> {
        &self.page
    }

    /// Makes the page ready for a consumer: the descriptor by which it has the page, locked for it.
    pub(crate) fn lend(&self, terms: &Terms<'_>) -> Result<OwnedFd, NotLent> {
        let path = format!("/proc/self/fd/{}", self.page.fd().as_raw_fd());
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| rustix::fs::open(&path, flags, Mode::empty()));
        let fd = fd.map_err(|errno| NotLent::Io(errno.into()))?;
        if !file::lock(&fd).map_err(NotLent::Io)? {
            return Err(NotLent::Held);
        }
        let page = SharedMemory::of_file(fd, PAGE as u64, Access::ReadWrite)
            .map_err(|error| NotLent::Io(io::Error::other(error)))?;
        let Cursor { position, byte } = terms.cursor;
        // Whatever of this a kill leaves undone, the released position is right before and after.
        let header = size_of::<CreditHeader>();
        if let Some(mut credit) = page
            .copy_out(0, header)
            .and_then(|bytes| CreditHeader::read_from_bytes(&bytes).ok())
        {
            (credit.start, credit.start_byte, credit.window) = (position, byte, terms.window);
            page.copy_in(0, credit.as_bytes());
        }
        page.store(CONTROL, 0);
        page.store(CONSUMER_RINGS, 0);
        page.store(RELEASED_BYTES, byte);
        page.store(RELEASED, position);
        page.store(GRANTED, position);
        // A name that stands stays: a kill in its writing would leave a position that is nobody's.
        if !self.name().is_ok_and(|name| name == terms.subscription) {
            let name = terms.subscription.as_bytes();
            // Without a length there is no name, whatever a kill leaves.
            page.store(SUBSCRIPTION, 0);
            page.copy_in(SUBSCRIPTION + offset_of!(SubscriptionLine, name), name);
            page.store(SUBSCRIPTION, name.len() as u64);
        }
        Ok(page.into_fd())
    }
}

/// A consumer's hold on its page, which it gives up when it writes there no more.
#[derive(Debug)]
pub(crate) struct Hold {
    page: Arc<SharedMemory>,
    /// A forked child shares the lock, and must not give it up.
    pid: Pid,
}

impl Hold {
    pub(crate) fn new(page: Arc<SharedMemory>) -> Self {
        Self { page, pid: getpid() }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.pid == getpid() {
            file::unlock(self.page.fd());
        }
    }
}
