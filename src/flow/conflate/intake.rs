//! The thread that takes elements from the source into the table.

use std::hash::Hash;

use super::table::Table;
use crate::actor::fenced;
use crate::primitive::Arc;
use crate::stream::{Attended, End, SourceRef, StreamFault};
use crate::wait::{Bells, Selector, WaitStrategy};

/// What the thread owns.
pub(super) struct Intake<K, T, F> {
    pub(super) source: SourceRef<T>,
    pub(super) key: F,
    pub(super) table: Arc<Table<K, T>>,
    pub(super) selector: Selector,
    /// How it waits for a row.
    pub(super) strategy: WaitStrategy,
}

impl<K: Hash + Eq + Clone, T, F: FnMut(&T) -> K> Intake<K, T, F> {
    /// Takes until the source ends, the consumer goes, or the key function panics.
    pub(super) fn run(self) {
        let table = self.table.clone();
        // The source is dropped in there: it is cancelled before the consumer sees the end.
        let end = fenced(|| self.take_all()).unwrap_or_else(|failure| {
            let fault = format!("the key of an element could not be told: {}", failure.message());
            End::Failed(StreamFault::new(StreamFault::PRODUCER_PANICKED, fault))
        });
        let mut rows = table.rows();
        rows.end = Some(end);
        table.tell(rows);
    }

    fn take_all(mut self) -> End {
        loop {
            let table = &*self.table;
            match self
                .source
                .attend(&mut self.selector, None, &|| table.is_stopped())
            {
                Attended::Item(element) => {
                    if !self.keep(element) {
                        return End::Cancelled;
                    }
                }
                Attended::Ended(end) => return end,
                Attended::CalledAway => return End::Cancelled,
                // None was given.
                Attended::TimedOut => {}
            }
        }
    }

    /// Keeps an element, waiting for a row if it has a new key. False when the consumer has gone.
    fn keep(&mut self, element: T) -> bool {
        let key = (self.key)(&element);
        let table = &*self.table;
        let mut held = Some(element);
        let kept = self.selector.wait(
            self.strategy,
            None,
            &mut held,
            |held| {
                if table.is_stopped() {
                    return Some(false);
                }
                match table.keep(&key, held.take()?) {
                    Ok(replaced) => {
                        // Its drop is the user's code, and none of that runs under the lock.
                        drop(replaced);
                        Some(true)
                    }
                    Err(element) => {
                        *held = Some(element);
                        None
                    }
                }
            },
            |_| {
                table.rows().thread_waits = true;
                Bells::default()
            },
        );
        kept.unwrap_or(false)
    }
}
