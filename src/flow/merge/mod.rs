//! `merge`: many sources, one stream.

#![forbid(unsafe_code)]

mod builder;
mod rotation;
mod sorted;

use std::fmt;
use std::time::Instant;

pub use builder::{EndPolicy, MergeBuilder, merge};
use rotation::{Fair, Priority};
use sorted::Sorted;

use super::gathering::{Gathering, Operator};
use super::inputs::{Inputs, Taken};
use crate::stream::{End, TimedOut, TryNext};

/// Reads a number out of an element.
type Key<T> = Box<dyn Fn(&T) -> u64 + Send>;

/// The elements of many sources as one stream; see [`merge`].
///
/// An iterator, which ends when all inputs have ended, as the [policy](MergeBuilder::end_policy) says. Of the elements of one
/// input none overtakes another.
///
/// **Credit.** It takes from a source only what it gives on: nothing at all ahead where the order is fair or by priority, and
/// at most one element of each source, which is held back, where it is by arrival or by key. So what is not taken out of the merge
/// is not asked for, and each producer is paced as if it had the consumer for itself. A source with
/// [demand by hand](crate::ChannelBuilder::manual_demand) gives what was requested before it was merged.
///
/// **Dropping** it cancels all its sources, as dropping each of them would; what is held back is dropped. To the next process of a
/// [resumable](crate::SubscribeBuilder::resumable) subscription that is one element taken, so merge such sources fair or by priority.
///
/// ```
/// let (mut first, one) = millstream::channel::<u64>().build()?;
/// let (mut second, other) = millstream::channel::<u64>().build()?;
/// first.put(1)?;
/// second.put(2)?;
/// first.complete()?;
/// second.complete()?;
///
/// let mut merged = millstream::merge([one, other]).build();
/// assert_eq!(merged.by_ref().sum::<u64>(), 3);
/// assert_eq!(merged.end(), Some(millstream::End::Completed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Merge<T> {
    gathering: Gathering<T, Order<T>>,
    last: Option<usize>,
}

/// Which input gives the next element.
enum Order<T> {
    Fair(Fair),
    Priority(Priority),
    Sorted(Sorted<T>),
}

impl<T> Operator<T> for Order<T> {
    /// The input, and its element.
    type Item = (usize, T);

    #[inline]
    fn poll(&mut self, inputs: &mut Inputs<T>) -> Taken<(usize, T)> {
        match self {
            Self::Fair(fair) => fair.poll(inputs),
            Self::Priority(priority) => priority.poll(inputs),
            Self::Sorted(sorted) => sorted.poll(inputs),
        }
    }

    fn waits_at(&self, input: usize) -> bool {
        match self {
            Self::Fair(_) | Self::Priority(_) => true,
            Self::Sorted(sorted) => sorted.waits_at(input),
        }
    }

    fn due(&self) -> Option<Instant> {
        match self {
            Self::Fair(_) | Self::Priority(_) => None,
            Self::Sorted(sorted) => sorted.due(),
        }
    }
}

impl<T> Merge<T> {
    /// Takes the next element if it is there and its turn has come. Never waits.
    ///
    /// ```
    /// use millstream::{End, TryNext};
    /// let (mut sink, source) = millstream::channel::<u64>().build()?;
    /// let mut merged = millstream::merge([source]).build();
    /// assert_eq!(merged.try_next(), TryNext::Empty);
    /// sink.put(3)?;
    /// sink.complete()?;
    /// assert_eq!(merged.try_next(), TryNext::Item(3));
    /// assert_eq!(merged.try_next(), TryNext::End(End::Completed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_next(&mut self) -> TryNext<T> {
        match self.gathering.poll() {
            Taken::Item((input, element)) => {
                self.last = Some(input);
                TryNext::Item(element)
            }
            Taken::Empty => TryNext::Empty,
            Taken::Ended => TryNext::End(self.ended()),
        }
    }

    /// Takes the next element, waiting for it until `deadline` at the latest. `Ok(None)` when the merge has ended.
    ///
    /// # Errors
    /// When the deadline passed first. That does not end the merge.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// let (mut sink, source) = millstream::channel::<u64>().build()?;
    /// let mut merged = millstream::merge([source]).build();
    /// sink.put(3)?;
    /// let deadline = Instant::now() + Duration::from_millis(1);
    /// assert_eq!(merged.next_deadline(deadline), Ok(Some(3)));
    /// assert!(merged.next_deadline(deadline).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn next_deadline(&mut self, deadline: Instant) -> Result<Option<T>, TimedOut> {
        let item = self.gathering.next(Some(deadline))?;
        Ok(self.noted(item))
    }

    /// The elements with the number of the input that each came from. Waits as [`next`](Iterator::next) does.
    ///
    /// ```
    /// let (mut first, one) = millstream::channel::<&str>().build()?;
    /// let (mut second, other) = millstream::channel::<&str>().build()?;
    /// second.put("tick")?;
    /// first.complete()?;
    /// second.complete()?;
    /// let mut merged = millstream::merge([one, other]).build();
    /// assert_eq!(merged.indexed().collect::<Vec<_>>(), [(1, "tick")]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn indexed(&mut self) -> Indexed<'_, T> {
        Indexed(self)
    }

    /// The number of the input that the last element came from; `None` before the first.
    ///
    /// ```
    /// let (mut first, one) = millstream::channel::<u64>().build()?;
    /// let (mut second, other) = millstream::channel::<u64>().build()?;
    /// second.put(1)?;
    /// let mut merged = millstream::merge([one, other]).build();
    /// assert_eq!((merged.next(), merged.last_input()), (Some(1), Some(1)));
    /// # drop(first);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn last_input(&self) -> Option<usize> {
        self.last
    }

    /// How the merge ended; `None` as long as that has not been found out by taking.
    ///
    /// `Completed` if all inputs completed, else the end of the [first input that did not](Self::failed_input).
    ///
    /// ```
    /// use millstream::{End, StreamFault};
    /// let (mut first, one) = millstream::channel::<u64>().build()?;
    /// let (mut second, other) = millstream::channel::<u64>().build()?;
    /// let mut merged = millstream::merge([one, other]).build();
    /// first.fail(StreamFault::new(4, "no line"))?;
    /// second.put(1)?;
    /// second.complete()?;
    /// assert_eq!((merged.next(), merged.end()), (Some(1), None));
    /// assert_eq!(merged.next(), None);
    /// assert_eq!(merged.end(), Some(End::Failed(StreamFault::new(4, "no line"))));
    /// assert_eq!(merged.failed_input(), Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.gathering.is_over().then(|| self.ended())
    }

    /// How each input ended, by its number; `None` for those that have not, as far as taking has found out: that is when no input
    /// has anything, and within 256 elements while others have.
    ///
    /// ```
    /// use millstream::End;
    /// let (mut first, one) = millstream::channel::<u64>().build()?;
    /// let (mut second, other) = millstream::channel::<u64>().build()?;
    /// first.complete()?;
    /// second.put(1)?;
    /// let mut merged = millstream::merge([one, other]).build();
    /// assert_eq!(merged.next(), Some(1));
    /// assert!(merged.try_next().item().is_none());
    /// assert_eq!(merged.ends(), [Some(End::Completed), None]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn ends(&self) -> &[Option<End>] {
        self.gathering.inputs.ends()
    }

    /// The number of the input that was the first to end otherwise than completed, as far as taking has found out.
    ///
    /// ```
    /// let (sink, source) = millstream::channel::<u64>().build()?;
    /// let mut merged = millstream::merge([source]).build();
    /// drop(sink);
    /// assert_eq!(merged.next(), None);
    /// assert_eq!(merged.failed_input(), Some(0));
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    #[must_use]
    pub fn failed_input(&self) -> Option<usize> {
        self.gathering.inputs.failed()
    }

    /// How many elements were given after one with a larger key, where the order is
    /// [by key](MergeBuilder::ordered_by) or [by arrival](MergeBuilder::by_arrival); 0 where it is not.
    ///
    /// They are given as soon as they are there. By arrival they are no fault: that order never waits.
    ///
    /// ```
    /// use std::time::Duration;
    /// let (mut first, one) = millstream::channel::<u64>().build()?;
    /// let (mut second, other) = millstream::channel::<u64>().build()?;
    /// let merged = millstream::merge([one, other]).ordered_by(|number| *number);
    /// let mut merged = merged.watermark(Duration::ZERO).build();
    /// first.put(7)?;
    /// assert_eq!(merged.next(), Some(7));
    /// second.put(5)?;
    /// assert_eq!((merged.next(), merged.late()), (Some(5), 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn late(&self) -> u64 {
        match &self.gathering.operator {
            Order::Sorted(sorted) => sorted.late(),
            Order::Fair(_) | Order::Priority(_) => 0,
        }
    }

    /// Ends all inputs from this side: nothing is taken any more, what is held back is dropped, and the producers are told.
    ///
    /// ```
    /// use millstream::End;
    /// let (sink, source) = millstream::channel::<u64>().build()?;
    /// let mut merged = millstream::merge([source]).build();
    /// merged.cancel();
    /// assert_eq!((merged.next(), merged.end()), (None, Some(End::Cancelled)));
    /// assert!(sink.is_closed());
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn cancel(&mut self) {
        self.gathering.cancel();
        if let Order::Sorted(sorted) = &mut self.gathering.operator {
            sorted.clear();
        }
    }

    fn ended(&self) -> End {
        let failure = self
            .failed_input()
            .and_then(|input| self.ends().get(input)?.clone());
        failure.unwrap_or(End::Completed)
    }

    #[inline]
    fn noted(&mut self, item: Option<(usize, T)>) -> Option<T> {
        let (input, element) = item?;
        self.last = Some(input);
        Some(element)
    }
}

impl<T> Iterator for Merge<T> {
    type Item = T;

    /// Takes the next element, waiting for it as the merge's wait strategy says. `None` when the merge has ended; from then on
    /// always `None`.
    #[inline]
    fn next(&mut self) -> Option<T> {
        let item = self.gathering.next(None).ok().flatten();
        self.noted(item)
    }
}

impl<T> std::iter::FusedIterator for Merge<T> {}

impl<T> fmt::Debug for Merge<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merge")
            .field("ends", &self.ends())
            .field("late", &self.late())
            .finish_non_exhaustive()
    }
}

/// The elements of a [`Merge`] with the numbers of their inputs; see [`Merge::indexed`].
///
/// ```
/// let (mut sink, source) = millstream::channel::<u64>().complete_on_drop().build()?;
/// sink.put(7)?;
/// drop(sink);
/// let mut merged = millstream::merge([source]).build();
/// assert_eq!(merged.indexed().last(), Some((0, 7)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Indexed<'a, T>(&'a mut Merge<T>);

impl<T> Iterator for Indexed<'_, T> {
    /// The number of the input, and the element.
    type Item = (usize, T);

    #[inline]
    fn next(&mut self) -> Option<(usize, T)> {
        let element = self.0.next()?;
        self.0.last.map(|input| (input, element))
    }
}

impl<T> std::iter::FusedIterator for Indexed<'_, T> {}
