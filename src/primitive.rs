//! What the rest of the crate knows of threads and memory order: the standard library's atomics, loom's under
//! `--cfg millstream_loom`, shuttle's under `--cfg millstream_shuttle`. No other file names any of them.
//!
//! Under shuttle the words are the standard library's own, in the same memory, and each access is a step between which the
//! threads may change: so all of the crate is as it is without. Under `--cfg millstream_tsan` there is a mutex that
//! ThreadSanitizer understands.

pub(crate) use imp::*;

#[cfg(not(millstream_loom))]
mod imp {
    #[cfg(not(millstream_shuttle))]
    pub(crate) mod atomic {
        #![allow(clippy::disallowed_types, reason = "the one place that names them")]
        pub(crate) use std::sync::atomic::{AtomicU64, Ordering, compiler_fence, fence};
    }
    #[cfg(millstream_shuttle)]
    pub(crate) use super::shuttle::{Mutex, MutexGuard, atomic, thread};
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
        pub(crate) use std::thread::yield_now;
    }
    pub(crate) mod hint {
        #[cfg(millstream_shuttle)]
        pub(crate) use shuttle::hint::spin_loop;
        #[cfg(not(millstream_shuttle))]
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

#[cfg(millstream_shuttle)]
mod shuttle {
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};

    pub(crate) mod atomic {
        #![allow(clippy::disallowed_types, reason = "the one place that names them")]
        pub(crate) use std::sync::atomic::{Ordering, compiler_fence, fence};

        /// A word as it is without shuttle, before each access to which another thread may have its turn.
        #[repr(transparent)]
        #[derive(Debug, Default)]
        pub(crate) struct AtomicU64(std::sync::atomic::AtomicU64);

        /// Lets another thread have its turn, if the schedule says so. Not as giving way does, which tells the scheduler that
        /// this thread has nothing to do.
        fn step() {
            if shuttle::current::try_get_current_task().is_some() {
                // Of nobody else: several runs may go on at once, in threads of their own.
                shuttle::sync::atomic::AtomicBool::new(false).load(Ordering::SeqCst);
            }
        }

        macro_rules! stepping {
            ($($name:ident)*) => {
                $(pub(crate) fn $name(&self, value: u64, order: Ordering) -> u64 {
                    step();
                    self.0.$name(value, order)
                })*
            };
        }

        impl AtomicU64 {
            pub(crate) const fn new(value: u64) -> Self {
                Self(std::sync::atomic::AtomicU64::new(value))
            }

            /// # Safety
            /// As of the standard library's.
            pub(crate) const unsafe fn from_ptr<'a>(at: *mut u64) -> &'a Self {
                // SAFETY: as the caller promises; the two types have the same layout.
                unsafe { &*at.cast() }
            }

            pub(crate) fn load(&self, order: Ordering) -> u64 {
                step();
                self.0.load(order)
            }

            pub(crate) fn store(&self, value: u64, order: Ordering) {
                step();
                self.0.store(value, order);
            }

            stepping! { swap fetch_add fetch_sub fetch_and fetch_or }
        }
    }

    pub(crate) mod thread {
        pub(crate) use shuttle::thread::yield_now;
    }
}

#[cfg(any(millstream_loom, millstream_shuttle))]
pub(crate) mod park {
    use std::time::Duration;

    #[cfg(millstream_loom)]
    use loom::sync::{Arc, Condvar, Mutex};
    #[cfg(not(millstream_loom))]
    use shuttle::sync::{Arc, Condvar, Mutex};

    /// A place to sleep of which the sleeper is only ever woken, so that a lost ring is reported as a deadlock.
    #[derive(Debug)]
    pub(crate) struct Parker(Unparker);

    #[derive(Clone, Debug)]
    pub(crate) struct Unparker(Arc<(Mutex<bool>, Condvar)>);

    impl Parker {
        pub(crate) fn new() -> Self {
            Self(Unparker(Arc::new((Mutex::new(false), Condvar::new()))))
        }

        pub(crate) fn unparker(&self) -> &Unparker {
            &self.0
        }

        pub(crate) fn park_timeout(&self, _: Duration) {
            let (rung, bell) = &*self.0.0;
            let mut rung = rung.lock().unwrap();
            while !*rung {
                rung = bell.wait(rung).unwrap();
            }
            *rung = false;
        }
    }

    impl Unparker {
        pub(crate) fn unpark(&self) {
            *self.0.0.lock().unwrap() = true;
            self.0.1.notify_one();
        }
    }
}

#[cfg(millstream_tsan)]
mod tsan {
    #![allow(clippy::disallowed_types, reason = "the one place that names them")]

    use std::cell::UnsafeCell;
    use std::fmt;
    use std::ops::{Deref, DerefMut};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{LockResult, PoisonError};

    /// A mutex that is compiled with the sanitizer. A part of the standard library's is not, so that the sanitizer misses what the
    /// lock orders, and reports races that are none.
    #[derive(Default)]
    pub(crate) struct Mutex<T> {
        /// Bit 0 while it is held; bit 1 once a holder has panicked.
        word: AtomicU32,
        value: UnsafeCell<T>,
    }

    pub(crate) struct MutexGuard<'a, T>(&'a Mutex<T>);

    // SAFETY: the value is reached by one thread at a time, the holder of the bit.
    unsafe impl<T: Send> Sync for Mutex<T> {}

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self {
                word: AtomicU32::new(0),
                value: UnsafeCell::new(value),
            }
        }

        pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
            loop {
                let before = self.word.fetch_or(1, Ordering::Acquire);
                if before & 1 == 0 {
                    let guard = MutexGuard(self);
                    return if before & 2 == 0 {
                        Ok(guard)
                    } else {
                        Err(PoisonError::new(guard))
                    };
                }
                std::thread::yield_now();
            }
        }

        pub(crate) fn get_mut(&mut self) -> LockResult<&mut T> {
            let is_poisoned = *self.word.get_mut() & 2 != 0;
            let value = self.value.get_mut();
            if is_poisoned {
                Err(PoisonError::new(value))
            } else {
                Ok(value)
            }
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            // SAFETY: this guard's thread holds the lock.
            unsafe { &*self.0.value.get() }
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            // SAFETY: as above, and the guard is borrowed for as long.
            unsafe { &mut *self.0.value.get() }
        }
    }

    impl<T> Drop for MutexGuard<'_, T> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                self.0.word.fetch_or(2, Ordering::Relaxed);
            }
            self.0.word.fetch_and(!1, Ordering::Release);
        }
    }

    impl<T> fmt::Debug for Mutex<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Mutex")
        }
    }

    impl<T> fmt::Debug for MutexGuard<'_, T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("MutexGuard")
        }
    }
}
