//! Back to the last sync: the files of a durable stream made again from its snapshot.
//!
//! Both new files are whole, and on the disk, before either has its name; then the position is put in place, and last the
//! stream. As long as the stream's name is that of the old file, that one says that it is of another boot, so whoever is
//! interrupted begins again. The epoch stays: the snapshot goes on being this stream's.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;
use rustix::io::{Errno, retry_on_intr};
use zerocopy::IntoBytes;

use super::DurableError;
use super::examined::{Examined, must_be, must_be_ours};
use super::position::{self, PositionFile};
use super::snapshot::{self, Snapshot};
use crate::memory::file;
use crate::memory::{MemoryOptions, SharedMemory};
use crate::ring::Corruption;
use crate::ring::packing::{Held, Unpacked};
use crate::ring::page::{BOOT, PAGE, StreamHeader};

/// How many pairs of files are kept from before.
const KEPT: u32 = 1000;

/// Makes the stream at `path` again, of which the caller has the old file locked; gives the new one, locked. `found` is the
/// old file's epoch, if its header is whole.
pub(super) fn restore(
    path: &Path,
    old: &Stat,
    found: Option<u64>,
    header: &StreamHeader,
    schema: &[u8],
    boot: &[u8],
) -> Result<OwnedFd, DurableError> {
    must_be_ours(path, old)?;
    let mut snapshot = Snapshot::open(path)?;
    if found.is_some_and(|epoch| epoch != snapshot.header.epoch) {
        return Err(DurableError::Synced {
            path: snapshot::beside(path),
            why: "belongs to another stream",
        });
    }
    must_be(path, (&snapshot.header, &snapshot.schema), (header, schema))?;
    let refused = |what| {
        move |source| DurableError::Io {
            what,
            path: path.into(),
            source,
        }
    };
    let memory = remake(path, &mut snapshot, boot)?;
    let beside = position::beside(path);
    let credit = SharedMemory::create_file(&beside, PAGE, MemoryOptions::default())?;
    // It is a page.
    credit.copy_in(0, &snapshot.credit);
    // As whoever opens the files will see them.
    let beside_it = snapshot::beside(path);
    let remade = Examined {
        memory,
        header: snapshot.header,
        position: PositionFile::examine(credit, &beside_it, &snapshot.header)?,
        schema: snapshot.schema,
    };
    let (_, holdings) = remade.holdings(&beside_it)?;
    let Held {
        released, published, ..
    } = snapshot.held;
    if holdings.position != published {
        let corruption = Corruption::new("published", published, released, holdings.position);
        return Err(DurableError::Contradiction {
            path: beside_it,
            corruption,
        });
    }
    let Examined { memory, position, .. } = remade;
    memory.sync().map_err(refused("syncing"))?;
    position.page().sync().map_err(refused("syncing"))?;
    if !file::lock(memory.fd()).map_err(refused("locking"))? {
        return Err(DurableError::Taken { path: path.into() });
    }
    keep(path, old).map_err(refused("keeping what was found of"))?;
    file::put_in_place(position.page().fd(), &beside).map_err(refused("naming the position of"))?;
    file::put_in_place(memory.fd(), path).map_err(refused("naming"))?;
    file::sync_directory(path).map_err(refused("syncing the directory of"))?;
    Ok(memory.into_fd())
}

/// The memory of the stream as it was synced, without a name.
fn remake(path: &Path, snapshot: &mut Snapshot, boot: &[u8]) -> Result<SharedMemory, DurableError> {
    let (header, held) = (snapshot.header, snapshot.held);
    // Their sum was checked.
    let len = usize::try_from(header.area_offset + header.area_len).unwrap_or(usize::MAX);
    let memory = SharedMemory::create_file(path, len, MemoryOptions::default())?;
    memory.copy_in(0, header.as_bytes());
    memory.copy_in(header.schema_offset as usize, &snapshot.schema);
    memory.copy_in(BOOT, boot);
    // SAFETY: the memory was made just now, as long as the header says, and is all zeroes but for its first pages.
    let unpacked = unsafe { held.unpack(&memory, &header, |bytes| snapshot.next(bytes)) };
    let path = snapshot::beside(path);
    unpacked.map_err(|why| match why {
        Unpacked::Corrupt(corruption) => DurableError::Contradiction { path, corruption },
        Unpacked::Io(source) => DurableError::Io {
            what: "reading",
            path,
            source,
        },
    })?;
    Ok(memory)
}

/// Gives what was found a second name, under which it stays: nothing is deleted that might be wanted.
fn keep(path: &Path, old: &Stat) -> io::Result<()> {
    for number in 0..KEPT {
        let kept = before(path, number);
        if file::is_named(&kept, old)? {
            // An earlier attempt kept both, and may have put a position in place since.
            return Ok(());
        }
        // The stream last, so that its second name says that both have one.
        if !kept.exists()
            && kept_as(&position::beside(path), &position::beside(&kept))?
            && kept_as(path, &kept)?
        {
            return Ok(());
        }
    }
    Err(Errno::EXIST.into())
}

fn before(path: &Path, number: u32) -> PathBuf {
    match number {
        0 => file::beside(path, ".before-recovery"),
        _ => file::beside(path, &format!(".before-recovery.{number}")),
    }
}

/// Gives the file at `path` the name `kept`; false when another file has it. A file that is not there needs no name.
fn kept_as(path: &Path, kept: &Path) -> io::Result<bool> {
    // It has that name already when an attempt was interrupted between the two.
    match retry_on_intr(|| rustix::fs::link(path, kept)) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::EXIST) => file::is_named(kept, &retry_on_intr(|| rustix::fs::lstat(path))?),
        Err(errno) => Err(errno.into()),
    }
}
