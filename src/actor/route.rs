//! How a note reaches a worker: by the lane from another worker, or by the injector from any other thread.
//!
//! Notes say that an actor is ready, or is to be made; messages themselves wait in the mailboxes. Each actor has at most one
//! note on the way, and the order of notes means nothing, so a full lane gives way to the injector.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;

use crossbeam_queue::SegQueue;

use super::failure::quietly;
use super::poller::Waker;
use super::worker::Worker;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::thread;
use crate::wait::Fence;

/// Notes that fit into the lane between two workers. A few hundred ready actors; more go by the injector.
pub(super) const LANE: usize = 1024;

/// What a worker is told.
pub(super) enum Note {
    /// The actor of this number is ready.
    Run(u64),
    /// An actor is to be made here.
    Make(Box<dyn FnOnce(&mut Worker) + Send>),
    /// No actor is left: the worker is to end.
    End,
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(id) => write!(f, "Run({id})"),
            Self::Make(_) => f.write_str("Make"),
            Self::End => f.write_str("End"),
        }
    }
}

/// Where notes for one worker arrive that do not come by a lane, and whether it must be woken.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) injector: SegQueue<Note>,
    /// 1 while the worker sleeps, or is about to.
    pub(super) parked: AtomicU64,
    pub(super) waker: Waker,
    /// 1 when the worker has ended, and takes no notes any more.
    pub(super) ended: AtomicU64,
}

impl Post {
    pub(super) fn new(waker: Waker) -> Self {
        Self {
            injector: SegQueue::new(),
            parked: AtomicU64::new(0),
            waker,
            ended: AtomicU64::new(0),
        }
    }

    /// Wakes the worker if it sleeps, after something was put where it looks.
    fn wake(&self, fence: Fence) {
        // A worker that parks after this load sees what was put before: it issues the heavy side of the fence between its
        // store of `parked` and its last look (`Worker::park`).
        fence.light();
        if self.parked.load(Ordering::Relaxed) != 0 && self.parked.swap(0, Ordering::AcqRel) != 0 {
            self.waker.wake();
        }
    }
}

/// What a worker's thread sends notes by.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Which system this is a worker of.
    system: u64,
    worker: usize,
    /// Lanes to the workers, by their numbers; none to itself.
    lanes: Vec<Option<rtrb::Producer<Note>>>,
    /// Actors of this worker that became ready.
    ready: VecDeque<u64>,
}

impl Outgoing {
    pub(super) fn new(system: u64, worker: usize, lanes: Vec<Option<rtrb::Producer<Note>>>) -> Self {
        Self {
            system,
            worker,
            lanes,
            ready: VecDeque::new(),
        }
    }
}

thread::local! {
    /// Set on a worker's thread, as long as it runs.
    static OUTGOING: RefCell<Option<Outgoing>> = const { RefCell::new(None) };
}

/// Makes this thread a worker's, or lets it be one no more.
pub(super) fn set_outgoing(outgoing: Option<Outgoing>) {
    let before = OUTGOING.with(|slot| slot.replace(outgoing));
    // With the lanes go the notes that nobody takes any more, and values of the user's with these, which may send others.
    quietly(|| drop(before));
}

/// The next of this worker's own actors that is ready.
pub(super) fn pop_ready() -> Option<u64> {
    OUTGOING.with(|slot| slot.borrow_mut().as_mut()?.ready.pop_front())
}

/// One of this worker's own actors became ready.
pub(super) fn push_ready(actor: u64) {
    OUTGOING.with(|slot| {
        if let Some(outgoing) = &mut *slot.borrow_mut() {
            outgoing.ready.push_back(actor);
        }
    });
}

/// How many of this worker's own actors are ready.
pub(super) fn ready() -> usize {
    OUTGOING.with(|slot| slot.borrow().as_ref().map_or(0, |outgoing| outgoing.ready.len()))
}

/// Whether this thread is a worker of the system.
pub(super) fn is_worker_of(system: u64) -> bool {
    // Also while the thread ends, when there are no thread-locals any more.
    OUTGOING
        .try_with(|slot| {
            slot.borrow()
                .as_ref()
                .is_some_and(|outgoing| outgoing.system == system)
        })
        .unwrap_or(false)
}

/// Sends a note to worker `to` of the system, whose posts these are. Never blocks.
pub(super) fn send(system: u64, posts: &[Post], fence: Fence, to: usize, note: Note) {
    let Some(post) = posts.get(to) else { return };
    let mut note = Some(note);
    let by_lane = OUTGOING.try_with(|slot| {
        let mut slot = slot.borrow_mut();
        let Some(outgoing) = slot.as_mut().filter(|outgoing| outgoing.system == system) else {
            return false;
        };
        if outgoing.worker == to
            && let Some(Note::Run(id)) = note
        {
            outgoing.ready.push_back(id);
            note = None;
            return true;
        }
        let Some(lane) = outgoing.lanes.get_mut(to).and_then(Option::as_mut) else {
            return false;
        };
        let Some(sent) = note.take() else { return true };
        match lane.push(sent) {
            Ok(()) => post.wake(fence),
            Err(rtrb::PushError::Full(back)) => note = Some(back),
        }
        note.is_none()
    });
    if matches!(by_lane, Ok(true)) {
        return;
    }
    if let Some(note) = note {
        post.injector.push(note);
        post.wake(fence);
    }
}
