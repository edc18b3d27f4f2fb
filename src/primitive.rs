//! What the rest of the crate knows of threads and memory order: the standard library's atomics,
//! or loom's under `--cfg millstream_loom`. No other file names either.

pub(crate) use imp::*;

#[cfg(not(millstream_loom))]
mod imp {
    pub(crate) mod atomic {
        #![allow(clippy::disallowed_types, reason = "the one place that names them")]
        pub(crate) use std::sync::atomic::{AtomicU64, Ordering, compiler_fence, fence};
    }
    pub(crate) use std::sync::{Arc, Mutex, MutexGuard};
    pub(crate) mod thread {
        pub(crate) use std::thread::yield_now;
    }
    pub(crate) mod hint {
        pub(crate) use std::hint::spin_loop;

        /// Asks for a line in the state in which it can be written. A hint: any address is allowed.
        ///
        /// By `prefetchw`, because the compiler's own intrinsic becomes a read prefetch on the baseline
        /// x86-64, which would leave the line shared with the consumer's cache.
        #[inline(always)]
        #[allow(
            clippy::pointers_in_nomem_asm_block,
            reason = "a hint reads nothing through the pointer"
        )]
        pub(crate) fn prefetch_write(_at: *const u8) {
            // SAFETY: a prefetch never faults and changes no memory, register or flag.
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            unsafe {
                std::arch::asm!("prefetchw [{0}]", in(reg) _at, options(nomem, nostack, preserves_flags));
            }
            // SAFETY: as above.
            #[cfg(all(target_arch = "aarch64", not(miri)))]
            unsafe {
                std::arch::asm!("prfm pstl1keep, [{0}]", in(reg) _at, options(nomem, nostack, preserves_flags));
            }
        }

        /// Keeps the branch in which it stands a branch: a processor predicts it and runs ahead, where it would wait
        /// for the operands of a conditional move.
        #[inline(always)]
        pub(crate) fn keep_branch() {
            // SAFETY: no instruction.
            #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
            unsafe {
                std::arch::asm!("", options(nomem, nostack, preserves_flags));
            }
        }

        /// A value about which the compiler knows nothing.
        #[inline(always)]
        #[cfg_attr(
            not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))),
            allow(unused_mut)
        )]
        pub(crate) fn keep_value(mut value: u64) -> u64 {
            // SAFETY: no instruction.
            #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
            unsafe {
                std::arch::asm!("/* {0} */", inout(reg) value, options(nomem, nostack, preserves_flags));
            }
            value
        }
    }
}

#[cfg(millstream_loom)]
mod imp {
    pub(crate) mod atomic {
        pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
        /// Loom executes one thread at a time and does not reorder by compilation.
        pub(crate) fn compiler_fence(_: Ordering) {}
    }
    pub(crate) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
    pub(crate) mod thread {
        pub(crate) use loom::thread::yield_now;
    }
    pub(crate) mod hint {
        /// A busy wait gives way under loom, which would otherwise explore it for ever.
        pub(crate) fn spin_loop() {
            loom::thread::yield_now();
        }
        /// Loom has no caches.
        pub(crate) fn prefetch_write(_: *const u8) {}
        /// Nor has it predictions.
        pub(crate) fn keep_branch() {}
        pub(crate) fn keep_value(value: u64) -> u64 {
            value
        }
    }
    pub(crate) mod cell {
        pub(crate) use loom::cell::UnsafeCell;
    }
}
