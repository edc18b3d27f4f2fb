//! How a consumer waits: as its strategy says, and no longer than its idle timeout.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::consumer::{Vacancy, Waited};
use super::earlier;
use crate::wait::{LOOKS_OF_A_PAUSE, Turn, Turns, WaitStrategy};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    strategy: WaitStrategy,
    idle: Option<Duration>,
    /// Time spent waiting at a position without getting anything, in waits that ran into their deadlines.
    idled: (u64, Duration),
    /// Looks that found nothing, in waits and out of them.
    looks: u64,
}

/// What is waited at: one ring, or all the lanes of a source.
pub(crate) trait Lookout {
    /// Whether the words that carry the next element have changed: looked at every turn, everything else now and then.
    fn stirs(&self) -> bool;
    /// Asks for what it [expects](crate::ring::Expected), every turn.
    fn ask_for_expected(&self) {}
    /// Looks at everything.
    fn look(&mut self) -> Vacancy;
    /// Sleeps, unless a last look finds something.
    fn park(&mut self, left: Option<Duration>);
    /// The idle timeout is over.
    fn give_up(&mut self);
}

impl Patience {
    pub(crate) fn new(strategy: WaitStrategy, idle: Option<Duration>) -> Self {
        Self {
            strategy,
            idle,
            idled: (0, Duration::ZERO),
            looks: 0,
        }
    }

    /// Looks that found nothing, in waits and out of them.
    pub(crate) fn looks(&self) -> u64 {
        self.looks
    }

    /// Counts a look of who does not wait.
    pub(crate) fn count_look(&mut self) {
        self.count_looks(1);
    }

    /// Whether this look of who does not wait is one at which to ask for what is [expected](crate::ring::Expected), as who waits does after
    /// each pause: often enough that it is early, and too seldom to matter to who finds something soon.
    pub(crate) fn is_eighth_look(&self) -> bool {
        self.looks.is_multiple_of(LOOKS_OF_A_PAUSE)
    }

    /// Counts looks of who waited elsewhere.
    pub(crate) fn count_looks(&mut self, looks: u64) {
        self.looks = self.looks.wrapping_add(looks);
    }

    /// Waits at position `pos` until something is there, the stream ends, the deadline passes or the idle timeout ends it.
    #[inline]
    pub(crate) fn wait(&mut self, pos: u64, deadline: Option<Instant>, at: &mut impl Lookout) -> Waited {
        let mut turns = Turns::new(self.strategy);
        let waited = self.wait_by(&mut turns, pos, deadline, at);
        self.looks = self.looks.wrapping_add(turns.looks());
        waited
    }

    #[inline(always)]
    fn wait_by(
        &mut self,
        turns: &mut Turns,
        pos: u64,
        deadline: Option<Instant>,
        at: &mut impl Lookout,
    ) -> Waited {
        if self.idled.0 != pos {
            self.idled = (pos, Duration::ZERO);
        }
        let mut began = None;
        match at.look() {
            Vacancy::Appeared => return Waited::Ready,
            Vacancy::Ended => return Waited::Ended,
            Vacancy::Empty => {}
        }
        loop {
            if at.stirs() {
                match at.look() {
                    Vacancy::Appeared => return Waited::Ready,
                    Vacancy::Ended => return Waited::Ended,
                    Vacancy::Empty => {}
                }
            }
            at.ask_for_expected();
            let mut left = None;
            if turns.is_round() {
                match at.look() {
                    Vacancy::Appeared => return Waited::Ready,
                    Vacancy::Ended => return Waited::Ended,
                    Vacancy::Empty => {}
                }
                if deadline.is_some() || self.idle.is_some() {
                    let now = Instant::now();
                    // Idle time counts from here: from when the reader waits. What it has waited before in vain counts too.
                    let began = *began.get_or_insert(now);
                    let left_idle = self.idle.map(|idle| idle.saturating_sub(self.idled.1));
                    let idle_end = left_idle.and_then(|left| began.checked_add(left));
                    if deadline.is_some_and(|deadline| now >= deadline) {
                        self.idled.1 += now - began;
                        return Waited::TimedOut;
                    }
                    if idle_end.is_some_and(|end| now >= end) {
                        at.give_up();
                        return Waited::Ended;
                    }
                    left = earlier(deadline, idle_end).map(|end| end.saturating_duration_since(now));
                }
            }
            if turns.turn() == Turn::Park {
                at.park(left);
            }
        }
    }
}
