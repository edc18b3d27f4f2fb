//! What somebody can do to a sink or a source who hands it out, and does not hold it then or must not wait by it: have it
//! ask in another way, be told of its end, be woken by it, cancel it.

#![forbid(unsafe_code)]

#[cfg(all(target_os = "linux", not(millstream_loom)))]
use std::os::fd::BorrowedFd;
use std::task::Waker;

#[cfg(all(target_os = "linux", not(millstream_loom)))]
use super::canceller::Canceller;
use super::cold_source::Hook;
use super::endpoint::Vacancy;
use super::lanes::Adoption;
use super::sink::SinkRef;
use super::source::SourceRef;

impl<T> SourceRef<T> {
    /// Asks as the adoption says from now on, which gives its credit at once.
    pub(crate) fn adopt(&mut self, adoption: Adoption) {
        self.cold.adopt(self.ring.pos(), adoption);
        let mark = self.cold.endpoint.mark();
        self.set_mark(mark);
        if self.cold.endpoint.open(self.ring.pos()) > 0 {
            self.go_on();
        }
    }

    /// Has `waker` woken once when there is something to take, the stream has ended or another sink has come. True, and
    /// nothing is woken, if that is so already; a look then finds it. Whatever else is done with the source before may
    /// make the waking late or superfluous, not lost: only who finds nothing need arm it again.
    ///
    /// Between processes the waker is not used: the descriptors of [`bell_fds`](Self::bell_fds) become readable.
    pub(crate) fn arm(&mut self, waker: &Waker) -> bool {
        if self.ring.ready() {
            return true;
        }
        let (vacancy, news, mark, ring) = self.cold.arm(self.ring.clone(), waker);
        self.ring = ring;
        self.set_mark(mark);
        if vacancy == Vacancy::Ended {
            let _ = self.ended();
        }
        vacancy != Vacancy::Empty || news
    }

    /// What becomes readable when there is something to take or the stream has ended; nothing within one process, where
    /// wakers do that. Other descriptors may take their place when the source goes on with another producer.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn bell_fds(&self) -> Vec<BorrowedFd<'_>> {
        self.cold.endpoint.bell_fds()
    }

    /// By which this source is cancelled from any thread, also while it waits; `None` if it was not made by
    /// [`subscribe`](crate::subscribe).
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn canceller(&mut self) -> Option<Canceller> {
        self.cold.canceller()
    }

    /// Has `hook` called once, when the stream has ended in whatever way and the producer was told; at once, if it has
    /// ended. A panic of the hook is caught.
    pub(crate) fn on_end(&mut self, hook: Hook) {
        let ended = self.end().is_some();
        self.cold.on_end(hook, ended);
    }
}

impl<T> SinkRef<T> {
    /// Has `waker` woken once when there is room, or the stream takes nothing any more. True, and nothing is woken, if that
    /// is so already. Whatever else is done with the sink before may make the waking superfluous, not lost.
    ///
    /// Between processes the waker is not used: the descriptors of [`bell_fds`](Self::bell_fds) become readable.
    pub(crate) fn arm(&mut self, waker: &Waker) -> bool {
        if !self.ring.is_full() || self.make_room() || self.endpoint.closed().is_some() {
            return true;
        }
        let room = self.endpoint.arm(self.ring.pos(), waker);
        self.ring.set_limit(room.limit);
        self.ring.watch = room.watch;
        !self.ring.is_full() || self.endpoint.closed().is_some()
    }

    /// What becomes readable when there is room or the stream has closed; nothing within one process, where wakers do that.
    /// Other descriptors take their place when a consumer arrives, which the first of them tells.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn bell_fds(&self) -> Vec<BorrowedFd<'_>> {
        self.endpoint.bell_fds()
    }

    /// Whether the consumer of a stream that has ended takes nothing of it any more: it has everything, or is gone.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn is_left(&mut self) -> bool {
        self.endpoint.undrained(self.ring.pos()).1.is_some()
    }

    /// Whether there is a consumer, or has been one that may come again.
    pub(crate) fn has_consumer(&self) -> bool {
        self.endpoint.has_consumer()
    }
}
