//! How a producer ends: what it writes, what a dropped sink leaves, and the wait until everything was released.

#![forbid(unsafe_code)]

use std::time::Instant;

use super::audience::Audience;
use super::producer::ProducerEndpoint;
use crate::primitive::atomic::Ordering;
use crate::ring::page::{END_COMPLETED, END_FAILED};
use crate::stream::end::{CloseReason, StreamFault};
use crate::stream::error::{EndError, NotDrained};

impl ProducerEndpoint {
    /// Completes the stream at `pos`. Completing twice is completing once.
    pub(crate) fn complete(&mut self, pos: u64) -> Result<(), EndError> {
        self.finish(pos, CloseReason::Completed, END_COMPLETED, None)
    }

    /// Fails the stream at `pos`.
    pub(crate) fn fail(&mut self, pos: u64, fault: &StreamFault) -> Result<(), EndError> {
        self.finish(pos, CloseReason::Failed, END_FAILED, Some(fault))
    }

    fn finish(
        &mut self,
        pos: u64,
        reason: CloseReason,
        kind: u64,
        fault: Option<&StreamFault>,
    ) -> Result<(), EndError> {
        self.look(pos);
        match self.closed {
            Some(before) if before == reason => return Ok(()),
            Some(before) => return Err(EndError { reason: before }),
            None => self.close(reason),
        }
        self.seal(pos, kind, fault);
        if let Audience::Overseen(oversight) = &self.audience
            && self.is_counted
        {
            oversight.ruling().hand_in();
        }
        self.wake();
        Ok(())
    }

    /// Has the end of this sink count for that of the stream that it is one of.
    pub(crate) fn set_counted(&mut self) {
        self.is_counted = true;
    }

    /// Writes the end.
    pub(super) fn seal(&mut self, pos: u64, kind: u64, fault: Option<&StreamFault>) {
        let line = self.end_line();
        line.position.store(pos, Ordering::Relaxed);
        if let Some(fault) = fault {
            let text = fault.message().as_bytes();
            line.fault_code.store(fault.code().into(), Ordering::Relaxed);
            line.fault_len.store(text.len() as u64, Ordering::Relaxed);
            for (word, bytes) in line.fault_message.iter().zip(text.chunks(8)) {
                let mut eight = [0; 8];
                eight[..bytes.len()].copy_from_slice(bytes);
                word.store(u64::from_le_bytes(eight), Ordering::Relaxed);
            }
        }
        // Pairs with the Acquire in `ConsumerEndpoint::vacant`: who sees the kind sees the rest.
        line.kind.store(kind, Ordering::Release);
        self.ended = true;
    }

    /// What a dropped sink leaves behind at `pos`.
    #[cold]
    #[inline(never)]
    pub(crate) fn abandon(&mut self, pos: u64) {
        if self.is_inherited() {
            return;
        }
        let _ = if self.complete_on_drop {
            self.complete(pos)
        } else if self.closed.is_none() {
            self.fail(pos, &StreamFault::sink_dropped())
        } else {
            Ok(())
        };
        if !self.ended {
            // Tells the memory's owner how far elements were written, for it to drop the unread ones. Relaxed: the
            // count of owners orders it.
            self.end_line().position.store(pos, Ordering::Relaxed);
        }
    }

    /// Waits until the consumer has released everything up to `pos`.
    pub(crate) fn drain(&mut self, pos: u64, deadline: Instant) -> Result<(), NotDrained> {
        let mut left = u64::MAX;
        let mut reason = None;
        self.wait_draining(deadline, |endpoint| {
            (left, reason) = endpoint.undrained(pos);
            left == 0 || reason.is_some()
        });
        if left == 0 {
            Ok(())
        } else {
            Err(NotDrained { left, reason })
        }
    }

    /// Elements before `pos` that the consumer has not released, and why it will not any more.
    pub(crate) fn undrained(&mut self, pos: u64) -> (u64, Option<CloseReason>) {
        // The stream is closed on this side, so the words are looked at here rather than by `look`.
        if self.crowd.is_some() {
            self.admit();
            self.attend_crowd();
            return (
                self.unreleased(pos),
                self.is_gone().then_some(CloseReason::PeerGone),
            );
        }
        #[cfg(all(target_os = "linux", not(millstream_loom)))]
        {
            let notice = self.notice().load(Ordering::Acquire);
            if notice != 0 {
                self.heed(notice);
            }
        }
        let Some(ledger) = self.ledgers.first_mut() else {
            return (pos.wrapping_sub(self.vacant), None);
        };
        let control = ledger.control().word.load(Ordering::Acquire);
        let (has_left, gone) = (self.has_left(control), self.is_gone());
        let Some(ledger) = self.ledgers.first_mut() else {
            return (0, None);
        };
        match ledger.refresh_released(pos) {
            Err(corruption) => (u64::MAX, Some(CloseReason::PeerCorrupt(corruption))),
            Ok(released) => {
                let reason = if has_left {
                    Some(self.reason_of_close())
                } else if gone {
                    Some(CloseReason::PeerGone)
                } else {
                    self.dismissed()
                };
                (pos.wrapping_sub(released), reason)
            }
        }
    }

    /// As [`wait`](Self::wait), of a stream that this side has closed.
    fn wait_draining(&mut self, deadline: Instant, mut done: impl FnMut(&mut Self) -> bool) {
        let closed = self.closed.take();
        let _ = self.wait(Some(deadline), &mut done);
        self.closed = closed;
    }
}
