//! Streams that outlive their processes: the two files of such a stream, made, opened, checked.
//!
//! The stream's memory is a file, with the same layout as ever: its page, its schema, its area. What the consumer has released
//! stands in a [second file](position) beside it, because no process may write the other side's pages. Both are made without a
//! name and get it when they are whole, the stream's last. The producer keeps the stream's file locked.

mod error;
mod examined;
mod position;
mod report;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::Stat;
use rustix::io::Errno;
use zerocopy::IntoBytes;

pub use error::DurableError;
use examined::Examined;
pub(crate) use position::{Cursor, Hold, NotLent, PositionFile, Terms};
pub use report::{DurableReport, verify};

use super::geometry;
use crate::memory::file::{self, Opened};
use crate::memory::{Access, MemoryError, SharedMemory};
use crate::ring::checksum::{checksum, words};
use crate::ring::page::{BOOT, StreamHeader};
use crate::ring::recovery::Holdings;

/// How often the files may come or go between two looks at them.
const RACES: u32 = 100;
/// How often a locked file is tried.
const TRIES: u32 = 20;

/// The files of a durable stream, and where its two sides go on.
#[derive(Debug)]
pub(crate) struct DurableFiles {
    /// Mapped for writing, and locked.
    pub(crate) memory: SharedMemory,
    /// A private copy of what stands in the memory.
    pub(crate) header: StreamHeader,
    pub(crate) position: PositionFile,
    /// Where the producer goes on.
    pub(crate) published: Cursor,
    /// What the consumer had released when the files were opened.
    pub(crate) released: Cursor,
}

impl DurableFiles {
    /// Opens the files at `path`, which must be what `header` and `schema` say, or makes them: `make` gives the memory, filled
    /// in, without a name.
    pub(crate) fn open(
        path: &Path,
        header: &StreamHeader,
        schema: &[u8],
        make: impl Fn() -> Result<SharedMemory, MemoryError>,
    ) -> Result<Self, DurableError> {
        let refused = |what| {
            move |source| DurableError::Io {
                what,
                path: path.into(),
                source,
            }
        };
        let boot = boot().map_err(refused("reading the number of this boot for"))?;
        for round in 1..RACES {
            match file::open_locked(path).map_err(refused("opening"))? {
                // Somebody removed the file between opening and locking.
                Opened::File(_, stat) if stat.st_nlink == 0 => continue,
                Opened::File(fd, stat) => return Self::go_on(path, header, schema, &boot, fd, &stat),
                // Whoever dies holds its locks until it is dead, and who verifies the file has it for a moment.
                Opened::Locked if round < TRIES => {
                    thread::sleep(Duration::from_millis(round.min(10).into()));
                    continue;
                }
                Opened::Locked => return Err(DurableError::Taken { path: path.into() }),
                Opened::Foreign => return Err(DurableError::NotAFile { path: path.into() }),
                Opened::Missing => {}
            }
            let memory = make()?;
            // It lies within the page.
            memory.copy_in(BOOT, &boot);
            if !file::lock(memory.fd()).map_err(refused("locking"))? {
                continue;
            }
            let Some((position, making)) = PositionFile::create(path, header)? else {
                continue;
            };
            match file::link(memory.fd(), path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(refused("naming")(error)),
            }
            // From here on the position is lent to consumers.
            drop(making);
            let begin = Cursor {
                position: header.base,
                byte: 0,
            };
            return Ok(Self {
                memory,
                header: *header,
                position,
                published: begin,
                released: begin,
            });
        }
        Err(refused("opening")(Errno::BUSY.into()))
    }

    fn go_on(
        path: &Path,
        header: &StreamHeader,
        schema: &[u8],
        boot: &[u8],
        fd: OwnedFd,
        stat: &Stat,
    ) -> Result<Self, DurableError> {
        let examined = Examined::of(path, fd, stat, Access::ReadWrite)?;
        examined.must_be(path, header, schema)?;
        if examined.memory.copy_out(BOOT, boot.len()).as_deref() != Some(boot) {
            return Err(DurableError::OtherBoot { path: path.into() });
        }
        let (released, holdings) = examined.holdings(path)?;
        let Examined {
            memory,
            header,
            position,
            ..
        } = examined;
        // SAFETY: the file is locked, so that no other producer writes it, and its holdings were found just now.
        unsafe { holdings.mend(&memory, &header, released.position) };
        // The stream goes on, however its last producer ended it.
        memory.store(geometry::END_KIND, 0);
        memory.store(geometry::WAITING, 0);
        let Holdings {
            position: at, byte, ..
        } = holdings;
        Ok(Self {
            memory,
            header,
            position,
            published: Cursor { position: at, byte },
            released,
        })
    }
}

/// The sum that stands in the header of a durable stream.
pub(crate) fn sum(header: &StreamHeader, schema: &[u8]) -> u64 {
    let head = &header.as_bytes()[..std::mem::offset_of!(StreamHeader, checksum)];
    checksum(words(head).chain(words(schema)))
}

/// Which run of the machine this is.
fn boot() -> Result<[u8; 16], io::Error> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    match u128::from_str_radix(&digits, 16) {
        Ok(number) => Ok(number.to_le_bytes()),
        Err(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}
