//! The orders that look at no element: fair, and by priority.

#![forbid(unsafe_code)]

use crate::flow::inputs::{Inputs, Taken};

/// Elements that an input may give before the next has its turn, and between two looks for ends where inputs have none. A turn of one would fetch another ring's lines for each
/// element.
pub(super) const RUN: u32 = 32;

/// Each input in turn gives a short run.
pub(super) struct Fair {
    /// Those that have not ended, in rotation.
    open: Vec<usize>,
    /// Whose turn it is.
    at: usize,
    /// What is left of the run.
    left: u32,
}

impl Fair {
    pub(super) fn new(inputs: usize) -> Self {
        Self {
            open: (0..inputs).collect(),
            at: 0,
            left: RUN,
        }
    }

    #[inline]
    pub(super) fn poll<T>(&mut self, inputs: &mut Inputs<T>) -> Taken<(usize, T)> {
        let mut unseen = self.open.len();
        while unseen > 0 {
            let Some(&input) = self.open.get(self.at) else {
                self.at = 0;
                continue;
            };
            match inputs.take(input) {
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
    given: u32,
}

impl Priority {
    pub(super) fn new(inputs: usize) -> Self {
        Self {
            open: (0..inputs).collect(),
            given: 0,
        }
    }

    #[inline]
    pub(super) fn poll<T>(&mut self, inputs: &mut Inputs<T>) -> Taken<(usize, T)> {
        self.given = self.given.wrapping_add(1);
        if !self.given.is_multiple_of(RUN) {
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
