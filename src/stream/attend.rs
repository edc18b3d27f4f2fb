//! Waiting at a source by a thread that others may call away.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::cold_source::ColdSource;
use super::end::End;
use super::endpoint::{Lookout, Patience, Vacancy, Waited};
use super::reconnect::PAUSE;
use super::source::{SourceRef, TryNext};
use crate::ring::Consumer;
use crate::ring::shape::Fixed;
use crate::wait::{Bells, Selector};

/// What a wait at a source came to.
#[derive(Debug)]
pub(crate) enum Attended<T> {
    Item(T),
    Ended(End),
    TimedOut,
    CalledAway,
}

impl<T> SourceRef<T> {
    /// Waits for the next element as [`next`](Iterator::next) does, by the source's own strategy and idle timeout, but sleeps at
    /// `selector`, so that whoever rings it has `is_called` looked at, which ends the wait.
    pub(crate) fn attend(
        &mut self,
        selector: &mut Selector,
        deadline: Option<Instant>,
        is_called: &impl Fn() -> bool,
    ) -> Attended<T> {
        let (pos, mut patience) = (Self::position(self), self.cold.patience());
        let mut post = Post {
            source: self,
            selector,
            is_called,
            found: None,
        };
        let waited = patience.wait(pos, deadline, &mut post);
        let found = post.found;
        self.cold.set_patience(patience);
        match (found, waited) {
            (Some(found), _) => found,
            (None, Waited::TimedOut) => Attended::TimedOut,
            (None, Waited::Ready | Waited::Ended) => Attended::Ended(self.end().unwrap_or(End::Cancelled)),
        }
    }

    /// Whether the next element may be there; what else there is takes a look.
    fn stirs(&self) -> bool {
        !matches!(self.cold.there(&self.ring), Ok(false))
    }

    /// Ends the stream because nothing came within the idle timeout.
    fn give_up(&mut self) {
        self.cold.give_up(&mut self.ring);
        let _ = self.ended();
    }
}

impl<T> ColdSource<T> {
    /// How the source waits.
    fn patience(&self) -> Patience {
        match &self.lanes {
            Some(lanes) => lanes.patience,
            None => self.endpoint.patience(),
        }
    }

    fn set_patience(&mut self, patience: Patience) {
        match &mut self.lanes {
            Some(lanes) => lanes.patience = patience,
            None => self.endpoint.set_patience(patience),
        }
    }

    /// Ends the stream as one in which nothing came within the idle timeout.
    fn give_up(&mut self, ring: &mut Consumer<Fixed<T>>) {
        if self.lanes.is_some() {
            self.close_lanes(ring, End::IdleTimeout);
        } else {
            self.hang_up_here(ring, End::IdleTimeout);
        }
    }
}

struct Post<'a, T, F> {
    source: &'a mut SourceRef<T>,
    selector: &'a mut Selector,
    is_called: &'a F,
    found: Option<Attended<T>>,
}

impl<T, F: Fn() -> bool> Lookout for Post<'_, T, F> {
    fn stirs(&self) -> bool {
        (self.is_called)() || self.source.stirs()
    }

    fn look(&mut self) -> Vacancy {
        // Before the source: what it gives after a call is not to be lost.
        if (self.is_called)() {
            self.found = Some(Attended::CalledAway);
            return Vacancy::Appeared;
        }
        match self.source.try_next() {
            TryNext::Item(element) => {
                self.found = Some(Attended::Item(element));
                Vacancy::Appeared
            }
            TryNext::Empty => Vacancy::Empty,
            TryNext::End(end) => {
                self.found = Some(Attended::Ended(end));
                Vacancy::Ended
            }
        }
    }

    fn park(&mut self, left: Option<Duration>) {
        let is_there = self.source.arm(&self.selector.ring().waker());
        if (self.is_called)() {
            return;
        }
        if self.source.is_between_producers() {
            // Nothing rings when the next one of the name comes.
            let left = left.map_or(PAUSE, |left| left.min(PAUSE));
            return self.selector.sleep(&Bells::default(), Some(left));
        }
        if is_there {
            return;
        }
        #[cfg(all(target_os = "linux", not(millstream_loom)))]
        self.selector.sleep_at(&self.source.bell_fds(), left, |_| {});
        #[cfg(not(all(target_os = "linux", not(millstream_loom))))]
        self.selector.sleep(&Bells::default(), left);
    }

    fn give_up(&mut self) {
        self.source.give_up();
    }
}
