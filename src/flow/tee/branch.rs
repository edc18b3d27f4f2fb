//! `Branch`: one of the consumers of a tee.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use super::flight::{Flight, Flown, Pumper};
use super::trunk::{Pump, Taken, Trunk};
use crate::primitive::Arc;
use crate::primitive::atomic::Ordering;
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
    /// Elements that were handed to it; and how many of such it has taken, which it notes for the others.
    hand: VecDeque<T>,
    all: u64,
    taken: Taken,
    /// Room for what branches lose while this one pumps.
    lost: Vec<T>,
    end: Option<End>,
}

/// What a look under the lock found.
enum Found<T> {
    Item(T),
    End(End),
    /// This branch is to pump.
    Pump(Box<Pump<T>>),
    /// Another one pumps, or has to take first.
    Nothing,
}

impl<T: Clone + Send> Branch<T> {
    pub(super) fn new(
        trunk: Arc<Trunk<T>>,
        number: usize,
        (selector, taken): (Selector, Taken),
        strategy: WaitStrategy,
    ) -> Self {
        Self {
            trunk,
            number,
            selector,
            strategy,
            hand: VecDeque::new(),
            all: 0,
            taken,
            lost: Vec::new(),
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
                    if self.flight(pump).0.pull() == Flown::Empty {
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
                    let (mut flight, selector) = self.flight(pump);
                    let flown = flight.pull_by(selector, deadline);
                    drop(flight);
                    if flown == Flown::Empty {
                        return Err(TimedOut);
                    }
                }
                Found::Nothing => self.wait(deadline)?,
            }
        }
    }

    /// A flight of this branch, and where it waits.
    fn flight(&mut self, pump: Box<Pump<T>>) -> (Flight<'_, T>, &mut Selector) {
        let branch = Pumper {
            number: self.number,
            hand: &mut self.hand,
            lost: &mut self.lost,
        };
        (Flight::new(&self.trunk, pump, branch), &mut self.selector)
    }

    /// Waits until there is something to look at.
    fn wait(&mut self, deadline: Option<Instant>) -> Result<(), TimedOut> {
        let (trunk, number) = (&self.trunk, self.number);
        // From before a look: what comes after it counts.
        let mut seen = trunk.news();
        let holder = {
            let state = trunk.state();
            // First: had that one taken before it was found out, there would be something to do.
            let holder = state.held_up_by();
            if state.is_stirring(number) {
                return Ok(());
            }
            holder
        };
        let waited = self.selector.wait(
            self.strategy,
            deadline,
            &mut seen,
            |seen| {
                let took = |(taken, at): &(Taken, u64)| taken.load(Ordering::Relaxed) != *at;
                (trunk.news() != *seen || holder.as_ref().is_some_and(took)).then_some(())
            },
            |seen| {
                if trunk.lie_down(number) {
                    // Whoever told of it may have done so before this branch slept.
                    *seen = seen.wrapping_sub(1);
                }
                Bells::default()
            },
        );
        waited.ok_or(TimedOut)
    }

    /// Takes the next element of those that were handed to it.
    #[inline]
    fn take_in_hand(&mut self) -> Option<T> {
        let element = self.hand.pop_front()?;
        self.all = self.all.wrapping_add(1);
        self.trunk.note(&self.taken, self.all);
        Some(element)
    }

    #[inline]
    fn look(&mut self) -> Found<T> {
        match self.take_in_hand() {
            Some(element) => Found::Item(element),
            None => self.look_further(),
        }
    }

    #[inline(never)]
    fn look_further(&mut self) -> Found<T> {
        if let Some(end) = &self.end {
            return Found::End(end.clone());
        }
        let mut state = self.trunk.state();
        if let Some(element) = state.next(self.number) {
            return Found::Item(element);
        }
        state.hand_over(self.number, &mut self.hand);
        if self.hand.is_empty() {
            if let Some(end) = &state.end {
                self.end = Some(end.clone());
                return Found::End(end.clone());
            }
            return state.take_pump().map_or(Found::Nothing, Found::Pump);
        }
        drop(state);
        self.take_in_hand().map_or(Found::Nothing, Found::Item)
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
