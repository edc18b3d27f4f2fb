//! What all of a system share: its posts, registry, events and counts.

use std::time::Instant;

use super::event::Events;
use super::lane::Note;
use super::registry::Registry;
use super::route::{self, Post};
use super::service::Services;
use super::telemetry::Telemetry;
use super::timer::Reminder;
use super::workers::Downgrade;
use crate::primitive::Mutex;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::wait::Fence;

/// A number that nothing else in the process has, from 1 on: an actor of one system may watch one of another, and references of
/// both may meet in one table.
pub(super) fn number() -> u64 {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    // Only their distinctness matters.
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

/// What all of a system share.
#[derive(Debug)]
pub(super) struct SystemCore {
    /// Tells the systems of a process apart.
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) posts: Vec<Post>,
    pub(super) telemetry: Vec<Telemetry>,
    pub(super) fence: Fence,
    pub(super) events: Events,
    pub(super) registry: Registry,
    pub(super) services: Services,
    /// Tasks that run on threads of their own.
    pub(super) tasks: AtomicU64,
    dropped: AtomicU64,
    placed: AtomicU64,
    pub(super) downgrades: Mutex<Vec<Downgrade>>,
}

impl SystemCore {
    pub(super) fn new(name: String, posts: Vec<Post>) -> Self {
        Self {
            id: number(),
            name,
            telemetry: posts.iter().map(|_| Telemetry::new()).collect(),
            posts,
            fence: Fence::within_process(),
            events: Events::default(),
            registry: Registry::default(),
            services: Services::default(),
            tasks: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            placed: AtomicU64::new(0),
            downgrades: Mutex::new(Vec::new()),
        }
    }

    /// The worker for the next actor that nobody places: each in turn.
    pub(super) fn place(&self) -> usize {
        // The remainder is below the number of workers.
        (self.placed.fetch_add(1, Ordering::Relaxed) % self.posts.len() as u64) as usize
    }

    pub(super) fn send(&self, worker: usize, note: Note) {
        route::send(self.id, &self.posts, self.fence, worker, note);
    }

    /// Has somebody reminded by a worker.
    pub(super) fn remind(&self, worker: usize, at: Instant, reminder: Box<dyn Reminder>) {
        if self.posts[worker].ended.load(Ordering::Acquire) != 0 {
            return reminder.give_up();
        }
        let remind = move |worker: &mut super::worker::Worker| worker.timers.remind(at, reminder);
        self.send(worker, Note::Make(Box::new(remind)));
    }

    pub(super) fn count_drop(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn set_downgrades(&self, downgrades: Vec<Downgrade>) {
        if let Ok(mut slot) = self.downgrades.lock() {
            *slot = downgrades;
        }
    }
}
