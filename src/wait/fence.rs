//! The asymmetric fence between "I published" and "you are parked".
//!
//! A publisher stores its stamp and then loads the peer's `parked` word; a parker stores `parked` and then
//! loads the stamp. Both loads may pass both stores unless each side has a full fence between the two, and
//! that fence in every `put` cost a factor of 16. So the parker pays for both: `membarrier(2)` makes every
//! running thread of the registered processes pass a full fence, and the publisher needs none.
//! (Linux `membarrier(2)`; the pattern is Dekker's, with the heavy side as in Dice, Huang and Yang,
//! "Asymmetric Dekker Synchronization", 2001.)

#![forbid(unsafe_code)]

use crate::primitive::atomic::{Ordering, compiler_fence, fence};

/// Which fence a stream uses between publishing and the check for a parked peer.
///
/// ```
/// let (sink, source) = millstream::channel::<u64>().build()?;
/// println!("{}", sink.fence());
/// # drop(source);
/// # Ok::<(), millstream::ChannelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fence {
    /// The parking side issues `membarrier`, within this process; publishing costs nothing.
    Process,
    /// The parking side issues `membarrier`, over all registered processes; publishing costs nothing.
    Machine,
    /// The kernel refused `membarrier`, at one side at least: every publication carries a full fence, which
    /// makes it slower by an order of magnitude.
    Full,
}

impl std::fmt::Display for Fence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Process => "membarrier within the process",
            Self::Machine => "membarrier over all processes",
            Self::Full => "a full fence at every publication (membarrier is refused here)",
        })
    }
}

impl Fence {
    /// Registers this process for [`Fence::Process`]; what is returned can be used.
    pub(crate) fn within_process() -> Self {
        if imp::register(imp::Scope::Process) {
            Self::Process
        } else {
            Self::Full
        }
    }

    /// Registers this process for [`Fence::Machine`]; whether it can take part.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn register_machine() -> bool {
        imp::register(imp::Scope::Machine)
    }

    /// The parking side's fence: between its `parked` store and its last look.
    pub(crate) fn heavy(self) {
        match self {
            Self::Process => imp::barrier(imp::Scope::Process),
            Self::Machine => imp::barrier(imp::Scope::Machine),
            Self::Full => fence(Ordering::SeqCst),
        }
    }

    /// The publishing side's fence: between its store and its look at `parked`. It keeps the compiler from exchanging the two, which
    /// is no instruction; the parker sees to the rest.
    #[inline]
    pub(crate) fn light(self) {
        compiler_fence(Ordering::SeqCst);
        if self == Self::Full {
            fence(Ordering::SeqCst);
        }
    }
}

#[cfg(all(target_os = "linux", not(millstream_loom), not(millstream_shuttle), not(miri)))]
mod imp {
    use std::sync::OnceLock;

    use crate::primitive::atomic::{Ordering, fence};
    use rustix::thread::{MembarrierCommand, membarrier};

    #[derive(Clone, Copy)]
    pub(super) enum Scope {
        Process,
        Machine,
    }

    pub(super) fn register(scope: Scope) -> bool {
        static PROCESS: OnceLock<bool> = OnceLock::new();
        static MACHINE: OnceLock<bool> = OnceLock::new();
        let (known, command, trial) = match scope {
            Scope::Process => (
                &PROCESS,
                MembarrierCommand::RegisterPrivateExpedited,
                MembarrierCommand::PrivateExpedited,
            ),
            Scope::Machine => (
                &MACHINE,
                MembarrierCommand::RegisterGlobalExpedited,
                MembarrierCommand::GlobalExpedited,
            ),
        };
        *known.get_or_init(|| membarrier(command).is_ok() && membarrier(trial).is_ok())
    }

    pub(super) fn barrier(scope: Scope) {
        let command = match scope {
            Scope::Process => MembarrierCommand::PrivateExpedited,
            Scope::Machine => MembarrierCommand::GlobalExpedited,
        };
        // It worked at registration. Should it be refused later (a seccomp filter put up since), the sleep that
        // follows is bounded, so the worst is a late look.
        let _ = membarrier(command);
        fence(Ordering::SeqCst);
    }
}

#[cfg(not(all(target_os = "linux", not(millstream_loom), not(millstream_shuttle), not(miri))))]
mod imp {
    #[derive(Clone, Copy)]
    pub(super) enum Scope {
        Process,
        Machine,
    }

    pub(super) fn register(_: Scope) -> bool {
        false
    }

    pub(super) fn barrier(_: Scope) {
        crate::primitive::atomic::fence(crate::primitive::atomic::Ordering::SeqCst);
    }
}
