//! How a conflating consumer is made.

use std::fmt;
use std::hash::Hash;

use super::conflated::Conflated;
use super::intake::Intake;
use super::table::Table;
use crate::primitive::{Arc, thread};
use crate::stream::SourceRef;
use crate::wait::{Selector, WaitStrategy};

/// The name of the thread that takes elements from the source.
const THREAD: &str = "millstream-conflate";

/// Why a conflating consumer could not be made.
///
/// ```
/// use millstream::ConflateError;
/// let (_sink, source) = millstream::channel::<u64>().build()?;
/// let refused = millstream::conflate(source, |n| *n).max_keys(0).build();
/// assert!(matches!(refused, Err(ConflateError::NoKeys)));
/// # Ok::<(), millstream::ChannelError>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConflateError {
    /// Nothing would ever be kept.
    #[error("a table of 0 keys keeps nothing; allow at least 1, or leave `max_keys` out")]
    NoKeys,
    /// The thread could not be started.
    #[error("the thread that conflates could not be started; see the limit of threads of this user: {0}")]
    NoThread(#[source] std::io::Error),
}

/// Begins to conflate a source: its consumer may be slow, and gets the latest element of each key.
///
/// A thread takes elements as fast as they come, so that the producer is not paced by the time that the consumer needs. An
/// element replaces the one of its key that is not delivered yet; nothing else is ever lost, and each loss is
/// [counted](crate::Latest::merged). What is delivered comes in the order in which its keys came.
///
/// `key` runs on that thread, for each element once. If it panics, the stream ends as failed, behind what was taken before.
///
/// ```
/// let (mut sink, source) = millstream::channel::<(&str, u64)>().build()?;
/// let mut prices = millstream::conflate(source, |(name, _)| *name).build()?;
/// for price in 1..=1000 {
///     sink.put(("corn", price))?;
/// }
/// sink.put(("wheat", 7))?;
/// sink.complete()?;
/// let (mut seen, mut merged) = (vec![], 0);
/// for latest in &mut prices {
///     seen.push(latest.element);
///     merged += latest.merged;
/// }
/// assert_eq!(seen.last(), Some(&("wheat", 7)));
/// assert!(seen.contains(&("corn", 1000)));
/// assert_eq!(seen.len() as u64 + merged, 1001);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn conflate<K, T, F>(source: SourceRef<T>, key: F) -> ConflateBuilder<T, F>
where
    K: Hash + Eq + Clone + Send + 'static,
    T: Send + 'static,
    F: FnMut(&T) -> K + Send + 'static,
{
    ConflateBuilder {
        source,
        key,
        most: usize::MAX,
        wait: WaitStrategy::default(),
    }
}

/// Settings of a conflating consumer; see [`conflate`].
#[must_use]
pub struct ConflateBuilder<T, F> {
    source: SourceRef<T>,
    key: F,
    most: usize,
    wait: WaitStrategy,
}

impl<T, F> fmt::Debug for ConflateBuilder<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConflateBuilder")
            .field("source", &self.source)
            .field("max_keys", &self.most)
            .finish_non_exhaustive()
    }
}

impl<T, F> ConflateBuilder<T, F> {
    /// Keys that may be pending at a time. Default: as many as there are. An element of one more waits until the consumer
    /// takes, and those behind it wait with it: then, and only then, the consumer paces the producer.
    ///
    /// ```
    /// let (mut sink, source) = millstream::channel::<u64>().build()?;
    /// let mut numbers = millstream::conflate(source, |n| *n).max_keys(1).build()?;
    /// sink.put_slice(&[1, 2])?;
    /// assert_eq!(numbers.next().map(|latest| latest.element), Some(1));
    /// assert_eq!(numbers.next().map(|latest| latest.element), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.most = keys;
        self
    }

    /// How the consumer waits for an element, and the thread for room in the table. For elements the thread waits as the source
    /// does; asleep at one from another process, by a descriptor, or, as long as this process may open no more, looking each
    /// millisecond.
    ///
    /// ```
    /// use millstream::WaitStrategy;
    /// let (_sink, source) = millstream::channel::<u64>().build()?;
    /// let numbers = millstream::conflate(source, |n| *n).wait(WaitStrategy::park()).build()?;
    /// # drop(numbers);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(mut self, strategy: WaitStrategy) -> Self {
        self.wait = strategy;
        self
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// `NoKeys`, `NoThread`. The source is dropped, which cancels its stream.
    ///
    /// ```
    /// let (_sink, source) = millstream::channel::<u64>().build()?;
    /// let parity = millstream::conflate(source, |n| n % 2).build()?;
    /// # drop(parity);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn build<K>(self) -> Result<Conflated<K, T>, ConflateError>
    where
        K: Hash + Eq + Clone + Send + 'static,
        T: Send + 'static,
        F: FnMut(&T) -> K + Send + 'static,
    {
        if self.most == 0 {
            return Err(ConflateError::NoKeys);
        }
        let (ours, theirs) = (Selector::new(), Selector::new());
        let table = Arc::new(Table::new(self.most, ours.ring(), theirs.ring()));
        let intake = Intake {
            source: self.source,
            key: self.key,
            table: table.clone(),
            selector: theirs,
            strategy: self.wait,
        };
        let thread = thread::Builder::new()
            .name(THREAD.into())
            .spawn(move || intake.run())
            .map_err(ConflateError::NoThread)?;
        Ok(Conflated::new(table, thread, ours, self.wait))
    }
}
