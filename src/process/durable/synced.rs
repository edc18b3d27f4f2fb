//! What a producer of a durable stream has the disk keep on request, so that power loss takes back no more than what came
//! after.

use std::io;
use std::path::PathBuf;
use std::thread;

use zerocopy::IntoBytes;

use super::{Cursor, DurableError, PositionFile, position, snapshot};
use crate::memory::SharedMemory;
use crate::memory::file;
use crate::primitive::Arc;
use crate::process::commit::Commit;
use crate::process::geometry::{self, GRANTED, Lie, RELEASED, RELEASED_BYTES};
use crate::ring::Corruption;
use crate::ring::packing::{Held, Unpacked};
use crate::ring::page::{CreditHeader, KIND_FRAMES, PAGE, SUBSCRIPTION, StreamHeader, SubscriptionLine};

/// How often a page that its consumer writes is read before it is held to be damaged.
const LOOKS: u32 = 100_000;

/// Why a stream was not synced. The snapshot before, if there is one, is as it was, and the stream goes on.
///
/// ```
/// use millstream::SyncError;
///
/// let (mut sink, _source) = millstream::channel::<u64>().build()?;
/// assert!(matches!(sink.sync(), Err(SyncError::NotDurable)));
/// # Ok::<(), millstream::ChannelError>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The stream is not in a file.
    #[error(
        "this stream is not in a file, so there is nothing to sync: publish it with `durable` and a path"
    )]
    NotDurable,
    /// The snapshot could not be written, or what the consumer says of its position cannot be right.
    #[error(transparent)]
    Durable(#[from] DurableError),
}

/// A durable stream as its producer syncs it.
#[derive(Debug)]
pub(crate) struct SyncPoint {
    path: PathBuf,
    memory: Arc<SharedMemory>,
    header: StreamHeader,
    schema: Vec<u8>,
    position: PositionFile,
    /// Whether the disk has the stream's own files, by which another boot is told.
    settled: bool,
}

impl SyncPoint {
    /// # Safety
    /// `header` is true of the memory, and whoever has this is the only one to write to its area.
    pub(crate) unsafe fn new(
        path: PathBuf,
        memory: Arc<SharedMemory>,
        header: StreamHeader,
        schema: Vec<u8>,
        position: PositionFile,
    ) -> Self {
        Self {
            path,
            memory,
            header,
            schema,
            position,
            settled: false,
        }
    }

    /// Writes the snapshot of a stream that was published up to here.
    pub(crate) fn sync(&mut self, published: Cursor) -> Result<(), DurableError> {
        self.must_be_named()?;
        if !self.settled {
            snapshot::must_not_replace_foreign(&self.path)?;
            self.settle()?;
        }
        let corrupt = |Lie { word, value }| DurableError::Corrupt {
            path: position::beside(&self.path),
            word,
            value,
        };
        // First of all: what the consumer releases from here on only makes more of the snapshot than is needed.
        let Cursor { position, byte } = self.position.released();
        // Frames are released by two stores; the bytes say where the next one lies.
        let position = if self.header.kind == KIND_FRAMES && byte == published.byte {
            published.position
        } else {
            geometry::position_at(&self.memory, &self.header, position, byte)
        };
        let held = Held {
            released: position,
            released_byte: byte,
            published: published.position,
        };
        let credit = self.credit(&held).map_err(corrupt)?;
        let (header, memory) = (&self.header, &self.memory);
        snapshot::write(&self.path, header, &self.schema, &credit, &held, |write| {
            // SAFETY: its producer published it up to there, and puts nothing while it syncs.
            unsafe { held.pack(memory, header, write) }
        })
        .map_err(|why| match why {
            Unpacked::Corrupt(corruption) => self.contradiction(corruption),
            Unpacked::Io(source) => DurableError::Io {
                what: "writing",
                path: snapshot::beside(&self.path),
                source,
            },
        })
    }

    /// What lies beside the path is this stream's to write as long as the path is that of its file.
    fn must_be_named(&self) -> Result<(), DurableError> {
        let named = rustix::fs::fstat(self.memory.fd())
            .map_err(io::Error::from)
            .and_then(|stat| file::is_named(&self.path, &stat));
        let gone = || {
            io::Error::new(
                io::ErrorKind::NotFound,
                "it was removed, or another file has its name",
            )
        };
        named
            .and_then(|is_named| is_named.then_some(()).ok_or_else(gone))
            .map_err(|source| DurableError::Io {
                what: "syncing",
                path: self.path.clone(),
                source,
            })
    }

    fn contradiction(&self, corruption: Corruption) -> DurableError {
        DurableError::Contradiction {
            path: self.path.clone(),
            corruption,
        }
    }

    /// Has the disk keep the two files: their names, their lengths, and the number of this boot.
    fn settle(&mut self) -> Result<(), DurableError> {
        let refused = |path: PathBuf| {
            move |source: io::Error| DurableError::Io {
                what: "syncing",
                path,
                source,
            }
        };
        self.memory.sync().map_err(refused(self.path.clone()))?;
        let beside = position::beside(&self.path);
        self.position.page().sync().map_err(refused(beside))?;
        file::sync_directory(&self.path).map_err(refused(self.path.clone()))?;
        self.settled = true;
        Ok(())
    }

    /// The credit page of a consumer that was killed at this moment. It is written meanwhile.
    fn credit(&self, held: &Held) -> Result<Vec<u8>, Lie> {
        let mut page = vec![0; PAGE];
        let credit = CreditHeader {
            minor: self.header.minor,
            ..CreditHeader::new(self.header.epoch, held.released, held.released_byte)
        };
        page[..size_of::<CreditHeader>()].copy_from_slice(credit.as_bytes());
        let name = self.name(held.released)?;
        let words = [
            (GRANTED, held.released),
            (RELEASED, held.released),
            (RELEASED_BYTES, held.released_byte),
            (SUBSCRIPTION, name.len() as u64),
        ];
        for (at, word) in words {
            page[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        let at = SUBSCRIPTION + std::mem::offset_of!(SubscriptionLine, name);
        page[at..at + name.len()].copy_from_slice(name.as_bytes());
        // Read after `released`, which a commit moves after itself: so it is not behind that.
        let commit = self.steady(|| {
            let number = self.position.commits();
            let commit = Commit::last(self.position.page())?;
            Ok((number, commit))
        })?;
        if let (number, Some(commit)) = commit {
            // A consumer that does not commit any more has released more than it committed.
            let ahead = commit.position.wrapping_sub(held.released);
            if ahead <= self.position.span() && ahead > held.count() {
                return Err(Lie {
                    word: "position of the state",
                    value: commit.position,
                });
            }
            commit.write(number.max(1), &mut page);
        }
        Ok(page)
    }

    /// The name of the subscription, which the background thread writes when the first consumer comes.
    fn name(&self, released: u64) -> Result<String, Lie> {
        let is_begun = released != self.header.base;
        for _ in 0..LOOKS {
            let (one, other) = (self.position.name(), self.position.name());
            if one == other && one.as_ref().is_ok_and(|name| !is_begun || !name.is_empty()) {
                return one;
            }
            thread::yield_now();
        }
        self.position.name()
    }

    /// Reads what a checksum, or its form, says was not read whole, until it was.
    fn steady<T>(&self, read: impl Fn() -> Result<T, Lie>) -> Result<T, Lie> {
        let mut looks = 0;
        loop {
            match read() {
                Err(lie) if looks == LOOKS => return Err(lie),
                // Two commits fell into the look: the second writes where the first look read.
                Err(_) => {
                    looks += 1;
                    thread::yield_now();
                }
                read => return read,
            }
        }
    }
}
