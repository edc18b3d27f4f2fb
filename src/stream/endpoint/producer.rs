//! The cold side of a producer: what it looks at, wake-ups, waiting.

#[cfg(all(target_os = "linux", not(millstream_loom)))]
use std::os::fd::BorrowedFd;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::Keep;
use super::audience::Audience;
use super::crowd::Crowd;
use super::room::{Granted, Grower, Room};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
use crate::memory::SharedMemory;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
use crate::primitive::Arc;
use crate::primitive::atomic::{AtomicU64, Ordering};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
use crate::process::{Cursor, SyncError, SyncPoint};
use crate::ring::notice::ARRIVED;
use crate::ring::page::{EndLine, WORD_CLOSED, WORD_ON_RINGS, WORD_PARKED, WordLine, parked};
use crate::ring::{Ledger, Watch};
use crate::stream::end::CloseReason;
use crate::wait::{Doorbell, Fence, Ringer, Turn, Turns, WaitStrategy};

/// The lines that a producer writes, and the notice word of its own process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProducerLines {
    pub(crate) waiting: *const WordLine,
    pub(crate) end: *const EndLine,
    pub(crate) notice: *const AtomicU64,
}

/// What became of the element whose publication disturbed the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It travels.
    Published,
    /// It travels, and the room that was known is to be asked for again: it was the last, or the consumers are others now.
    Last,
    /// The consumer closed before it got there: it is the producer's again.
    Returned(CloseReason),
}

#[derive(Debug)]
pub(crate) struct ProducerEndpoint {
    pub(super) lines: ProducerLines,
    pub(super) ledgers: Vec<Ledger>,
    /// What counts as granted while nobody has subscribed.
    pub(super) vacant: u64,
    /// Elements taken beyond the demand.
    pub(super) buffer: u64,
    /// Where a full ring goes on, if it is unbounded.
    pub(super) grower: Option<Grower>,
    /// Up to here there is room whatever was granted: the end of the first lap of a ring that has grown.
    pub(super) floor: u64,
    pub(super) closed: Option<CloseReason>,
    /// Whether the end stands in the end line.
    pub(super) ended: bool,
    /// Whether what was put stays, and waits for whoever consumes it next: then no consumer closes the stream.
    pub(super) is_durable: bool,
    /// Of a durable stream: how often its page had been lent when the consumer that is there arrived.
    pub(super) lent: u64,
    /// Whether it counts among the sinks of an overseen stream.
    pub(super) is_counted: bool,
    pub(super) complete_on_drop: bool,
    pub(super) strategy: WaitStrategy,
    pub(super) fence: Fence,
    pub(super) quiet: u64,
    /// The consumer's control word for which the bell was rung last.
    pub(super) rung: u64,
    pub(super) sleeps: u64,
    pub(super) bell: Doorbell,
    pub(super) audience: Audience,
    /// The consumers, if there may be several; then the ledgers above are none.
    pub(super) crowd: Option<Box<Crowd>>,
    /// The page of the consumer that came last.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(super) credit: Option<Arc<SharedMemory>>,
    /// What is synced, of a durable stream.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    sync_point: Option<SyncPoint>,
    pub(super) _keep: Keep,
}

// SAFETY: the lines are kept alive by `_keep` and only accessed atomically; the rest is Send.
unsafe impl Send for ProducerEndpoint {}

/// How a producer's endpoint is made.
#[derive(Debug)]
pub(crate) struct ProducerSettings {
    pub(crate) lines: ProducerLines,
    pub(crate) base: u64,
    pub(crate) buffer: u64,
    pub(crate) complete_on_drop: bool,
    pub(crate) strategy: WaitStrategy,
    pub(crate) fence: Fence,
    pub(crate) bell: Doorbell,
    pub(crate) audience: Audience,
    pub(crate) ledger: Option<Ledger>,
    pub(crate) keep: Keep,
}

impl ProducerEndpoint {
    /// # Safety
    /// `settings.keep` keeps the lines and the ledger's lines alive.
    pub(crate) unsafe fn new(settings: ProducerSettings) -> Self {
        Self {
            lines: settings.lines,
            ledgers: settings.ledger.into_iter().collect(),
            vacant: settings.base,
            buffer: settings.buffer,
            grower: None,
            floor: settings.base,
            closed: None,
            ended: false,
            is_durable: false,
            lent: 0,
            is_counted: false,
            complete_on_drop: settings.complete_on_drop,
            strategy: settings.strategy,
            fence: settings.fence,
            quiet: 0,
            rung: 0,
            sleeps: 0,
            bell: settings.bell,
            audience: settings.audience,
            crowd: None,
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            credit: None,
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            sync_point: None,
            _keep: settings.keep,
        }
    }

    pub(super) fn waiting(&self) -> &WordLine {
        // SAFETY: kept alive by `_keep`.
        unsafe { &*self.lines.waiting }
    }

    pub(super) fn end_line(&self) -> &EndLine {
        // SAFETY: kept alive by `_keep`.
        unsafe { &*self.lines.end }
    }

    pub(super) fn notice(&self) -> &AtomicU64 {
        // SAFETY: kept alive by `_keep`.
        unsafe { &*self.lines.notice }
    }

    pub(crate) fn fence(&self) -> Fence {
        self.fence
    }

    pub(crate) fn closed(&self) -> Option<CloseReason> {
        self.closed
    }

    /// Says how the sink waits, and what dropping it means.
    pub(crate) fn set_manner(&mut self, strategy: WaitStrategy, complete_on_drop: bool) {
        self.strategy = strategy;
        self.complete_on_drop = complete_on_drop;
    }

    /// By which this side is woken, within one process.
    pub(crate) fn ringer(&self) -> Option<Ringer> {
        self.bell.ringer()
    }

    /// The watch for the cursors to keep.
    pub(crate) fn watch(&self) -> Watch {
        let control: *const AtomicU64 = match (&self.crowd, self.ledgers.first()) {
            (Some(crowd), _) => crowd.attention(),
            (None, Some(ledger)) => &raw const ledger.control().word,
            (None, None) => self.lines.notice,
        };
        // A full fence is due after every publication then, so the watch never reads as quiet. Nor does it after a
        // close: room that was known before is still there, and whatever is put into it must come back.
        let quiet = if self.fence == Fence::Full || self.closed.is_some() {
            u64::MAX
        } else {
            self.quiet
        };
        // SAFETY: `keep` and the ledgers' owners outlive the cursors, which stand beside this endpoint.
        unsafe { Watch::new(self.lines.notice, control, quiet) }
    }

    /// Attends to whatever disturbed the watch after `pos - 1` was published.
    #[cold]
    #[inline(never)]
    pub(crate) fn attend(&mut self, pos: u64) -> (Fate, Watch) {
        // Stands between the stamp and the look at `parked`, where the kernel gave no asymmetric fence.
        self.fence.light();
        self.look(pos);
        let closed = self.closed;
        let fate = match closed {
            // Of several consumers, some may have taken it; and what lies in a file stays there.
            Some(_) if self.ended || self.crowd.is_some() || self.is_durable => Fate::Last,
            Some(reason) if !self.released_past(pos.wrapping_sub(1), pos) => Fate::Returned(reason),
            _ if self.crowd.as_mut().is_some_and(|crowd| crowd.take_change()) => Fate::Last,
            _ => Fate::Published,
        };
        (fate, self.watch())
    }

    /// Whether the consumer, which takes nothing any more, had taken the element at `pos`.
    fn released_past(&mut self, pos: u64, end: u64) -> bool {
        self.ledgers.iter_mut().any(|ledger| {
            ledger
                .refresh_released(end)
                .is_ok_and(|released| released.wrapping_sub(pos) as i64 > 0)
        })
    }

    /// Looks at the notice and control words: arrivals, deaths, closes, sleepers.
    pub(super) fn look(&mut self, pos: u64) {
        if self.closed.is_some() {
            return;
        }
        let notice = self.notice().load(Ordering::Acquire);
        if notice != 0 {
            self.attend_to(notice, pos);
        }
        self.attend_crowd();
        // Acquire pairs with the Release in `ConsumerEndpoint::close`: its last `released` is visible.
        let control = self
            .ledgers
            .first()
            .map_or(0, |ledger| ledger.control().word.load(Ordering::Acquire));
        if self.has_left(control) {
            self.close(self.reason_of_close());
        } else if control & WORD_PARKED != 0 && control != self.rung {
            self.rung = control;
            self.bell.ring(control & WORD_ON_RINGS != 0);
        }
        // What was attended to, rather than what the word reads by now: whatever came meanwhile is to disturb.
        self.quiet = notice & !ARRIVED | control;
    }

    /// Whether the consumer's control word says that it takes nothing any more, and nobody else will.
    pub(super) fn has_left(&self, control: u64) -> bool {
        control & WORD_CLOSED != 0 && !self.is_durable
    }

    /// What is put stays, and no consumer closes the stream.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn set_durable(&mut self, sync_point: SyncPoint) {
        self.is_durable = true;
        self.sync_point = Some(sync_point);
    }

    /// Has the disk keep what was published: up to `pos`, and of frames `byte`.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn sync(&mut self, pos: u64, byte: u64) -> Result<u64, SyncError> {
        let point = self.sync_point.as_mut().ok_or(SyncError::NotDurable)?;
        point.sync(Cursor { position: pos, byte })?;
        Ok(pos)
    }

    /// Makes the room closed for good.
    pub(super) fn close(&mut self, reason: CloseReason) {
        self.closed.get_or_insert(reason);
    }

    /// Waits until `ready` finds something, the stream closes or the deadline passes.
    pub(crate) fn wait(
        &mut self,
        deadline: Option<Instant>,
        mut ready: impl FnMut(&mut Self) -> bool,
    ) -> Granted {
        let mut turns = Turns::new(self.strategy);
        loop {
            if ready(self) {
                return Granted::Room;
            }
            if let Some(reason) = self.closed {
                return Granted::Closed(reason);
            }
            let mut left = None;
            if turns.is_round()
                && let Some(deadline) = deadline
            {
                let now = Instant::now();
                if now >= deadline {
                    return Granted::TimedOut;
                }
                left = Some(deadline - now);
            }
            if turns.turn() == Turn::Park {
                // Once the stream is sealed nobody is evicted: a drain has a deadline of its own.
                let crowd = self.crowd.as_ref().filter(|_| !self.ended);
                if let Some(eviction) = crowd.and_then(|crowd| crowd.next_eviction()) {
                    left = Some(left.map_or(eviction, |left| left.min(eviction)));
                }
                self.park(left, &mut ready);
            }
        }
    }

    /// As a park without the sleep: unless there is room at `pos`, or the stream has closed, the next ring wakes `waker`.
    #[cold]
    #[inline(never)]
    pub(crate) fn arm(&mut self, pos: u64, waker: &Waker) -> Room {
        self.bell.arm(waker);
        self.lie_down(false);
        // As in `park`.
        self.fence.heavy();
        let room = self.room(pos);
        if room.limit != pos || self.closed.is_some() {
            self.bell.disarm();
            self.waiting().word.store(0, Ordering::Relaxed);
        }
        room
    }

    /// As [`arm`](Self::arm), whether or not there is room: until the consumer takes nothing any more.
    #[cfg(not(millstream_loom))]
    #[cold]
    #[inline(never)]
    pub(crate) fn arm_close(&mut self, pos: u64, waker: &Waker) -> bool {
        self.bell.arm(waker);
        self.lie_down(false);
        // As in `park`; pairs with the one in `ConsumerEndpoint::announce`.
        self.fence.heavy();
        let is_left = if self.closed.is_some() {
            self.undrained(pos).1.is_some()
        } else {
            self.look(pos);
            self.closed.is_some()
        };
        if is_left {
            self.bell.disarm();
            self.waiting().word.store(0, Ordering::Relaxed);
        }
        is_left
    }

    /// What becomes readable when the bell is rung, between processes.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn bell_fds(&self) -> Vec<BorrowedFd<'_>> {
        self.bell.fds()
    }

    /// Says that this side is parked, in a sleep of its own number: `on_rings`, if on the consumer's counter of rings.
    fn lie_down(&mut self, on_rings: bool) {
        self.sleeps = self.sleeps.wrapping_add(1);
        let word = parked(self.sleeps, on_rings);
        self.waiting().word.store(word, Ordering::Relaxed);
    }

    /// Sleeps until the consumer gives credit, unless `ready` finds something at the last look.
    fn park(&mut self, left: Option<Duration>, ready: &mut impl FnMut(&mut Self) -> bool) {
        let on_rings = self.bell.take_rings();
        self.lie_down(on_rings);
        // Between `parked` and the last look; pairs with the light side in `ConsumerEndpoint::credit`.
        self.fence.heavy();
        if !ready(self) && self.closed.is_none() {
            // A hang-up of a socket ends the sleep on it; what it means (a cancel, a death, a consumer that will resume) the
            // background thread says by the notice.
            self.bell.sleep(left);
        }
        self.waiting().word.store(0, Ordering::Relaxed);
    }

    /// Whether the stream takes nothing any more, by a fresh look.
    pub(crate) fn is_closed(&self) -> bool {
        let gone = || match &self.audience {
            Audience::Local => false,
            Audience::Overseen(oversight) => oversight.reason().is_some(),
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            Audience::Published(publication, _) => {
                let notice = self.notice().load(Ordering::Acquire);
                notice & crate::process::GONE != 0
                    || (notice & crate::process::ARRIVED != 0 && publication.arriving_is_closed())
            }
        };
        let cancelled = || {
            self.ledgers
                .iter()
                .any(|ledger| self.has_left(ledger.control().word.load(Ordering::Acquire)))
        };
        self.closed.is_some() || gone() || cancelled()
    }

    /// Rings a consumer that is parked; for the rare publications that do not pass the watch.
    pub(super) fn wake(&mut self) {
        // Full: this is no hot path, and needs nothing of the parker then.
        Fence::Full.light();
        self.wake_crowd();
        let control = self
            .ledgers
            .first()
            .map_or(0, |ledger| ledger.control().word.load(Ordering::Relaxed));
        if control & WORD_PARKED != 0 {
            self.rung = control;
            self.bell.ring(control & WORD_ON_RINGS != 0);
        }
    }
}
