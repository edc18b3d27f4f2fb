//! Pumping: what the one branch does that has the source in its hands.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use super::trunk::{Pump, Trunk};
use crate::stream::{Attended, End, TryNext};
use crate::wait::Selector;

/// A branch that pumps. It gives the source back however its flight ends, also when a clone panics.
pub(super) struct Flight<'a, T> {
    trunk: &'a Trunk<T>,
    pump: Option<Box<Pump<T>>>,
    branch: Pumper<'a, T>,
}

/// What a flight needs of the branch that makes it.
pub(super) struct Pumper<'a, T> {
    pub(super) number: usize,
    /// Where it gets what is its own.
    pub(super) hand: &'a mut VecDeque<T>,
    /// Room for what is lost to branches that do without.
    pub(super) lost: &'a mut Vec<T>,
}

/// What a flight came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flown {
    /// Elements came, or the end.
    News,
    /// Nothing at present.
    Empty,
}

impl<'a, T: Clone + Send> Flight<'a, T> {
    pub(super) fn new(trunk: &'a Trunk<T>, pump: Box<Pump<T>>, branch: Pumper<'a, T>) -> Self {
        Self {
            trunk,
            pump: Some(pump),
            branch,
        }
    }

    /// Pulls what is there now, as much as may be pulled at once, and gives it to all. Does not wait.
    pub(super) fn pull(&mut self) -> Flown {
        self.pull_first(|pump| match pump.source.try_next() {
            TryNext::Item(element) => Attended::Item(element),
            TryNext::Empty => Attended::TimedOut,
            TryNext::End(end) => Attended::Ended(end),
        })
    }

    /// As [`pull`](Self::pull), waiting for the first element.
    pub(super) fn pull_by(&mut self, selector: &mut Selector, deadline: Option<Instant>) -> Flown {
        self.pull_first(|pump| pump.source.attend(selector, deadline, &|| false))
    }

    fn pull_first(&mut self, first: impl FnOnce(&mut Pump<T>) -> Attended<T>) -> Flown {
        let Some(pump) = &mut self.pump else {
            return Flown::Empty;
        };
        if pump.pulled.is_empty() {
            match first(pump) {
                Attended::Item(element) => pump.pulled.push_back(element),
                Attended::Ended(end) => return self.ended(end),
                Attended::TimedOut | Attended::CalledAway => return Flown::Empty,
            }
            if pump.source.may_run_ahead() {
                while pump.pulled.len() < pump.most
                    && let Some(element) = pump.source.take_ready()
                {
                    pump.pulled.push_back(element);
                }
            }
            self.trunk.state().list(pump.pulled.len(), &mut pump.takers);
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

    /// Gives each element to the branches that are to get it, all at once: a clone that panics loses nothing, for the element
    /// stays with the source, and whoever pumps next begins again. The last one gets the element itself.
    fn give_out(&mut self) {
        let Some(pump) = &mut self.pump else { return };
        // Some may be there from a try that failed.
        pump.clones.clear();
        let Some(copies) = pump.takers.len().checked_sub(1) else {
            pump.pulled.clear();
            return;
        };
        let mut whole = 0;
        let Pump { pulled, clones, .. } = &mut **pump;
        let cloned = catch_unwind(AssertUnwindSafe(|| {
            for element in pulled.iter() {
                for _ in 0..copies {
                    clones.push(element.clone());
                }
                whole += 1;
            }
        }));
        if let Err(panic) = cloned {
            if whole == 0 {
                resume_unwind(panic);
            }
            // What comes before it is given first; it has its turn, and its panic, when it is the next.
            clones.truncate(whole * copies);
        }
        self.land(whole);
        // Elements are dropped without the lock.
        self.branch.lost.clear();
    }

    /// Gives so many elements to each, and the source back, and tells everybody.
    fn land(&mut self, whole: usize) {
        let Some(mut pump) = self.pump.take() else { return };
        let Pump {
            pulled,
            clones,
            takers,
            ..
        } = &mut *pump;
        let (last, others) = takers
            .split_last()
            .map_or((0, &[][..]), |(last, some)| (*last, some));
        let lost = &mut *self.branch.lost;
        let mut state = self.trunk.state();
        let mut clones = clones.drain(..);
        for element in pulled.drain(..whole) {
            for (number, clone) in others.iter().zip(&mut clones) {
                lost.extend(state.give(*number, clone));
            }
            lost.extend(state.give(last, element));
        }
        drop(clones);
        state.hand_over(self.branch.number, self.branch.hand);
        state.pump = Some(pump);
        self.trunk.tell(state);
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
