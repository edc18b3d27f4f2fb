//! How a merge is to be.

#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use super::rotation::{Fair, Priority};
use super::sorted::{Lag, Sorted};
use super::{Key, Merge, Order};
use crate::flow::gathering::{Gathering, Waiting, waiting_setters};
use crate::stream::SourceRef;

/// What a merge does when an input fails: when it ends in any other way than `Completed`.
///
/// ```
/// use millstream::EndPolicy;
/// assert_eq!(EndPolicy::default(), EndPolicy::Drain);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndPolicy {
    /// The other inputs go on until each has ended; the failure is told at the end.
    #[default]
    Drain,
    /// Nothing is waited for any more: what is there in the other inputs is given in the merge's order, from each at most as
    /// much as its ring holds, then they are cancelled and the failure is told. So nothing that was published before the failure
    /// was found is lost.
    FailFast,
}

/// Begins a merge of many sources into one stream. An input's number is its place in `sources`; no sources at all make a stream
/// that ends at once.
///
/// The order is [fair](MergeBuilder::fair) if nothing else is said. For how credit, the end and the drop of a merge go, see
/// [`Merge`].
///
/// ```
/// let (mut orders, first) = millstream::channel::<(u64, &str)>().build()?;
/// let (mut trades, second) = millstream::channel::<(u64, &str)>().build()?;
/// orders.put((1, "buy"))?;
/// trades.put((2, "done"))?;
/// orders.put((3, "sell"))?;
/// orders.complete()?;
/// trades.complete()?;
/// let merged = millstream::merge([first, second]).ordered_by(|(time, _)| *time).build();
/// assert_eq!(merged.map(|(_, what)| what).collect::<Vec<_>>(), ["buy", "done", "sell"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn merge<T>(sources: impl IntoIterator<Item = SourceRef<T>>) -> MergeBuilder<T> {
    MergeBuilder {
        sources: sources.into_iter().collect(),
        rule: Rule::Fair,
        lag: Lag::Endless,
        policy: EndPolicy::Drain,
        waiting: Waiting::default(),
    }
}

/// Settings of a merge; see [`merge`].
#[must_use]
pub struct MergeBuilder<T> {
    sources: Vec<SourceRef<T>>,
    rule: Rule<T>,
    /// Of an order by key.
    lag: Lag,
    policy: EndPolicy,
    waiting: Waiting,
}

enum Rule<T> {
    Fair,
    Priority,
    Arrival(Key<T>),
    Keys(Key<T>),
}

impl<T> MergeBuilder<T> {
    /// Each input that has something gives up to 32 elements, then it is the next one's turn: none starves, and an element
    /// costs the same whatever the number of inputs.
    ///
    /// ```
    /// let (mut busy, one) = millstream::channel::<u64>().buffer_size(100).build()?;
    /// let (mut calm, other) = millstream::channel::<u64>().build()?;
    /// busy.put_slice(&[1; 100])?;
    /// calm.put(2)?;
    /// let mut merged = millstream::merge([one, other]).fair().build();
    /// assert_eq!(merged.position(|element| element == 2), Some(32));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fair(mut self) -> Self {
        self.rule = Rule::Fair;
        self
    }

    /// Of the elements that are there, the one with the smallest stamp first; of equal stamps, the earlier input's. Never waits for
    /// an input that has nothing. The stamp is what producers put into their elements as they send them: the time, or a number
    /// that they share.
    ///
    /// It looks at each input that had nothing before each element.
    ///
    /// ```
    /// let (mut first, one) = millstream::channel::<u64>().build()?;
    /// let (mut second, other) = millstream::channel::<u64>().build()?;
    /// second.put(1)?;
    /// first.put(2)?;
    /// second.put(3)?;
    /// let merged = millstream::merge([one, other]).by_arrival(|stamp| *stamp).build();
    /// assert_eq!(merged.take(3).collect::<Vec<_>>(), [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn by_arrival(mut self, stamp: impl Fn(&T) -> u64 + Send + 'static) -> Self {
        self.rule = Rule::Arrival(Box::new(stamp));
        self
    }

    /// The earlier input goes first whenever it has something. So a later input **starves** for as long as an earlier one is never
    /// empty: its producer then waits at a full buffer.
    ///
    /// It looks at each earlier input before each element.
    ///
    /// ```
    /// let (mut urgent, one) = millstream::channel::<u64>().build()?;
    /// let (mut plain, other) = millstream::channel::<u64>().build()?;
    /// plain.put_slice(&[1, 2])?;
    /// let mut merged = millstream::merge([one, other]).by_priority().build();
    /// assert_eq!(merged.next(), Some(1));
    /// urgent.put(0)?;
    /// assert_eq!(merged.next(), Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn by_priority(mut self) -> Self {
        self.rule = Rule::Priority;
        self
    }

    /// The smallest key first, over all inputs; of equal keys, the earlier input's. Each input has its elements in the order
    /// of their keys itself.
    ///
    /// An input's last key is its watermark: it is taken to bring no smaller one. An element is given when no input that is open can
    /// bring a smaller key. Who has nothing therefore holds the others back, up to its next element or its end; say with
    /// [`watermark`](Self::watermark) for how long at most.
    ///
    /// An element that comes too late, with a smaller key than was given, is given at once and [counted](Merge::late).
    ///
    /// ```
    /// let (mut first, one) = millstream::channel::<u64>().build()?;
    /// let (mut second, other) = millstream::channel::<u64>().build()?;
    /// let mut merged = millstream::merge([one, other]).ordered_by(|key| *key).build();
    /// first.put_slice(&[1, 4])?;
    /// assert!(merged.try_next().item().is_none());
    /// second.put(3)?;
    /// assert_eq!(merged.next(), Some(1));
    /// assert_eq!(merged.next(), Some(3));
    /// second.complete()?;
    /// assert_eq!(merged.next(), Some(4));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ordered_by(mut self, key: impl Fn(&T) -> u64 + Send + 'static) -> Self {
        self.rule = Rule::Keys(Box::new(key));
        self
    }

    /// How long, where the order is [by key](Self::ordered_by), an input that has nothing holds the others back, from when it was
    /// first found to. After that it is left out until it brings something again. By default without a bound, but for the
    /// [idle timeout](Self::idle_timeout).
    ///
    /// ```
    /// use std::time::Duration;
    /// let (mut first, one) = millstream::channel::<u64>().build()?;
    /// let (silent, other) = millstream::channel::<u64>().build()?;
    /// first.put_slice(&[1, 4])?;
    /// let merged = millstream::merge([one, other]).ordered_by(|key| *key);
    /// let mut merged = merged.watermark(Duration::from_millis(1)).build();
    /// assert_eq!(merged.by_ref().take(2).collect::<Vec<_>>(), [1, 4]);
    /// # drop(silent);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn watermark(mut self, interval: Duration) -> Self {
        self.lag = Lag::AtMost(interval);
        self
    }

    /// What is done when an input fails. Default [`EndPolicy::Drain`].
    ///
    /// ```
    /// use millstream::EndPolicy;
    /// let (failing, one) = millstream::channel::<u64>().build()?;
    /// let (mut sink, other) = millstream::channel::<u64>().build()?;
    /// sink.put(7)?;
    /// drop(failing);
    /// let mut merged = millstream::merge([one, other]).end_policy(EndPolicy::FailFast).build();
    /// assert_eq!((merged.next(), merged.next()), (Some(7), None));
    /// assert_eq!(merged.failed_input(), Some(0));
    /// assert!(sink.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn end_policy(mut self, policy: EndPolicy) -> Self {
        self.policy = policy;
        self
    }

    waiting_setters!("millstream::merge([a, b])");

    /// Makes the merge.
    ///
    /// ```
    /// let mut nothing = millstream::merge::<u64>([]).build();
    /// assert_eq!(nothing.next(), None);
    /// assert_eq!(nothing.end(), Some(millstream::End::Completed));
    /// ```
    #[must_use]
    pub fn build(self) -> Merge<T> {
        let inputs = self.sources.len();
        let order = match self.rule {
            Rule::Fair => Order::Fair(Fair::new(inputs)),
            Rule::Priority => Order::Priority(Priority::new(inputs)),
            Rule::Arrival(stamp) => Order::Sorted(Sorted::new(inputs, stamp, Lag::None)),
            Rule::Keys(key) => Order::Sorted(Sorted::new(inputs, key, self.lag)),
        };
        let fail_fast = self.policy == EndPolicy::FailFast;
        Merge {
            gathering: Gathering::new(self.sources, order, self.waiting, fail_fast),
            last: None,
        }
    }
}

impl<T> fmt::Debug for MergeBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = match self.rule {
            Rule::Fair => "fair",
            Rule::Priority => "by priority",
            Rule::Arrival(_) => "by arrival",
            Rule::Keys(_) => "by key",
        };
        f.debug_struct("MergeBuilder")
            .field("sources", &self.sources)
            .field("order", &order)
            .field("lag", &self.lag)
            .field("policy", &self.policy)
            .field("waiting", &self.waiting)
            .finish()
    }
}
