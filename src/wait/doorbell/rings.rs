//! Ringing by counters: each side counts its rings in a page of its own, and the other sleeps on what it reads there.
//!
//! One system call puts a sleeper to sleep on its peer's counter and on its own background thread's, so what wakes it is as short as
//! between threads of a process; sockets took a fifth longer. No side can make the other believe that nothing was rung, for none writes where the other
//! counts. Whoever can read the page (an observer, too) can have the kernel move its sleepers elsewhere: such a sleep is over after its
//! [longest](LONGEST_SLEEP), and after some in a row without any wake-up the sleeper goes by its socket.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::LONGEST_SLEEP;
use crate::memory::Counter;
use crate::primitive::Arc;
use crate::primitive::futex::{self, Futex, Scope, Slept};

/// The counters of one side of a stream with one consumer.
#[derive(Debug)]
pub(crate) struct Rings {
    own: Counter,
    peer: Counter,
    /// The background thread's, of this process.
    notices: Arc<Futex>,
    /// What the peer's and the background thread's read before this side said that it sleeps.
    heard: [u32; 2],
    /// Sleeps since the last one that was ended by a ring, and that were not by one that was counted meanwhile; the [most](MOST_LOST) of
    /// them once the kernel has refused one.
    lost: u8,
}

/// So many are hardly lost unless somebody sees to it. One may be, that is counted just as the sleep is over; who comes to it by coincidence
/// goes by its socket, and loses no more than time.
const MOST_LOST: u8 = 4;

impl Rings {
    /// Begins to ring by `own`, and to sleep on the others. `None` where the kernel has no sleep on several counters (before Linux 5.16), a
    /// filter refuses it, or `own` is not this process's to write.
    pub(crate) fn new(own: Counter, peer: Counter, notices: Arc<Futex>) -> Option<Self> {
        // From here on it does not read 0, by which the peer knows that it is counted.
        (futex::can_sleep() && own.count()).then_some(Self {
            own,
            peer,
            notices,
            heard: [0; 2],
            lost: 0,
        })
    }

    /// Notes what the counters read, before the owner says that it sleeps on them: a ring for that sleep is counted later. False where it is to
    /// sleep by its socket.
    pub(super) fn listen(&mut self) -> bool {
        self.heard = [self.peer.read(), self.notices.read()];
        self.heard[0] != 0 && self.lost < MOST_LOST
    }

    /// Sleeps until one of the counters reads something else than was noted, or `limit` is over.
    pub(super) fn sleep(&mut self, limit: Duration) {
        let [peer, notices] = self.heard;
        let until = [self.peer.sleep(peer), self.notices.sleep(notices, Scope::Process)];
        match futex::sleep(until, limit) {
            Slept::Woken => self.lost = 0,
            Slept::Briefly => {}
            // What was to be short ends often just as a ring is counted.
            Slept::TimedOut if limit < LONGEST_SLEEP => {}
            Slept::TimedOut => self.lost += u8::from(self.peer.read() != peer),
            // Because of a filter that was put up since, or of memory that it cannot tell by its place.
            Slept::Refused => self.lost = MOST_LOST,
        }
    }

    /// Wakes the peer, which sleeps on this side's counter.
    pub(super) fn ring(&self) {
        self.own.count();
        self.own.wake();
    }
}

/// Counts one more of the background thread's rings, and wakes who sleeps on them.
pub(crate) fn ring_within(notices: &Futex) {
    notices.count();
    notices.wake(Scope::Process);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{TryRecvError, channel};
    use std::thread;
    use std::time::Instant;

    use super::*;
    use crate::memory::{MemoryOptions, SharedMemory};

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(1);

    /// A page for each side, which maps the other's for reading; `None` where the kernel has no such sleep.
    fn pair() -> Option<[Rings; 2]> {
        let sides = [(); 2].map(|()| {
            let page = SharedMemory::create("rings", 4096, MemoryOptions::default()).unwrap();
            page.seal_for_writer_only().unwrap();
            let fd = page.reopen_read_only().unwrap();
            let view = SharedMemory::of_file(fd, 4096, crate::memory::Access::ReadOnly).unwrap();
            [Arc::new(page), Arc::new(view)].map(|memory| Counter::at(&memory, 64).unwrap())
        });
        let [[one, one_seen], [other, other_seen]] = sides;
        if !futex::can_sleep() {
            println!("SKIPPED: this kernel has no sleep on several counters, or a filter refuses it");
        }
        let notices = || Arc::new(Futex::default());
        Some([
            Rings::new(one, other_seen, notices())?,
            Rings::new(other, one_seen, notices())?,
        ])
    }

    #[test]
    fn a_ring_that_comes_before_the_sleep_ends_it_and_one_before_the_note_does_not() {
        let Some([mut one, other]) = pair() else { return };
        other.ring();
        assert!(one.listen());
        one.sleep(SHORT);
        other.ring();
        one.sleep(LONG);
        assert!(one.listen());
        ring_within(&one.notices);
        one.sleep(LONG);
    }

    #[test]
    fn a_sleeper_is_woken_by_its_peer_and_by_its_own_background_thread() {
        let Some([mut one, other]) = pair() else { return };
        for wake in [
            |rings: &Rings, _: &Futex| rings.ring(),
            |_: &Rings, notices: &Futex| ring_within(notices),
        ] {
            assert!(one.listen());
            let notices = Arc::clone(&one.notices);
            let heard = one.heard;
            thread::scope(|scope| {
                let sleeper = scope.spawn(|| {
                    // Woken by a signal, or for no reason, it sleeps on.
                    while [one.peer.read(), one.notices.read()] == heard {
                        one.sleep(LONG);
                    }
                });
                wake(&other, &notices);
                sleeper.join().unwrap();
            });
        }
    }

    #[test]
    fn who_counts_and_wakes_nobody_is_not_slept_on_for_ever() {
        let Some([mut one, other]) = pair() else { return };
        thread::scope(|scope| {
            let (over, stop) = channel::<()>();
            scope.spawn(move || {
                while stop.try_recv() == Err(TryRecvError::Empty) {
                    other.own.count();
                    thread::yield_now();
                }
            });
            let end = Instant::now() + LONG;
            while one.listen() {
                assert!(Instant::now() < end, "it is still slept on");
                one.sleep(LONGEST_SLEEP);
            }
            drop(over);
        });
    }

    #[test]
    fn a_count_that_goes_round_leaves_0_out() {
        let page = SharedMemory::create("round", 4096, MemoryOptions::default()).unwrap();
        assert!(page.store(64, u32::MAX.into()));
        let counter = Counter::at(&Arc::new(page), 64).unwrap();
        assert!(counter.count() && counter.read() == 1);
    }

    #[test]
    fn who_does_not_count_is_not_slept_on_and_what_cannot_be_written_does_not_count() {
        let Some([one, mut other]) = pair() else { return };
        other.own = other.peer.clone();
        assert!(!other.own.count());
        let page = SharedMemory::create("silent", 4096, MemoryOptions::default()).unwrap();
        let silent = Counter::at(&Arc::new(page), 0).unwrap();
        assert!(Rings::new(other.peer.clone(), silent.clone(), Arc::clone(&other.notices)).is_none());
        let mut deaf = Rings::new(one.own.clone(), silent, Arc::clone(&one.notices)).unwrap();
        assert!(!deaf.listen());
    }

    #[test]
    fn a_place_outside_the_memory_has_no_counter() {
        let page = SharedMemory::create("small", 4096, MemoryOptions::default()).unwrap();
        let page = Arc::new(page);
        assert!(Counter::at(&page, 4092).is_none() && Counter::at(&page, 4096).is_none());
        assert!(Counter::at(&page, usize::MAX).is_none() && Counter::at(&page, 4088).is_some());
    }
}
