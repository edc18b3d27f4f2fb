//! The two sides of a job in two processes, each on its core.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::thread;

use crate::harness::pinning::{pin, surrounded};

/// Makes one side's means and lets it run, on a thread of its own that is pinned meanwhile.
pub(crate) fn pinned<M, R: Send>(
    core: usize,
    make: impl FnOnce() -> M + Send,
    side: impl FnOnce(&mut M) -> R + Send,
) -> R {
    thread::scope(|scope| {
        let side = scope.spawn(|| {
            let mut means = make();
            pin(core);
            surrounded(core, || side(&mut means))
        });
        side.join().expect("a side that panics ends its process")
    })
}

/// The number of a descriptor that the second process inherits.
pub(crate) fn number(descriptor: &impl AsRawFd) -> RawFd {
    descriptor.as_raw_fd()
}

/// The descriptor that the first process left to this one.
pub(crate) fn inherited(number: RawFd) -> OwnedFd {
    // SAFETY: the first process opened it for this one, without close-on-exec, and told its number in the role; nothing
    // else in this process has heard of it.
    unsafe { OwnedFd::from_raw_fd(number) }
}
