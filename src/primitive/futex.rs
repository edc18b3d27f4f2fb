//! Counters on which the kernel has threads sleep until they are counted up. Nothing that is explored: model checkers have no such sleep.

#![allow(
    clippy::disallowed_types,
    reason = "the kernel knows a word of this width alone"
)]

use std::marker::PhantomData;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::futex::{self, ClockId, Flags, Timespec, Wait, WaitFlags, WaitPtr, WaitvFlags};
use rustix::time::clock_gettime;

const NANOS: i64 = 1_000_000_000;
/// The kernel counts in a signed number.
const EVERYBODY: u32 = i32::MAX.cast_unsigned();
/// Places of a sleep.
const MOST: usize = 2;

/// A counter, wherever it lies.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct Futex(AtomicU32);

/// Whose threads sleep on a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// This process's.
    Process,
    /// Those of any process that has the memory, wherever it has it: the kernel goes by file and offset.
    Machine,
}

/// A sleep as long as a counter reads what it did.
#[derive(Clone, Copy)]
pub(crate) struct Sleep<'a>(Wait, PhantomData<&'a Futex>);

impl Futex {
    /// The counter at `word`.
    ///
    /// # Safety
    /// `word` is aligned and valid for reads for as long as the counter is used, for writes whenever it is counted up, and accessed atomically
    /// alone.
    pub(crate) unsafe fn at<'a>(word: *mut u32) -> &'a Self {
        // SAFETY: as the caller promises; a counter is an atomic word.
        unsafe { &*word.cast() }
    }

    /// What it reads. What comes after in the program happens after.
    pub(crate) fn read(&self) -> u32 {
        // A relaxed load does not write, so memory that is mapped for reading is enough.
        let value = self.0.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        value
    }

    /// Counts up by one. What came before in the program happens before. It does not stay at 0 when it goes round.
    pub(crate) fn count(&self) {
        if self.0.fetch_add(1, Ordering::Release) == u32::MAX {
            self.0.fetch_add(1, Ordering::Release);
        }
    }

    /// A sleep as long as it reads `value`.
    pub(crate) fn sleep(&self, value: u32, scope: Scope) -> Sleep<'_> {
        let mut sleep = Wait::new();
        sleep.val = value.into();
        sleep.uaddr = WaitPtr::new(self.0.as_ptr().cast());
        sleep.flags = WaitFlags::SIZE_U32;
        if scope == Scope::Process {
            sleep.flags |= WaitFlags::PRIVATE;
        }
        Sleep(sleep, PhantomData)
    }

    /// Wakes all threads that sleep on it: beside the one that is meant, one that is on its way out, or whoever else can read it.
    pub(crate) fn wake(&self, scope: Scope) {
        let flags = match scope {
            Scope::Process => Flags::PRIVATE,
            Scope::Machine => Flags::empty(),
        };
        // It is refused for addresses alone that are none.
        let _ = futex::wake(&self.0, flags, EVERYBODY);
    }
}

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slept {
    /// Somebody woke a counter's sleepers.
    Woken,
    /// A counter read something else from the first, or it ended for no reason.
    Briefly,
    /// Until its limit.
    TimedOut,
    /// Not at all: the kernel has no such sleep, or refuses it.
    Refused,
}

/// Sleeps until one of these is over, or `limit`.
pub(crate) fn sleep(until: [Sleep<'_>; MOST], limit: Duration) -> Slept {
    // A sleep on several ends at a time, not after one.
    let now = clock_gettime(ClockId::Monotonic);
    let nanos = now.tv_nsec + i64::from(limit.subsec_nanos());
    let seconds = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
    let end = Timespec {
        tv_sec: now.tv_sec.saturating_add(seconds).saturating_add(nanos / NANOS),
        tv_nsec: nanos % NANOS,
    };
    let until = until.map(|sleep| sleep.0);
    match futex::waitv(&until, WaitvFlags::empty(), Some(&end), ClockId::Monotonic) {
        Ok(_) => Slept::Woken,
        Err(Errno::AGAIN | Errno::INTR) => Slept::Briefly,
        Err(Errno::TIMEDOUT) => Slept::TimedOut,
        Err(_) => Slept::Refused,
    }
}

/// Whether the kernel has such a sleep, and nothing refuses it: Linux has it from 5.16 on.
pub(crate) fn can_sleep() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let counters = [const { Futex(AtomicU32::new(0)) }; MOST];
        // Neither reads that, so it is over at once.
        let until = counters
            .each_ref()
            .map(|counter| counter.sleep(1, Scope::Process));
        sleep(until, Duration::ZERO) != Slept::Refused
    })
}
