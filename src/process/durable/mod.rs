//! Streams that outlive their processes: the two files of such a stream, made, opened, checked.
//!
//! The stream's memory is a file, with the same layout as ever: its page, its schema, its area. What the consumer has released
//! stands in a [second file](position) beside it, because no process may write the other side's pages. Both are made without a
//! name and get it when they are whole, the stream's last. The producer keeps the stream's file locked.
//!
//! What the disk has of them after the machine's own end is anybody's guess, and elements bear no checksum. So on request the
//! producer writes a [third file](snapshot), by which they are [made again](restored).

mod error;
mod examined;
mod position;
mod report;
mod restored;
mod snapshot;
mod synced;

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::Stat;
use rustix::io::Errno;
use zerocopy::{FromBytes, IntoBytes};

pub use error::DurableError;
use examined::{Examined, must_be};
pub(crate) use position::{Cursor, Hold, NotLent, PositionFile, Terms};
pub use report::{DurableReport, Recovery, Synced, SyncedReport, verify, verify_synced};
#[cfg(fuzzing)]
pub(in crate::process) use snapshot::seal as seal_snapshot;
pub use synced::SyncError;
pub(crate) use synced::SyncPoint;

use super::geometry;
use crate::element::Schema;
use crate::memory::file::{self, Opened};
use crate::memory::{Access, MemoryError, SharedMemory};
use crate::ring::checksum::{checksum, words};
use crate::ring::page::{BOOT, PRODUCER_RINGS, STREAM_MAGIC, StreamHeader};
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
    /// in, without a name. `recover` says to go back to the last sync if they are of another boot.
    pub(crate) fn open(
        path: &Path,
        header: &StreamHeader,
        schema: &[u8],
        recover: bool,
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
                Opened::File(fd, stat) => {
                    // Somebody may have removed or replaced the file between opening and locking.
                    if !file::is_named(path, &stat).map_err(refused("looking at"))? {
                        continue;
                    }
                    for path in [path, &position::beside(path), &snapshot::beside(path)] {
                        file::sweep(path).map_err(refused("tidying up beside"))?;
                    }
                    let is_other = Self::is_of_other_boot(&fd, &boot).map_err(refused("reading"))?;
                    if !is_other || !recover {
                        return Self::go_on(path, header, schema, is_other, fd, &stat);
                    }
                    let found = Self::epoch_of(&fd).map_err(refused("reading"))?;
                    let fd = restored::restore(path, &stat, found, header, schema, &boot)?;
                    let stat = rustix::fs::fstat(&fd).map_err(|errno| refused("looking at")(errno.into()))?;
                    return Self::go_on(path, header, schema, false, fd, &stat);
                }
                // Whoever dies holds its locks until it is dead, and who verifies the file has it for a moment.
                Opened::Locked if round < TRIES => {
                    thread::sleep(Duration::from_millis(round.min(10).into()));
                    continue;
                }
                Opened::Locked => return Err(DurableError::Taken { path: path.into() }),
                Opened::Foreign => return Err(DurableError::NotAFile { path: path.into() }),
                // It may be the last that there is of the stream, and the first sync of a new one would write over it.
                Opened::Missing if snapshot::beside(path).exists() => {
                    return Err(DurableError::Synced {
                        path: snapshot::beside(path),
                        why: "is there and the stream is not",
                    });
                }
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
        is_of_other_boot: bool,
        fd: OwnedFd,
        stat: &Stat,
    ) -> Result<Self, DurableError> {
        let other_boot = || DurableError::OtherBoot { path: path.into() };
        let examined = match Examined::of(path, fd, stat, Access::ReadWrite) {
            // What power loss does to a file that is a stream is not said one by one.
            Err(
                DurableError::Corrupt { .. } | DurableError::Position { .. } | DurableError::Truncated { .. },
            ) if is_of_other_boot => return Err(other_boot()),
            examined => examined?,
        };
        must_be(path, (&examined.header, &examined.schema), (header, schema))?;
        if is_of_other_boot {
            return Err(other_boot());
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
        memory.store(PRODUCER_RINGS, 0);
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

    /// Whether the file says that another run of the machine wrote it. One that is too short to say it does not.
    fn is_of_other_boot(file: &impl AsFd, boot: &[u8; 16]) -> Result<bool, io::Error> {
        let mut found = [0; 16];
        let read = rustix::io::pread(file, &mut found, BOOT as u64)?;
        Ok(read == found.len() && found != *boot)
    }

    /// Whose the file is, if its header is whole. Power loss may have left anything.
    fn epoch_of(file: &impl AsFd) -> Result<Option<u64>, io::Error> {
        let mut head = [0; size_of::<StreamHeader>()];
        let read = rustix::io::pread(file, &mut head, 0)?;
        let header = StreamHeader::read_from_bytes(&head).ok();
        let header = header.filter(|header| read == head.len() && header.magic == STREAM_MAGIC);
        let Some(header) = header.filter(|header| header.schema_len as usize <= Schema::MAX_ENCODED) else {
            return Ok(None);
        };
        let mut schema = vec![0; header.schema_len as usize];
        let read = rustix::io::pread(file, &mut schema, u64::from(header.schema_offset))?;
        let is_whole = read == schema.len() && header.checksum == sum(&header, &schema);
        Ok(is_whole.then_some(header.epoch))
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
