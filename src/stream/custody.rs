//! What somebody can do to a sink or a source who hands it out, and does not hold it then or must not wait by it: have it
//! ask in another way, be told of its end, be woken by it, cancel it.

#![forbid(unsafe_code)]

#[cfg(all(target_os = "linux", not(millstream_loom)))]
use std::os::fd::BorrowedFd;
use std::task::Waker;

#[cfg(all(target_os = "linux", not(millstream_loom)))]
use super::canceller::Canceller;
use super::cold_source::Hook;
use super::end::{CloseReason, End};
use super::endpoint::Vacancy;
use super::settings::SourceSettings;
use super::sink::SinkRef;
use super::source::SourceRef;

impl<T> SourceRef<T> {
    /// Asks as the adoption says from now on, which gives its credit at once.
    pub(crate) fn adopt(&mut self, adoption: SourceSettings) {
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
    /// Between processes the waker is not used: the descriptors of its bell become readable.
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

    /// Elements that were asked for by hand and not taken.
    #[cfg(not(millstream_loom))]
    pub(crate) fn asked(&self) -> u64 {
        self.cold.endpoint.open(self.ring.pos())
    }

    /// Whether elements may be taken before somebody needs them: nobody else would get what is taken and then lost.
    pub(crate) fn may_run_ahead(&self) -> bool {
        !self.cold.leaves && !self.cold.endpoint.lags()
    }

    /// Whether an element is there, asked for or not.
    #[cfg(not(millstream_loom))]
    pub(crate) fn holds(&self) -> bool {
        self.cold.holds(&self.ring)
    }

    /// Whether the producer is gone and the source waits for the next one, of whom nothing tells it: it has to look.
    pub(crate) fn is_between_producers(&self) -> bool {
        self.cold.reconnect.is_some() && self.cold.endpoint.end() == Some(&End::PeerGone)
    }

    /// No more elements than this are there: what the ring holds. No bound worth the name where the elements lie in several
    /// places.
    #[cfg(not(millstream_loom))]
    pub(crate) fn most_there(&self) -> u64 {
        self.cold.most_there(&self.ring)
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

    /// Has the source leave what is there, when it is dropped or cancelled, to its sink, which [reclaims](SinkRef::reclaim) it.
    #[cfg(not(millstream_loom))]
    pub(crate) fn leave_behind(&mut self) {
        self.cold.leaves = true;
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

    /// Why the stream takes nothing any more, by a fresh look.
    #[cfg(not(millstream_loom))]
    pub(crate) fn close_reason(&mut self) -> Option<CloseReason> {
        if self.endpoint.closed().is_none() && self.endpoint.is_closed() {
            self.make_room();
        }
        self.endpoint.closed()
    }

    /// Has `waker` woken once when the consumer takes nothing any more: of a stream that goes on, when it leaves; of one that
    /// has ended, also when it has everything. More credit wakes as well. True, and nothing is woken, if it takes nothing
    /// already. For descriptors, as [`arm`](Self::arm).
    #[cfg(not(millstream_loom))]
    pub(crate) fn arm_close(&mut self, waker: &Waker) -> bool {
        let is_left = self.endpoint.arm_close(self.ring.pos(), waker);
        // A consumer may have arrived, whose words are to be watched in place of those of another.
        self.ring.watch = self.endpoint.watch();
        is_left
    }

    /// Whether there is a consumer, or has been one that may come again.
    pub(crate) fn has_consumer(&self) -> bool {
        self.endpoint.has_consumer()
    }
}
