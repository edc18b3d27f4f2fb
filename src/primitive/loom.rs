//! Of loom, which goes through every order that memory allows. Actors are not built with it.

pub(crate) mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
    /// Loom executes one thread at a time and does not reorder by compilation.
    pub(crate) fn compiler_fence(_: Ordering) {}
}
pub(crate) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
pub(crate) mod thread {
    pub(crate) use loom::thread::yield_now;
}
pub(crate) mod time {
    use std::time::Instant;

    /// Of what is explored nobody asks.
    pub(crate) fn now() -> Instant {
        Instant::now()
    }
}
pub(crate) mod hint {
    /// A busy wait gives way under loom, which would otherwise explore it for ever.
    pub(crate) fn spin_loop() {
        loom::thread::yield_now();
    }
    /// As above.
    pub(crate) fn linger() {
        spin_loop();
    }
    /// Loom has no caches.
    pub(crate) fn prefetch_write(_: *const u8) {}
    pub(crate) fn prefetch_read(_: *const u8) {}
    /// Nor has it predictions.
    pub(crate) fn keep_branch() {}
    pub(crate) fn keep_value(value: u64) -> u64 {
        value
    }
}
pub(crate) mod cell {
    pub(crate) use loom::cell::UnsafeCell;
}
