//! How a work queue is made.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use super::sink::WorkSink;
use crate::stream::{ChannelError, SourceRef};
use crate::wait::WaitStrategy;

/// How a work queue goes about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) prefetch: u64,
    pub(super) idle: Option<Duration>,
    pub(super) sink_wait: WaitStrategy,
    pub(super) worker_wait: WaitStrategy,
    pub(super) complete_on_drop: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            prefetch: 1,
            idle: Some(Duration::from_secs(30)),
            sink_wait: WaitStrategy::default(),
            worker_wait: WaitStrategy::default(),
            complete_on_drop: false,
        }
    }
}

/// Begins a work queue of `T`: many workers compete for the elements of one sink, each element to exactly one.
///
/// A worker is sent an element when it looks for one, and the next when it looks again, so a slow worker is not dealt what a
/// fast one could take; see [`prefetch`](WorkQueueBuilder::prefetch). Between elements of different workers there is no order.
///
/// ```
/// let (mut sink, workers) = millstream::work_queue::<u64>().workers(3).build()?;
/// let workers: Vec<_> = workers
///     .into_iter()
///     .map(|worker| std::thread::spawn(move || worker.sum::<u64>()))
///     .collect();
/// for i in 1..=100 {
///     sink.put(i)?;
/// }
/// sink.complete()?;
/// let sums = workers.into_iter().map(|worker| worker.join().unwrap());
/// assert_eq!(sums.sum::<u64>(), 5050);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn work_queue<T: Send + 'static>() -> WorkQueueBuilder<T> {
    WorkQueueBuilder {
        workers: 0,
        manner: Manner::default(),
        payload: PhantomData,
    }
}

/// Settings of a work queue; see [`work_queue`].
#[must_use]
pub struct WorkQueueBuilder<T> {
    workers: usize,
    manner: Manner,
    payload: PhantomData<fn(T)>,
}

impl<T> fmt::Debug for WorkQueueBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkQueueBuilder")
            .field("workers", &self.workers)
            .field("manner", &self.manner)
            .finish()
    }
}

impl<T: Send + 'static> WorkQueueBuilder<T> {
    /// Workers to begin with. Default 0; more [join](crate::WorkQueue::join) at any time.
    ///
    /// ```
    /// let (_sink, workers) = millstream::work_queue::<u64>().workers(4).build()?;
    /// assert_eq!(workers.len(), 4);
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = count;
        self
    }

    /// Elements that a worker of this process has before it at most, the one that it works on included. Default 1: it is sent
    /// one when it looks for one. With more it asks again each time that it has taken half of them, or finds none. More is
    /// faster, because a worker finds its next element there already, and less fair, because those wait for it that others
    /// could do.
    ///
    /// ```
    /// use millstream::TryNext;
    /// let (mut sink, mut workers) = millstream::work_queue::<u64>().workers(1).prefetch(3).build()?;
    /// assert_eq!(workers[0].try_next(), TryNext::Empty);
    /// assert_eq!(sink.demand(), 3);
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn prefetch(mut self, elements: u64) -> Self {
        self.manner.prefetch = elements;
        self
    }

    /// How long a worker waits for an element before it leaves. Default 30 s; `None` waits for ever.
    ///
    /// ```
    /// use std::time::Duration;
    /// let (sink, mut workers) =
    ///     millstream::work_queue::<u64>().workers(1).idle_timeout(Some(Duration::from_millis(1))).build()?;
    /// assert_eq!(workers[0].next(), None);
    /// assert_eq!(sink.consumers(), 0);
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.manner.idle = timeout;
        self
    }

    /// How the sink waits for a worker that asks.
    ///
    /// ```
    /// use millstream::WaitStrategy;
    /// let queue = millstream::work_queue::<u64>().sink_wait(WaitStrategy::park()).build()?;
    /// # drop(queue);
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn sink_wait(mut self, strategy: WaitStrategy) -> Self {
        self.manner.sink_wait = strategy;
        self
    }

    /// How the workers of this process wait for elements.
    ///
    /// ```
    /// use millstream::WaitStrategy;
    /// let queue = millstream::work_queue::<u64>().worker_wait(WaitStrategy::park()).build()?;
    /// # drop(queue);
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn worker_wait(mut self, strategy: WaitStrategy) -> Self {
        self.manner.worker_wait = strategy;
        self
    }

    /// Dropping the sink completes the queue. By default it fails it, so that a crash does not look like an end.
    ///
    /// ```
    /// let (sink, mut workers) = millstream::work_queue::<u64>().workers(1).complete_on_drop().build()?;
    /// drop(sink);
    /// assert_eq!(workers[0].next(), None);
    /// assert_eq!(workers[0].end(), Some(millstream::End::Completed));
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn complete_on_drop(mut self) -> Self {
        self.manner.complete_on_drop = true;
        self
    }

    /// Makes the queue, and its first workers.
    ///
    /// # Errors
    /// `ZeroDemand` for a prefetch of 0, `TooLarge` (more than 2^32 elements), `NoMemory`.
    ///
    /// ```
    /// use millstream::ChannelError;
    /// let none = millstream::work_queue::<u64>().prefetch(0).build();
    /// assert_eq!(none.err(), Some(ChannelError::ZeroDemand));
    /// ```
    pub fn build(self) -> Result<(WorkSink<T>, Vec<SourceRef<T>>), ChannelError> {
        if self.manner.prefetch == 0 {
            return Err(ChannelError::ZeroDemand);
        }
        let sink = WorkSink::new(self.manner);
        let queue = sink.queue();
        let sources = (0..self.workers)
            .map(|_| queue.join())
            .collect::<Result<_, _>>()?;
        Ok((sink, sources))
    }
}
