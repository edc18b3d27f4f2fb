//! How a consumer parks: in its thread, or as a task that is woken.

#![forbid(unsafe_code)]

#[cfg(all(target_os = "linux", not(millstream_loom)))]
use std::os::fd::BorrowedFd;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::consumer::{ConsumerEndpoint, Vacancy, Waited};
use super::patience::Lookout;
use crate::primitive::atomic::Ordering;
use crate::ring::page::parked;
use crate::ring::{Corruption, Expected};
use crate::stream::end::End;
use crate::wait::LOOKS_OF_A_PAUSE;

/// Looks of a wait that tell who waits for each element from who has just caught up with a producer that goes on.
const LONG_WAIT: u64 = 8 * LOOKS_OF_A_PAUSE;

impl ConsumerEndpoint {
    /// Waits at `pos` until something is there, the stream ends, the deadline passes or the idle timeout ends it.
    pub(super) fn wait(
        &mut self,
        pos: u64,
        deadline: Option<Instant>,
        expected: Expected,
        there: impl Fn() -> Result<bool, Corruption>,
    ) -> Waited {
        let mut patience = self.patience;
        let (looks, sleeps) = (patience.looks(), self.sleeps);
        let waited = patience.wait(pos, deadline, &mut Post(self, pos, expected, there));
        self.patience = patience;
        let was_long = self.sleeps != sleeps || patience.looks().wrapping_sub(looks) >= LONG_WAIT;
        // Of several consumers each would take the lines from the others.
        if waited == Waited::Ready && was_long && self.attention.is_none() {
            expected.found();
        }
        waited
    }

    /// Sleeps until the producer publishes or ends, unless the last look finds something.
    fn park(&mut self, pos: u64, left: Option<Duration>, there: &impl Fn() -> Result<bool, Corruption>) {
        let on_rings = self.bell.take_rings();
        self.lie_down(on_rings);
        // Between `parked` and the last look; pairs with the plain load in `Watch::word`.
        self.fence.heavy();
        if self.vacant(pos, there) == Vacancy::Empty {
            // A hang-up of a socket ends the sleep on it and says nothing yet: the kernel closes a dying process's descriptors
            // one after another. When the connection is gone the background thread says so by the notice, and by then
            // knows that there are files to be removed.
            self.bell.sleep(left);
        }
        self.get_up();
    }

    /// As a park without the sleep: unless something is there, or the stream has ended, the next ring wakes `waker`.
    #[cold]
    #[inline(never)]
    pub(crate) fn arm(
        &mut self,
        pos: u64,
        waker: &Waker,
        there: impl Fn() -> Result<bool, Corruption>,
    ) -> (Vacancy, u64) {
        self.bell.arm(waker);
        self.lie_down(false);
        // As in `park`.
        self.fence.heavy();
        let vacancy = self.vacant(pos, there);
        if vacancy != Vacancy::Empty {
            self.bell.disarm();
            self.get_up();
        }
        (vacancy, self.mark())
    }

    /// The fence between what this side knows and its last look.
    pub(crate) fn heavy(&self) {
        self.fence.heavy();
    }

    /// What becomes readable when the bell is rung, between processes.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn bell_fds(&self) -> Vec<BorrowedFd<'_>> {
        self.bell.fds()
    }

    /// Says that this side is parked, in a sleep of its own number: `on_rings`, if on the producer's counter of rings.
    pub(crate) fn lie_down(&mut self, on_rings: bool) {
        self.sleeps = self.sleeps.wrapping_add(1);
        let word = parked(self.sleeps, on_rings);
        if self.ended.is_none() {
            self.control().word.store(word, Ordering::Relaxed);
            self.ask_attention();
        }
    }

    /// Says that it is not any more.
    pub(crate) fn get_up(&mut self) {
        if self.ended.is_none() {
            self.control().word.store(0, Ordering::Relaxed);
        }
    }
}

/// A consumer that waits at a position, and how it looks there.
struct Post<'a, F>(&'a mut ConsumerEndpoint, u64, Expected, F);

impl<F: Fn() -> Result<bool, Corruption>> Lookout for Post<'_, F> {
    #[inline]
    fn stirs(&self) -> bool {
        !matches!(self.3(), Ok(false))
    }

    #[inline]
    fn ask_for_expected(&self) {
        self.2.ask_for();
    }

    #[inline]
    fn look(&mut self) -> Vacancy {
        // Most of a waiting consumer's latency would be the look at everything else.
        if self.0.is_settled(self.1) && matches!(self.3(), Ok(true)) {
            return Vacancy::Appeared;
        }
        self.0.vacant(self.1, &self.3)
    }

    fn park(&mut self, left: Option<Duration>) {
        self.0.park(self.1, left, &self.3);
    }

    fn give_up(&mut self) {
        self.0.close(End::IdleTimeout, self.1);
    }
}
