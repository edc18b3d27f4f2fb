//! The handle by which workers join.

use std::fmt;

use super::desk::Desk;
use crate::primitive::Arc;
use crate::stream::{ChannelError, SourceRef};

/// By which workers of this process join a work queue, from any thread and while it runs. It can be cloned.
///
/// ```
/// let (mut sink, _) = millstream::work_queue::<u64>().build()?;
/// let queue = sink.queue();
/// let worker = std::thread::spawn(move || queue.join().map(|source| source.sum::<u64>()));
/// for i in 1..=10 {
///     sink.put(i)?;
/// }
/// sink.complete()?;
/// assert_eq!(worker.join().unwrap()?, 55);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WorkQueue<T> {
    pub(super) desk: Arc<Desk<T>>,
}

impl<T: Send + 'static> WorkQueue<T> {
    /// Makes one more worker. It leaves by dropping its source, which may happen at any time: what was dealt to it and it did
    /// not take goes to another.
    ///
    /// Of a queue that has ended, with everything taken, it gets the end.
    ///
    /// # Errors
    /// `TooLarge` and `NoMemory`, for a prefetch that is too large.
    ///
    /// ```
    /// use millstream::TryNext;
    /// let (mut sink, _) = millstream::work_queue::<u64>().build()?;
    /// let (mut first, mut second) = (sink.queue().join()?, sink.queue().join()?);
    /// assert_eq!(first.try_next(), TryNext::Empty); // which asks for one
    /// sink.put(7)?;
    /// drop(first);
    /// assert_eq!(second.next(), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join(&self) -> Result<SourceRef<T>, ChannelError> {
        self.desk.join()
    }

    /// Workers that there are now, in this and in other processes.
    ///
    /// ```
    /// let (sink, sources) = millstream::work_queue::<u64>().workers(2).build()?;
    /// assert_eq!(sink.queue().consumers(), 2);
    /// drop(sources);
    /// assert_eq!(sink.queue().consumers(), 0);
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    #[must_use]
    pub fn consumers(&self) -> usize {
        self.desk.deals().consumers()
    }
}

impl<T> Clone for WorkQueue<T> {
    fn clone(&self) -> Self {
        Self {
            desk: self.desk.clone(),
        }
    }
}

impl<T> fmt::Debug for WorkQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkQueue").finish_non_exhaustive()
    }
}
