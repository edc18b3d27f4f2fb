//! Whether something makes a stream faster, found out by trying it.
//!
//! Some of what a consumer may do for speed pays or costs by how fast its producer is, which it cannot know. So it does it for a
//! turn now and then, and goes on with it if that turn took less time than those before; and leaves it out for a turn
//! now and then, likewise. The longer one way has been the better one, the less often the other is tried.

#![forbid(unsafe_code)]

use std::time::Instant;

/// Elements of a turn, at least, and looks of one.
const TURN: u64 = 512;
const LOOKS: u64 = 32;
/// The fewest and the most turns from one trial of the other way to the next. With 64 a trial that takes half as long again costs less than a
/// hundredth.
const FEWEST: u32 = 4;
const MOST: u32 = 64;
/// So many turns before a trial are what it is compared with.
const COMPARED: u32 = 2;
/// The other way is to be faster by one part in so many, for no two turns take the same time.
const MARGIN: u64 = 16;

/// Two ways to go on, with something or without, of which the faster is kept to.
#[derive(Debug)]
pub(super) struct Trial {
    /// Whether it is done in this turn, and in those that are no trial.
    is_on: bool,
    is_kept: bool,
    /// Elements of a turn.
    turn: u64,
    began: Option<Began>,
    /// The least that a turn took of those before a trial, in picoseconds for each element.
    usual: u64,
    /// Turns until the other way is tried, and from one trial to the next.
    left: u32,
    gap: u32,
}

/// Where a turn began, and when, if it is to be timed.
#[derive(Clone, Copy, Debug)]
struct Began {
    pos: u64,
    at: Option<Instant>,
}

impl Trial {
    /// Of something that is not done at first; it is asked for each `step` elements or so.
    pub(super) fn new(step: u64) -> Self {
        Self {
            is_on: false,
            is_kept: false,
            turn: TURN.max(LOOKS.saturating_mul(step)),
            began: None,
            usual: u64::MAX,
            left: FEWEST,
            gap: FEWEST,
        }
    }

    /// Whether it is done now, at `pos`; `is_calm` says that nothing but the two ways made a difference since it was asked last. Else the turn
    /// counts for nothing, and a trial is over.
    #[inline]
    pub(super) fn is_on(&mut self, pos: u64, is_calm: bool, now: impl Fn() -> Instant) -> bool {
        match self.began {
            _ if !is_calm => {
                self.began = None;
                self.rest();
            }
            Some(began) if pos.wrapping_sub(began.pos) < self.turn => {}
            began => self.go_on(began, pos, now),
        }
        self.is_on
    }

    /// Goes on to the next turn.
    #[cold]
    fn go_on(&mut self, began: Option<Began>, pos: u64, now: impl Fn() -> Instant) {
        // Most turns are compared with nothing: a clock may take a system call.
        let timed = began.and_then(|began| Some((began.pos, began.at?, now())));
        if let Some((from, at, now)) = timed {
            let time = u64::try_from(now.saturating_duration_since(at).as_nanos()).unwrap_or(u64::MAX);
            self.judge(time.saturating_mul(1000) / pos.wrapping_sub(from).max(1));
        }
        if began.is_some() {
            self.end_turn();
        }
        let is_timed = self.is_trial() || self.left <= COMPARED;
        let at = timed.map(|(_, _, now)| now);
        self.began = Some(Began {
            pos,
            at: is_timed.then(|| at.unwrap_or_else(now)),
        });
    }

    fn is_trial(&self) -> bool {
        self.is_on != self.is_kept
    }

    /// A turn took so much.
    fn judge(&mut self, took: u64) {
        if !self.is_trial() {
            self.usual = self.usual.min(took);
        } else if took < self.usual - self.usual / MARGIN {
            self.is_kept = self.is_on;
            self.gap = FEWEST;
        } else {
            self.gap = (2 * self.gap).min(MOST);
        }
    }

    fn end_turn(&mut self) {
        if self.left == 0 {
            self.rest();
            return;
        }
        self.left -= 1;
        if self.left == 0 {
            self.is_on = !self.is_kept;
        }
    }

    /// Goes on as usual, until the next trial.
    fn rest(&mut self) {
        self.is_on = self.is_kept;
        self.left = self.gap;
        self.usual = u64::MAX;
    }
}
