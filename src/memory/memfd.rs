//! Memory that processes share: a memfd, sealed so that nobody can shrink it under a reader.
//!
//! Everything is reserved when the memory is created, so that a full machine is an error then and not a
//! SIGBUS later. Nobody ever holds a reference into a mapping: a peer may write at any time, so there are raw
//! pointers for the ring, and single words, read and written atomically, for everybody else.

use std::fmt;
use std::fs;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use memmap2::{Advice, MmapOptions, MmapRaw};
use rustix::fs::{FallocateFlags, FileType, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, getpid};

use super::available;
use super::error::{MemoryError, file_size_limit};
use crate::primitive::atomic::{AtomicU64, Ordering, fence};

/// Seals of memory that only its creator's existing mapping may write.
pub(crate) const WRITER_ONLY_SEALS: SealFlags = SIZE_SEALS.union(SealFlags::FUTURE_WRITE);
/// Seals of memory that keeps its size, whoever writes it.
pub(crate) const SIZE_SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// Memory smaller than this is not worth asking the system how much there is.
const SMALL: u64 = 1 << 20;
/// Bytes reserved by one call. A signal makes the kernel undo a whole call, so one that is too long might never
/// end under a timer.
const RESERVED_AT_ONCE: u64 = 8 << 20;

/// How shared memory is made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MemoryOptions {
    /// Map every page at once, so that no first access faults.
    pub(crate) prefault: bool,
    /// Advise the kernel to use huge pages.
    pub(crate) huge_pages: bool,
}

/// What became of the wish for huge pages.
///
/// ```
/// let got = millstream::HugePages::Advised { bytes_got: 0 };
/// assert_ne!(got, millstream::HugePages::NotAsked);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HugePages {
    /// Nobody asked for them.
    NotAsked,
    /// The kernel does not have them.
    Refused,
    /// The kernel was advised, and backs so much of the memory by them.
    Advised {
        /// Bytes in huge pages when the memory was made, as far as the kernel tells.
        bytes_got: u64,
    },
}

/// How memory is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    ReadOnly,
    ReadWrite,
}

/// A mapping that only the process which made it takes down: a forked child has something else at its addresses.
struct Mapping {
    map: ManuallyDrop<MmapRaw>,
    pid: Pid,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.pid == getpid() {
            // SAFETY: dropped here alone, and not used after.
            unsafe { ManuallyDrop::drop(&mut self.map) }
        }
    }
}

impl Deref for Mapping {
    type Target = MmapRaw;

    fn deref(&self) -> &MmapRaw {
        &self.map
    }
}

/// A mapped memfd.
pub(crate) struct SharedMemory {
    map: Mapping,
    fd: OwnedFd,
    access: Access,
    pub(super) huge_pages: HugePages,
}

// `MmapRaw` hands out raw pointers only, so sharing it says nothing about who accesses the memory when.
const _: () = {
    const fn shareable<T: Send + Sync>() {}
    shareable::<SharedMemory>();
};

impl SharedMemory {
    /// Zeroed memory of `len` bytes, mapped for reading and writing. `name` shows in `/proc/<pid>/maps`.
    pub(crate) fn create(name: &str, len: usize, options: MemoryOptions) -> Result<Self, MemoryError> {
        let need = len as u64;
        if len == 0 || isize::try_from(len).is_err() {
            return Err(MemoryError::Length { len: need });
        }
        if need >= SMALL
            && let Some(have) = available::bytes()
            && have < need
        {
            return Err(MemoryError::NoSpace { need, have });
        }
        // The kernel would kill this process by SIGXFSZ.
        if let Some(limit) = file_size_limit()
            && limit < need
        {
            return Err(MemoryError::FileSizeLimit { need, limit });
        }
        let refused = |what| move |errno| MemoryError::from_errno(what, errno, need);
        let fd = anonymous_file(name).map_err(refused("memfd_create"))?;
        // The kernel lets everybody who sees a descriptor open it anew, for writing, too; who is passed one for reading is not to.
        rustix::fs::fchmod(&fd, Mode::RUSR).map_err(refused("fchmod of shared memory"))?;
        retry_on_intr(|| rustix::fs::ftruncate(&fd, need)).map_err(refused("ftruncate of shared memory"))?;
        let mut memory = Self::map(fd, len, Access::ReadWrite)?;
        if options.huge_pages {
            // First the advice, then the pages: a page that exists stays small.
            memory.huge_pages = match memory.map.advise(Advice::HugePage) {
                Ok(()) => HugePages::Advised { bytes_got: 0 },
                Err(_) => HugePages::Refused,
            };
            memory.populate()?;
        }
        memory.reserve().map_err(refused("fallocate of shared memory"))?;
        if options.prefault {
            memory.populate()?;
        }
        if let HugePages::Advised { bytes_got } = &mut memory.huge_pages {
            *bytes_got = huge_bytes(memory.map.as_ptr().addr());
        }
        Ok(memory)
    }

    /// Maps what a peer passed, after a look that it is exactly `want` bytes and has all seals `required`.
    pub(crate) fn from_fd(
        fd: OwnedFd,
        want: u64,
        access: Access,
        required: SealFlags,
    ) -> Result<Self, MemoryError> {
        let stat = rustix::fs::fstat(&fd).map_err(|errno| MemoryError::from_errno("fstat", errno, want))?;
        let found = u64::try_from(stat.st_size).unwrap_or(0);
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || found != want {
            return Err(MemoryError::WrongLength { want, found });
        }
        // A descriptor that cannot be sealed has no seals.
        let seals = rustix::fs::fcntl_get_seals(&fd).unwrap_or(SealFlags::empty());
        let missing = required.difference(seals);
        if !missing.is_empty() {
            return Err(MemoryError::NotSealed {
                missing: format!("{missing:?}"),
            });
        }
        match usize::try_from(want) {
            Ok(len) if len > 0 && isize::try_from(len).is_ok() => Self::map(fd, len, access),
            _ => Err(MemoryError::Length { len: want }),
        }
    }

    pub(super) fn map(fd: OwnedFd, len: usize, access: Access) -> Result<Self, MemoryError> {
        let mut options = MmapOptions::new();
        options.len(len);
        let map = match access {
            Access::ReadOnly => options.map_raw_read_only(&fd),
            Access::ReadWrite => options.map_raw(&fd),
        };
        let map = map.map_err(|source| MemoryError::from_mapping(source, len as u64))?;
        // A forked child must not go on as a second producer or consumer.
        map.advise(Advice::DontFork)
            .map_err(|source| MemoryError::from_mapping(source, len as u64))?;
        let map = Mapping {
            map: ManuallyDrop::new(map),
            pid: getpid(),
        };
        Ok(Self {
            map,
            fd,
            access,
            huge_pages: HugePages::NotAsked,
        })
    }

    pub(super) fn reserve(&self) -> Result<(), Errno> {
        let len = self.len() as u64;
        let mut done = 0;
        while done < len {
            let step = RESERVED_AT_ONCE.min(len - done);
            retry_on_intr(|| rustix::fs::fallocate(&self.fd, FallocateFlags::empty(), done, step))?;
            done += step;
        }
        Ok(())
    }

    pub(super) fn populate(&self) -> Result<(), MemoryError> {
        match self
            .map
            .advise(Advice::PopulateWrite)
            .map_err(|source| (Errno::from_io_error(&source), source))
        {
            Ok(()) => Ok(()),
            // Before Linux 5.14. The pages are reserved in any case; only the first access is slower.
            Err((Some(Errno::INVAL), _)) => Ok(()),
            Err((Some(errno), _)) => Err(MemoryError::from_errno("prefaulting", errno, self.len() as u64)),
            Err((None, source)) => Err(MemoryError::Io {
                what: "prefaulting",
                source,
            }),
        }
    }

    /// The same memory mapped for reading only, of which no `mprotect` makes more, and the descriptor by which another
    /// process can write it.
    pub(crate) fn into_read_only(self) -> Result<(Self, OwnedFd), MemoryError> {
        let reader = self.reopen_read_only()?;
        let (len, writer) = (self.len(), self.fd);
        drop(self.map);
        Ok((Self::map(reader, len, Access::ReadOnly)?, writer))
    }

    /// From now on no process can map or write this memory, but for the mapping that exists here.
    pub(crate) fn seal_for_writer_only(&self) -> Result<(), MemoryError> {
        self.seal(WRITER_ONLY_SEALS)
    }

    /// From now on the memory keeps its size.
    pub(crate) fn seal_size(&self) -> Result<(), MemoryError> {
        self.seal(SIZE_SEALS)
    }

    fn seal(&self, seals: SealFlags) -> Result<(), MemoryError> {
        rustix::fs::fcntl_add_seals(&self.fd, seals)
            .map_err(|errno| MemoryError::from_errno("sealing shared memory", errno, self.len() as u64))
    }

    /// Where the memory begins: on a page boundary.
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.map.as_mut_ptr()
    }

    /// Bytes of the memory.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// The descriptor without the mapping.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// The descriptor, for passing on.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What became of the wish for huge pages.
    pub(crate) fn huge_pages(&self) -> HugePages {
        self.huge_pages
    }

    /// A descriptor of the same memory through which nobody can write it.
    pub(crate) fn reopen_read_only(&self) -> Result<OwnedFd, MemoryError> {
        let path = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        retry_on_intr(|| rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())).map_err(
            |errno| MemoryError::from_errno("opening shared memory for reading", errno, self.len() as u64),
        )
    }

    /// Reads the word at `offset`, which a peer may be writing. Whatever the writer stored before it stored the
    /// word with Release is to be seen afterwards. `None` outside the memory, or off the word boundary.
    pub(crate) fn load(&self, offset: usize) -> Option<u64> {
        let word = self.word(offset)?;
        // SAFETY: `word` lies in the mapping, aligned, and the mapping lives as long as `self`. Nobody holds
        // a reference to the memory. A relaxed load of a word does not write, so a read-only page is enough.
        let value = unsafe { AtomicU64::from_ptr(word) }.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        Some(value)
    }

    /// Writes the word at `offset`. False outside the memory, off the word boundary, or where it cannot be written.
    pub(crate) fn store(&self, offset: usize, value: u64) -> bool {
        match self.word(offset) {
            Some(word) if self.is_writable() => {
                // SAFETY: `word` lies in a writable mapping, aligned, and the mapping lives as long as `self`.
                // Nobody holds a reference to the memory.
                unsafe { AtomicU64::from_ptr(word) }.store(value, Ordering::Release);
                true
            }
            _ => false,
        }
    }

    /// Whether this process may write it.
    pub(super) fn is_writable(&self) -> bool {
        self.access == Access::ReadWrite
    }

    /// Copies bytes out of the memory word by word. `None` when they do not lie in whole words inside it.
    pub(crate) fn copy_out(&self, offset: usize, len: usize) -> Option<Vec<u8>> {
        let end = offset.checked_add(len.checked_next_multiple_of(size_of::<u64>())?)?;
        if end > self.len() {
            return None;
        }
        let mut bytes = Vec::with_capacity(end - offset);
        for at in (offset..end).step_by(size_of::<u64>()) {
            bytes.extend_from_slice(&self.load(at)?.to_ne_bytes());
        }
        bytes.truncate(len);
        Some(bytes)
    }

    /// Copies bytes into the memory, padded with zeroes to whole words. False when they do not fit.
    pub(crate) fn copy_in(&self, offset: usize, bytes: &[u8]) -> bool {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let last = (!rest.is_empty()).then_some(&last);
        words
            .iter()
            .chain(last)
            .zip((offset..).step_by(8))
            .all(|(word, at)| self.store(at, u64::from_ne_bytes(*word)))
    }

    fn word(&self, offset: usize) -> Option<*mut u64> {
        let end = offset.checked_add(size_of::<u64>())?;
        if end > self.len() || !offset.is_multiple_of(align_of::<AtomicU64>()) {
            return None;
        }
        // SAFETY: inside the mapping by the check above.
        Some(unsafe { self.map.as_mut_ptr().add(offset) }.cast())
    }
}

impl fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMemory")
            .field("fd", &self.fd)
            .field("len", &self.len())
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

fn anonymous_file(name: &str) -> Result<OwnedFd, Errno> {
    // For people to read, so whatever the kernel would refuse is left out: at most 249 bytes, and no zero.
    let name: String = name.chars().filter(|char| *char != '\0').take(60).collect();
    let name = name.as_str();
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Systems may demand that it says so when memory is not to be executed; before Linux 6.3 nobody could say it.
    match retry_on_intr(|| rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL)) {
        Err(Errno::INVAL) => retry_on_intr(|| rustix::fs::memfd_create(name, flags)),
        made => made,
    }
}

/// How much of the mapping at `address` lies in huge pages; 0 when the kernel does not tell.
fn huge_bytes(address: usize) -> u64 {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    huge_bytes_in(&smaps, address as u64)
}

fn huge_bytes_in(smaps: &str, address: u64) -> u64 {
    let range = |line: &str| {
        let (from, to) = line.split_once(' ')?.0.split_once('-')?;
        Some(u64::from_str_radix(from, 16).ok()?..u64::from_str_radix(to, 16).ok()?)
    };
    let mut lines = smaps
        .lines()
        .skip_while(|line| !range(line).is_some_and(|range| range.contains(&address)));
    lines.next();
    lines
        .take_while(|line| range(line).is_none())
        .filter_map(|line| {
            ["ShmemPmdMapped:", "FilePmdMapped:"]
                .iter()
                .find_map(|key| available::kilobytes(line, key))
        })
        .sum()
}

#[cfg(test)]
mod tests;
