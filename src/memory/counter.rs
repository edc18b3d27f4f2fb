//! A counter in shared memory, on which threads of other processes can sleep until it is counted up.

use super::SharedMemory;
use crate::primitive::Arc;
use crate::primitive::futex::{Futex, Scope, Sleep};

/// The counter at one place of a memory, which it keeps.
#[derive(Clone, Debug)]
pub(crate) struct Counter {
    memory: Arc<SharedMemory>,
    offset: usize,
}

impl Counter {
    /// The `u32` at `offset`. `None` outside the memory, or off the boundary of a word of eight bytes.
    pub(crate) fn at(memory: &Arc<SharedMemory>, offset: usize) -> Option<Self> {
        memory.load(offset)?;
        Some(Self {
            memory: Arc::clone(memory),
            offset,
        })
    }

    fn futex(&self) -> &Futex {
        let word = self.memory.as_ptr().wrapping_add(self.offset);
        // SAFETY: inside the mapping and aligned, which was seen when this was made; the memory lives as long as `self`, and
        // whoever accesses a counter does so atomically. It is counted up below alone, where the memory can be written.
        unsafe { Futex::at(word.cast()) }
    }

    pub(crate) fn read(&self) -> u32 {
        self.futex().read()
    }

    /// A sleep as long as it reads `value`.
    pub(crate) fn sleep(&self, value: u32) -> Sleep<'_> {
        self.futex().sleep(value, Scope::Machine)
    }

    /// Counts up by one. False where the memory is another's to write.
    pub(crate) fn count(&self) -> bool {
        if self.memory.is_writable() {
            self.futex().count();
        }
        self.memory.is_writable()
    }

    /// Wakes the threads of whatever process that sleep on it.
    pub(crate) fn wake(&self) {
        self.futex().wake(Scope::Machine);
    }
}
