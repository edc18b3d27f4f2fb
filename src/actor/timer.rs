//! Timers of a worker.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A timer that is set: when, and a number that tells those of one moment apart.
pub(super) type TimerKey = (Instant, u64);

/// What is due.
pub(super) enum Due {
    /// The timer of this number of this actor.
    Actor { actor: u64, timer: u64 },
    /// A call.
    Call(Box<dyn FnOnce() + Send>),
}

/// What is to happen when, on one worker.
#[derive(Default)]
pub(super) struct Timers {
    due: BTreeMap<TimerKey, Due>,
    set: u64,
}

impl Timers {
    pub(super) fn set(&mut self, at: Instant, what: Due) -> TimerKey {
        self.set += 1;
        let key = (at, self.set);
        self.due.insert(key, what);
        key
    }

    pub(super) fn cancel(&mut self, key: TimerKey) {
        self.due.remove(&key);
    }

    /// When the first one is due.
    pub(super) fn first(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// The first one, if it is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Due> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// When a timer that is due each `interval` is due next: ticks that were missed are not made up for.
pub(super) fn next_tick(at: Instant, interval: Duration, now: Instant) -> Option<Instant> {
    let next = at.checked_add(interval)?;
    if next > now {
        Some(next)
    } else {
        now.checked_add(interval)
    }
}
