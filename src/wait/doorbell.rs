//! Doorbells: how an endpoint sleeps and how its peer wakes it.
//!
//! In one process: crossbeam's parker, and beside it a place for a task's waker, for an endpoint that must not block. Between processes, for who sleeps
//! in its thread and has one peer: a [counter](rings) in each side's page. For who waits by descriptors, for several peers, and where the kernel
//! has no sleep on several counters: a connected pair of sockets, one end with each peer, whose hang-up is heard like a ring, and an `eventfd`
//! by which the process's own background thread rings. A peer can neither take a ring away from the other, nor make it block: every send and
//! receive asks not to wait.

#![forbid(unsafe_code)]

#[cfg(all(target_os = "linux", not(millstream_loom)))]
use std::os::fd::{BorrowedFd, OwnedFd};
use std::task::Waker;
use std::time::Duration;

#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub(crate) mod remote;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub(crate) mod rings;

pub(crate) use local::Ringer;

/// The longest sleep without another look, in case a ring was lost with the one who should have rung.
pub(super) const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// The doorbell of one endpoint.
#[derive(Debug)]
pub(crate) enum Doorbell {
    /// Both endpoints are in this process.
    Local(local::Local),
    /// The peer is, or will be, another process.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    Remote(remote::Remote),
}

impl Doorbell {
    /// The doorbells of two endpoints in this process.
    pub(crate) fn pair() -> (Self, Self) {
        let (one, other) = local::pair();
        (Self::Local(one), Self::Local(other))
    }

    /// A doorbell whose owner rings `peer`.
    pub(crate) fn toward(peer: Ringer) -> Self {
        Self::Local(local::toward(peer))
    }

    /// A doorbell whose owner rings nobody by it.
    pub(crate) fn lone() -> Self {
        Self::Local(local::lone())
    }

    /// By which the owner of this doorbell is woken; `None` between processes, where descriptors do it.
    pub(crate) fn ringer(&self) -> Option<Ringer> {
        match self {
            Self::Local(bell) => Some(bell.ringer()),
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            Self::Remote(_) => None,
        }
    }

    /// Has the next ring wake `waker`, too. Between processes it empties the bell instead, so that a poll which tells of
    /// changes alone tells of the next ring.
    pub(crate) fn arm(&mut self, waker: &Waker) {
        match self {
            Self::Local(bell) => bell.arm(waker),
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            Self::Remote(bell) => bell.empty(),
        }
    }

    /// Forgets the waker.
    pub(crate) fn disarm(&mut self) {
        match self {
            Self::Local(bell) => bell.disarm(),
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            Self::Remote(_) => {}
        }
    }

    /// What becomes readable when a doorbell between processes is rung.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::Local(_) => Vec::new(),
            Self::Remote(bell) => bell.fds(),
        }
    }

    /// Takes the rings that ended the last sleep, if the sleep left them: between processes that may take a system call or two, for which who was woken has no
    /// time. Goes before the store by which the owner says that it is parked, for every ring after that one counts. Whether it is to say that it sleeps
    /// on the peer's counter of rings.
    pub(crate) fn take_rings(&mut self) -> bool {
        match self {
            Self::Local(_) => false,
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            Self::Remote(bell) => bell.take_rings(),
        }
    }

    /// Sleeps until rung, or `limit` is over; not at all if the peer is another since the [last call](Self::take_rings). Rings before the call count, except
    /// those taken.
    pub(crate) fn sleep(&mut self, limit: Option<Duration>) {
        let limit = limit.map_or(LONGEST_SLEEP, |limit| limit.min(LONGEST_SLEEP));
        match self {
            Self::Local(bell) => bell.sleep(limit),
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            Self::Remote(bell) => bell.sleep(limit),
        }
    }

    /// Wakes one of several peers in other processes, if it sleeps.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn ring_one(&self, id: u64) {
        if let Self::Remote(bell) = self {
            bell.ring_one(id);
        }
    }

    /// Takes one more of several peers in other processes, by a number of its own.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn admit(&mut self, id: u64, peer: OwnedFd) {
        if let Self::Remote(bell) = self {
            bell.admit(id, peer);
        }
    }

    /// Forgets one of several peers in other processes.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn dismiss(&mut self, id: u64) {
        if let Self::Remote(bell) = self {
            bell.dismiss(id);
        }
    }

    /// Wakes the peer, if it sleeps: `on_rings`, if it says that it sleeps on this side's counter of rings.
    #[cfg_attr(
        not(all(target_os = "linux", not(millstream_loom))),
        allow(unused_variables, reason = "counters are between processes alone")
    )]
    pub(crate) fn ring(&self, on_rings: bool) {
        match self {
            Self::Local(bell) => bell.ring(),
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            Self::Remote(bell) => bell.ring(on_rings),
        }
    }
}

#[cfg(not(millstream_loom))]
mod local {
    use std::sync::PoisonError;
    use std::task::Waker;
    use std::time::Duration;

    use crate::primitive::park::{Parker, Unparker};
    use crate::primitive::{Arc, Mutex, MutexGuard};

    /// This endpoint's parker, and the way to the peer.
    #[derive(Debug)]
    pub(crate) struct Local {
        own: Parker,
        call: Ringer,
        peer: Ringer,
    }

    /// Wakes an endpoint of this process, from whichever thread.
    #[derive(Clone, Debug)]
    pub(crate) struct Ringer(Arc<Call>);

    /// How the owner of a doorbell is reached: asleep in its thread, or as a task.
    #[derive(Debug)]
    struct Call {
        thread: Unparker,
        task: Mutex<Option<Waker>>,
    }

    pub(super) fn pair() -> (Local, Local) {
        let (one, other) = (Parker::new(), Parker::new());
        let (to_one, to_other) = (Ringer::of(&one), Ringer::of(&other));
        (
            Local {
                own: one,
                call: to_one.clone(),
                peer: to_other.clone(),
            },
            Local {
                own: other,
                call: to_other,
                peer: to_one,
            },
        )
    }

    pub(super) fn toward(peer: Ringer) -> Local {
        let own = Parker::new();
        Local {
            call: Ringer::of(&own),
            own,
            peer,
        }
    }

    pub(super) fn lone() -> Local {
        let own = Parker::new();
        let call = Ringer::of(&own);
        Local {
            own,
            peer: call.clone(),
            call,
        }
    }

    impl Local {
        pub(super) fn sleep(&mut self, limit: Duration) {
            self.own.park_timeout(limit);
        }

        pub(super) fn ring(&self) {
            self.peer.ring();
        }

        pub(super) fn ringer(&self) -> Ringer {
            self.call.clone()
        }

        pub(super) fn arm(&self, waker: &Waker) {
            let mut task = self.call.task();
            match &mut *task {
                Some(before) => before.clone_from(waker),
                None => *task = Some(waker.clone()),
            }
        }

        pub(super) fn disarm(&self) {
            let waker = self.call.task().take();
            // The task may be freed with it, and whatever belongs to that.
            drop(waker);
        }
    }

    impl Ringer {
        fn of(parker: &Parker) -> Self {
            Self(Arc::new(Call {
                thread: parker.unparker().clone(),
                task: Mutex::new(None),
            }))
        }

        fn task(&self) -> MutexGuard<'_, Option<Waker>> {
            // A waker that panics is no longer in there.
            self.0.task.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn ring(&self) {
            // The lock is given up first: the waker is foreign code.
            let waker = self.task().take();
            self.0.thread.unpark();
            if let Some(waker) = waker {
                waker.wake();
            }
        }

        /// Whether anybody but this ringer's holder knows of the bell.
        pub(crate) fn is_heard(&self) -> bool {
            Arc::strong_count(&self.0) > 1
        }
    }
}

#[cfg(millstream_loom)]
mod local {
    use std::task::Waker;
    use std::time::Duration;

    use crate::primitive::{Arc, Condvar, Mutex};

    /// A bell that never wakes by itself, so that loom reports a lost ring as a deadlock.
    #[derive(Debug)]
    pub(crate) struct Local {
        own: Ringer,
        peer: Ringer,
    }

    /// As without loom, but that thread and task are behind one lock.
    #[derive(Clone, Debug)]
    pub(crate) struct Ringer(Arc<(Mutex<Call>, Condvar)>);

    #[derive(Debug, Default)]
    struct Call {
        rung: bool,
        task: Option<Waker>,
    }

    pub(super) fn pair() -> (Local, Local) {
        let (one, other) = (Ringer::new(), Ringer::new());
        (
            Local {
                own: one.clone(),
                peer: other.clone(),
            },
            Local {
                own: other,
                peer: one,
            },
        )
    }

    pub(super) fn toward(peer: Ringer) -> Local {
        Local {
            own: Ringer::new(),
            peer,
        }
    }

    pub(super) fn lone() -> Local {
        let own = Ringer::new();
        Local {
            peer: own.clone(),
            own,
        }
    }

    impl Local {
        pub(super) fn sleep(&mut self, _: Duration) {
            let bell = &self.own.0;
            let mut call = bell.0.lock().unwrap();
            while !call.rung {
                call = bell.1.wait(call).unwrap();
            }
            call.rung = false;
        }

        pub(super) fn ring(&self) {
            self.peer.ring();
        }

        pub(super) fn ringer(&self) -> Ringer {
            self.own.clone()
        }

        pub(super) fn arm(&self, waker: &Waker) {
            self.own.0.0.lock().unwrap().task = Some(waker.clone());
        }

        pub(super) fn disarm(&self) {
            let waker = self.own.0.0.lock().unwrap().task.take();
            drop(waker);
        }
    }

    impl Ringer {
        fn new() -> Self {
            Self(Arc::new((Mutex::new(Call::default()), Condvar::new())))
        }

        pub(crate) fn ring(&self) {
            let waker = {
                let mut call = self.0.0.lock().unwrap();
                call.rung = true;
                call.task.take()
            };
            self.0.1.notify_one();
            if let Some(waker) = waker {
                waker.wake();
            }
        }

        pub(crate) fn is_heard(&self) -> bool {
            true
        }
    }
}
