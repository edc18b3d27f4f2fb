//! What is given of two lines, what is held back, and what is given up.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::Feed;
use super::line::{Line, LineCounts, is_after};
use crate::flow::gathering::Operator;
use crate::flow::inputs::{Inputs, Taken};

/// Elements that are taken from one line before the other's turn.
const RUN: u32 = 8;
/// The same where elements are held back and the line may fill the gap: it goes first, so that they are not held back for
/// what is there. It has an end all the same, should it bring nothing but old elements for ever.
const LONG_RUN: u32 = 256;
/// Gaps that are remembered, to know late elements from duplicates.
const REMEMBERED: usize = 4096;
/// Positions begin anew from here on, so that none ever wraps: the next is behind it by less than half of all numbers.
const FAR: u64 = 1 << 62;

pub(super) struct Arbiter<T> {
    sequence: Box<dyn Fn(&T) -> u64 + Send>,
    lines: [Line; 2],
    /// The next number, when one is known; positions count from the first.
    start: Option<u64>,
    /// Position of the next number.
    next: u64,
    /// Elements behind a gap, by their positions, which do not wrap.
    held: BTreeMap<u64, T>,
    /// When those came that may be held back still, the first first.
    arrivals: VecDeque<(Instant, u64)>,
    /// The gaps that were told last, each by its first number and their count, the first first.
    told: VecDeque<(u64, u64)>,
    patience: Duration,
    window: usize,
    /// Looks at the lines, which say whose turn it is.
    looks: u32,
    /// Of those, at the line that may fill the gap.
    filling: u32,
}

impl<T> Arbiter<T> {
    pub(super) fn new(
        sequence: Box<dyn Fn(&T) -> u64 + Send>,
        first: Option<u64>,
        patience: Duration,
        window: usize,
    ) -> Self {
        let line = || Line {
            reached: first.map(|first| first.wrapping_sub(1)),
            ..Line::default()
        };
        Self {
            sequence,
            lines: [line(), line()],
            start: first,
            next: 0,
            held: BTreeMap::new(),
            arrivals: VecDeque::new(),
            told: VecDeque::new(),
            patience,
            window,
            looks: 0,
            filling: 0,
        }
    }

    pub(super) fn counts(&self) -> [LineCounts; 2] {
        [self.lines[0].counts, self.lines[1].counts]
    }

    pub(super) fn held_back(&self) -> usize {
        self.held.len()
    }

    /// The line that came further, if one did.
    pub(super) fn further(&self) -> Option<usize> {
        match (self.lines[0].reached, self.lines[1].reached) {
            (a, b) if a == b => None,
            (Some(a), Some(b)) => Some(usize::from(is_after(b, a))),
            (a, _) => Some(usize::from(a.is_none())),
        }
    }

    /// Drops what is held back.
    pub(super) fn clear(&mut self) {
        self.held.clear();
        self.arrivals.clear();
    }

    /// The number at a position.
    fn number(&self, position: u64) -> u64 {
        self.start.unwrap_or(0).wrapping_add(position)
    }

    /// Begins with the smaller number of those that the lines have. Whether it has begun.
    #[cold]
    fn begin(&mut self, inputs: &mut Inputs<T>) -> bool {
        let mut heads = [None, None];
        for (line, head) in heads.iter_mut().enumerate() {
            match inputs.take(line) {
                Taken::Item(element) => *head = Some(((self.sequence)(&element), element)),
                Taken::Empty => {}
                Taken::Ended => self.lines[line].ended = true,
            }
        }
        let numbers = heads.iter().flatten().map(|(number, _)| *number);
        self.start = numbers.reduce(|one, other| if is_after(one, other) { other } else { one });
        for (line, head) in heads.into_iter().enumerate() {
            if let Some((number, element)) = head
                && let Some(element) = self.sort(line, number, element)
            {
                self.held.insert(self.next, element);
            }
        }
        self.start.is_some()
    }

    /// Notes that a line brought an element. Gives it back if its number is the next one that is to come.
    #[inline]
    fn sort(&mut self, line: usize, number: u64, element: T) -> Option<T> {
        let [a, b] = &mut self.lines;
        let (own, other) = if line == 0 { (a, b) } else { (b, a) };
        own.reach(number);
        let ahead = number.wrapping_sub(self.start.unwrap_or(number).wrapping_add(self.next));
        let position = self.next.wrapping_add(ahead);
        if (ahead as i64) < 0 || self.held.contains_key(&position) {
            if (ahead as i64) < 0 && is_told(&self.told, number) {
                own.counts.late += 1;
            } else {
                own.counts.duplicates += 1;
            }
            return None;
        }
        own.counts.first += 1;
        if other.reached.is_some_and(|reached| is_after(reached, number)) {
            own.counts.filled += 1;
        }
        if ahead == 0 {
            return Some(element);
        }
        self.hold(position, element);
        None
    }

    #[cold]
    fn hold(&mut self, position: u64, element: T) {
        if self.arrivals.len() >= self.window.saturating_mul(2) {
            // Of elements that came after the first and were given before it.
            self.arrivals.retain(|(_, position)| *position >= self.next);
        }
        self.arrivals.push_back((Instant::now(), position));
        self.held.insert(position, element);
    }

    /// The element that was held back for the next number.
    #[inline]
    fn take_held(&mut self) -> Option<T> {
        let first = self.held.first_entry()?;
        if *first.key() != self.next {
            return None;
        }
        let element = first.remove();
        self.step(1);
        Some(element)
    }

    /// Goes on by so many numbers.
    #[inline]
    fn step(&mut self, count: u64) {
        self.next = self.next.wrapping_add(count);
        while let Some((_, position)) = self.arrivals.front()
            && *position < self.next
        {
            self.arrivals.pop_front();
        }
        if self.next >= FAR {
            self.begin_anew();
        }
    }

    /// Counts positions from the next number on.
    #[cold]
    fn begin_anew(&mut self) {
        let past = std::mem::take(&mut self.next);
        self.start = self.start.map(|start| start.wrapping_add(past));
        let held = std::mem::take(&mut self.held).into_iter();
        self.held = held
            .map(|(position, element)| (position.wrapping_sub(past), element))
            .collect();
        self.arrivals.retain(|(_, position)| *position >= past);
        for (_, position) in &mut self.arrivals {
            *position = position.wrapping_sub(past);
        }
    }

    /// The gap before what is held back, given up.
    #[cold]
    fn give_up(&mut self) -> Option<Feed<T>> {
        let (&position, _) = self.held.first_key_value()?;
        let from = self.number(self.next);
        let count = position.wrapping_sub(self.next);
        self.step(count);
        if self.told.len() == REMEMBERED {
            self.told.pop_front();
        }
        self.told.push_back((from, count));
        Some(Feed::Gap { from, count })
    }

    /// Where elements are held back: the line that may fill the gap before them. None if neither may, or if there are too many.
    fn awaited(&self, position: u64) -> Option<usize> {
        let number = self.number(position);
        let line = self.lines.iter().position(|line| !line.has_passed(number))?;
        (self.held.len() < self.window).then_some(line)
    }

    /// Whether an element was held back for long enough.
    fn is_out_of_patience(&self) -> bool {
        self.due().is_some_and(|due| due <= Instant::now())
    }
}

/// Whether a number lies in one of these gaps.
#[inline]
fn is_told(told: &VecDeque<(u64, u64)>, number: u64) -> bool {
    let behind = told.partition_point(|(from, _)| !is_after(*from, number));
    behind > 0 && number.wrapping_sub(told[behind - 1].0) < told[behind - 1].1
}

impl<T> Operator<T> for Arbiter<T> {
    type Item = Feed<T>;

    #[inline]
    fn poll(&mut self, inputs: &mut Inputs<T>) -> Taken<Feed<T>> {
        if self.start.is_none() && !self.begin(inputs) {
            return if self.lines.iter().all(|line| line.ended) {
                Taken::Ended
            } else {
                Taken::Empty
            };
        }
        let mut vain = [false; 2];
        while vain != [true; 2] {
            if let Some(element) = self.take_held() {
                return Taken::Item(Feed::Element(element));
            }
            self.looks = self.looks.wrapping_add(1);
            let mut line = (self.looks / RUN % 2) as usize;
            let mut awaited = None;
            if self.held.is_empty() {
                self.filling = 0;
            } else if let Some((&position, _)) = self.held.first_key_value() {
                awaited = self.awaited(position);
                let Some(first) = awaited else {
                    return self.give_up().map_or(Taken::Empty, Taken::Item);
                };
                self.filling = self.filling.wrapping_add(1);
                line = if self.filling.is_multiple_of(LONG_RUN) {
                    1 - first
                } else {
                    first
                };
            }
            if vain[line] {
                line = 1 - line;
            }
            match inputs.take(line) {
                Taken::Item(element) => {
                    let number = (self.sequence)(&element);
                    if let Some(element) = self.sort(line, number, element) {
                        self.step(1);
                        return Taken::Item(Feed::Element(element));
                    }
                }
                // Not before: what is missing may have come while nobody asked.
                Taken::Empty if awaited == Some(line) && self.is_out_of_patience() => {
                    return self.give_up().map_or(Taken::Empty, Taken::Item);
                }
                Taken::Empty => vain[line] = true,
                // What was held back for this line alone is not any more.
                Taken::Ended if !self.lines[line].ended => self.lines[line].ended = true,
                Taken::Ended => vain[line] = true,
            }
        }
        // With both ended nothing is held back: each of them has passed everything.
        if self.lines.iter().all(|line| line.ended) {
            Taken::Ended
        } else {
            Taken::Empty
        }
    }

    fn waits_at(&self, _: usize) -> bool {
        true
    }

    fn due(&self) -> Option<Instant> {
        // A moment that no clock reaches is none.
        self.arrivals.front()?.0.checked_add(self.patience)
    }
}
