//! How a note reaches a worker: by the lane from another worker, or by the injector from any other thread.
//!
//! Notes say that an actor is ready, or is to be made. Each actor has at most one on the way, and the order of notes means nothing,
//! so a full lane gives way to the injector. Messages go by a lane of their own, in order.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;

use crossbeam_queue::SegQueue;
use smallbox::SmallBox;

use super::failure::quietly;
use super::lane::{Inbound, Message, Note, Outbound};
use super::poller::Waker;
use super::system_core::SystemCore;
use crate::primitive::Mutex;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::thread;
use crate::ring::parcel::{Sealed, wrap};
use crate::wait::Fence;

/// Where notes for one worker arrive that do not come by a lane, and whether it must be woken.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) injector: SegQueue<Note>,
    /// 1 while the worker sleeps, or is about to.
    pub(super) parked: AtomicU64,
    pub(super) waker: Waker,
    /// 1 when the worker has ended, and takes no notes any more.
    pub(super) ended: AtomicU64,
    /// What a worker that has ended leaves behind: the lanes to it, in the order of those that send by them.
    pub(super) remains: Mutex<Vec<Inbound>>,
}

impl Post {
    pub(super) fn new(waker: Waker) -> Self {
        Self {
            injector: SegQueue::new(),
            parked: AtomicU64::new(0),
            waker,
            ended: AtomicU64::new(0),
            remains: Mutex::new(Vec::new()),
        }
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire) != 0
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
    system: Arc<SystemCore>,
    worker: usize,
    /// Lanes to the workers, by their numbers; none to itself.
    lanes: Vec<Option<Outbound>>,
    /// Actors of this worker that became ready.
    ready: VecDeque<u64>,
}

impl Outgoing {
    pub(super) fn new(system: Arc<SystemCore>, worker: usize, lanes: Vec<Option<Outbound>>) -> Self {
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
                .is_some_and(|outgoing| outgoing.system.id == system)
        })
        .unwrap_or(false)
}

/// Sends a note to worker `to` of the system, whose posts these are. Never blocks.
pub(super) fn send(system: u64, posts: &[Post], fence: Fence, to: usize, note: Note) {
    let Some(post) = posts.get(to) else { return };
    let mut note = Some(note);
    let by_lane = OUTGOING.try_with(|slot| {
        let mut slot = slot.borrow_mut();
        let outgoing = slot.as_mut().filter(|outgoing| outgoing.system.id == system)?;
        if outgoing.worker == to
            && let Some(Note::Run(id)) = note
        {
            outgoing.ready.push_back(id);
            note = None;
            return None;
        }
        let lane = outgoing.lanes.get_mut(to)?.as_mut()?;
        note = lane.note(note.take()?).err();
        note.is_none().then_some(outgoing.worker)
    });
    if let Ok(Some(from)) = by_lane {
        post.wake(fence);
        if post.has_ended() {
            what_came_too_late(post, to, from);
        }
    } else if let Some(note) = note {
        post.injector.push(note);
        post.wake(fence);
    }
}

/// A worker, as one of all systems: a word in the questions that are answered there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home {
    system: u32,
    /// One more than its number.
    worker: NonZeroU32,
}

impl Home {
    /// `None` of a system or a worker whose number is too large, to which answers go another way.
    pub(super) fn of(system: u64, worker: usize) -> Option<Self> {
        let worker = u32::try_from(worker).ok()?.checked_add(1)?;
        Some(Self {
            system: u32::try_from(system).ok()?,
            worker: NonZeroU32::new(worker)?,
        })
    }
}

/// Sends an answer home, by the lane from this worker, or gives it back where there is none. Never blocks.
pub(super) fn bring(home: Home, answer: Sealed) -> Result<(), Sealed> {
    let unpack = |message| match message {
        Message::Answer(answer) => Some(answer),
        Message::Letter(..) => None,
    };
    let worker = home.worker.get() as usize - 1;
    carry(u64::from(home.system), worker, answer, Message::Answer, unpack)
}

/// Sends a message, or an answer that has its place, to an actor of worker `to`, by the lane from this worker, or gives it back where there
/// is none. Never blocks.
#[inline]
pub(super) fn carry_parcel<T: Send + 'static>(system: u64, to: usize, actor: u64, cargo: T) -> Result<(), T> {
    let pack = |cargo| Message::Letter(actor, wrap(cargo));
    carry(system, to, cargo, pack, |message| match message {
        Message::Letter(_, parcel) => parcel.downcast().ok().map(SmallBox::into_inner),
        Message::Answer(_) => None,
    })
}

/// Sends something to worker `to`, by the lane from this worker, packed as a message, or gives it back where there is none, unpacked
/// from one if need be. Never blocks.
#[inline]
fn carry<T>(
    system: u64,
    to: usize,
    cargo: T,
    pack: impl FnOnce(T) -> Message,
    unpack: impl Fn(Message) -> Option<T>,
) -> Result<(), T> {
    let mut cargo = Some(cargo);
    let late = OUTGOING.try_with(|slot| {
        let mut slot = slot.borrow_mut();
        let outgoing = slot.as_mut().filter(|outgoing| outgoing.system.id == system)?;
        let post = outgoing.system.posts.get(to).filter(|post| !post.has_ended())?;
        let lane = outgoing.lanes.get_mut(to)?.as_mut()?;
        lane.carry(pack(cargo.take()?));
        post.wake(outgoing.system.fence);
        // The load of `parked` stands behind the fence, and so does this one: a worker that has not ended yet finds what was
        // put before when it ends (`Worker::abandon`).
        post.has_ended()
            .then(|| (outgoing.system.clone(), outgoing.worker))
    });
    if let Ok(Some((system, from))) = late {
        // What is there was sent just now, and is this message, if the worker did not find it.
        for message in what_came_too_late(&system.posts[to], to, from) {
            cargo = unpack(message);
        }
    }
    cargo.map_or(Ok(()), Err)
}

/// Empties the lane from worker `from` to `to`, which has ended. Notes mean nothing any more.
fn what_came_too_late(post: &Post, to: usize, from: usize) -> Vec<Message> {
    let (notes, messages) = match post.remains.lock() {
        Ok(mut remains) => remains
            .get_mut(from - usize::from(from > to))
            .map(Inbound::empty)
            .unwrap_or_default(),
        Err(_) => return Vec::new(),
    };
    for note in notes {
        quietly(|| drop(note));
    }
    messages
}
