//! The sources of an operator that has several: taken from, waited at, and ended each by itself.

#![forbid(unsafe_code)]

use std::time::Duration;

use crate::stream::{End, SourceRef, TryNext};
use crate::wait::WaitSet;

/// Between two looks at a source that waits for the next producer of its name.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What an input, or an operator, has to give.
#[derive(Debug)]
pub(super) enum Taken<I> {
    Item(I),
    /// Nothing at present.
    Empty,
    /// Nothing any more.
    Ended,
}

/// Sources by their numbers, which they keep.
pub(super) struct Inputs<T> {
    /// `None` when it has ended.
    sources: Vec<Option<SourceRef<T>>>,
    /// Which of them have given something since they were found to have nothing: then that is to be found out properly.
    fresh: Vec<bool>,
    ends: Vec<Option<End>>,
    /// The first that ended otherwise than completed.
    failed: Option<usize>,
    /// Whether nothing is waited for any more once an input has failed.
    fail_fast: bool,
    /// Elements that each may still give, when nothing is waited for any more.
    allowances: Option<Vec<u64>>,
    bells: WaitSet,
}

impl<T> Inputs<T> {
    pub(super) fn new(sources: Vec<SourceRef<T>>, fail_fast: bool) -> Self {
        Self {
            fresh: vec![false; sources.len()],
            ends: vec![None; sources.len()],
            failed: None,
            fail_fast,
            allowances: None,
            bells: WaitSet::new(sources.len()),
            sources: sources.into_iter().map(Some).collect(),
        }
    }

    pub(super) fn ends(&self) -> &[Option<End>] {
        &self.ends
    }

    pub(super) fn failed(&self) -> Option<usize> {
        self.failed
    }

    /// Takes the next element of an input, if it is there.
    #[inline]
    pub(super) fn take(&mut self, input: usize) -> Taken<T> {
        let Some(Some(source)) = self.sources.get_mut(input) else {
            return Taken::Ended;
        };
        match source.try_next() {
            TryNext::Item(element) if self.allowances.is_none() => Taken::Item(element),
            TryNext::Empty if self.allowances.is_none() => Taken::Empty,
            TryNext::Item(element) => {
                self.charge(input);
                Taken::Item(element)
            }
            TryNext::Empty => {
                self.cancel(input, End::Cancelled);
                Taken::Ended
            }
            TryNext::End(end) => {
                self.settle(input, end);
                Taken::Ended
            }
        }
    }

    /// As [`take`](Self::take), but for less if the input had nothing the last time and still has nothing: an end that comes
    /// meanwhile is found out by `take` alone, so call that now and then, and before waiting.
    #[inline]
    pub(super) fn glance(&mut self, input: usize) -> Taken<T> {
        if let Some(Some(source)) = self.sources.get_mut(input)
            && self.allowances.is_none()
        {
            let Some(fresh) = self.fresh.get_mut(input) else {
                return Taken::Ended;
            };
            if let Some(element) = source.take_ready() {
                *fresh = true;
                return Taken::Item(element);
            }
            if !*fresh && source.is_plain() {
                return Taken::Empty;
            }
            *fresh = false;
        }
        self.take(input)
    }

    /// Counts an element against what the input may still give.
    #[cold]
    fn charge(&mut self, input: usize) {
        let Some(left) = self.allowances.as_mut().and_then(|all| all.get_mut(input)) else {
            return;
        };
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.cancel(input, End::Cancelled);
        }
    }

    /// Notes how an input has ended, and gives its source away.
    #[cold]
    fn settle(&mut self, input: usize, end: End) -> Option<SourceRef<T>> {
        let failed = end != End::Completed;
        if let Some(place) = self.ends.get_mut(input) {
            *place = Some(end);
        }
        let source = self.sources.get_mut(input).and_then(Option::take);
        if failed && self.failed.is_none() {
            self.failed = Some(input);
            if self.fail_fast {
                let most = |source: &Option<SourceRef<T>>| source.as_ref().map_or(0, SourceRef::most_there);
                self.allowances = Some(self.sources.iter().map(most).collect());
            }
        }
        source
    }

    /// Ends an input from this side, if it has not ended: what is there is dropped, and its producer told.
    fn cancel(&mut self, input: usize, end: End) {
        if !matches!(self.sources.get(input), Some(Some(_))) {
            return;
        }
        // Noted first: an element may panic as it is dropped with its stream. And a source that is only dropped leaves a
        // resumable stream as it is.
        if let Some(mut source) = self.settle(input, end) {
            source.cancel();
        }
    }

    /// Ends those inputs from this side.
    pub(super) fn cancel_all(&mut self, end: &End, which: impl Fn(usize) -> bool) {
        for input in (0..self.sources.len()).filter(|input| which(*input)) {
            self.cancel(input, end.clone());
        }
    }

    /// Whether one of those inputs may have something.
    pub(super) fn stir(&self, which: impl Fn(usize) -> bool) -> bool {
        let mut open = self.sources.iter().enumerate();
        open.any(|(input, source)| {
            source
                .as_ref()
                .is_some_and(|source| which(input) && source.holds())
        })
    }

    /// Sleeps until one of those inputs rings or `left` is over, unless a last look finds something at one of them.
    pub(super) fn park(&mut self, mut left: Option<Duration>, which: impl Fn(usize) -> bool) {
        for (input, source) in self.sources.iter_mut().enumerate() {
            let Some(source) = source.as_mut().filter(|_| which(input)) else {
                continue;
            };
            if source.is_between_producers() {
                self.bells.note(input, None);
                left = Some(left.map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN)));
                continue;
            }
            // A connection is armed for itself alone.
            let connection = source.epoch();
            if self.bells.is_armed(input, connection) {
                continue;
            }
            let Some(waker) = self.bells.waker(input) else {
                continue;
            };
            let is_there = source.arm(waker);
            self.bells.note(input, (!is_there).then_some(connection));
            if is_there {
                return;
            }
        }
        #[cfg(not(target_os = "linux"))]
        self.bells.sleep(left);
        #[cfg(target_os = "linux")]
        {
            let (mut fds, mut owners) = (Vec::new(), Vec::new());
            for (input, source) in self.sources.iter().enumerate() {
                if let Some(source) = source.as_ref().filter(|_| which(input)) {
                    fds.extend(source.bell_fds());
                    owners.resize(fds.len(), input);
                }
            }
            self.bells.sleep(left, &fds, &owners);
        }
    }
}
