//! Zeroed memory of this process alone.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// A zeroed, aligned allocation that is freed on drop.
#[derive(Debug)]
pub(crate) struct HeapMemory {
    at: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the allocation is reached by raw pointers only; whoever reads or writes through them orders
// the accesses.
unsafe impl Send for HeapMemory {}
// SAFETY: as above.
unsafe impl Sync for HeapMemory {}

impl HeapMemory {
    /// Allocates `len` bytes aligned to `align`, a power of two. `None` when they are not to be had.
    pub(crate) fn zeroed(len: usize, align: usize) -> Option<Self> {
        let layout = Layout::from_size_align(len.max(1), align).ok()?;
        // SAFETY: the size is not zero.
        let at = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Self { at, layout })
    }

    /// Where the memory begins.
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.at.as_ptr()
    }
}

impl Drop for HeapMemory {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this layout, and not freed before.
        unsafe { dealloc(self.at.as_ptr(), self.layout) }
    }
}
