//! What the rest of the crate knows of threads and memory order: the standard library's atomics,
//! or loom's under `--cfg millstream_loom`. No other file names either.

pub(crate) use imp::*;

#[cfg(not(millstream_loom))]
mod imp {
    pub(crate) mod atomic {
        #![allow(clippy::disallowed_types, reason = "the one place that names them")]
        pub(crate) use std::sync::atomic::{AtomicU64, Ordering, compiler_fence, fence};
    }
    pub(crate) use std::sync::{Arc, Mutex};
    pub(crate) mod thread {
        pub(crate) use std::thread::yield_now;
    }
    pub(crate) mod hint {
        pub(crate) use std::hint::spin_loop;
    }
}

#[cfg(millstream_loom)]
mod imp {
    pub(crate) mod atomic {
        pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
        /// Loom executes one thread at a time and does not reorder by compilation.
        pub(crate) fn compiler_fence(_: Ordering) {}
    }
    pub(crate) use loom::sync::{Arc, Mutex};
    pub(crate) mod thread {
        pub(crate) use loom::thread::yield_now;
    }
    pub(crate) mod hint {
        /// A busy wait gives way under loom, which would otherwise explore it for ever.
        pub(crate) fn spin_loop() {
            loom::thread::yield_now();
        }
    }
}
