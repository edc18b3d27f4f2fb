//! What the rest of the crate knows of threads and memory order: the standard library's atomics, loom's under
//! `--cfg millstream_loom`, shuttle's under `--cfg millstream_shuttle`. No other file names any of them. What is explored has its
//! threads, their waiting, and what they know of time from here as well.
//!
//! Under shuttle the words are the standard library's own, in the same memory, and each access is a step between which the
//! threads may change: so all of the crate is as it is without. Under `--cfg millstream_tsan` there is a mutex that
//! ThreadSanitizer understands.

#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub(crate) mod futex;
#[cfg(millstream_loom)]
mod loom;
#[cfg(any(millstream_loom, millstream_shuttle))]
pub(crate) mod park;
#[cfg(millstream_shuttle)]
mod shuttle;
#[cfg(millstream_tsan)]
mod tsan;

#[cfg(not(millstream_loom))]
pub(crate) use self::imp::*;
#[cfg(millstream_loom)]
pub(crate) use self::loom::*;

#[cfg(not(millstream_loom))]
mod imp {
    #[cfg(not(millstream_shuttle))]
    pub(crate) mod atomic {
        #![allow(clippy::disallowed_types, reason = "the one place that names them")]
        pub(crate) use std::sync::atomic::{AtomicU64, Ordering, compiler_fence, fence};
    }
    #[cfg(millstream_shuttle)]
    pub(crate) use super::shuttle::{Mutex, MutexGuard, atomic, channel, thread, time};
    #[cfg(millstream_tsan)]
    pub(crate) use super::tsan::{Mutex, MutexGuard};
    pub(crate) use std::sync::Arc;
    #[cfg(not(any(millstream_shuttle, millstream_tsan)))]
    pub(crate) use std::sync::{Mutex, MutexGuard};
    #[cfg(not(millstream_shuttle))]
    pub(crate) mod park {
        pub(crate) use crossbeam_utils::sync::{Parker, Unparker};
    }
    #[cfg(not(millstream_shuttle))]
    pub(crate) mod thread {
        pub(crate) use std::thread::{Builder, JoinHandle, Thread, current, park_timeout, yield_now};
        pub(crate) use std::thread_local as local;
    }
    #[cfg(not(millstream_shuttle))]
    pub(crate) mod channel {
        pub(crate) use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
    }
    #[cfg(not(millstream_shuttle))]
    pub(crate) mod time {
        use std::time::Instant;

        #[inline]
        pub(crate) fn now() -> Instant {
            Instant::now()
        }
    }
    pub(crate) mod hint {
        #[cfg(millstream_shuttle)]
        pub(crate) use shuttle::hint::{spin_loop, spin_loop as linger};
        #[cfg(not(millstream_shuttle))]
        pub(crate) use std::hint::spin_loop;

        /// Waits for about 40 ns, for who has a core of its own: multiplications, each of which needs the one before.
        ///
        /// Rather than by the processor's pause hint, which takes 24 ns there: with it round trips fall into one of two paces, and stay there for
        /// a while, 440 or 550 ns at 8 bytes and 560 or 730 at 64. With 40 to 55 multiplications they take 460 to 510 and 490 to 550, with 20, 64, 80 and
        /// 120 of them they fall into the slower pace, too (`docs/performance.md`; AMD EPYC, family 26).
        #[cfg(not(millstream_shuttle))]
        #[inline(always)]
        pub(crate) fn linger() {
            #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
            {
                const STEPS: u64 = 50;
                let mut value = 3_u64;
                for _ in 0..STEPS {
                    value = keep_value(value.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                }
            }
            // Where `keep_value` keeps nothing.
            #[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
            spin_loop();
        }

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

        /// Asks for a line in the state in which it can be read. A hint: any address is allowed.
        #[inline(always)]
        #[allow(
            clippy::pointers_in_nomem_asm_block,
            reason = "a hint reads nothing through the pointer"
        )]
        pub(crate) fn prefetch_read(_at: *const u8) {
            // SAFETY: as above.
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            unsafe {
                std::arch::asm!("prefetcht0 [{0}]", in(reg) _at, options(nomem, nostack, preserves_flags));
            }
            // SAFETY: as above.
            #[cfg(all(target_arch = "aarch64", not(miri)))]
            unsafe {
                std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) _at, options(nomem, nostack, preserves_flags));
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
