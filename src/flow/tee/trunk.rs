//! What the branches of a tee share: the source, what each has yet to take, and who waits.

use std::collections::VecDeque;
use std::sync::PoisonError;

use crossbeam_utils::CachePadded;

use super::builder::Lossy;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::{Arc, Mutex, MutexGuard};
use crate::stream::{End, SourceRef};
use crate::wait::{Fence, Ring, Selector};

/// What happens when a branch is slower than the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// It holds them back.
    Gate,
    /// It does without.
    Lossy(Lossy),
}

/// What all branches share.
pub(super) struct Trunk<T> {
    state: Mutex<State<T>>,
    /// Counts what a branch that waits may have waited for, so that it need not lock to look.
    news: AtomicU64,
    /// 1 while a branch sleeps until another one takes something.
    wants_room: CachePadded<AtomicU64>,
    fence: Fence,
}

/// How much a branch has taken of what was handed to it. Written by that branch alone.
pub(super) type Taken = Arc<CachePadded<AtomicU64>>;

pub(super) struct State<T> {
    /// The source and what was pulled of it; `None` while a branch pumps, and after the end.
    pub(super) pump: Option<Box<Pump<T>>>,
    pub(super) tails: Vec<Tail<T>>,
    pub(super) end: Option<End>,
    buffer: usize,
}

/// What one branch at a time has: the single flight.
pub(super) struct Pump<T> {
    pub(super) source: SourceRef<T>,
    /// Elements that not all branches have got that are to.
    pub(super) pulled: VecDeque<T>,
    /// How many may be pulled at once.
    pub(super) most: usize,
    /// Room for the clones of what was pulled.
    pub(super) clones: Vec<T>,
    /// Who gets it.
    pub(super) takers: Vec<usize>,
}

/// What a branch has yet to take.
pub(super) struct Tail<T> {
    queue: VecDeque<T>,
    /// Elements handed to it, all of them since the beginning; those that it has not taken are still before it.
    handed: u64,
    taken: Taken,
    policy: Policy,
    pub(super) lost: u64,
    is_gone: bool,
    /// Whether it sleeps, or is about to.
    sleeps: bool,
    ring: Ring,
}

impl<T> Trunk<T> {
    pub(super) fn new<const N: usize>(
        source: SourceRef<T>,
        policies: [Policy; N],
        buffer: usize,
    ) -> (Arc<Self>, [(Selector, Taken); N]) {
        let stands: [(Selector, Taken); N] = std::array::from_fn(|_| (Selector::new(), Taken::default()));
        let tails = policies
            .iter()
            .zip(&stands)
            .map(|(policy, (selector, taken))| Tail {
                queue: VecDeque::new(),
                handed: 0,
                taken: taken.clone(),
                policy: *policy,
                lost: 0,
                is_gone: false,
                sleeps: false,
                ring: selector.ring(),
            });
        let state = State {
            pump: Some(Box::new(Pump {
                source,
                pulled: VecDeque::new(),
                most: 0,
                clones: Vec::new(),
                takers: Vec::new(),
            })),
            tails: tails.collect(),
            end: None,
            buffer,
        };
        let trunk = Self {
            state: Mutex::new(state),
            news: AtomicU64::new(0),
            wants_room: CachePadded::new(AtomicU64::new(0)),
            fence: Fence::within_process(),
        };
        (Arc::new(trunk), stands)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<T>> {
        // No foreign code runs under the lock: clones are made, and elements dropped, outside.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn news(&self) -> u64 {
        // Relaxed: what was told is looked at under the lock.
        self.news.load(Ordering::Relaxed)
    }

    /// Tells the branches that wait that there is something to look at.
    pub(super) fn tell(&self, mut state: MutexGuard<'_, State<T>>) {
        self.news.fetch_add(1, Ordering::Relaxed);
        // All that sleep are woken, those that sleep until there is room too.
        self.wants_room.store(0, Ordering::Relaxed);
        let mut sleepers = Vec::new();
        for tail in &mut state.tails {
            if std::mem::take(&mut tail.sleeps) {
                sleepers.push(tail.ring.clone());
            }
        }
        drop(state);
        sleepers.iter().for_each(Ring::ring);
    }

    /// Notes that a branch has taken one more of what was handed to it, `all` in all, and tells who sleeps until it does.
    #[inline]
    pub(super) fn note(&self, taken: &Taken, all: u64) {
        // Relaxed: a number by which room is reckoned; what was taken belongs to the branch, and none of it is read by others.
        taken.store(all, Ordering::Relaxed);
        // Between the two; pairs with the heavy side in `lie_down`.
        self.fence.light();
        if self.wants_room.load(Ordering::Relaxed) != 0 {
            self.tell(self.state());
        }
    }

    /// Says that a branch is about to sleep. Whether there is something for it to do already.
    pub(super) fn lie_down(&self, number: usize) -> bool {
        let mut state = self.state();
        if let Some(tail) = state.tails.get_mut(number) {
            tail.sleeps = true;
        }
        if state.held_up_by().is_some() {
            self.wants_room.store(1, Ordering::Relaxed);
            drop(state);
            self.fence.heavy();
            state = self.state();
        }
        state.is_stirring(number)
    }
}

impl<T> Tail<T> {
    /// Whether it holds the others back.
    fn gates(&self) -> bool {
        !self.is_gone && self.policy == Policy::Gate
    }

    /// Elements before the branch.
    fn waiting(&self) -> usize {
        self.without(self.taken.load(Ordering::Relaxed))
    }

    /// Elements before the branch when it has taken so many of those that were handed to it.
    fn without(&self, taken: u64) -> usize {
        // No more than the buffer.
        self.queue.len() + self.handed.wrapping_sub(taken) as usize
    }
}

impl<T> State<T> {
    /// How many elements may be pulled at once: no more than every branch has room for, for what is pulled before anybody
    /// looks for it is not to make a branch do without what it would have had in time.
    pub(super) fn room(&self) -> usize {
        let there = self.tails.iter().filter(|tail| !tail.is_gone);
        let free = there.map(|tail| {
            let free = self.buffer.saturating_sub(tail.waiting());
            if tail.gates() { free } else { free.max(1) }
        });
        free.min().unwrap_or(0)
    }

    /// Gives the source to a branch that has nothing, if nobody else has it and there is room: an element that was pulled
    /// has had its room before.
    pub(super) fn take_pump(&mut self) -> Option<Box<Pump<T>>> {
        let most = self.room();
        let mut pump = self.pump.take_if(|pump| most > 0 || !pump.pulled.is_empty())?;
        pump.most = most;
        Some(pump)
    }

    /// A branch that has to take before anybody may pump, and how much it had taken when that was found out.
    pub(super) fn held_up_by(&self) -> Option<(Taken, u64)> {
        self.pump.as_ref().filter(|pump| pump.pulled.is_empty())?;
        let mut gates = self.tails.iter().filter(|tail| tail.gates());
        gates.find_map(|tail| {
            // One look for both, so that whoever waits for another number misses nothing.
            let taken = tail.taken.load(Ordering::Relaxed);
            (tail.without(taken) >= self.buffer).then(|| (tail.taken.clone(), taken))
        })
    }

    /// Whether there is something for a branch to do.
    pub(super) fn is_stirring(&self, number: usize) -> bool {
        let has_one = |tail: &Tail<T>| !tail.queue.is_empty();
        let may_pump = |pump: &Pump<T>| !pump.pulled.is_empty() || self.room() > 0;
        self.end.is_some()
            || self.tails.get(number).is_some_and(has_one)
            || self.pump.as_deref().is_some_and(may_pump)
    }

    /// The next element of a branch that does without: of its elements the oldest may yet be lost.
    pub(super) fn next(&mut self, number: usize) -> Option<T> {
        let tail = self.tails.get_mut(number)?;
        let gates = tail.policy == Policy::Gate;
        if gates { None } else { tail.queue.pop_front() }
    }

    /// Hands a branch that gates, and has nothing in hand, all that it has, to be taken without the lock.
    pub(super) fn hand_over(&mut self, number: usize, hand: &mut VecDeque<T>) {
        if let Some(tail) = self.tails.get_mut(number)
            && tail.policy == Policy::Gate
            && hand.is_empty()
        {
            std::mem::swap(&mut tail.queue, hand);
            tail.handed = tail.handed.wrapping_add(hand.len() as u64);
        }
    }

    /// Lists the branches that get what was pulled, so many elements. Of the others it is lost to those that are there.
    pub(super) fn list(&mut self, pulled: usize, takers: &mut Vec<usize>) {
        takers.clear();
        for (number, tail) in self.tails.iter_mut().enumerate() {
            if tail.is_gone {
                continue;
            }
            if tail.policy == Policy::Lossy(Lossy::Newest) && tail.queue.len() >= self.buffer {
                tail.lost += pulled as u64;
            } else {
                takers.push(number);
            }
        }
    }

    /// Strikes those off the list that have gone meanwhile.
    pub(super) fn strike(&self, takers: &mut Vec<usize>) {
        takers.retain(|number| self.tails.get(*number).is_some_and(|tail| !tail.is_gone));
    }

    /// Gives an element to a branch. Returns what it does without, to be dropped outside of the lock.
    pub(super) fn give(&mut self, number: usize, element: T) -> Option<T> {
        let buffer = self.buffer;
        let Some(tail) = self.tails.get_mut(number).filter(|tail| !tail.is_gone) else {
            return Some(element);
        };
        let oldest = if tail.policy != Policy::Gate && tail.queue.len() >= buffer {
            tail.lost += 1;
            tail.queue.pop_front()
        } else {
            None
        };
        tail.queue.push_back(element);
        oldest
    }

    /// Lets a branch go. Gives what it leaves, and the source if it was the last.
    pub(super) fn leave(&mut self, number: usize) -> (VecDeque<T>, Option<Box<Pump<T>>>) {
        let mut left = VecDeque::new();
        if let Some(tail) = self.tails.get_mut(number) {
            tail.is_gone = true;
            left = std::mem::take(&mut tail.queue);
        }
        let is_last = self.tails.iter().all(|tail| tail.is_gone);
        (left, if is_last { self.pump.take() } else { None })
    }
}
