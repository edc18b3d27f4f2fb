//! `arbitrate`: two lines that carry the same numbers, one stream without duplicates.

#![forbid(unsafe_code)]

mod arbiter;
mod line;

use std::fmt;
use std::time::{Duration, Instant};

use arbiter::Arbiter;
pub use line::LineCounts;

use super::gathering::{Gathering, Waiting, waiting_setters};
use super::inputs::Taken;
use crate::stream::{End, SourceRef, TimedOut, TryNext};

/// What two lines have together: an element, or the news that elements are missing.
///
/// ```
/// use millstream::Feed;
/// let told: Feed<u64> = Feed::Gap { from: 7, count: 2 };
/// assert_eq!(told.element(), None);
/// assert_eq!(Feed::Element(9).element(), Some(9));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed<T> {
    /// The element whose number comes next.
    Element(T),
    /// The elements of these numbers will not come: neither line has brought them.
    Gap {
        /// The first number that is missing.
        from: u64,
        /// How many are missing, at least 1. Numbers wrap after `u64::MAX`.
        count: u64,
    },
}

impl<T> Feed<T> {
    /// The element, if it is one.
    ///
    /// ```
    /// use millstream::Feed;
    /// assert_eq!(Feed::Element("tick").element(), Some("tick"));
    /// ```
    pub fn element(self) -> Option<T> {
        match self {
            Self::Element(element) => Some(element),
            Self::Gap { .. } => None,
        }
    }
}

/// Begins the arbitration of two lines that carry the same elements, as an exchange's feed has them: each with losses,
/// duplicates and delays of its own. `sequence` reads an element's number.
///
/// Every number comes out once, in order, from whichever line brings it first; what neither brings is told as a
/// [gap](Feed::Gap). See [`Arbitrated`].
///
/// ```
/// use millstream::Feed::{Element, Gap};
/// let (mut left, a) = millstream::channel::<u64>().build()?;
/// let (mut right, b) = millstream::channel::<u64>().build()?;
/// left.put_slice(&[1, 2, 5])?;
/// right.put_slice(&[1, 3, 5])?;
/// left.complete()?;
/// right.complete()?;
/// let feed = millstream::arbitrate(a, b, |number| *number).build();
/// let all: Vec<_> = feed.collect();
/// assert_eq!(all, [Element(1), Element(2), Element(3), Gap { from: 4, count: 1 }, Element(5)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn arbitrate<T>(
    a: SourceRef<T>,
    b: SourceRef<T>,
    sequence: impl Fn(&T) -> u64 + Send + 'static,
) -> ArbitrateBuilder<T> {
    ArbitrateBuilder {
        sources: [a, b],
        sequence: Box::new(sequence),
        first: None,
        patience: Duration::from_millis(10),
        window: 1 << 16,
        waiting: Waiting::default(),
    }
}

/// Settings of an arbitration; see [`arbitrate`].
#[must_use]
pub struct ArbitrateBuilder<T> {
    sources: [SourceRef<T>; 2],
    sequence: Box<dyn Fn(&T) -> u64 + Send>,
    first: Option<u64>,
    patience: Duration,
    window: usize,
    waiting: Waiting,
}

impl<T> ArbitrateBuilder<T> {
    /// The number to begin with: what is missing from there on is a gap, what comes before it is dropped as a duplicate. By default
    /// the smaller one of those that the lines bring first, as far as both have brought something when it begins.
    ///
    /// ```
    /// use millstream::Feed::{Element, Gap};
    /// let (mut left, a) = millstream::channel::<u64>().build()?;
    /// let (mut right, b) = millstream::channel::<u64>().build()?;
    /// left.put_slice(&[6, 9])?;
    /// right.put(9)?;
    /// let feed = millstream::arbitrate(a, b, |number| *number).first(7).build();
    /// assert_eq!(feed.take(2).collect::<Vec<_>>(), [Gap { from: 7, count: 2 }, Element(9)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn first(mut self, number: u64) -> Self {
        self.first = Some(number);
        self
    }

    /// How long an element is held back behind a gap at most, for the other line to fill it. Default 10 ms.
    ///
    /// It is to be longer than one line may be behind the other: where processes share cores, or a line is replayed, that is
    /// more than the network's skew. [`LineCounts::late`] says how many elements came after it, or after the
    /// [window](Self::window), was over.
    ///
    /// ```
    /// use std::time::Duration;
    /// use millstream::Feed::{Element, Gap};
    /// let (mut left, a) = millstream::channel::<u64>().build()?;
    /// let (silent, b) = millstream::channel::<u64>().build()?;
    /// left.put_slice(&[1, 3])?;
    /// let feed = millstream::arbitrate(a, b, |number| *number).patience(Duration::from_millis(1)).build();
    /// assert_eq!(feed.take(3).collect::<Vec<_>>(), [Element(1), Gap { from: 2, count: 1 }, Element(3)]);
    /// # drop(silent);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How many elements are held back behind a gap at most; the one that makes it so many ends the waiting for the first gap.
    /// Default 65,536. At least 1, which waits for nothing. Memory is taken for those that are held back alone.
    ///
    /// A window that is full ends the waiting however long the patience is, so at full speed it is to hold what a line brings
    /// while the other is behind.
    ///
    /// ```
    /// use millstream::Feed::{Element, Gap};
    /// let (mut left, a) = millstream::channel::<u64>().build()?;
    /// let (silent, b) = millstream::channel::<u64>().build()?;
    /// left.put_slice(&[1, 3])?;
    /// let mut feed = millstream::arbitrate(a, b, |number| *number).window(2).build();
    /// assert_eq!(feed.next(), Some(Element(1)));
    /// assert_eq!(feed.try_next().item(), None);
    /// left.put(5)?;
    /// assert_eq!(feed.next(), Some(Gap { from: 2, count: 1 }));
    /// assert_eq!(feed.next(), Some(Element(3)));
    /// # drop(silent);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn window(mut self, elements: usize) -> Self {
        self.window = elements.max(1);
        self
    }

    waiting_setters!("millstream::arbitrate(a, b, |number| *number)");

    /// Makes the arbitration.
    ///
    /// ```
    /// # let (left, a) = millstream::channel::<u64>().build()?;
    /// # let (right, b) = millstream::channel::<u64>().build()?;
    /// let mut feed = millstream::arbitrate(a, b, |number| *number).build();
    /// assert_eq!(feed.try_next(), millstream::TryNext::Empty);
    /// # drop((left, right));
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    #[must_use]
    pub fn build(self) -> Arbitrated<T> {
        let arbiter = Arbiter::new(self.sequence, self.first, self.patience, self.window);
        Arbitrated(Gathering::new(self.sources.into(), arbiter, self.waiting, false))
    }
}

impl<T> fmt::Debug for ArbitrateBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArbitrateBuilder")
            .field("sources", &self.sources)
            .field("first", &self.first)
            .field("patience", &self.patience)
            .field("window", &self.window)
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

/// The elements of two lines, each number once; see [`arbitrate`].
///
/// An iterator of [`Feed`]s. The numbers that come out, those of gaps included, go up by one, and wrap after `u64::MAX`: each number
/// is either an element, or in exactly one gap.
///
/// **Gaps.** An element whose predecessor is missing is held back, until the other line brings that; or until both lines have
/// gone past it, for a line brings its numbers in order; or until the element was held back for as long as the
/// [patience](ArbitrateBuilder::patience), or too many [are](ArbitrateBuilder::window). Then the gap is told. What comes for it
/// later is dropped, and counted as [late](LineCounts::late).
///
/// **Going back.** A number that was given, or told as missing, or lies before the first, is old, and dropped. So a
/// feed that begins its numbers anew is to be arbitrated anew; until then everything on it is old. Which of two numbers is the
/// older one is told by the shorter way round, as they wrap.
///
/// **Ends.** When one line ends or dies the other goes on alone, and nothing is waited for that only the first could bring. It ends when
/// both have ended, after what is held back.
///
/// **Credit.** Each line is taken from as it comes, for the slower one's duplicates have to be dropped; what is held back is at most
/// the window. An arbitration that is not taken from takes nothing. **Dropping** it cancels both lines.
///
/// ```
/// use millstream::{End, Feed};
/// let (mut left, a) = millstream::channel::<u64>().build()?;
/// let (right, b) = millstream::channel::<u64>().build()?;
/// let mut feed = millstream::arbitrate(a, b, |number| *number).build();
/// drop(right);
/// left.put_slice(&[1, 2])?;
/// left.complete()?;
/// assert_eq!(feed.by_ref().filter_map(Feed::element).sum::<u64>(), 3);
/// assert_eq!(feed.end(), Some(End::Completed));
/// assert!(matches!(feed.ends(), [Some(End::Completed), Some(End::Failed(_))]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Arbitrated<T>(Gathering<T, Arbiter<T>>);

impl<T> Arbitrated<T> {
    /// Takes what comes next, if it is due. Never waits.
    ///
    /// ```
    /// use millstream::{Feed, TryNext};
    /// let (mut left, a) = millstream::channel::<u64>().build()?;
    /// let (right, b) = millstream::channel::<u64>().build()?;
    /// let mut feed = millstream::arbitrate(a, b, |number| *number).build();
    /// left.put(1)?;
    /// assert_eq!(feed.try_next(), TryNext::Item(Feed::Element(1)));
    /// assert_eq!(feed.try_next(), TryNext::Empty);
    /// # drop(right);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_next(&mut self) -> TryNext<Feed<T>> {
        match self.0.poll() {
            Taken::Item(item) => TryNext::Item(item),
            Taken::Empty => TryNext::Empty,
            Taken::Ended => TryNext::End(self.ended()),
        }
    }

    /// Takes what comes next, waiting for it until `deadline` at the latest. `Ok(None)` when both lines have ended.
    ///
    /// # Errors
    /// When the deadline passed first. That ends nothing.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// let (left, a) = millstream::channel::<u64>().build()?;
    /// let (right, b) = millstream::channel::<u64>().build()?;
    /// let mut feed = millstream::arbitrate(a, b, |number| *number).build();
    /// assert!(feed.next_deadline(Instant::now() + Duration::from_millis(1)).is_err());
    /// # drop((left, right));
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    #[inline]
    pub fn next_deadline(&mut self, deadline: Instant) -> Result<Option<Feed<T>>, TimedOut> {
        self.0.next(Some(deadline))
    }

    /// How it ended: as the line that came furthest. Of two that came equally far, `Completed` if either completed. `None` as long
    /// as the end has not been found out by taking.
    ///
    /// ```
    /// use millstream::{End, StreamFault};
    /// let (mut left, a) = millstream::channel::<u64>().build()?;
    /// let (mut right, b) = millstream::channel::<u64>().build()?;
    /// left.put(1)?;
    /// left.complete()?;
    /// right.put_slice(&[1, 2])?;
    /// right.fail(StreamFault::new(4, "no line"))?;
    /// let mut feed = millstream::arbitrate(a, b, |number| *number).build();
    /// assert_eq!(feed.by_ref().count(), 2);
    /// assert_eq!(feed.end(), Some(End::Failed(StreamFault::new(4, "no line"))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.0.is_over().then(|| self.ended())
    }

    /// How line A and line B ended; `None` for one that has not, as far as taking has found out.
    ///
    /// ```
    /// let (mut left, a) = millstream::channel::<u64>().build()?;
    /// let (right, b) = millstream::channel::<u64>().build()?;
    /// let mut feed = millstream::arbitrate(a, b, |number| *number).build();
    /// left.complete()?;
    /// assert!(feed.try_next().item().is_none());
    /// assert_eq!(feed.ends(), [Some(millstream::End::Completed), None]);
    /// # drop(right);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn ends(&self) -> [Option<End>; 2] {
        let end = |line: usize| self.0.inputs.ends().get(line).cloned().flatten();
        [end(0), end(1)]
    }

    /// What line A brought.
    ///
    /// ```
    /// let (mut left, a) = millstream::channel::<u64>().build()?;
    /// let (mut right, b) = millstream::channel::<u64>().build()?;
    /// left.put_slice(&[1, 3])?;
    /// right.put_slice(&[1, 2, 3])?;
    /// let mut feed = millstream::arbitrate(a, b, |number| *number).build();
    /// assert_eq!(feed.by_ref().take(3).count(), 3);
    /// let (a, b) = (feed.line_a(), feed.line_b());
    /// assert_eq!((a.first + b.first, a.missed, b.missed), (3, 1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn line_a(&self) -> LineCounts {
        self.0.operator.counts()[0]
    }

    /// What line B brought; see [`line_a`](Self::line_a).
    ///
    /// ```
    /// let (left, a) = millstream::channel::<u64>().build()?;
    /// let (mut right, b) = millstream::channel::<u64>().build()?;
    /// right.put_slice(&[1, 1, 2])?;
    /// let mut feed = millstream::arbitrate(a, b, |number| *number).build();
    /// assert_eq!(feed.by_ref().take(2).count(), 2);
    /// assert_eq!((feed.line_b().first, feed.line_b().duplicates), (2, 1));
    /// # drop(left);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn line_b(&self) -> LineCounts {
        self.0.operator.counts()[1]
    }

    /// How many elements are held back behind a gap.
    ///
    /// ```
    /// let (mut left, a) = millstream::channel::<u64>().build()?;
    /// let (right, b) = millstream::channel::<u64>().build()?;
    /// left.put_slice(&[1, 3, 4])?;
    /// let mut feed = millstream::arbitrate(a, b, |number| *number).build();
    /// assert!(feed.try_next().item().is_some());
    /// assert!(feed.try_next().item().is_none());
    /// assert_eq!(feed.held_back(), 2);
    /// # drop(right);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn held_back(&self) -> usize {
        self.0.operator.held_back()
    }

    /// Ends both lines from this side: nothing is taken any more, what is held back is dropped, and the producers are told.
    ///
    /// ```
    /// use millstream::End;
    /// let (left, a) = millstream::channel::<u64>().build()?;
    /// let (right, b) = millstream::channel::<u64>().build()?;
    /// let mut feed = millstream::arbitrate(a, b, |number| *number).build();
    /// feed.cancel();
    /// assert_eq!((feed.next(), feed.end()), (None, Some(End::Cancelled)));
    /// assert!(left.is_closed() && right.is_closed());
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn cancel(&mut self) {
        self.0.cancel();
        self.0.operator.clear();
    }

    fn ended(&self) -> End {
        let [a, b] = self.ends();
        let ends = match self.0.operator.further() {
            Some(0) => [a, b],
            Some(_) => [b, a],
            None if b == Some(End::Completed) => [b, a],
            None => [a, b],
        };
        ends.into_iter().flatten().next().unwrap_or(End::Cancelled)
    }
}

impl<T> Iterator for Arbitrated<T> {
    type Item = Feed<T>;

    /// Takes what comes next, waiting for it as the wait strategy says. `None` when both lines have ended; from then on always
    /// `None`.
    #[inline]
    fn next(&mut self) -> Option<Feed<T>> {
        self.0.next(None).ok().flatten()
    }
}

impl<T> std::iter::FusedIterator for Arbitrated<T> {}

impl<T> fmt::Debug for Arbitrated<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arbitrated")
            .field("line_a", &self.line_a())
            .field("line_b", &self.line_b())
            .field("held_back", &self.held_back())
            .field("ends", &self.ends())
            .finish_non_exhaustive()
    }
}
