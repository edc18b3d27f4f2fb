//! The file beside a durable stream in which it stands as it was synced last.
//!
//! ```text
//!    0  magic          89 4d 4c 59 0d 0a 1a 0a     32  epoch of the stream   u64
//!    8  major, minor   u16 each                    40  published             u64, position after the last element
//!   12  header_len     u32                         48  released              u64, position of the first element
//!   16  checksum       u64, of all but itself      56  released bytes        u64, of frames; else 0
//!   24  bytes          u64, of this file           64  zero
//!  128  the header of the stream page
//!  384  the schema, up to the next whole word
//!       the credit page: what was released, the subscription's name, the commit
//!       the elements from `released` to `published`, packed, up to the next whole word
//! ```
//!
//! It is written without a name, and put in place when the disk has all of it. So there is always a whole one: the last or the
//! one before.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::io::{Errno, retry_on_intr};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use super::examined::must_be_ours;
use super::{DurableError, sum};
use crate::memory::file::{self, Found};
use crate::process::geometry::{self, Lie, RELEASED, RELEASED_BYTES};
use crate::ring::checksum::{checksum, go_on, words};
use crate::ring::packing::Held;
use crate::ring::page::{DURABLE, MAJOR, MINOR, PAGE, StreamHeader, can_read};

/// First bytes of a snapshot.
const MAGIC: [u8; 8] = *b"\x89MLY\r\n\x1a\n";
/// Bytes written or read at once: whole words.
const CHUNK: usize = 64 << 10;

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Head {
    magic: [u8; 8],
    major: u16,
    minor: u16,
    header_len: u32,
    checksum: u64,
    bytes: u64,
    epoch: u64,
    published: u64,
    released: u64,
    released_byte: u64,
    reserved: [u64; 8],
}

const _: () = assert!(size_of::<Head>() == 128);

impl Head {
    /// The sum that is to stand in it, over itself and what follows, whose sum is given.
    fn sum(&self, rest: u64) -> u64 {
        let bare = Self { checksum: 0, ..*self };
        go_on(rest, words(bare.as_bytes()))
    }
}

/// The path of the snapshot of the stream at `path`.
pub(super) fn beside(path: &Path) -> PathBuf {
    file::beside(path, ".synced")
}

/// Writes to a file, in whole words, and sums up what it writes.
struct Summing<'a> {
    file: &'a File,
    chunk: Vec<u8>,
    sum: u64,
    written: u64,
    /// Of the file's bytes.
    limit: Option<u64>,
}

impl Summing<'_> {
    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
            if self.chunk.len() == CHUNK {
                self.pass()?;
            }
        }
        Ok(())
    }

    /// Fills the last word up.
    fn align(&mut self) {
        // The chunk has room: it is whole words, and not full.
        self.chunk.resize(self.chunk.len().next_multiple_of(8), 0);
    }

    fn pass(&mut self) -> io::Result<()> {
        let end = self.written + self.chunk.len() as u64;
        if self.limit.is_some_and(|limit| end > limit) {
            return Err(Errno::FBIG.into());
        }
        self.sum = go_on(self.sum, words(&self.chunk));
        self.file.write_all(&self.chunk)?;
        self.written = end;
        self.chunk.clear();
        Ok(())
    }
}

/// Refuses to have a snapshot put in place of something that is none.
pub(super) fn must_not_replace_foreign(path: &Path) -> Result<(), DurableError> {
    let path = beside(path);
    let reading = |what| {
        let path = path.clone();
        move |source| DurableError::Io { what, path, source }
    };
    let mut begins = [0; MAGIC.len()];
    let read = match file::open_for_reading(&path).map_err(reading("opening"))? {
        Found::Missing => return Ok(()),
        found => {
            let (file, _) = found.file().map_err(|why| DurableError::Synced {
                path: path.clone(),
                why,
            })?;
            retry_on_intr(|| rustix::io::pread(&file, &mut begins, 0))
        }
    };
    let read = read.map_err(|errno| reading("reading")(errno.into()))?;
    if begins == MAGIC {
        return Ok(());
    }
    Err(DurableError::Foreign {
        path: path.clone(),
        found: begins[..read].to_vec(),
    })
}

/// Writes a snapshot beside the stream at `path` and puts it in place of the one before. `pack` writes the elements.
pub(super) fn write<E: From<io::Error>>(
    path: &Path,
    header: &StreamHeader,
    schema: &[u8],
    credit: &[u8],
    held: &Held,
    pack: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), E>,
) -> Result<(), E> {
    let path = beside(path);
    let file = File::from(file::unnamed(&path).map_err(io::Error::from)?);
    let limit = file::size_limit();
    if limit.is_some_and(|limit| limit < size_of::<Head>() as u64) {
        return Err(io::Error::from(Errno::FBIG).into());
    }
    (&file).write_all(Head::new_zeroed().as_bytes())?;
    let mut body = Summing {
        file: &file,
        chunk: Vec::with_capacity(CHUNK),
        sum: checksum([]),
        written: size_of::<Head>() as u64,
        limit,
    };
    body.put(header.as_bytes())?;
    body.put(schema)?;
    body.align();
    body.put(credit)?;
    pack(&mut |bytes| body.put(bytes))?;
    body.align();
    body.pass()?;
    let mut head = Head {
        magic: MAGIC,
        major: MAJOR,
        minor: header.minor,
        header_len: size_of::<Head>() as u32,
        bytes: body.written,
        epoch: header.epoch,
        published: held.published,
        released: held.released,
        released_byte: held.released_byte,
        ..Head::new_zeroed()
    };
    head.checksum = head.sum(body.sum);
    file.write_all_at(head.as_bytes(), 0)?;
    retry_on_intr(|| rustix::fs::fdatasync(&file)).map_err(io::Error::from)?;
    file::put_in_place(file.as_fd(), &path)?;
    file::sync_directory(&path)?;
    Ok(())
}

/// A snapshot of which every byte was looked at.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Stands at the first element.
    file: File,
    pub(super) header: StreamHeader,
    pub(super) schema: Vec<u8>,
    /// The bytes of the credit page.
    pub(super) credit: Vec<u8>,
    pub(super) held: Held,
    pub(super) bytes: u64,
}

impl Snapshot {
    /// Opens the snapshot of the stream at `path`.
    pub(super) fn open(path: &Path) -> Result<Self, DurableError> {
        let path = beside(path);
        let found = file::open_for_reading(&path).map_err(|source| DurableError::Io {
            what: "opening",
            path: path.clone(),
            source,
        })?;
        let (file, stat) = found.file().map_err(|why| DurableError::Synced {
            path: path.clone(),
            why,
        })?;
        must_be_ours(&path, &stat)?;
        let have = u64::try_from(stat.st_size).unwrap_or(0);
        Self::read(&path, File::from(file), have)
    }

    fn read(path: &Path, mut file: File, have: u64) -> Result<Self, DurableError> {
        let reading = |source| DurableError::Io {
            what: "reading",
            path: path.into(),
            source,
        };
        let corrupt = |Lie { word, value }| DurableError::Corrupt {
            path: path.into(),
            word,
            value,
        };
        let truncated = |need| DurableError::Truncated {
            path: path.into(),
            have,
            need,
        };
        let mut head = Head::new_zeroed();
        let begins = have.min(size_of::<Head>() as u64) as usize;
        file.read_exact(&mut head.as_mut_bytes()[..begins])
            .map_err(reading)?;
        let magic = &head.magic[..begins.min(MAGIC.len())];
        if magic.is_empty() || !MAGIC.starts_with(magic) {
            return Err(DurableError::Foreign {
                path: path.into(),
                found: magic.to_vec(),
            });
        }
        if begins < size_of::<Head>() {
            return Err(truncated(size_of::<Head>() as u64));
        }
        if !can_read(head.major, head.minor) {
            return Err(DurableError::Version {
                path: path.into(),
                found: (head.major, head.minor),
                ours: (MAJOR, MINOR),
            });
        }
        if have < head.bytes {
            return Err(truncated(head.bytes));
        }
        if have > head.bytes {
            return Err(DurableError::TooLong {
                path: path.into(),
                have,
                need: head.bytes,
            });
        }
        // Every byte of it counts, so nothing is taken from it before.
        let found = head.sum(sum_of_rest(&mut file, have).map_err(reading)?);
        if found != head.checksum {
            return Err(corrupt(Lie {
                word: "checksum of the snapshot",
                value: head.checksum,
            }));
        }
        let small = || truncated(size_of::<Head>() as u64 + size_of::<StreamHeader>() as u64);
        let mut left = have - size_of::<Head>() as u64;
        let mut take = |len: usize| -> Result<Vec<u8>, DurableError> {
            left = left.checked_sub(len as u64).ok_or_else(small)?;
            let mut bytes = vec![0; len];
            file.read_exact(&mut bytes).map_err(reading)?;
            Ok(bytes)
        };
        let stream = take(size_of::<StreamHeader>())?;
        let header = StreamHeader::read_from_bytes(&stream).map_err(|_| small())?;
        let length = header.area_offset.saturating_add(header.area_len);
        geometry::check(&header, length).map_err(corrupt)?;
        // Or what is put in place could be one that nobody here can open.
        if (header.major, header.minor) != (head.major, head.minor) {
            return Err(corrupt(Lie {
                word: "version of the stream",
                value: u64::from(header.major) << 16 | u64::from(header.minor),
            }));
        }
        let len = header.schema_len as usize;
        let mut schema = take(len.next_multiple_of(8))?;
        schema.truncate(len);
        let credit = take(PAGE)?;
        let durable = header.flags & DURABLE != 0 && header.checksum == sum(&header, &schema);
        if !durable || header.epoch != head.epoch {
            return Err(corrupt(Lie {
                word: "checksum of the header",
                value: header.checksum,
            }));
        }
        let held = Held {
            released: head.released,
            released_byte: head.released_byte,
            published: head.published,
        };
        let says = |at: usize| credit[at..].first_chunk().map(|word| u64::from_le_bytes(*word));
        for (at, word, value) in [
            (RELEASED, "released", held.released),
            (RELEASED_BYTES, "released bytes", held.released_byte),
        ] {
            if says(at) != Some(value) {
                return Err(corrupt(Lie { word, value }));
            }
        }
        if (held.released.wrapping_sub(header.base) as i64) < 0 {
            return Err(corrupt(Lie {
                word: "released",
                value: held.released,
            }));
        }
        Ok(Self {
            file,
            header,
            schema,
            credit,
            held,
            bytes: have,
        })
    }

    /// The bytes that come next of the elements.
    pub(super) fn next(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact(bytes)
    }
}

/// The sum of what follows the head; the file then stands there.
fn sum_of_rest(file: &mut File, len: u64) -> io::Result<u64> {
    let mut left = len - size_of::<Head>() as u64;
    let mut chunk = vec![0; CHUNK];
    let mut sum = checksum([]);
    while left > 0 {
        // At most a chunk.
        let part = &mut chunk[..left.min(CHUNK as u64) as usize];
        file.read_exact(part)?;
        sum = go_on(sum, words(part));
        left -= part.len() as u64;
    }
    file.seek(SeekFrom::Start(size_of::<Head>() as u64))?;
    Ok(sum)
}

/// Makes the sum of a snapshot right again, for a fuzz target.
#[cfg(fuzzing)]
pub(in crate::process) fn seal(snapshot: &mut [u8]) {
    let Some((head, rest)) = snapshot.split_at_mut_checked(size_of::<Head>()) else {
        return;
    };
    if let Ok(mut whole) = Head::read_from_bytes(head) {
        whole.bytes = (head.len() + rest.len()) as u64;
        whole.checksum = whole.sum(checksum(words(rest)));
        head.copy_from_slice(whole.as_bytes());
    }
}
