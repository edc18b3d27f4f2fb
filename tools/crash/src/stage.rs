//! A role of a scene, as the process that plays it sees it.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use millstream::{PublishBuilder, SubscribeBuilder, Travel};

use crate::fault::Fault;
use crate::ledger::{Ledger, Place, now};

/// The one name that every scene publishes.
pub(crate) const NAME: &str = "scene";
/// Every wait of a role is bounded by this, and the driver's watchdog waits longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);
/// What an heir publishes, or a producer whose first stream ended, has positions from here on.
pub(crate) const ANEW: u64 = 1000;

pub(crate) type Role = fn(&Stage<'_>) -> Result<(), Fault>;

pub(crate) struct Stage<'a> {
    pub(crate) dir: PathBuf,
    pub(crate) ledger: &'a Ledger,
    pub(crate) index: usize,
}

impl Stage<'_> {
    pub(crate) fn own(&self) -> &Place {
        self.ledger.place(self.index)
    }

    pub(crate) fn place(&self, index: usize) -> &Place {
        self.ledger.place(index)
    }

    pub(crate) fn reach(&self, stage: u32) {
        self.own().reach(stage);
    }

    /// Waits until another process has come so far.
    pub(crate) fn wait_for(&self, index: usize, stage: u32) -> Result<(), Fault> {
        self.place(index).wait_for(stage, PATIENCE)
    }

    pub(crate) fn publish<P: Travel + ?Sized>(&self) -> PublishBuilder<P> {
        millstream::publish::<P>(NAME).directory(&self.dir)
    }

    pub(crate) fn subscribe<P: Travel + ?Sized>(&self) -> SubscribeBuilder<P> {
        millstream::subscribe::<P>(NAME)
            .directory(&self.dir)
            .idle_timeout(Some(PATIENCE))
    }

    /// Opens a stream, and notes how long that took.
    pub(crate) fn opening<S, E: Into<Fault>>(&self, open: impl FnOnce() -> Result<S, E>) -> Result<S, Fault> {
        let begun = now();
        let opened = open().map_err(Into::into)?;
        self.own().set_opened_in(now() - begun);
        Ok(opened)
    }

    /// Does nothing any more, until it is killed.
    pub(crate) fn stay(&self) -> Result<(), Fault> {
        std::thread::sleep(PATIENCE * 4);
        Err(Fault::hung("nobody killed a process that was to be killed"))
    }

    /// Plays a role to its end; the code with which the process is to exit.
    pub(crate) fn play(&self, role: Role) -> i32 {
        let played = catch_unwind(AssertUnwindSafe(|| role(self)));
        let played = played.unwrap_or_else(|panic| {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(Fault::broken(format!("it panicked: {}", said.unwrap_or("?"))))
        });
        match played {
            Ok(()) => 0,
            Err(fault) => {
                self.own().accuse(&fault);
                1
            }
        }
    }
}

pub(crate) fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// What a process holds: descriptors, threads, memfds in its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holdings {
    descriptors: usize,
    threads: usize,
    memfds: usize,
}

impl Holdings {
    pub(crate) fn now() -> io::Result<Self> {
        let count = |path| fs::read_dir(path).map(Iterator::count);
        let maps = fs::read_to_string("/proc/self/maps")?;
        Ok(Self {
            descriptors: count("/proc/self/fd")?,
            threads: count("/proc/self/task")?,
            memfds: maps.matches("/memfd:").count(),
        })
    }

    /// Whether all that was taken since has been given back.
    pub(crate) fn are_again(self) -> Result<(), Fault> {
        let end = soon();
        loop {
            let now = Self::now()?;
            if now == self {
                return Ok(());
            }
            // A thread that was joined may stand in the list for a moment.
            if Instant::now() > end {
                return Err(Fault::leaked(format!("{self:?} before, {now:?} after")));
            }
            std::thread::yield_now();
        }
    }
}

/// Where the driver begins and ends to count.
#[inline(never)]
pub(crate) fn mark() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a trap, which the tracer takes; it changes nothing.
    unsafe {
        std::arch::asm!("int3");
    }
    #[cfg(not(target_arch = "x86_64"))]
    // It fails for signals that there are not.
    let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGTRAP);
}
