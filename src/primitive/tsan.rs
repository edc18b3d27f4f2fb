//! For ThreadSanitizer.

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
