//! What the branches of a tee share: the source, what each has yet to take, and who waits.

use std::collections::VecDeque;
use std::sync::PoisonError;

use super::builder::Lossy;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::{Arc, Mutex, MutexGuard};
use crate::stream::{End, SourceRef};
use crate::wait::{Ring, Selector};

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
}

pub(super) struct State<T> {
    /// The source and what was pulled of it; `None` while a branch pumps, and after the end.
    pub(super) pump: Option<Pump<T>>,
    pub(super) tails: Vec<Tail<T>>,
    pub(super) end: Option<End>,
    buffer: usize,
}

/// What one branch at a time has: the single flight.
pub(super) struct Pump<T> {
    pub(super) source: SourceRef<T>,
    /// An element that not all branches have got that are to.
    pub(super) pulled: Option<T>,
    /// Room for the clones of one element, and for what is lost to it.
    pub(super) clones: Vec<T>,
    pub(super) takers: Vec<usize>,
}

/// What a branch has yet to take.
pub(super) struct Tail<T> {
    pub(super) queue: VecDeque<T>,
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
    ) -> (Arc<Self>, [Selector; N]) {
        let selectors: [Selector; N] = std::array::from_fn(|_| Selector::new());
        let tails = policies.iter().zip(&selectors).map(|(policy, selector)| Tail {
            queue: VecDeque::new(),
            policy: *policy,
            lost: 0,
            is_gone: false,
            sleeps: false,
            ring: selector.ring(),
        });
        let state = State {
            pump: Some(Pump {
                source,
                pulled: None,
                clones: Vec::new(),
                takers: Vec::new(),
            }),
            tails: tails.collect(),
            end: None,
            buffer,
        };
        let trunk = Self {
            state: Mutex::new(state),
            news: AtomicU64::new(0),
        };
        (Arc::new(trunk), selectors)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<T>> {
        // No foreign code runs under the lock: clones are made, and elements dropped, outside.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn news(&self) -> u64 {
        // Acquire: whoever sees a number sees what was told by it.
        self.news.load(Ordering::Acquire)
    }

    /// Tells the branches that wait that there is something to look at.
    pub(super) fn tell(&self, mut state: MutexGuard<'_, State<T>>) {
        // Pairs with the Acquire in `news`.
        self.news.fetch_add(1, Ordering::Release);
        let mut sleepers = Vec::new();
        for tail in &mut state.tails {
            if std::mem::take(&mut tail.sleeps) {
                sleepers.push(tail.ring.clone());
            }
        }
        drop(state);
        sleepers.iter().for_each(Ring::ring);
    }
}

impl<T> State<T> {
    /// Whether the branches that gate have room for an element more.
    fn has_room(&self) -> bool {
        let gates = |tail: &Tail<T>| !tail.is_gone && tail.policy == Policy::Gate;
        self.tails
            .iter()
            .all(|tail| !gates(tail) || tail.queue.len() < self.buffer)
    }

    /// Whether a branch that has nothing may pump now, if nobody does: an element that was pulled has had its room before.
    pub(super) fn may_pump(&self) -> bool {
        self.pump
            .as_ref()
            .is_some_and(|pump| pump.pulled.is_some() || self.has_room())
    }

    /// Whether there is something for a branch to do.
    pub(super) fn is_stirring(&self, number: usize) -> bool {
        let has_one = |tail: &Tail<T>| !tail.queue.is_empty();
        self.end.is_some() || self.tails.get(number).is_some_and(has_one) || self.may_pump()
    }

    /// Whether taking an element from this branch let the others go on.
    pub(super) fn gave_room(&self, number: usize) -> bool {
        self.tails
            .get(number)
            .is_some_and(|tail| tail.policy == Policy::Gate && tail.queue.len() + 1 == self.buffer)
    }

    /// Lists the branches that get the next element. Of the others it is lost to those that are there.
    pub(super) fn list(&mut self, takers: &mut Vec<usize>) {
        takers.clear();
        for (number, tail) in self.tails.iter_mut().enumerate() {
            if tail.is_gone {
                continue;
            }
            if tail.policy == Policy::Lossy(Lossy::Newest) && tail.queue.len() >= self.buffer {
                tail.lost += 1;
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

    /// Says that a branch is about to sleep.
    pub(super) fn set_sleeping(&mut self, number: usize) {
        if let Some(tail) = self.tails.get_mut(number) {
            tail.sleeps = true;
        }
    }

    /// Lets a branch go. Gives what it leaves, and the source if it was the last.
    pub(super) fn leave(&mut self, number: usize) -> (VecDeque<T>, Option<Pump<T>>) {
        let mut left = VecDeque::new();
        if let Some(tail) = self.tails.get_mut(number) {
            tail.is_gone = true;
            left = std::mem::take(&mut tail.queue);
        }
        let is_last = self.tails.iter().all(|tail| tail.is_gone);
        (left, if is_last { self.pump.take() } else { None })
    }
}
