//! `Conflated`: the consumer of the latest element of each key.

use std::fmt;
use std::hash::Hash;
use std::time::Instant;

use super::table::Table;
use crate::primitive::Arc;
use crate::primitive::thread::JoinHandle;
use crate::stream::{End, TimedOut, TryNext};
use crate::wait::{Bells, Selector, WaitStrategy};

/// The latest element of a key.
///
/// ```
/// let (mut sink, source) = millstream::channel::<u64>().build()?;
/// let mut all = millstream::conflate(source, |_| ()).build()?;
/// sink.put_slice(&[1, 2, 3])?;
/// sink.complete()?;
/// let latest = all.by_ref().last().unwrap();
/// assert_eq!(latest.element, 3);
/// assert!(latest.merged <= 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latest<T> {
    /// The element.
    pub element: T,
    /// How many older ones of its key were replaced since the key was last delivered.
    pub merged: u64,
}

/// The consumer of a conflated stream; see [`conflate`](crate::conflate).
///
/// It is an iterator, as a source is, and can be sent to another thread. Dropping it cancels the source at once, and waits for the
/// thread that conflates, which at most is within the key function.
///
/// ```
/// let (mut sink, source) = millstream::channel::<u64>().build()?;
/// let mut parity = millstream::conflate(source, |n| n % 2).build()?;
/// sink.put_slice(&[1, 2, 3, 4])?;
/// sink.complete()?;
/// let last = parity.by_ref().map(|latest| latest.element).max();
/// assert_eq!(last, Some(4));
/// assert_eq!(parity.end(), Some(millstream::End::Completed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Conflated<K, T> {
    table: Arc<Table<K, T>>,
    thread: Option<JoinHandle<()>>,
    selector: Selector,
    strategy: WaitStrategy,
    end: Option<End>,
}

impl<K: Hash + Eq + Clone, T> Conflated<K, T> {
    /// Takes the next element if there is one. Never waits.
    ///
    /// ```
    /// use millstream::TryNext;
    /// let (_sink, source) = millstream::channel::<u64>().build()?;
    /// let mut numbers = millstream::conflate(source, |n| *n).build()?;
    /// assert_eq!(numbers.try_next(), TryNext::Empty);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_next(&mut self) -> TryNext<Latest<T>> {
        if let Some(end) = &self.end {
            return TryNext::End(end.clone());
        }
        if let Some(latest) = self.table.take() {
            return TryNext::Item(latest);
        }
        let rows = self.table.rows();
        // Both by one look: what came before the end is delivered first.
        if rows.pending() > 0 {
            drop(rows);
            return self.try_next();
        }
        match &rows.end {
            Some(end) => {
                let end = end.clone();
                self.end = Some(end.clone());
                TryNext::End(end)
            }
            None => TryNext::Empty,
        }
    }

    /// Takes the next element, waiting for it until `deadline` at the latest. `Ok(None)` when the stream has ended.
    ///
    /// # Errors
    /// When the deadline passed first. That does not end the stream.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// let (mut sink, source) = millstream::channel::<u64>().build()?;
    /// let mut numbers = millstream::conflate(source, |n| *n).build()?;
    /// sink.put(3)?;
    /// let latest = numbers.next_deadline(Instant::now() + Duration::from_secs(10))?;
    /// assert_eq!(latest.map(|latest| latest.element), Some(3));
    /// assert!(numbers.next_deadline(Instant::now()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_deadline(&mut self, deadline: Instant) -> Result<Option<Latest<T>>, TimedOut> {
        self.next_by(Some(deadline))
    }

    fn next_by(&mut self, deadline: Option<Instant>) -> Result<Option<Latest<T>>, TimedOut> {
        loop {
            // From before the look: what comes after it counts.
            let mut seen = self.table.news();
            match self.try_next() {
                TryNext::Item(latest) => return Ok(Some(latest)),
                TryNext::End(_) => return Ok(None),
                TryNext::Empty => {}
            }
            let table = &*self.table;
            let waited = self.selector.wait(
                self.strategy,
                deadline,
                &mut seen,
                |seen| (table.news() != *seen).then_some(()),
                |_| {
                    // Whoever tells of something takes this back under the lock, so the look that follows sees the news.
                    table.rows().consumer_sleeps = true;
                    Bells::default()
                },
            );
            waited.ok_or(TimedOut)?;
        }
    }
}

impl<K, T> Conflated<K, T> {
    pub(super) fn new(
        table: Arc<Table<K, T>>,
        thread: JoinHandle<()>,
        selector: Selector,
        strategy: WaitStrategy,
    ) -> Self {
        Self {
            table,
            thread: Some(thread),
            selector,
            strategy,
            end: None,
        }
    }

    /// How the stream ended; `None` as long as that has not been found out by taking.
    ///
    /// ```
    /// let (mut sink, source) = millstream::channel::<u64>().build()?;
    /// let mut numbers = millstream::conflate(source, |n| *n).build()?;
    /// sink.complete()?;
    /// assert_eq!(numbers.next(), None);
    /// assert_eq!(numbers.end(), Some(millstream::End::Completed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.end.clone()
    }

    /// Elements that were replaced so far, of all keys: those of [`Latest::merged`] and of what is pending.
    ///
    /// ```
    /// let (mut sink, source) = millstream::channel::<u64>().build()?;
    /// let mut all = millstream::conflate(source, |_| ()).build()?;
    /// sink.put_slice(&[1, 2, 3])?;
    /// sink.complete()?;
    /// let delivered = all.by_ref().count() as u64;
    /// assert_eq!(delivered + all.merged_total(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn merged_total(&self) -> u64 {
        self.table.rows().merged_total
    }

    /// Keys of which an element is pending.
    ///
    /// ```
    /// let (_sink, source) = millstream::channel::<u64>().build()?;
    /// let numbers = millstream::conflate(source, |n| *n).build()?;
    /// assert_eq!(numbers.pending(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn pending(&self) -> usize {
        self.table.rows().pending()
    }
}

impl<K: Hash + Eq + Clone, T> Iterator for Conflated<K, T> {
    type Item = Latest<T>;

    /// Takes the next element, waiting for it. `None` when the stream has ended; from then on always.
    fn next(&mut self) -> Option<Latest<T>> {
        self.next_by(None).unwrap_or(None)
    }
}

impl<K: Hash + Eq + Clone, T> std::iter::FusedIterator for Conflated<K, T> {}

impl<K, T> Drop for Conflated<K, T> {
    fn drop(&mut self) {
        self.table.stop();
        if let Some(thread) = self.thread.take() {
            // Its panics are caught.
            let _ = thread.join();
        }
    }
}

impl<K, T> fmt::Debug for Conflated<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conflated")
            .field("pending", &self.pending())
            .field("merged_total", &self.merged_total())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
