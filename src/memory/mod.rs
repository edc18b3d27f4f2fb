//! Where a stream's bytes lie: on the heap of one process, or in a sealed memfd between processes.

mod heap;

// The model checker has atomics of its own, which cannot lie in memory that two processes map.
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod available;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod counter;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod error;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub(crate) mod file;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod memfd;

pub(crate) use heap::HeapMemory;

#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub(crate) use counter::Counter;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use error::MemoryError;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use memfd::HugePages;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub(crate) use memfd::{Access, MemoryOptions, SIZE_SEALS, SharedMemory, WRITER_ONLY_SEALS};
