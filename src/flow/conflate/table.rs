//! What was taken from the source and not delivered: the latest element of each key.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::PoisonError;

use super::conflated::Latest;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::{Mutex, MutexGuard};
use crate::stream::End;
use crate::wait::Ring;

/// What the thread that takes and the consumer share.
pub(super) struct Table<K, T> {
    rows: Mutex<Rows<K, T>>,
    /// 1 once the consumer has gone.
    stop: AtomicU64,
    /// Counts what the consumer may wait for, so that it need not lock to look.
    news: AtomicU64,
    consumer: Ring,
    thread: Ring,
}

pub(super) struct Rows<K, T> {
    /// Keys that are pending, with the numbers of their rows.
    numbers: HashMap<K, u64>,
    /// In the order in which their keys came.
    pending: VecDeque<(K, Latest<T>)>,
    /// Number of the first row.
    first: u64,
    most: usize,
    pub(super) merged_total: u64,
    pub(super) end: Option<End>,
    /// Whether the consumer sleeps, or is about to.
    pub(super) consumer_sleeps: bool,
    /// Whether the thread waits for a row.
    pub(super) thread_waits: bool,
}

impl<K, T> Table<K, T> {
    pub(super) fn new(most: usize, consumer: Ring, thread: Ring) -> Self {
        let rows = Rows {
            numbers: HashMap::new(),
            pending: VecDeque::new(),
            first: 0,
            most,
            merged_total: 0,
            end: None,
            consumer_sleeps: false,
            thread_waits: false,
        };
        Self {
            rows: Mutex::new(rows),
            stop: AtomicU64::new(0),
            news: AtomicU64::new(0),
            consumer,
            thread,
        }
    }

    pub(super) fn rows(&self) -> MutexGuard<'_, Rows<K, T>> {
        // A key's own code may panic under the lock. The stream then ends with that, and what else is there is delivered.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn news(&self) -> u64 {
        // Acquire: whoever sees a number sees what was told by it.
        self.news.load(Ordering::Acquire)
    }

    /// Tells the consumer that there is something to look at.
    pub(super) fn tell(&self, mut rows: MutexGuard<'_, Rows<K, T>>) {
        // Pairs with the Acquire in `news`.
        self.news.fetch_add(1, Ordering::Release);
        let sleeps = std::mem::take(&mut rows.consumer_sleeps);
        drop(rows);
        if sleeps {
            self.consumer.ring();
        }
    }

    /// Has the thread stop, wherever it waits.
    pub(super) fn stop(&self) {
        // Pairs with the Acquire below.
        self.stop.store(1, Ordering::Release);
        self.thread.ring();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire) != 0
    }
}

impl<K: Hash + Eq + Clone, T> Table<K, T> {
    /// Keeps an element. Gives back the one that it replaces; or the element itself, if it is the first of its key and there
    /// is no row for it.
    pub(super) fn keep(&self, key: &K, element: T) -> Result<Option<T>, T> {
        let mut guard = self.rows();
        let rows = &mut *guard;
        let at = rows
            .numbers
            .get(key)
            .map(|number| number.wrapping_sub(rows.first));
        // A number from before the first row is that of a key whose own code panicked when it was removed.
        let row = at
            .and_then(|at| usize::try_from(at).ok())
            .and_then(|at| rows.pending.get_mut(at));
        if let Some((_, latest)) = row {
            latest.merged = latest.merged.saturating_add(1);
            rows.merged_total = rows.merged_total.saturating_add(1);
            // The consumer has been told of this row.
            return Ok(Some(std::mem::replace(&mut latest.element, element)));
        }
        if rows.pending.len() >= rows.most {
            return Err(element);
        }
        let number = rows.first.wrapping_add(rows.pending.len() as u64);
        // Both copies first: should making one panic, the two sides still agree.
        let (one, other) = (key.clone(), key.clone());
        rows.numbers.insert(one, number);
        rows.pending.push_back((other, Latest { element, merged: 0 }));
        self.tell(guard);
        Ok(None)
    }

    /// Takes the first row.
    pub(super) fn take(&self) -> Option<Latest<T>> {
        let mut rows = self.rows();
        let (key, latest) = rows.pending.pop_front()?;
        rows.first = rows.first.wrapping_add(1);
        rows.numbers.remove(&key);
        let waits = std::mem::take(&mut rows.thread_waits);
        drop(rows);
        if waits {
            self.thread.ring();
        }
        Some(latest)
    }
}

impl<K, T> Rows<K, T> {
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }
}
