//! One sleep at the doorbells of many sources, whichever kind each of them is.
//!
//! Sources within this process wake it by a waker of their own, which tells it who rang; where descriptors have to be polled
//! for sources between processes, those wakers ring by an `eventfd` that is polled with them.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Wake, Waker};
use std::time::Duration;

use crossbeam_utils::sync::{Parker, Unparker};
#[cfg(target_os = "linux")]
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::doorbell::LONGEST_SLEEP;
use crate::primitive::Arc;
use crate::primitive::atomic::{AtomicU64, Ordering};

/// The longest sleep where the process has no descriptor left by which its own sources could ring.
#[cfg(target_os = "linux")]
const BLIND_SLEEP: Duration = Duration::from_millis(1);

/// Where the owner of several sources sleeps.
#[derive(Debug)]
pub(crate) struct WaitSet {
    members: Vec<Member>,
    parker: Parker,
    #[cfg(target_os = "linux")]
    alarm: Arc<Alarm>,
    /// Whether a member may ring that a poll does not hear.
    #[cfg(target_os = "linux")]
    blind: bool,
}

/// One of those at which it sleeps.
#[derive(Debug)]
struct Member {
    call: Arc<Call>,
    waker: Waker,
    /// The connection for which it was armed and has not rung since.
    armed: Option<u64>,
}

/// How a member's bell reaches the sleeper.
#[derive(Debug)]
struct Call {
    rung: AtomicU64,
    alarm: Arc<Alarm>,
}

#[derive(Debug)]
enum Alarm {
    Thread(Unparker),
    #[cfg(target_os = "linux")]
    Descriptor(OwnedFd),
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Pairs with the Acquire in `WaitSet::is_armed`. Before the alarm, so that whoever is woken by it finds out who rang.
        self.rung.store(1, Ordering::Release);
        match &*self.alarm {
            Alarm::Thread(thread) => thread.unpark(),
            #[cfg(target_os = "linux")]
            Alarm::Descriptor(bell) => {
                // A full counter means that rings enough are waiting.
                let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
            }
        }
    }
}

impl WaitSet {
    /// For `members` sources, of which `remote` lie between processes.
    pub(crate) fn new(members: usize, remote: usize) -> Self {
        let parker = Parker::new();
        let is_mixed = remote > 0 && remote < members;
        let alarm = Arc::new(if is_mixed {
            Alarm::mixed(&parker)
        } else {
            Alarm::Thread(parker.unparker().clone())
        });
        let member = |_| {
            let call = Arc::new(Call {
                rung: AtomicU64::new(0),
                alarm: Arc::clone(&alarm),
            });
            Member {
                waker: Arc::clone(&call).into(),
                call,
                armed: None,
            }
        };
        Self {
            members: (0..members).map(member).collect(),
            parker,
            #[cfg(target_os = "linux")]
            blind: is_mixed && matches!(*alarm, Alarm::Thread(_)),
            #[cfg(target_os = "linux")]
            alarm,
        }
    }

    /// Whether the member was armed for this connection and has not rung since: then the next ring ends the sleep.
    pub(crate) fn is_armed(&self, member: usize, connection: u64) -> bool {
        self.members.get(member).is_some_and(|member| {
            member.armed == Some(connection) && member.call.rung.load(Ordering::Acquire) == 0
        })
    }

    /// The waker with which to arm the member.
    pub(crate) fn waker(&self, member: usize) -> Option<&Waker> {
        let member = self.members.get(member)?;
        // A ring that this forgets was for an element, or an end, that whoever arms finds by its last look.
        member.call.rung.store(0, Ordering::Relaxed);
        Some(&member.waker)
    }

    /// Notes for which connection the member was armed; `None` if it was not.
    pub(crate) fn note(&mut self, member: usize, connection: Option<u64>) {
        if let Some(member) = self.members.get_mut(member) {
            member.armed = connection;
        }
    }

    /// Sleeps until a member rings, or `limit` is over. Rings before the call count.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn sleep(&mut self, limit: Option<Duration>) {
        self.parker.park_timeout(bounded(limit));
    }

    /// Sleeps until a member rings, or `limit` is over. Rings before the call count. `bells` are the descriptors of those
    /// members that have any.
    #[cfg(target_os = "linux")]
    pub(crate) fn sleep(&mut self, limit: Option<Duration>, bells: &[(usize, BorrowedFd<'_>)]) {
        let limit = bounded(limit);
        let own = match &*self.alarm {
            Alarm::Descriptor(bell) => Some(bell),
            Alarm::Thread(_) if bells.is_empty() => return self.parker.park_timeout(limit),
            Alarm::Thread(_) => None,
        };
        let limit = if self.blind { limit.min(BLIND_SLEEP) } else { limit };
        let timeout = Timespec {
            tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        let rings = |bell| PollFd::from_borrowed_fd(bell, PollFlags::IN);
        let mut polled: Vec<_> = bells.iter().map(|(_, bell)| rings(*bell)).collect();
        polled.extend(own.map(|bell| rings(bell.as_fd())));
        if !matches!(poll(&mut polled, Some(&timeout)), Ok(1..)) {
            return;
        }
        for ((member, _), polled) in bells.iter().zip(&polled) {
            if !polled.revents().is_empty()
                && let Some(member) = self.members.get_mut(*member)
            {
                member.armed = None;
            }
        }
        if let Some(bell) = own {
            let _ = rustix::io::read(bell, &mut [0u8; 8]);
        }
    }
}

impl Alarm {
    /// For members of both kinds.
    #[cfg(target_os = "linux")]
    fn mixed(parker: &Parker) -> Self {
        match eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK) {
            Ok(bell) => Self::Descriptor(bell),
            Err(errno) => {
                log::warn!(
                    "sources of both kinds are looked at each {BLIND_SLEEP:?}, because there is no eventfd: {errno}"
                );
                Self::Thread(parker.unparker().clone())
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn mixed(parker: &Parker) -> Self {
        Self::Thread(parker.unparker().clone())
    }
}

fn bounded(limit: Option<Duration>) -> Duration {
    limit.map_or(LONGEST_SLEEP, |limit| limit.min(LONGEST_SLEEP))
}
