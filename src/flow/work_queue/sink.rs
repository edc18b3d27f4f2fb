//! `WorkSink`: the handle by which elements are put into a work queue.

use std::fmt;
use std::time::Instant;

use super::builder::Manner;
use super::deals::Ending;
use super::desk::Desk;
use super::queue::WorkQueue;
use crate::element::Element;
use crate::primitive::Arc;
use crate::stream::{
    CloseReason, EndError, NotDrained, PutDeadlineError, PutError, SinkRef, StreamFault, TryPutError,
};
use crate::wait::Selector;

/// The producer's handle of a work queue: each element that is put goes to exactly one worker, one that has asked for it.
///
/// Without a worker it waits; it closes only when it is told to end. What a worker of this process leaves when it goes, the
/// sink being there or not, goes to another. Of a worker in another process see [`add`](Self::add).
///
/// ```
/// let (mut sink, workers) = millstream::work_queue::<String>().workers(2).build()?;
/// let threads = workers.into_iter().map(|worker| std::thread::spawn(move || worker.count()));
/// let threads: Vec<_> = threads.collect();
/// for i in 0..10 {
///     sink.put(format!("job {i}"))?;
/// }
/// sink.complete()?;
/// let done: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
/// assert_eq!(done, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WorkSink<T: Send + 'static> {
    desk: Arc<Desk<T>>,
    selector: Selector,
    manner: Manner,
}

/// A sink that no work queue can deal to: it has a buffer of its own, in which elements would wait for one worker that others
/// could do. Open its stream with [`Buffer::Rendezvous`](crate::Buffer::Rendezvous).
///
/// ```
/// let (mut queue, _) = millstream::work_queue::<u64>().build()?;
/// let (sink, _source) = millstream::channel::<u64>().buffer_size(4).build()?;
/// let refused = queue.add(sink).unwrap_err();
/// assert_eq!(refused.buffer, 4);
/// assert_eq!(refused.sinks.len(), 1);
/// # Ok::<(), millstream::ChannelError>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{}", self.why())]
#[non_exhaustive]
pub struct NotALane<T> {
    /// The sinks, as they were.
    pub sinks: Vec<SinkRef<T>>,
    /// Which of them it is, counted from 0.
    pub index: usize,
    /// Elements that it takes beyond the demand.
    pub buffer: u64,
    /// Whether it is a broadcast, of which every consumer gets every element.
    pub is_broadcast: bool,
}

impl<T> NotALane<T> {
    fn why(&self) -> String {
        if self.is_broadcast {
            return "the stream of this sink is a broadcast, where a work queue gives each element to one worker; \
                    open one without `consumers` for each worker"
                .into();
        }
        format!(
            "the stream of this sink has a buffer of {} elements, where a work queue deals only what was asked for; \
             open it with `Buffer::Rendezvous`",
            self.buffer
        )
    }
}

impl<T: Send + 'static> WorkSink<T> {
    pub(super) fn new(manner: Manner) -> Self {
        let selector = Selector::new();
        Self {
            desk: Desk::new(manner, selector.ring()),
            selector,
            manner,
        }
    }

    /// Deals an element if a worker has asked for one. Never waits.
    ///
    /// # Errors
    /// `Full` when no worker has; `Closed` when the queue has ended. Both give the element back.
    ///
    /// ```
    /// use millstream::{TryNext, TryPutError};
    /// let (mut sink, mut workers) = millstream::work_queue::<u64>().workers(1).build()?;
    /// assert_eq!(sink.try_put(7), Err(TryPutError::Full(7)));
    /// assert_eq!(workers[0].try_next(), TryNext::Empty); // which asks for one
    /// sink.try_put(7)?;
    /// assert_eq!(workers[0].next(), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_put(&mut self, element: T) -> Result<(), TryPutError<T>> {
        self.desk.deals().offer(element, self.desk.waker())
    }

    /// Deals an element, waiting for a worker to ask for it. Waits as long as there is none;
    /// [`put_deadline`](Self::put_deadline) bounds that.
    ///
    /// # Errors
    /// `Closed`, with the element, when the queue has ended.
    ///
    /// ```
    /// let (mut sink, mut workers) = millstream::work_queue::<u64>().workers(1).build()?;
    /// let mut worker = workers.remove(0);
    /// let thread = std::thread::spawn(move || worker.next());
    /// sink.put(7)?;
    /// assert_eq!(thread.join().unwrap(), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put(&mut self, element: T) -> Result<(), PutError<T>> {
        match self.put_by(element, None) {
            Ok(()) => Ok(()),
            Err((element, Some(reason))) => Err(PutError::Closed(element, reason)),
            // Without a deadline none passes.
            Err((element, None)) => Err(PutError::Closed(element, CloseReason::Cancelled)),
        }
    }

    /// Deals an element, waiting for a worker to ask for it until `deadline` at the latest.
    ///
    /// # Errors
    /// `TimedOut` and `Closed` give the element back. After `TimedOut` the queue goes on.
    ///
    /// ```
    /// use std::time::Instant;
    /// use millstream::PutDeadlineError;
    /// let (mut sink, _) = millstream::work_queue::<u64>().build()?;
    /// assert_eq!(sink.put_deadline(7, Instant::now()), Err(PutDeadlineError::TimedOut(7)));
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    pub fn put_deadline(&mut self, element: T, deadline: Instant) -> Result<(), PutDeadlineError<T>> {
        self.put_by(element, Some(deadline))
            .map_err(|(element, reason)| match reason {
                Some(reason) => PutDeadlineError::Closed(element, reason),
                None => PutDeadlineError::TimedOut(element),
            })
    }

    fn put_by(&mut self, element: T, deadline: Option<Instant>) -> Result<(), (T, Option<CloseReason>)> {
        let desk = &self.desk;
        let mut held = Some(element);
        let mut put = None;
        self.selector.wait(
            self.manner.sink_wait,
            deadline,
            &mut held,
            |held| {
                let refused = desk.deals().offer(held.take()?, desk.waker()).err();
                match refused {
                    None => Some(()),
                    Some(TryPutError::Full(element)) => {
                        *held = Some(element);
                        None
                    }
                    Some(TryPutError::Closed(element, reason)) => {
                        put = Some((element, Some(reason)));
                        Some(())
                    }
                }
            },
            |_| desk.deals().arm(desk.waker()),
        );
        let refused = put.or_else(|| held.map(|element| (element, None)));
        refused.map_or(Ok(()), Err)
    }

    /// Ends the queue: every element that was put is taken by a worker, then they get `End::Completed`. Never waits.
    /// Completing twice is completing once.
    ///
    /// Workers of this process get the end when nothing is left that might have to go to another one of them: as long as
    /// one has not taken what it was dealt, the others wait. Those in other processes get it at once, behind what they were
    /// dealt; so that this is dealt again if they die, use [`complete_and_drain`](Self::complete_and_drain).
    ///
    /// # Errors
    /// When the queue had ended otherwise before.
    ///
    /// ```
    /// let (mut sink, mut workers) = millstream::work_queue::<u64>().workers(1).build()?;
    /// sink.complete()?;
    /// assert_eq!(workers[0].next(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn complete(&mut self) -> Result<(), EndError> {
        self.end(Ending::Completed)
    }

    /// Ends the queue with a fault: every element that was put is taken by a worker, then they get `End::Failed`. Never waits;
    /// see [`complete`](Self::complete).
    ///
    /// # Errors
    /// When the queue had ended otherwise before.
    ///
    /// ```
    /// use millstream::{End, StreamFault};
    /// let (mut sink, mut workers) = millstream::work_queue::<u64>().workers(1).build()?;
    /// sink.fail(StreamFault::new(4, "no more orders"))?;
    /// assert_eq!(workers[0].next(), None);
    /// assert_eq!(workers[0].end(), Some(End::Failed(StreamFault::new(4, "no more orders"))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fail(&mut self, fault: StreamFault) -> Result<(), EndError> {
        self.end(Ending::Failed(fault))
    }

    fn end(&mut self, ending: Ending) -> Result<(), EndError> {
        let mut deals = self.desk.deals();
        deals.end(ending).map_err(|reason| EndError { reason })?;
        deals.rest(self.desk.waker());
        Ok(())
    }

    /// Completes the queue and waits until workers have released everything, or `deadline`. What one that dies meanwhile had
    /// not released is dealt again, in other processes too; they get the end when everything is released.
    ///
    /// # Errors
    /// How many elements are left: after the deadline, or with a reason when they were in the hands of a process that died after
    /// the queue had been ended by [`complete`](Self::complete), or when the queue had ended otherwise before.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// let (mut sink, workers) = millstream::work_queue::<u64>().workers(2).build()?;
    /// let spawn = |worker: millstream::SourceRef<u64>| std::thread::spawn(move || worker.count());
    /// let threads: Vec<_> = workers.into_iter().map(spawn).collect();
    /// sink.put(1)?;
    /// sink.complete_and_drain(Instant::now() + Duration::from_secs(10))?;
    /// assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn complete_and_drain(&mut self, deadline: Instant) -> Result<(), NotDrained> {
        let desk = &self.desk;
        let ended = {
            let mut deals = desk.deals();
            deals.is_draining = true;
            deals.end(Ending::Completed)
        };
        let mut last = NotDrained {
            left: 0,
            reason: None,
        };
        let drained = self.selector.wait(
            self.manner.sink_wait,
            Some(deadline),
            &mut last,
            |last| {
                let mut deals = desk.deals();
                deals.rest(desk.waker());
                match deals.drained() {
                    Ok(()) => Some(Ok(())),
                    Err(some) if some.reason.is_some() => Some(Err(some)),
                    Err(some) => {
                        *last = some;
                        None
                    }
                }
            },
            |_| desk.deals().arm_release(desk.waker()),
        );
        let drained = drained.unwrap_or(Err(last));
        match ended {
            Ok(()) => drained,
            Err(reason) => drained.map_err(|last| NotDrained {
                left: last.left,
                reason: Some(reason),
            }),
        }
    }

    /// Looks for workers in other processes that have died, and deals again what they left. Every put does that, too; this is
    /// for a sink that puts nothing for a while. Never waits. Returns how many elements were dealt again so far, in all.
    ///
    /// ```
    /// let (mut sink, mut workers) = millstream::work_queue::<u64>().workers(2).build()?;
    /// let _ = (workers[0].try_next(), workers[1].try_next());
    /// sink.put(1)?;
    /// sink.put(2)?;
    /// drop(workers.remove(0));
    /// assert_eq!(sink.deal_again(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn deal_again(&mut self) -> u64 {
        let mut deals = self.desk.deals();
        deals.rest(self.desk.waker());
        deals.dealt_again()
    }

    /// Workers that there are now, in this and in other processes.
    ///
    /// ```
    /// let (sink, workers) = millstream::work_queue::<u64>().workers(2).build()?;
    /// assert_eq!(sink.consumers(), 2);
    /// # drop(workers);
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    #[must_use]
    pub fn consumers(&self) -> usize {
        self.desk.deals().consumers()
    }

    /// How many elements the workers have asked for and not been sent. They may have asked for more meanwhile.
    ///
    /// ```
    /// let (sink, mut workers) = millstream::work_queue::<u64>().workers(2).build()?;
    /// assert_eq!(sink.demand(), 0);
    /// let _ = workers[1].try_next();
    /// assert_eq!(sink.demand(), 1);
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    #[must_use]
    pub fn demand(&self) -> u64 {
        self.desk.deals().demand()
    }

    /// The handle by which workers of this process join.
    ///
    /// ```
    /// let (sink, _) = millstream::work_queue::<u64>().build()?;
    /// let worker = sink.queue().join()?;
    /// assert_eq!(sink.consumers(), 1);
    /// # drop(worker);
    /// # Ok::<(), millstream::ChannelError>(())
    /// ```
    #[must_use]
    pub fn queue(&self) -> WorkQueue<T> {
        WorkQueue {
            desk: self.desk.clone(),
        }
    }
}

impl<T: Element> WorkSink<T> {
    /// A work queue whose workers are the consumers of these streams: processes that subscribe to what was published.
    ///
    /// # Errors
    /// When one of the streams has a buffer of its own. All sinks come back.
    ///
    /// ```
    /// use millstream::{Buffer, WorkSink};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let lanes = ["one", "two"].map(|name| {
    ///     millstream::publish::<u64>(name).buffer_size(Buffer::Rendezvous).directory(path).open()
    /// });
    /// let mut sink = WorkSink::over(lanes.into_iter().collect::<Result<Vec<_>, _>>()?)?;
    ///
    /// let mut worker = millstream::subscribe::<u64>("two")
    ///     .initial_demand(1)
    ///     .release_on_next()
    ///     .directory(path)
    ///     .open()?;
    /// sink.put(7)?;
    /// assert_eq!(worker.next(), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn over(sinks: Vec<SinkRef<T>>) -> Result<Self, NotALane<T>> {
        let queue = Self::new(Manner::default());
        queue.add_all(sinks)?;
        Ok(queue)
    }

    /// Adds a worker: the consumer of this stream, in another process if it is published.
    ///
    /// It is dealt to when it asks, so what it subscribes with counts: `initial_demand(1)` with
    /// [`release_on_next`](crate::SubscribeBuilder::release_on_next) is the work queue's own way, by which each element is
    /// released when it is done. When its process dies, what it had not released goes to another worker: at least once, for it
    /// may have been done, or half done, before. Without `release_on_next` an element counts as released when it is taken (or half a
    /// window later), and the one in work is not dealt again. That is noticed by the next put, or by
    /// [`deal_again`](Self::deal_again). A stream whose subscription is resumable waits for its successor instead.
    ///
    /// Where the sink sleeps it needs descriptors, one for itself and two or three for each worker of another process; as long
    /// as this process may open no more, it looks at them each millisecond.
    ///
    /// # Errors
    /// When the stream has a buffer of its own, or is a broadcast. The sink comes back.
    ///
    /// ```
    /// use millstream::Buffer;
    /// let (mut queue, _) = millstream::work_queue::<u64>().build()?;
    /// let (sink, mut worker) = millstream::channel::<u64>().buffer_size(Buffer::Rendezvous).build()?;
    /// queue.add(sink)?;
    /// queue.put(7)?;
    /// assert_eq!(worker.next(), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add(&mut self, sink: SinkRef<T>) -> Result<(), NotALane<T>> {
        self.add_all(vec![sink])
    }

    fn add_all(&self, sinks: Vec<SinkRef<T>>) -> Result<(), NotALane<T>> {
        let unfit = |sink: &SinkRef<T>| sink.buffer() != 0 || sink.is_broadcast();
        if let Some(index) = sinks.iter().position(unfit) {
            let (buffer, is_broadcast) = (sinks[index].buffer(), sinks[index].is_broadcast());
            return Err(NotALane {
                sinks,
                index,
                buffer,
                is_broadcast,
            });
        }
        let mut deals = self.desk.deals();
        for sink in sinks {
            deals.add(sink, false);
        }
        deals.rest(self.desk.waker());
        Ok(())
    }
}

impl<T: Send + 'static> Drop for WorkSink<T> {
    fn drop(&mut self) {
        let ending = if self.manner.complete_on_drop {
            Ending::Completed
        } else {
            Ending::Failed(StreamFault::sink_dropped())
        };
        let (foreign, stranded) = {
            let mut deals = self.desk.deals();
            // It may have ended before.
            let _ = deals.end(ending);
            deals.is_abandoned = true;
            deals.rest(self.desk.waker());
            (deals.take_foreign(), deals.stranded())
        };
        drop(foreign);
        if stranded > 0 && Arc::strong_count(&self.desk) == 1 {
            log::warn!("a work queue ends with {stranded} elements that no worker was left to take");
        }
    }
}

impl<T: Send + 'static> fmt::Debug for WorkSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkSink")
            .field("consumers", &self.consumers())
            .field("demand", &self.demand())
            .finish_non_exhaustive()
    }
}
