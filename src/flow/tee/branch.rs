//! `Branch`: one of the consumers of a tee.

use std::fmt;
use std::time::Instant;

use super::flight::{Flight, Flown};
use super::trunk::{Pump, Trunk};
use crate::primitive::Arc;
use crate::stream::{End, TimedOut, TryNext};
use crate::wait::{Bells, Selector, WaitStrategy};

/// One branch of a [`tee`](crate::tee): a consumer of every element of its source.
///
/// It is an iterator, as a source is, and can be sent to another thread. Dropping it lets the others go on without it.
///
/// ```
/// let (mut sink, source) = millstream::channel::<u64>().build()?;
/// let [one, two] = millstream::tee::<2, _>(source).build()?;
/// sink.put_slice(&[1, 2, 3])?;
/// sink.complete()?;
/// assert_eq!(one.sum::<u64>(), 6);
/// assert_eq!(two.max(), Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Branch<T: Clone + Send> {
    trunk: Arc<Trunk<T>>,
    number: usize,
    selector: Selector,
    strategy: WaitStrategy,
    end: Option<End>,
}

/// What a look under the lock found.
enum Found<T> {
    Item(T),
    End(End),
    /// This branch is to pump.
    Pump(Pump<T>),
    /// Another one pumps, or has to take first.
    Nothing,
}

impl<T: Clone + Send> Branch<T> {
    pub(super) fn new(
        trunk: Arc<Trunk<T>>,
        number: usize,
        selector: Selector,
        strategy: WaitStrategy,
    ) -> Self {
        Self {
            trunk,
            number,
            selector,
            strategy,
            end: None,
        }
    }

    /// Takes the next element if there is one. Never waits: also `Empty` while another branch pumps, or holds this one back.
    ///
    /// ```
    /// use millstream::{End, TryNext};
    /// let (mut sink, source) = millstream::channel::<u64>().build()?;
    /// let [mut one, _other] = millstream::tee::<2, _>(source).build()?;
    /// assert_eq!(one.try_next(), TryNext::Empty);
    /// sink.put(1)?;
    /// sink.complete()?;
    /// assert_eq!(one.try_next(), TryNext::Item(1));
    /// assert_eq!(one.try_next(), TryNext::End(End::Completed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_next(&mut self) -> TryNext<T> {
        loop {
            match self.look() {
                Found::Item(element) => return TryNext::Item(element),
                Found::End(end) => return TryNext::End(end),
                Found::Nothing => return TryNext::Empty,
                Found::Pump(pump) => {
                    if Flight::new(&self.trunk, pump).pull() == Flown::Empty {
                        return TryNext::Empty;
                    }
                }
            }
        }
    }

    /// Takes the next element, waiting for it until `deadline` at the latest. `Ok(None)` when the stream has ended.
    ///
    /// # Errors
    /// When the deadline passed first. That does not end the stream.
    ///
    /// ```
    /// use std::time::Instant;
    /// let (mut sink, source) = millstream::channel::<u64>().build()?;
    /// let [mut one, _other] = millstream::tee::<2, _>(source).build()?;
    /// sink.put(3)?;
    /// assert_eq!(one.next_deadline(Instant::now()), Ok(Some(3)));
    /// assert!(one.next_deadline(Instant::now()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_deadline(&mut self, deadline: Instant) -> Result<Option<T>, TimedOut> {
        self.next_by(Some(deadline))
    }

    fn next_by(&mut self, deadline: Option<Instant>) -> Result<Option<T>, TimedOut> {
        loop {
            match self.look() {
                Found::Item(element) => return Ok(Some(element)),
                Found::End(_) => return Ok(None),
                Found::Pump(pump) => {
                    let flown = Flight::new(&self.trunk, pump).pull_by(&mut self.selector, deadline);
                    if flown == Flown::Empty {
                        return Err(TimedOut);
                    }
                }
                Found::Nothing => self.wait(deadline)?,
            }
        }
    }

    /// Waits until there is something to look at.
    fn wait(&mut self, deadline: Option<Instant>) -> Result<(), TimedOut> {
        let (trunk, number) = (&self.trunk, self.number);
        // From before a look: what comes after it counts.
        let mut seen = trunk.news();
        if trunk.state().is_stirring(number) {
            return Ok(());
        }
        let waited = self.selector.wait(
            self.strategy,
            deadline,
            &mut seen,
            |seen| (trunk.news() != *seen).then_some(()),
            |seen| {
                let mut state = trunk.state();
                state.set_sleeping(number);
                if state.is_stirring(number) {
                    // Whoever told of it may have done so before this branch slept.
                    *seen = seen.wrapping_sub(1);
                }
                Bells::default()
            },
        );
        waited.ok_or(TimedOut)
    }

    fn look(&mut self) -> Found<T> {
        if let Some(end) = &self.end {
            return Found::End(end.clone());
        }
        let mut state = self.trunk.state();
        let Some(tail) = state.tails.get_mut(self.number) else {
            return Found::Nothing;
        };
        if let Some(element) = tail.queue.pop_front() {
            if state.gave_room(self.number) {
                self.trunk.tell(state);
            }
            return Found::Item(element);
        }
        if let Some(end) = &state.end {
            self.end = Some(end.clone());
            return Found::End(end.clone());
        }
        if state.may_pump()
            && let Some(pump) = state.pump.take()
        {
            return Found::Pump(pump);
        }
        Found::Nothing
    }

    /// How the stream ended; `None` as long as that has not been found out by taking.
    ///
    /// ```
    /// use millstream::{End, StreamFault};
    /// let (mut sink, source) = millstream::channel::<u64>().build()?;
    /// let [mut one, mut other] = millstream::tee::<2, _>(source).build()?;
    /// sink.fail(StreamFault::new(4, "no line"))?;
    /// assert_eq!((one.next(), other.next()), (None, None));
    /// assert_eq!(one.end(), Some(End::Failed(StreamFault::new(4, "no line"))));
    /// assert_eq!(other.end(), one.end());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.end.clone()
    }

    /// Elements that this branch did without so far, exactly, because it was slower than its buffer is large. Always 0 of a
    /// branch that gates.
    ///
    /// ```
    /// let (_sink, source) = millstream::channel::<u64>().build()?;
    /// let [one] = millstream::tee::<1, _>(source).build()?;
    /// assert_eq!(one.lost(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn lost(&self) -> u64 {
        let state = self.trunk.state();
        state.tails.get(self.number).map_or(0, |tail| tail.lost)
    }
}

impl<T: Clone + Send> Iterator for Branch<T> {
    type Item = T;

    /// Takes the next element, waiting for it. `None` when the stream has ended; from then on always.
    fn next(&mut self) -> Option<T> {
        self.next_by(None).unwrap_or(None)
    }
}

impl<T: Clone + Send> std::iter::FusedIterator for Branch<T> {}

impl<T: Clone + Send> Drop for Branch<T> {
    fn drop(&mut self) {
        let mut state = self.trunk.state();
        let left = state.leave(self.number);
        self.trunk.tell(state);
        // Elements, and the source of the last branch, which it cancels.
        drop(left);
    }
}

impl<T: Clone + Send> fmt::Debug for Branch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Branch")
            .field("number", &self.number)
            .field("lost", &self.lost())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
