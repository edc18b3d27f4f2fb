//! The clock that two processes have in common.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`, the same in every process of the machine. Reading it takes about 30 ns.
#[inline]
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    // Neither is negative for this clock.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Spins until the clock shows `due`; what it showed then.
#[inline]
pub(crate) fn spin_until(due: u64) -> u64 {
    loop {
        let now = now();
        if now >= due {
            return now;
        }
    }
}
