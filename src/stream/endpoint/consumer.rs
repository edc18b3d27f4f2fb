//! The cold side of a consumer: credit, and what it finds where there is no element.

use std::cell::UnsafeCell;
use std::time::{Duration, Instant};

use super::Keep;
use super::demand::Demand;
use super::membership::Attention;
use super::patience::Patience;
use crate::primitive::atomic::{AtomicU64, Ordering};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
use crate::process::HangUp;
use crate::ring::notice::{CANCEL, GONE, LANES};
use crate::ring::page::{
    CreditLine, END_COMPLETED, END_FAILED, END_OPEN, EndLine, FAULT_MESSAGE, WORD_ON_RINGS, WORD_PARKED,
    WordLine,
};
use crate::ring::{Corruption, Expected};
use crate::stream::end::{End, StreamFault};
use crate::wait::{Doorbell, Fence, WaitStrategy};

/// The lines of a stream as its consumer sees them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConsumerLines {
    pub(crate) control: *const WordLine,
    pub(crate) credit: *const CreditLine,
    pub(crate) waiting: *const WordLine,
    pub(crate) end: *const EndLine,
    pub(crate) notice: *const AtomicU64,
}

/// What an unsuccessful look for the next element found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vacancy {
    /// Nothing yet.
    Empty,
    /// Something came meanwhile.
    Appeared,
    /// Nothing will come any more.
    Ended,
}

/// What ended a wait for the next element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    Ready,
    Ended,
    TimedOut,
}

/// How a consumer's endpoint is made.
#[derive(Debug)]
pub(crate) struct ConsumerSettings {
    pub(crate) lines: ConsumerLines,
    pub(crate) start: u64,
    /// For frames: bytes before `start`.
    pub(crate) start_byte: u64,
    pub(crate) demand: Demand,
    pub(crate) idle: Option<Duration>,
    pub(crate) resumable: bool,
    pub(crate) strategy: WaitStrategy,
    pub(crate) fence: Fence,
    pub(crate) bell: Doorbell,
    pub(crate) keep: Keep,
}

#[derive(Debug)]
pub(crate) struct ConsumerEndpoint {
    lines: ConsumerLines,
    pub(super) demand: Demand,
    pub(super) automatic: bool,
    /// Position at which credit was given last.
    credited: u64,
    /// What was given: released, granted.
    pub(super) released: u64,
    granted: u64,
    /// What of the window is held back now.
    holding: u64,
    /// Where it is released by commits: up to here it was committed.
    pub(super) committed: Option<u64>,
    /// For frames: bytes before `credited`.
    pub(super) bytes: u64,
    pub(super) ended: Option<End>,
    pub(super) patience: Patience,
    resumable: bool,
    /// Whether something else than the producer may speak to this consumer: its notice is looked at where credit is given.
    pub(super) heeds: bool,
    /// Whether the source reads other lanes, too.
    pub(super) rotates: bool,
    pub(super) fence: Fence,
    /// The producer's waiting word for which the bell was rung last.
    rung: u64,
    pub(super) sleeps: u64,
    pub(super) bell: Doorbell,
    /// By which the producer of several consumers learns that something is the matter with this one.
    pub(super) attention: Option<Attention>,
    /// Where that producer says that it goes on without this consumer, and the value that means so.
    pub(super) eviction: Option<(*const AtomicU64, u64)>,
    /// The place of one of several, which is given up at the end.
    pub(super) seat: Option<Keep>,
    /// Of a durable stream, what says that its page is this consumer's to write.
    pub(super) hold: Option<Keep>,
    /// Where the cursors lie after the end: a stamp at which nothing comes any more.
    grave: Box<UnsafeCell<u64>>,
    /// By which the connection is ended from outside, between processes.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(super) hang_up: Option<HangUp>,
    _keep: Keep,
}

// SAFETY: the lines are kept alive by `_keep` and only accessed atomically; the rest is Send.
unsafe impl Send for ConsumerEndpoint {}

impl ConsumerEndpoint {
    /// Gives the first credit.
    ///
    /// # Safety
    /// `settings.keep` keeps the lines alive.
    pub(crate) unsafe fn new(settings: ConsumerSettings) -> Self {
        let mut endpoint = Self {
            lines: settings.lines,
            automatic: settings.demand.asked == u64::MAX,
            demand: settings.demand,
            credited: settings.start,
            released: settings.start,
            granted: settings.start,
            holding: settings.demand.held,
            committed: None,
            bytes: settings.start_byte,
            ended: None,
            patience: Patience::new(settings.strategy, settings.idle),
            resumable: settings.resumable,
            heeds: false,
            rotates: false,
            fence: settings.fence,
            rung: 0,
            sleeps: 0,
            bell: settings.bell,
            attention: None,
            eviction: None,
            seat: None,
            hold: None,
            grave: Box::default(),
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            hang_up: None,
            _keep: settings.keep,
        };
        endpoint.credit(settings.start, 0);
        endpoint
    }

    pub(super) fn control(&self) -> &WordLine {
        // SAFETY: kept alive by `_keep`.
        unsafe { &*self.lines.control }
    }

    pub(super) fn credit_line(&self) -> &CreditLine {
        // SAFETY: kept alive by `_keep`.
        unsafe { &*self.lines.credit }
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

    pub(crate) fn end(&self) -> Option<&End> {
        self.ended.as_ref()
    }

    pub(crate) fn patience(&self) -> Patience {
        self.patience
    }

    pub(crate) fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    pub(crate) fn is_automatic(&self) -> bool {
        self.automatic
    }

    pub(crate) fn is_resumable(&self) -> bool {
        self.resumable
    }

    /// Whether the element taken last does not count as released yet.
    pub(crate) fn lags(&self) -> bool {
        self.demand.lag != 0
    }

    /// As [`credit`](Self::credit), from the hot path: the user still works on the element taken last.
    #[cold]
    #[inline(never)]
    pub(crate) fn credit_taken(&mut self, pos: u64) -> u64 {
        self.holding = self.demand.held;
        let mark = self.credit(pos, self.demand.lag);
        // Who reads several lanes goes on to the next, and who was told something heeds it: the source pauses here, which
        // costs the hot path nothing, and finds that out where it finds nothing to take.
        if self.heeds && (self.rotates || self.notice().load(Ordering::Relaxed) & (LANES | CANCEL) != 0) {
            return pos;
        }
        mark
    }

    /// As [`vacant`](Self::vacant), with the position at which to give credit again.
    #[cold]
    #[inline(never)]
    pub(crate) fn vacant_mark(
        &mut self,
        pos: u64,
        expected: Expected,
        there: impl Fn() -> Result<bool, Corruption>,
    ) -> (Vacancy, u64) {
        self.patience.count_look();
        let vacancy = self.vacant(pos, there);
        if vacancy == Vacancy::Empty && self.patience.is_eighth_look() {
            expected.ask_for();
        }
        (vacancy, self.mark())
    }

    /// Counts looks elsewhere that found nothing to take.
    pub(crate) fn count_idle_looks(&mut self, looks: u64) {
        self.patience.count_looks(looks);
    }

    /// Looks so far that found nothing to take, in waits or out of them; who sleeps leaves many out.
    pub(crate) fn idle_looks(&self) -> u64 {
        const OF_A_SLEEP: u64 = 1 << 16;
        let asleep = self.sleeps.wrapping_mul(OF_A_SLEEP);
        self.patience.looks().wrapping_add(asleep)
    }

    /// Whether somebody has a word before the next element is waited for: the stream has ended, or was cancelled.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.is_some() || self.is_cancelled()
    }

    /// Whether somebody else has cancelled the stream.
    #[inline]
    fn is_cancelled(&self) -> bool {
        self.heeds && self.notice().load(Ordering::Acquire) & CANCEL != 0
    }

    /// Whether part of the window is held back while the user works on an element.
    pub(crate) fn holds_back(&self) -> bool {
        self.demand.held != 0
    }

    /// As [`wait`](Self::wait), with the position at which to give credit again.
    #[cold]
    #[inline(never)]
    pub(crate) fn wait_mark(
        &mut self,
        pos: u64,
        deadline: Option<Instant>,
        expected: Expected,
        there: impl Fn() -> Result<bool, Corruption>,
    ) -> (Waited, u64) {
        let waited = self.wait(pos, deadline, expected, there);
        (waited, self.mark())
    }

    /// Gives credit about every quarter of the window rather than every half: where elements share a stamp. In a ring of 64 its producer
    /// waits for that: single puts of 8 bytes 97 to 103 million a second, of 64 bytes by `drain` 46 to 57. Elements that have a
    /// stamp each lose by it (56 bytes by `put_slice` 64 to 57).
    pub(crate) fn quicken(&mut self) {
        self.demand.quicken();
    }

    /// Position at which to give credit next.
    pub(crate) fn mark(&self) -> u64 {
        self.credited
            .wrapping_add(self.demand.step.min(self.demand.asked))
    }

    /// Elements from `pos` on that were asked for; `u64::MAX` when the source asks by itself.
    #[inline]
    pub(crate) fn open(&self, pos: u64) -> u64 {
        match self.demand.asked {
            u64::MAX => u64::MAX,
            asked => asked.saturating_sub(pos.wrapping_sub(self.credited)),
        }
    }

    /// What it means that something is there: it cannot be taken unless it was asked for.
    fn appeared(&self, pos: u64) -> Vacancy {
        if self.open(pos) == 0 {
            Vacancy::Empty
        } else {
            Vacancy::Appeared
        }
    }

    /// Notes how many bytes of frames lie before the position that is told next.
    pub(crate) fn set_bytes(&mut self, bytes: u64) {
        self.bytes = bytes;
    }

    /// Where the cursors go after the end.
    pub(crate) fn grave(&self) -> *mut u64 {
        self.grave.get()
    }

    /// No more elements than this can lie in the ring.
    pub(crate) fn most_in_ring(&self) -> u64 {
        crate::stream::settings::MOST_ELEMENTS
    }

    /// The position up to which the producer may go.
    pub(crate) fn granted(&self) -> u64 {
        self.granted
    }

    /// Gives credit for what was taken up to `pos`. Returns the position at which to give some again.
    pub(crate) fn credit(&mut self, pos: u64, lag: u64) -> u64 {
        let taken = pos.wrapping_sub(self.credited);
        if self.demand.asked != u64::MAX {
            self.demand.asked = self.demand.asked.saturating_sub(taken);
        }
        self.credited = pos;
        let released = self.releasable(pos, lag);
        let ahead = pos.wrapping_sub(released);
        let window = self.demand.window.saturating_sub(self.holding);
        let granted = released.wrapping_add(window.min(self.demand.asked.saturating_add(ahead)));
        // What was asked of one lane may have come by another, and what was granted cannot be taken back.
        let granted = if (granted.wrapping_sub(self.granted) as i64) < 0 {
            self.granted
        } else {
            granted
        };
        if released == self.released && granted == self.granted {
            return self.mark();
        }
        self.released = released;
        self.granted = granted;
        let line = self.credit_line();
        line.released.store(released, Ordering::Release);
        line.released_bytes.store(self.bytes, Ordering::Release);
        // Pairs with the Acquire in `Ledger::refresh_granted`: the elements before it were read.
        line.granted.store(granted, Ordering::Release);
        self.wake();
        self.mark()
    }

    /// What may be said to be released at `pos`, when of the elements taken last `lag` may be worked on.
    pub(super) fn releasable(&self, pos: u64, lag: u64) -> u64 {
        let lag = self
            .committed
            .map_or(lag, |committed| pos.wrapping_sub(committed));
        pos.wrapping_sub(lag.min(pos.wrapping_sub(self.released)))
    }

    /// From here on nothing is released but by a commit, the last of which was at `pos`.
    #[cfg(not(millstream_loom))]
    pub(crate) fn set_committed(&mut self, pos: u64) {
        self.committed = Some(pos);
    }

    /// What is given up when this consumer writes its words no more.
    #[cfg(not(millstream_loom))]
    pub(crate) fn set_hold(&mut self, hold: Keep) {
        self.hold = Some(hold);
    }

    /// Rings the producer if it is parked and was not rung for this sleep.
    fn wake(&mut self) {
        self.fence.light();
        let waiting = self.waiting().word.load(Ordering::Relaxed);
        if waiting & WORD_PARKED != 0 && waiting != self.rung {
            self.rung = waiting;
            self.bell.ring(waiting & WORD_ON_RINGS != 0);
        }
    }

    /// Asks for `count` elements more; saturates at `u64::MAX`, which asks for ever.
    pub(crate) fn request(&mut self, count: u64, pos: u64) -> u64 {
        // One that has ended writes nothing more, for its page may be another's.
        if self.ended.is_some() {
            return self.mark();
        }
        self.credit(pos, 0);
        self.demand.asked = self.demand.asked.saturating_add(count);
        self.credit(pos, 0)
    }

    /// Whether an element at `pos` may be taken, no credit is due before it, and nobody but the producer may have said anything.
    #[inline]
    pub(super) fn is_settled(&self, pos: u64) -> bool {
        self.ended.is_none() && !self.heeds && self.released == pos && self.holding == 0 && self.open(pos) > 0
    }

    /// Releases all before `pos`. Whoever finds nothing, or waits, has worked on everything before, and a producer without credit
    /// gets some: neither waits for the other.
    #[inline]
    pub(crate) fn settle(&mut self, pos: u64) {
        if self.released != pos || self.holding != 0 {
            self.holding = 0;
            self.credit(pos, 0);
        }
    }

    /// What there is at `pos`, where the hot look found nothing. `there` looks again, with Acquire.
    pub(super) fn vacant(&mut self, pos: u64, there: impl Fn() -> Result<bool, Corruption>) -> Vacancy {
        if self.ended.is_some() {
            return Vacancy::Ended;
        }
        // Within one process the source itself sees to that, for all of its lanes.
        if self.is_cancelled() {
            self.close(End::Cancelled, pos);
            return Vacancy::Ended;
        }
        self.settle(pos);
        match self.look(pos, there) {
            Ok(vacancy) => vacancy,
            Err(corruption) => {
                self.close(End::PeerCorrupt(corruption), pos);
                Vacancy::Ended
            }
        }
    }

    fn look(
        &mut self,
        pos: u64,
        there: impl Fn() -> Result<bool, Corruption>,
    ) -> Result<Vacancy, Corruption> {
        if there()? {
            return Ok(self.appeared(pos));
        }
        // Pairs with the Release in `ProducerEndpoint::finish`: every stamp before the end is visible now.
        let kind = self.end_line().kind.load(Ordering::Acquire);
        if kind != END_OPEN {
            if there()? {
                return Ok(self.appeared(pos));
            }
            let position = self.end_line().position.load(Ordering::Relaxed);
            if position != pos {
                return Err(Corruption::new("end position", position, pos, pos));
            }
            let end = match kind {
                END_COMPLETED => End::Completed,
                END_FAILED => End::Failed(self.fault()?),
                _ => return Err(Corruption::new("end kind", kind, END_OPEN, END_FAILED)),
            };
            self.close(end, pos);
            return Ok(Vacancy::Ended);
        }
        // Before the other look: who is evicted is hung up on, too, and is not to take that for a death.
        let notice = self.notice().load(Ordering::Acquire);
        if self.is_evicted() {
            self.close(End::Evicted, pos);
            return Ok(Vacancy::Ended);
        }
        if notice & GONE != 0 {
            // The producer wrote nothing after it hung up, so what is not there now never comes.
            if there()? {
                return Ok(self.appeared(pos));
            }
            if self.end_line().kind.load(Ordering::Acquire) != END_OPEN {
                return Ok(Vacancy::Empty);
            }
            self.close(End::PeerGone, pos);
            return Ok(Vacancy::Ended);
        }
        Ok(Vacancy::Empty)
    }

    fn fault(&self) -> Result<StreamFault, Corruption> {
        let line = self.end_line();
        let code = line.fault_code.load(Ordering::Relaxed);
        let code =
            u32::try_from(code).map_err(|_| Corruption::new("fault code", code, 0, u64::from(u32::MAX)))?;
        let len = line.fault_len.load(Ordering::Relaxed);
        if len > FAULT_MESSAGE as u64 {
            return Err(Corruption::new("fault length", len, 0, FAULT_MESSAGE as u64));
        }
        let bytes: Vec<u8> = line
            .fault_message
            .iter()
            .flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes())
            .collect();
        Ok(StreamFault::new(
            code,
            String::from_utf8_lossy(&bytes[..len as usize]),
        ))
    }
}
