//! What a third party may say about a stream within one process: that it has ended, whatever its sinks and its source do.
//!
//! The word goes through the notice, at which the sinks look after each put and the source where it finds nothing. What
//! becomes of an element that is put at that moment is settled under the lock of the [`Ruling`]: either the source has
//! closed the sink's lane before, without taking the element, and it goes back; or the sink ends its lane behind it, and
//! the source takes it.

#![forbid(unsafe_code)]

use std::sync::PoisonError;

use crossbeam_utils::CachePadded;

use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::{Mutex, MutexGuard};
use crate::ring::notice::{CANCEL, COMPLETE, FAIL, LANES};
use crate::stream::end::{CloseReason, End};
use crate::wait::Ringer;

/// What the sinks and the source of a stream share with whoever oversees it.
#[derive(Debug)]
pub(crate) struct Oversight {
    /// Apart from the lock, for the sinks look here with every put.
    notice: CachePadded<AtomicU64>,
    ruling: Mutex<Ruling>,
    source: Ringer,
}

/// How the stream ended, as far as it has.
#[derive(Debug, Default)]
pub(crate) struct Ruling {
    /// The end that was given from outside.
    pub(crate) verdict: Option<End>,
    /// Why the source takes nothing any more.
    pub(crate) closed: Option<CloseReason>,
    sinks: Vec<Ringer>,
    /// Sinks that were handed out.
    handed: u64,
    /// Of those, how many have ended by themselves.
    ended: u64,
}

impl Oversight {
    /// Over a source that is woken by `source`.
    pub(crate) fn new(source: Ringer) -> Self {
        Self {
            notice: CachePadded::new(AtomicU64::new(0)),
            ruling: Mutex::default(),
            source,
        }
    }

    /// The word that every endpoint of the stream looks at.
    pub(crate) fn notice(&self) -> &AtomicU64 {
        &self.notice
    }

    pub(crate) fn ruling(&self) -> MutexGuard<'_, Ruling> {
        // Nothing panics while it holds the lock; if it did, the value would still be whole.
        self.ruling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a lane lies on the desk. The caller holds the ruling, so that the source does not end meanwhile.
    pub(crate) fn announce_lane(&self, ruling: MutexGuard<'_, Ruling>) {
        // Pairs with the Acquire of the source's look.
        self.notice.fetch_or(LANES, Ordering::AcqRel);
        drop(ruling);
        self.source.ring();
    }

    /// The source takes the lanes from the desk.
    pub(crate) fn heard_of_lanes(&self) {
        self.notice.fetch_and(!LANES, Ordering::AcqRel);
    }

    /// Ends the stream, unless it has ended.
    pub(crate) fn end(&self, end: End) {
        self.rule(self.ruling(), end);
    }

    /// Ends the stream in place of its sinks: of no effect where all of them have ended by themselves, and the source has
    /// only to take what they left.
    pub(crate) fn end_for_sinks(&self, end: End) {
        let ruling = self.ruling();
        if ruling.handed == 0 || ruling.ended < ruling.handed {
            self.rule(ruling, end);
        }
    }

    /// Whether all sinks have ended, or the stream was ended from outside.
    pub(crate) fn is_complete(&self) -> bool {
        let ruling = self.ruling();
        ruling.verdict.is_some() || ruling.handed > 0 && ruling.ended >= ruling.handed
    }

    fn rule(&self, mut ruling: MutexGuard<'_, Ruling>, end: End) {
        if ruling.reason().is_some() {
            return;
        }
        let bit = match CloseReason::of(&end) {
            CloseReason::Completed => COMPLETE,
            CloseReason::Failed => FAIL,
            _ => CANCEL,
        };
        ruling.verdict = Some(end);
        // Pairs with the Acquire of everybody's looks.
        self.notice.fetch_or(bit, Ordering::AcqRel);
        let sinks = ruling.sinks.clone();
        drop(ruling);
        // Without asking whether they are parked: a ring that nobody waits for ends the next sleep early, no more.
        for sink in sinks {
            sink.ring();
        }
        self.source.ring();
    }

    /// Why the stream was ended from outside.
    pub(crate) fn reason(&self) -> Option<CloseReason> {
        reason(self.notice.load(Ordering::Acquire))
    }
}

/// What a notice says of the end.
pub(crate) fn reason(notice: u64) -> Option<CloseReason> {
    if notice & COMPLETE != 0 {
        Some(CloseReason::Completed)
    } else if notice & FAIL != 0 {
        Some(CloseReason::Failed)
    } else if notice & CANCEL != 0 {
        Some(CloseReason::Cancelled)
    } else {
        None
    }
}

impl Ruling {
    /// Why the stream takes nothing any more.
    pub(crate) fn reason(&self) -> Option<CloseReason> {
        self.verdict.as_ref().map(CloseReason::of).or(self.closed)
    }

    /// Counts a sink that is handed out.
    pub(crate) fn hand_out(&mut self) {
        self.handed += 1;
    }

    /// Counts one of those that has ended by itself.
    pub(crate) fn hand_in(&mut self) {
        self.ended += 1;
    }

    /// Remembers how a sink is woken, and forgets those that are gone.
    pub(crate) fn enrol(&mut self, sink: Ringer) {
        self.sinks.retain(Ringer::is_heard);
        self.sinks.push(sink);
    }
}
