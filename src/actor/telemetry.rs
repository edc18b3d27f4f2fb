//! What is known of a worker from outside.

use std::fmt;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::path::ActorPath;
use crate::primitive::Mutex;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::time::now;

/// How long turn times may be kept from readers.
const PUBLISHED_EACH: Duration = Duration::from_millis(10);
/// The longest turn told apart from longer ones, in nanoseconds: an hour.
const LONGEST_TURN: u64 = 3_600_000_000_000;

/// The words that a worker writes, and everybody may read.
#[derive(Debug)]
pub(super) struct Telemetry {
    /// Where it runs: one more than the core's number; 0 when it is not pinned.
    pub(super) core: AtomicU64,
    turns: AtomicU64,
    messages: AtomicU64,
    pub(super) actors: AtomicU64,
    parks: AtomicU64,
    /// The number of the actor that runs; 0 for none.
    pub(super) at: AtomicU64,
    /// When the turn began: nanoseconds after `epoch`.
    turn_began: AtomicU64,
    epoch: Instant,
    turn_times: Mutex<Option<Histogram<u64>>>,
}

fn histogram() -> Option<Histogram<u64>> {
    Histogram::new_with_max(LONGEST_TURN, 2).ok()
}

impl Telemetry {
    pub(super) fn new() -> Self {
        Self {
            core: AtomicU64::new(0),
            turns: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            actors: AtomicU64::new(0),
            parks: AtomicU64::new(0),
            at: AtomicU64::new(0),
            turn_began: AtomicU64::new(0),
            epoch: now(),
            turn_times: Mutex::new(histogram()),
        }
    }

    pub(super) fn turn_begins(&self, now: Instant) {
        self.turn_began.store(self.nanoseconds(now), Ordering::Relaxed);
    }

    fn nanoseconds(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }

    /// `path` finds the path of an actor by its number.
    pub(super) fn report(&self, worker: usize, path: impl Fn(u64) -> Option<ActorPath>) -> WorkerReport {
        let core = self.core.load(Ordering::Relaxed);
        let since = self.turn_began.load(Ordering::Relaxed);
        let turn = Duration::from_nanos(self.nanoseconds(now()).saturating_sub(since));
        WorkerReport {
            worker,
            core: core.checked_sub(1).and_then(|core| usize::try_from(core).ok()),
            turns: self.turns.load(Ordering::Relaxed),
            messages: self.messages.load(Ordering::Relaxed),
            actors: self.actors.load(Ordering::Relaxed),
            parks: self.parks.load(Ordering::Relaxed),
            at: match self.at.load(Ordering::Relaxed) {
                0 => None,
                actor => path(actor).map(|path| (path, turn)),
            },
            turn_times: self.turn_times.lock().ok().and_then(|times| times.clone()),
        }
    }
}

/// A worker's own figures, which it publishes now and then.
#[derive(Debug)]
pub(super) struct Tally {
    turn_times: Option<Histogram<u64>>,
    turns: u64,
    messages: u64,
    published: Instant,
    is_fresh: bool,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            turn_times: histogram(),
            turns: 0,
            messages: 0,
            published: now(),
            is_fresh: false,
        }
    }

    pub(super) fn turn(&mut self, took: Duration, messages: u64) {
        self.turns += 1;
        self.messages += messages;
        self.is_fresh = true;
        if let Some(times) = &mut self.turn_times {
            times.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// Publishes what is new if that was long ago.
    pub(super) fn publish_now_and_then(&mut self, to: &Telemetry, now: Instant) {
        if self.is_fresh && now.saturating_duration_since(self.published) >= PUBLISHED_EACH {
            self.publish(to, now);
        }
    }

    pub(super) fn publish(&mut self, to: &Telemetry, now: Instant) {
        if !self.is_fresh {
            return;
        }
        self.published = now;
        to.turns.store(self.turns, Ordering::Relaxed);
        to.messages.store(self.messages, Ordering::Relaxed);
        if let (Ok(mut all), Some(own)) = (to.turn_times.lock(), &mut self.turn_times) {
            if let Some(all) = &mut *all {
                // The same range, so nothing is out of it.
                let _ = all.add(&*own);
            }
            own.reset();
        }
        self.is_fresh = false;
    }

    pub(super) fn parked(&self, to: &Telemetry) {
        to.parks.fetch_add(1, Ordering::Relaxed);
    }
}

/// How a worker stands: see [`SystemRef::workers`](crate::SystemRef::workers). Counts are those of at most some 10 ms ago.
#[derive(Clone)]
#[non_exhaustive]
pub struct WorkerReport {
    /// Its number, from 0 on.
    pub worker: usize,
    /// The core to which it is pinned.
    pub core: Option<usize>,
    /// Turns in which there was something to do.
    pub turns: u64,
    /// Messages handled.
    pub messages: u64,
    /// Actors that it owns.
    pub actors: u64,
    /// How often it went to sleep.
    pub parks: u64,
    /// The actor that it runs now, and how long ago the turn began: who holds the others up.
    pub at: Option<(ActorPath, Duration)>,
    turn_times: Option<Histogram<u64>>,
}

impl WorkerReport {
    /// How long the turns took in which there was something to do, in nanoseconds, to two digits. `None` if there was no
    /// memory for it.
    ///
    /// ```
    /// let system = millstream::ActorSystem::builder("prices").build()?;
    /// for worker in system.workers() {
    ///     let times = worker.turn_times().unwrap();
    ///     println!("worker {}: p99 {} ns", worker.worker, times.value_at_quantile(0.99));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn turn_times(&self) -> Option<&Histogram<u64>> {
        self.turn_times.as_ref()
    }
}

impl fmt::Debug for WorkerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerReport")
            .field("worker", &self.worker)
            .field("core", &self.core)
            .field("turns", &self.turns)
            .field("messages", &self.messages)
            .field("actors", &self.actors)
            .field("parks", &self.parks)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
