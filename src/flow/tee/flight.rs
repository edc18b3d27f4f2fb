//! Pumping: what the one branch does that has the source in its hands.

use std::time::Instant;

use super::trunk::{Pump, Trunk};
use crate::stream::{Attended, End, TryNext};
use crate::wait::Selector;

/// A branch that pumps. It gives the source back however its flight ends, also when a clone panics.
pub(super) struct Flight<'a, T> {
    trunk: &'a Trunk<T>,
    pump: Option<Pump<T>>,
}

/// What a flight came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flown {
    /// An element came, or the end.
    News,
    /// Nothing at present.
    Empty,
}

impl<'a, T: Clone + Send> Flight<'a, T> {
    pub(super) fn new(trunk: &'a Trunk<T>, pump: Pump<T>) -> Self {
        Self {
            trunk,
            pump: Some(pump),
        }
    }

    /// Pulls one element, if there is one now, and gives it to all. Does not wait.
    pub(super) fn pull(&mut self) -> Flown {
        let Some(pump) = &mut self.pump else {
            return Flown::Empty;
        };
        if pump.pulled.is_none() {
            match pump.source.try_next() {
                TryNext::Item(element) => {
                    self.trunk.state().list(&mut pump.takers);
                    pump.pulled = Some(element);
                }
                TryNext::Empty => return Flown::Empty,
                TryNext::End(end) => return self.ended(end),
            }
        } else {
            self.trunk.state().strike(&mut pump.takers);
        }
        self.give_out();
        Flown::News
    }

    /// Pulls one element, waiting for it, and gives it to all.
    pub(super) fn pull_by(&mut self, selector: &mut Selector, deadline: Option<Instant>) -> Flown {
        let Some(pump) = &mut self.pump else {
            return Flown::Empty;
        };
        if pump.pulled.is_none() {
            match pump.source.attend(selector, deadline, &|| false) {
                Attended::Item(element) => {
                    self.trunk.state().list(&mut pump.takers);
                    pump.pulled = Some(element);
                }
                Attended::Ended(end) => return self.ended(end),
                Attended::TimedOut | Attended::CalledAway => return Flown::Empty,
            }
        } else {
            self.trunk.state().strike(&mut pump.takers);
        }
        self.give_out();
        Flown::News
    }

    fn ended(&mut self, end: End) -> Flown {
        // Nothing more is to be had of it.
        let pump = self.pump.take();
        let mut state = self.trunk.state();
        state.end = Some(end);
        self.trunk.tell(state);
        drop(pump);
        Flown::News
    }

    /// Gives the element to the branches that are to get it, all at once: a clone that panics loses nothing, for the element
    /// stays with the source, and whoever pumps next begins again. The last one gets the element itself.
    fn give_out(&mut self) {
        let Some(pump) = &mut self.pump else { return };
        // Some may be there from a try that failed.
        pump.clones.clear();
        if pump.takers.is_empty() {
            pump.pulled = None;
        }
        let Some(element) = &pump.pulled else { return };
        for _ in 1..pump.takers.len() {
            pump.clones.push(element.clone());
        }
        pump.clones.extend(pump.pulled.take());
        let mut lost = Vec::new();
        let mut state = self.trunk.state();
        for (number, element) in pump.takers.iter().zip(pump.clones.drain(..)) {
            lost.extend(state.give(*number, element));
        }
        self.trunk.tell(state);
        // Elements are dropped without the lock.
        drop(lost);
    }
}

impl<T> Drop for Flight<'_, T> {
    fn drop(&mut self) {
        let Some(pump) = self.pump.take() else { return };
        let mut state = self.trunk.state();
        state.pump = Some(pump);
        // Another one that waits is to pump now.
        self.trunk.tell(state);
    }
}
