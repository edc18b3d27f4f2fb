//! Doorbells: how an endpoint sleeps and how its peer wakes it.
//!
//! In one process: crossbeam's parker. Between processes: a connected pair of sockets, one end with each
//! peer, whose hang-up is heard like a ring, and an `eventfd` by which the process's own background thread
//! rings. A peer can neither take a ring away from the other, nor make it block: every send and receive
//! asks not to wait.

#![forbid(unsafe_code)]

use std::time::Duration;

/// The longest sleep without another look, in case a ring was lost with the one who should have rung.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);

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

    /// Sleeps until rung, or `limit` is over. Rings before the call count.
    pub(crate) fn sleep(&mut self, limit: Option<Duration>) {
        let limit = limit.map_or(LONGEST_SLEEP, |limit| limit.min(LONGEST_SLEEP));
        match self {
            Self::Local(bell) => bell.sleep(limit),
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            Self::Remote(bell) => bell.sleep(limit),
        }
    }

    /// Wakes the peer, if it sleeps.
    pub(crate) fn ring(&self) {
        match self {
            Self::Local(bell) => bell.ring(),
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            Self::Remote(bell) => bell.ring(),
        }
    }
}

#[cfg(not(millstream_loom))]
mod local {
    use std::time::Duration;

    use crossbeam_utils::sync::{Parker, Unparker};

    /// This endpoint's parker and the peer's unparker.
    #[derive(Debug)]
    pub(crate) struct Local {
        own: Parker,
        peer: Unparker,
    }

    pub(super) fn pair() -> (Local, Local) {
        let (one, other) = (Parker::new(), Parker::new());
        let (to_one, to_other) = (one.unparker().clone(), other.unparker().clone());
        (
            Local {
                own: one,
                peer: to_other,
            },
            Local {
                own: other,
                peer: to_one,
            },
        )
    }

    impl Local {
        pub(super) fn sleep(&mut self, limit: Duration) {
            self.own.park_timeout(limit);
        }

        pub(super) fn ring(&self) {
            self.peer.unpark();
        }
    }
}

#[cfg(millstream_loom)]
mod local {
    use std::time::Duration;

    use crate::primitive::{Arc, Condvar, Mutex};

    /// A bell that never wakes by itself, so that loom reports a lost ring as a deadlock.
    #[derive(Debug)]
    pub(crate) struct Local {
        own: Arc<(Mutex<bool>, Condvar)>,
        peer: Arc<(Mutex<bool>, Condvar)>,
    }

    pub(super) fn pair() -> (Local, Local) {
        let bell = || Arc::new((Mutex::new(false), Condvar::new()));
        let (one, other) = (bell(), bell());
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

    impl Local {
        pub(super) fn sleep(&mut self, _: Duration) {
            let mut rung = self.own.0.lock().unwrap();
            while !*rung {
                rung = self.own.1.wait(rung).unwrap();
            }
            *rung = false;
        }

        pub(super) fn ring(&self) {
            *self.peer.0.lock().unwrap() = true;
            self.peer.1.notify_one();
        }
    }
}

#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub(crate) mod remote {
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use rustix::net::{RecvFlags, SendFlags, recv, send};

    /// Rings of the process's own background thread, and the pair with the peer once there is one.
    #[derive(Debug)]
    pub(crate) struct Remote {
        local: OwnedFd,
        peer: Option<OwnedFd>,
        hung_up: bool,
    }

    impl Remote {
        /// `local` is an eventfd that does not block and belongs to this process alone.
        pub(crate) fn new(local: OwnedFd, peer: Option<OwnedFd>) -> Self {
            Self {
                local,
                peer,
                hung_up: false,
            }
        }

        /// The peer that came, in place of the one before.
        pub(crate) fn connect(&mut self, peer: OwnedFd) {
            self.peer = Some(peer);
            self.hung_up = false;
        }

        pub(super) fn sleep(&mut self, limit: Duration) {
            let timeout = Timespec {
                tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: limit.subsec_nanos().into(),
            };
            let peer = self.peer.as_ref().filter(|_| !self.hung_up);
            let (ready, peer_ready) = {
                let local = PollFd::new(&self.local, PollFlags::IN);
                // A descriptor that has nothing to say stands in for the peer that is not there yet.
                let mut both = [local, PollFd::new(peer.unwrap_or(&self.local), PollFlags::IN)];
                match poll(&mut both, Some(&timeout)) {
                    Ok(0) | Err(_) => return,
                    Ok(_) => (!both[0].revents().is_empty(), !both[1].revents().is_empty()),
                }
            };
            if ready {
                let _ = rustix::io::read(&self.local, &mut [0u8; 8]);
            }
            if peer_ready && let Some(peer) = peer {
                let mut rings = [0u8; 64];
                // Closed for good: what that means the background thread says, by the other bell.
                self.hung_up = matches!(
                    recv(peer, &mut rings[..], RecvFlags::DONTWAIT),
                    Ok((0, _)) | Err(Errno::CONNRESET)
                );
            }
        }

        pub(super) fn ring(&self) {
            if let Some(peer) = &self.peer {
                // A full buffer means that rings enough are waiting; a closed one, that nobody sleeps.
                let _ = send(peer, &[1], SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
            }
        }
    }
}
