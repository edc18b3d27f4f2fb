//! The orders that look at no element: fair, and by priority.

#![forbid(unsafe_code)]

use crate::flow::inputs::{Inputs, Taken};

/// Elements that an input may give before the next has its turn. A turn of one would fetch another ring's lines for each
/// element.
const RUN: u32 = 32;
/// Polls between two looks that find ends, too, of inputs that have nothing while others do.
pub(super) const LOOK: u32 = 256;

/// Each input in turn gives a short run.
pub(super) struct Fair {
    /// Those that have not ended, in rotation.
    open: Vec<usize>,
    /// Whose turn it is.
    at: usize,
    /// What is left of the run.
    left: u32,
    polls: u32,
}

impl Fair {
    pub(super) fn new(inputs: usize) -> Self {
        Self {
            open: (0..inputs).collect(),
            at: 0,
            left: RUN,
            polls: 0,
        }
    }

    #[inline]
    pub(super) fn poll<T>(&mut self, inputs: &mut Inputs<T>) -> Taken<(usize, T)> {
        self.polls = self.polls.wrapping_add(1);
        if !self.polls.is_multiple_of(LOOK)
            && let Taken::Item(item) = self.round(inputs, Inputs::glance)
        {
            return Taken::Item(item);
        }
        self.look(inputs)
    }

    #[inline(never)]
    fn look<T>(&mut self, inputs: &mut Inputs<T>) -> Taken<(usize, T)> {
        self.round(inputs, Inputs::take)
    }

    #[inline(always)]
    fn round<T>(
        &mut self,
        inputs: &mut Inputs<T>,
        take: impl Fn(&mut Inputs<T>, usize) -> Taken<T>,
    ) -> Taken<(usize, T)> {
        let mut unseen = self.open.len();
        while unseen > 0 {
            let Some(&input) = self.open.get(self.at) else {
                self.at = 0;
                continue;
            };
            match take(inputs, input) {
                Taken::Item(element) => {
                    self.left -= 1;
                    if self.left == 0 {
                        self.turn();
                    }
                    return Taken::Item((input, element));
                }
                Taken::Empty => self.turn(),
                Taken::Ended => {
                    self.open.remove(self.at);
                    self.left = RUN;
                }
            }
            unseen -= 1;
        }
        if self.open.is_empty() {
            Taken::Ended
        } else {
            Taken::Empty
        }
    }

    #[inline]
    fn turn(&mut self) {
        self.at += 1;
        self.left = RUN;
    }
}

/// The first input that has something gives it.
pub(super) struct Priority {
    /// Those that have not ended, the most urgent first.
    open: Vec<usize>,
    polls: u32,
}

impl Priority {
    pub(super) fn new(inputs: usize) -> Self {
        Self {
            open: (0..inputs).collect(),
            polls: 0,
        }
    }

    #[inline]
    pub(super) fn poll<T>(&mut self, inputs: &mut Inputs<T>) -> Taken<(usize, T)> {
        self.polls = self.polls.wrapping_add(1);
        if !self.polls.is_multiple_of(LOOK) {
            for &input in &self.open {
                if let Taken::Item(element) = inputs.glance(input) {
                    return Taken::Item((input, element));
                }
            }
        }
        self.look(inputs)
    }

    #[inline(never)]
    fn look<T>(&mut self, inputs: &mut Inputs<T>) -> Taken<(usize, T)> {
        let mut at = 0;
        while let Some(&input) = self.open.get(at) {
            match inputs.take(input) {
                Taken::Item(element) => return Taken::Item((input, element)),
                Taken::Empty => at += 1,
                Taken::Ended => {
                    self.open.remove(at);
                }
            }
        }
        if self.open.is_empty() {
            Taken::Ended
        } else {
            Taken::Empty
        }
    }
}
