//! The orders by a number that each element carries: by arrival, and by key.

#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::time::{Duration, Instant};

use super::Key;
use super::rotation::LOOK;
use crate::flow::inputs::{Inputs, Taken};

/// How long an input that has nothing holds the others back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lag {
    /// Not at all: what is there is given.
    None,
    /// As long as this, from when it was found to.
    AtMost(Duration),
    /// Until it brings something, or ends.
    Endless,
}

/// The smallest key first.
pub(super) struct Sorted<T> {
    key: Key<T>,
    lag: Lag,
    /// The keys of the elements that are held back, and whose they are; of equal ones, the earlier input's first.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    /// Whether the first of them was given: its input's next one takes its place, for less than leaving and coming again.
    vacated: bool,
    places: Vec<Place<T>>,
    /// Inputs that have not ended and of which nothing is held back.
    wanting: Vec<usize>,
    polls: u32,
    /// The largest key that was given.
    given: Option<u64>,
    late: u64,
    /// When the first of those that hold the others back no longer does.
    due: Option<Instant>,
}

/// What is known of an input.
struct Place<T> {
    head: Option<T>,
    /// The largest key that it has brought: it is to bring no smaller one.
    watermark: Option<u64>,
    /// Since when it holds the others back.
    silent: Option<Instant>,
    /// Whether it was silent for too long, and so holds nobody back until it brings something.
    idle: bool,
}

impl<T> Place<T> {
    #[inline]
    fn fill(&mut self, head: T, key: u64) {
        self.head = Some(head);
        self.watermark = self.watermark.max(Some(key));
        self.silent = None;
        self.idle = false;
    }
}

impl<T> Sorted<T> {
    pub(super) fn new(inputs: usize, key: Key<T>, lag: Lag) -> Self {
        let place = |_| Place {
            head: None,
            watermark: None,
            silent: None,
            idle: false,
        };
        Self {
            key,
            lag,
            heads: BinaryHeap::with_capacity(inputs),
            vacated: false,
            places: (0..inputs).map(place).collect(),
            wanting: (0..inputs).collect(),
            polls: 0,
            given: None,
            late: 0,
            due: None,
        }
    }

    #[inline]
    pub(super) fn poll(&mut self, inputs: &mut Inputs<T>) -> Taken<(usize, T)> {
        self.polls = self.polls.wrapping_add(1);
        let due = if self.polls.is_multiple_of(LOOK) {
            None
        } else {
            self.fetch(inputs, Inputs::glance);
            self.due_head()
        };
        let Some((key, input)) = due.or_else(|| self.look(inputs)) else {
            return if self.heads.is_empty() && self.wanting.is_empty() {
                Taken::Ended
            } else {
                Taken::Empty
            };
        };
        self.vacated = true;
        if self.given.is_some_and(|given| key < given) {
            self.late += 1;
        } else {
            self.given = Some(key);
        }
        match self.places.get_mut(input).and_then(|place| place.head.take()) {
            Some(element) => Taken::Item((input, element)),
            // There is a head for each key.
            None => Taken::Empty,
        }
    }

    /// What is due, by a look that finds ends, too.
    #[inline(never)]
    fn look(&mut self, inputs: &mut Inputs<T>) -> Option<(u64, usize)> {
        self.fetch(inputs, Inputs::take);
        self.due_head()
    }

    /// The smallest key that is held back, and whose it is, if it need be held back no longer.
    #[inline]
    fn due_head(&mut self) -> Option<(u64, usize)> {
        let &Reverse((key, input)) = self.heads.peek()?;
        let waits = self.lag != Lag::None && !self.wanting.is_empty();
        let is_late = self.given.is_some_and(|given| key < given);
        (is_late || !waits || !self.is_held_back(key)).then_some((key, input))
    }

    /// Takes one element of each input of which none is held back.
    #[inline(always)]
    fn fetch(&mut self, inputs: &mut Inputs<T>, take: impl Fn(&mut Inputs<T>, usize) -> Taken<T>) {
        if self.vacated
            && let Some(mut first) = self.heads.peek_mut()
        {
            let input = first.0.1;
            match take(inputs, input) {
                Taken::Item(element) => {
                    let key = (self.key)(&element);
                    if let Some(place) = self.places.get_mut(input) {
                        place.fill(element, key);
                        first.0.0 = key;
                    }
                }
                Taken::Empty => {
                    self.wanting.push(input);
                    PeekMut::pop(first);
                }
                Taken::Ended => {
                    PeekMut::pop(first);
                }
            }
            // Not before: the key is foreign code, which may panic.
            self.vacated = false;
        }
        let mut at = 0;
        while let Some(&input) = self.wanting.get(at) {
            match take(inputs, input) {
                Taken::Item(element) => {
                    let key = (self.key)(&element);
                    self.wanting.swap_remove(at);
                    if let Some(place) = self.places.get_mut(input) {
                        place.fill(element, key);
                        self.heads.push(Reverse((key, input)));
                    }
                }
                Taken::Empty => at += 1,
                Taken::Ended => {
                    self.wanting.swap_remove(at);
                }
            }
        }
    }

    /// Whether an input that has nothing may still bring a smaller key than this, and has not been silent for too long.
    fn is_held_back(&mut self, key: u64) -> bool {
        self.due = None;
        let mut now = None;
        let mut is_held_back = false;
        for &input in &self.wanting {
            let Some(place) = self.places.get_mut(input) else {
                continue;
            };
            if place.idle || place.watermark.is_some_and(|watermark| watermark >= key) {
                continue;
            }
            let Lag::AtMost(lag) = self.lag else {
                return true;
            };
            let now = *now.get_or_insert_with(Instant::now);
            // A moment that no clock reaches is none.
            match place.silent.get_or_insert(now).checked_add(lag) {
                Some(end) if end <= now => place.idle = true,
                end => {
                    is_held_back = true;
                    self.due = match (self.due, end) {
                        (Some(due), Some(end)) => Some(due.min(end)),
                        (due, end) => due.or(end),
                    };
                }
            }
        }
        is_held_back
    }

    pub(super) fn waits_at(&self, input: usize) -> bool {
        self.places.get(input).is_some_and(|place| place.head.is_none())
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due.filter(|_| !self.heads.is_empty())
    }

    pub(super) fn late(&self) -> u64 {
        self.late
    }

    /// Drops what is held back.
    pub(super) fn clear(&mut self) {
        self.heads.clear();
        self.vacated = false;
        self.wanting.clear();
        for place in &mut self.places {
            place.head = None;
        }
    }
}
