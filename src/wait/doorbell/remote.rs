//! The doorbell of an endpoint whose peers are other processes.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::rings::Rings;

/// More rings than a bell's buffer holds.
const MOST_RINGS: usize = 4096;

/// Rings of the process's own background thread, and the pair with each peer.
#[derive(Debug)]
pub(crate) struct Remote {
    local: OwnedFd,
    /// The peer of a stream that has one, once it is there.
    peer: Option<OwnedFd>,
    hung_up: bool,
    /// Which of the two has ended a sleep and was not read since.
    rung: Rung,
    /// The counters by which this side and the peer ring each other, where they do.
    rings: Option<Rings>,
    /// Whether the next sleep is on them.
    on_rings: bool,
    /// Whether that sleep was announced to a peer that is not there any more, so that another's rings go elsewhere.
    changed: bool,
    /// The peers of a stream that has several.
    crowd: Vec<Peer>,
}

/// Which bells have rung.
#[derive(Clone, Copy, Debug, Default)]
struct Rung {
    local: bool,
    peer: bool,
}

/// One peer of several.
#[derive(Debug)]
struct Peer {
    id: u64,
    bell: OwnedFd,
    hung_up: bool,
}

impl Remote {
    /// `local` is an eventfd that does not block and belongs to this process alone.
    pub(crate) fn new(local: OwnedFd) -> Self {
        Self {
            local,
            peer: None,
            hung_up: false,
            rung: Rung::default(),
            rings: None,
            on_rings: false,
            changed: false,
            crowd: Vec::new(),
        }
    }

    /// The peer that came, in place of the one before, and the counters that belong to it.
    pub(crate) fn connect(&mut self, peer: OwnedFd, rings: Option<Rings>) {
        self.peer = Some(peer);
        self.hung_up = false;
        self.rung.peer = false;
        self.rings = rings;
        self.changed = true;
    }

    /// One more of several peers.
    pub(super) fn admit(&mut self, id: u64, bell: OwnedFd) {
        self.crowd.push(Peer {
            id,
            bell,
            hung_up: false,
        });
    }

    /// Forgets one of several peers.
    pub(super) fn dismiss(&mut self, id: u64) {
        self.crowd.retain(|peer| peer.id != id);
    }

    pub(super) fn sleep(&mut self, limit: Duration) {
        if self.changed {
            return;
        }
        if let Some(rings) = self.rings.as_mut().filter(|_| self.on_rings) {
            return rings.sleep(limit);
        }
        let timeout = Timespec {
            tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        if !self.crowd.is_empty() {
            return self.sleep_among(&timeout);
        }
        let peer = self.peer.as_ref().filter(|_| !self.hung_up);
        let local = PollFd::new(&self.local, PollFlags::IN);
        // A descriptor that has nothing to say stands in for the peer that is not there yet.
        let mut both = [local, PollFd::new(peer.unwrap_or(&self.local), PollFlags::IN)];
        if matches!(poll(&mut both, Some(&timeout)), Ok(1..)) {
            // Read before the next sleep: this one's end is what the element waits for.
            let [local, peer] = both.map(|fd| !fd.revents().is_empty());
            self.rung = Rung { local, peer };
        }
    }

    /// Takes the rings that ended the last sleep. Whether the next one is on the peer's counter.
    pub(super) fn take_rings(&mut self) -> bool {
        self.changed = false;
        self.on_rings = self.rings.as_mut().is_some_and(Rings::listen);
        if self.on_rings {
            return true;
        }
        let rung = std::mem::take(&mut self.rung);
        if rung.local {
            self.hush();
        }
        if rung.peer {
            self.hear();
        }
        false
    }

    /// Sleeps until any of several peers rings.
    fn sleep_among(&mut self, timeout: &Timespec) {
        let mut all = vec![PollFd::new(&self.local, PollFlags::IN)];
        let listening = self.crowd.iter().filter(|peer| !peer.hung_up);
        all.extend(listening.map(|peer| PollFd::new(&peer.bell, PollFlags::IN)));
        if !matches!(poll(&mut all, Some(timeout)), Ok(1..)) {
            return;
        }
        let mut rung = all.iter().map(|fd| !fd.revents().is_empty());
        let local = rung.next() == Some(true);
        let rung: Vec<bool> = rung.collect();
        if local {
            self.hush();
        }
        let listening = self.crowd.iter_mut().filter(|peer| !peer.hung_up);
        for (peer, _) in listening.zip(rung).filter(|(_, rung)| *rung) {
            peer.hear();
        }
    }

    /// Takes what was rung, without waiting.
    pub(super) fn empty(&mut self) {
        self.rung = Rung::default();
        self.hush();
        // A bound, because the peer may ring all the while.
        for _ in 0..MOST_RINGS {
            if !self.hear() {
                break;
            }
        }
        for peer in &mut self.crowd {
            for _ in 0..MOST_RINGS {
                if !peer.hear() {
                    break;
                }
            }
        }
    }

    pub(super) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let peer = self.peer.as_ref().filter(|_| !self.hung_up);
        let crowd = self.crowd.iter().filter(|peer| !peer.hung_up);
        std::iter::once(&self.local)
            .chain(peer)
            .chain(crowd.map(|peer| &peer.bell))
            .map(AsFd::as_fd)
            .collect()
    }

    /// Takes the background thread's rings.
    fn hush(&self) {
        let _ = rustix::io::read(&self.local, &mut [0u8; 8]);
    }

    /// Takes some of the peer's rings. Whether there may be more.
    fn hear(&mut self) -> bool {
        let Some(peer) = self.peer.as_ref().filter(|_| !self.hung_up) else {
            return false;
        };
        let (more, hung_up) = hear(peer);
        self.hung_up = hung_up;
        more
    }

    pub(super) fn ring(&self, on_rings: bool) {
        match (&self.rings, &self.peer) {
            (Some(rings), _) if on_rings => rings.ring(),
            (_, Some(peer)) => ring(peer),
            (_, None) => {}
        }
    }

    /// Rings one of several peers.
    pub(super) fn ring_one(&self, id: u64) {
        if let Some(peer) = self.crowd.iter().find(|peer| peer.id == id) {
            ring(&peer.bell);
        }
    }
}

impl Peer {
    /// Takes some of its rings. Whether there may be more.
    fn hear(&mut self) -> bool {
        if self.hung_up {
            return false;
        }
        let more;
        (more, self.hung_up) = hear(&self.bell);
        more
    }
}

/// Takes some rings: whether there may be more, and whether the peer has closed for good. What that means the background
/// thread says, by the other bell.
fn hear(bell: &OwnedFd) -> (bool, bool) {
    let mut rings = [0u8; 64];
    let heard = recv(bell, &mut rings[..], RecvFlags::DONTWAIT);
    (
        matches!(heard, Ok((1.., _))),
        matches!(heard, Ok((0, _)) | Err(Errno::CONNRESET)),
    )
}

fn ring(bell: &OwnedFd) {
    // A full buffer means that rings enough are waiting; a closed one, that nobody sleeps.
    let _ = send(bell, &[1], SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

#[cfg(test)]
mod tests {
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap()
    }

    fn bell(peer: OwnedFd) -> Remote {
        let local = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
        let mut bell = Remote::new(local);
        bell.connect(peer, None);
        bell.take_rings();
        bell
    }

    fn is_silent(bell: &Remote) -> bool {
        let mut fds: Vec<_> = bell
            .fds()
            .into_iter()
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        poll(&mut fds, Some(&Timespec::default())) == Ok(0)
    }

    #[test]
    fn a_ring_that_ended_a_sleep_is_taken_before_the_next_one() {
        let (own, peer) = pair();
        let mut bell = bell(own);
        bell.take_rings();
        ring(&peer);
        bell.sleep(LONG);
        assert!(!is_silent(&bell));
        bell.take_rings();
        assert!(is_silent(&bell));
        rustix::io::write(&bell.local, &1_u64.to_ne_bytes()).unwrap();
        bell.sleep(LONG);
        bell.take_rings();
        assert!(is_silent(&bell));
    }

    #[test]
    fn a_hang_up_ends_one_sleep_and_a_new_peer_is_heard() {
        let (own, peer) = pair();
        let mut bell = bell(own);
        drop(peer);
        bell.sleep(LONG);
        bell.take_rings();
        assert!(is_silent(&bell));
        let (own, peer) = pair();
        bell.connect(own, None);
        ring(&peer);
        bell.take_rings();
        bell.sleep(LONG);
        assert!(!is_silent(&bell));
    }

    #[test]
    fn a_sleep_that_was_announced_to_the_peer_before_is_none() {
        let (own, _peer) = pair();
        let mut bell = bell(own);
        bell.take_rings();
        let (own, _next) = pair();
        bell.connect(own, None);
        bell.sleep(Duration::from_secs(3600));
        assert!(is_silent(&bell));
    }

    #[test]
    fn an_emptied_bell_has_nothing_to_be_taken() {
        let (own, peer) = pair();
        let mut bell = bell(own);
        ring(&peer);
        bell.sleep(LONG);
        bell.empty();
        ring(&peer);
        bell.take_rings();
        assert!(!is_silent(&bell));
    }
}
