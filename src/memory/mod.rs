//! Where a stream's bytes lie: on the heap of one process, or in a sealed memfd between processes.

mod heap;

pub(crate) use heap::HeapMemory;
