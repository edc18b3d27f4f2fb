//! One sleep at the doorbells of many members, of whom each is known by its ring: who has not rung since it was armed need not
//! be armed again.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
use std::os::fd::BorrowedFd;
use std::task::{Wake, Waker};
use std::time::Duration;

#[cfg(not(target_os = "linux"))]
use super::selector::Bells;
use super::selector::{Ring, Selector};
use crate::primitive::Arc;
use crate::primitive::atomic::{AtomicU64, Ordering};

/// Where the owner of several sources sleeps.
#[derive(Debug)]
pub(crate) struct WaitSet {
    selector: Selector,
    members: Vec<Member>,
}

/// One of those at which it sleeps.
#[derive(Debug)]
struct Member {
    call: Arc<Call>,
    waker: Waker,
    /// The connection for which it was armed and has not rung since.
    armed: Option<u64>,
}

/// A ring of the selector that tells who rang.
#[derive(Debug)]
struct Call {
    rung: AtomicU64,
    ring: Ring,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Pairs with the Acquire in `WaitSet::is_armed`. Before the ring, so that whoever is woken by it finds out who rang.
        self.rung.store(1, Ordering::Release);
        self.ring.ring();
    }
}

impl WaitSet {
    pub(crate) fn new(members: usize) -> Self {
        let selector = Selector::new();
        let member = |_| {
            let call = Arc::new(Call {
                rung: AtomicU64::new(0),
                ring: selector.ring(),
            });
            Member {
                waker: Arc::clone(&call).into(),
                call,
                armed: None,
            }
        };
        Self {
            members: (0..members).map(member).collect(),
            selector,
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
        self.selector.sleep(&Bells::default(), limit);
    }

    /// Sleeps until a member rings, or `limit` is over. Rings before the call count. `bells` are the descriptors of those
    /// members that have any, and `owners` whose each of them is.
    #[cfg(target_os = "linux")]
    pub(crate) fn sleep(&mut self, limit: Option<Duration>, bells: &[BorrowedFd<'_>], owners: &[usize]) {
        let Self { selector, members } = self;
        selector.sleep_at(bells, limit, |at| {
            let owner = owners.get(at).and_then(|owner| members.get_mut(*owner));
            if let Some(owner) = owner {
                owner.armed = None;
            }
        });
    }
}
