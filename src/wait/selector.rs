//! Sleeping at several doorbells at once, and at the word of other threads.

#![forbid(unsafe_code)]

use std::fmt;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

#[cfg(all(target_os = "linux", not(millstream_loom)))]
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::doorbell::LONGEST_SLEEP;
use super::strategy::{Turn, Turns, WaitStrategy};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
use crate::primitive::atomic::{Ordering, fence};
use crate::primitive::park::{Parker, Unparker};

/// Where one thread sleeps until any of several doorbells is rung: those of this process by wakers, those between processes
/// by their descriptors.
#[derive(Debug)]
pub(crate) struct Selector {
    parker: Parker,
    call: Arc<Call>,
    /// Whether it was logged that there is no descriptor to sleep by.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    is_told_deaf: bool,
}

/// Wakes the thread that sleeps at a selector.
#[derive(Debug)]
struct Call {
    thread: Unparker,
    /// Readable once rung, for a thread that sleeps at descriptors; made when the first of these comes.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    event: std::sync::OnceLock<OwnedFd>,
}

/// By which others wake the thread at a selector. As a [`Waker`] it wakes as often as it is called.
#[derive(Clone, Debug)]
pub(crate) struct Ring(Arc<Call>);

/// Descriptors of doorbells between processes, of which any wakes the sleeper.
#[derive(Default)]
pub(crate) struct Bells {
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    fds: Vec<OwnedFd>,
    /// Whether there is one that could not be copied, so that a sleep must be short.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    deaf: bool,
}

impl fmt::Debug for Bells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bells")
    }
}

/// The longest sleep where a bell cannot be heard: no descriptor was left to hear it by.
#[cfg(all(target_os = "linux", not(millstream_loom)))]
const DEAF_SLEEP: Duration = Duration::from_millis(1);

impl Bells {
    /// Adds descriptors, by copies: who owns them may close them meanwhile.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn add(&mut self, fds: &[BorrowedFd<'_>]) {
        for fd in fds {
            match fd.try_clone_to_owned() {
                Ok(fd) => self.fds.push(fd),
                Err(_) => self.deaf = true,
            }
        }
    }
}

impl Selector {
    pub(crate) fn new() -> Self {
        let parker = Parker::new();
        let call = Call {
            thread: parker.unparker().clone(),
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            event: std::sync::OnceLock::new(),
        };
        Self {
            parker,
            call: Arc::new(call),
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            is_told_deaf: false,
        }
    }

    /// By which this selector's thread is woken.
    pub(crate) fn ring(&self) -> Ring {
        Ring(self.call.clone())
    }

    /// Waits as the strategy says until `ready` finds something. Before it sleeps, `arm` says to whoever is waited for that
    /// they are to ring; `ready` then looks once more. `None` when the deadline passes first.
    pub(crate) fn wait<S, R>(
        &mut self,
        strategy: WaitStrategy,
        deadline: Option<Instant>,
        state: &mut S,
        mut ready: impl FnMut(&mut S) -> Option<R>,
        mut arm: impl FnMut(&mut S) -> Bells,
    ) -> Option<R> {
        let mut turns = Turns::new(strategy);
        loop {
            if let Some(found) = ready(state) {
                return Some(found);
            }
            let mut left = None;
            if turns.is_round()
                && let Some(deadline) = deadline
            {
                let now = Instant::now();
                if now >= deadline {
                    return None;
                }
                left = Some(deadline - now);
            }
            if turns.turn() == Turn::Park {
                let bells = arm(state);
                if let Some(found) = ready(state) {
                    return Some(found);
                }
                self.sleep(&bells, left);
            }
        }
    }

    /// Sleeps until rung, or `limit` is over. Rings before the call count.
    pub(crate) fn sleep(&mut self, bells: &Bells, limit: Option<Duration>) {
        #[cfg(all(target_os = "linux", not(millstream_loom)))]
        if bells.deaf || !bells.fds.is_empty() {
            let fds: Vec<_> = bells.fds.iter().map(AsFd::as_fd).collect();
            return self.poll(&fds, bells.deaf, limit, |_| {});
        }
        let Bells { .. } = bells;
        self.parker.park_timeout(bounded(limit));
    }

    /// As [`sleep`](Self::sleep), at descriptors that stay open meanwhile. Tells which of them, by their places, were rung.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn sleep_at(
        &mut self,
        bells: &[BorrowedFd<'_>],
        limit: Option<Duration>,
        heard: impl FnMut(usize),
    ) {
        if bells.is_empty() {
            self.parker.park_timeout(bounded(limit));
        } else {
            self.poll(bells, false, limit, heard);
        }
    }

    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    fn poll(
        &mut self,
        bells: &[BorrowedFd<'_>],
        deaf: bool,
        limit: Option<Duration>,
        heard: impl FnMut(usize),
    ) {
        let event = self.call.event.get();
        if event.is_none()
            && let Ok(event) = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        {
            let _ = self.call.event.set(event);
            // Who rang before there was the descriptor is not heard by it, so there is to be another look: between the
            // descriptor and that; pairs with the one in `Ring::ring`.
            fence(Ordering::SeqCst);
            return;
        }
        let mut limit = bounded(limit);
        if deaf || event.is_none() {
            limit = limit.min(DEAF_SLEEP);
            if !std::mem::replace(&mut self.is_told_deaf, true) {
                log::warn!(
                    "bells of other processes are looked at each {DEAF_SLEEP:?}: this process has no descriptor left to sleep by"
                );
            }
        }
        let timeout = Timespec {
            tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        let mut fds: Vec<_> = bells
            .iter()
            .map(|bell| PollFd::from_borrowed_fd(*bell, PollFlags::IN))
            .collect();
        fds.extend(event.map(|event| PollFd::new(event, PollFlags::IN)));
        if !matches!(poll(&mut fds, Some(&timeout)), Ok(1..)) {
            return;
        }
        let rung = |fd: &PollFd<'_>| !fd.revents().is_empty();
        (0..bells.len())
            .filter(|at| fds.get(*at).is_some_and(rung))
            .for_each(heard);
        if let Some(event) = event {
            let _ = rustix::io::read(event, &mut [0u8; 8]);
        }
    }
}

fn bounded(limit: Option<Duration>) -> Duration {
    limit.map_or(LONGEST_SLEEP, |limit| limit.min(LONGEST_SLEEP))
}

impl Ring {
    pub(crate) fn ring(&self) {
        self.0.thread.unpark();
        #[cfg(all(target_os = "linux", not(millstream_loom)))]
        {
            // Between what this rings for and the look for a descriptor; pairs with the one in `Selector::poll`.
            fence(Ordering::SeqCst);
            if let Some(event) = self.0.event.get() {
                // A full counter rings as well.
                let _ = rustix::io::write(event, &1u64.to_ne_bytes());
            }
        }
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker::from(self.0.clone())
    }
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        Ring(self).ring();
    }
}
