//! `Publisher`: the producer's handle of a rendezvous.

#![forbid(unsafe_code)]

use std::fmt;
use std::time::Instant;

use crate::stream::end::{CloseReason, StreamFault};
use crate::stream::endpoint::Granted;
use crate::stream::error::{EndError, PutDeadlineError, PutError, TryPutError};
use crate::stream::sink::SinkRef;

/// The producer's handle of a [`rendezvous`](crate::rendezvous): it hands each value to every registered consumer at the moment
/// at which all of them wait for it.
///
/// It can be sent to another thread, not cloned. Dropping it closes the stream without waiting; dropping it while a panic
/// unwinds fails it, so that a crash does not look like an end.
///
/// ```
/// let (mut publisher, stream) = millstream::rendezvous::<u64>().build()?;
/// let mut consumer = stream.subscribe()?;
/// let reader = std::thread::spawn(move || consumer.by_ref().collect::<Vec<_>>());
/// publisher.put(1)?;
/// publisher.put(2)?;
/// publisher.close()?;
/// assert_eq!(reader.join().unwrap(), [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Publisher<T> {
    sink: SinkRef<T>,
}

impl<T> Publisher<T> {
    pub(super) fn new(sink: SinkRef<T>) -> Self {
        Self { sink }
    }

    /// Consumers to whom what was put last went.
    fn receivers(&self) -> u64 {
        self.sink.endpoint.receivers(self.sink.position())
    }

    /// Waits until every registered consumer waits for the next value, hands it to all of them and returns to how many: they
    /// process it from here on. Without a consumer it does what the stream was built to do.
    ///
    /// # Errors
    /// `Closed`, with the value, when the stream was closed.
    ///
    /// ```
    /// let (mut publisher, stream) = millstream::rendezvous::<u64>().build()?;
    /// let mut consumer = stream.subscribe()?;
    /// let reader = std::thread::spawn(move || consumer.next());
    /// assert_eq!(publisher.put(1)?, 1);
    /// assert_eq!(reader.join().unwrap(), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put(&mut self, value: T) -> Result<u64, PutError<T>> {
        self.sink.put(value)?;
        Ok(self.receivers())
    }

    /// As [`put`](Self::put), if every registered consumer waits for a value now. Never waits.
    ///
    /// # Errors
    /// `Full` when one does not, or when nobody is registered and the stream waits for a consumer; `Closed`. Both give the
    /// value back.
    ///
    /// ```
    /// use millstream::TryPutError;
    /// let (mut publisher, stream) = millstream::rendezvous::<u64>().build()?;
    /// let _busy = stream.subscribe()?;
    /// assert_eq!(publisher.try_put(1), Err(TryPutError::Full(1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_put(&mut self, value: T) -> Result<u64, TryPutError<T>> {
        self.sink.try_put(value)?;
        Ok(self.receivers())
    }

    /// As [`put`](Self::put), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// `TimedOut` and `Closed` give the value back. After `TimedOut` everything is as it was: who had asked still does.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// let (mut publisher, stream) = millstream::rendezvous::<u64>().build()?;
    /// let _busy = stream.subscribe()?;
    /// assert!(publisher.put_deadline(1, Instant::now() + Duration::from_millis(1)).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_deadline(&mut self, value: T, deadline: Instant) -> Result<u64, PutDeadlineError<T>> {
        self.sink.put_deadline(value, deadline)?;
        Ok(self.receivers())
    }

    /// Waits until every registered consumer waits for a value, as a put does, and ends the stream for all of them. Closing
    /// twice is closing once.
    ///
    /// # Errors
    /// When the stream had failed before.
    ///
    /// ```
    /// let (mut publisher, stream) = millstream::rendezvous::<u64>().build()?;
    /// let mut consumer = stream.subscribe()?;
    /// let reader = std::thread::spawn(move || consumer.next());
    /// publisher.close()?;
    /// publisher.close()?;
    /// assert_eq!(reader.join().unwrap(), None);
    /// assert!(publisher.put(1).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&mut self) -> Result<(), EndError> {
        self.sink.wait_until_asked(None);
        self.sink.complete()
    }

    /// As [`close`](Self::close), waiting until `deadline` at the latest. False when it passed first: the stream then goes on.
    ///
    /// # Errors
    /// When the stream had failed before.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// let (mut publisher, stream) = millstream::rendezvous::<u64>().build()?;
    /// let busy = stream.subscribe()?;
    /// assert!(!publisher.close_deadline(Instant::now() + Duration::from_millis(1))?);
    /// drop(busy);
    /// assert!(publisher.close_deadline(Instant::now() + Duration::from_secs(10))?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_deadline(&mut self, deadline: Instant) -> Result<bool, EndError> {
        if self.sink.wait_until_asked(Some(deadline)) == Granted::TimedOut {
            return Ok(false);
        }
        self.sink.complete().map(|()| true)
    }

    /// Ends the stream without waiting: each consumer finds the end when it asks for the next value. Of no effect on a stream
    /// that has ended.
    ///
    /// ```
    /// let (mut publisher, stream) = millstream::rendezvous::<u64>().build()?;
    /// let mut busy = stream.subscribe()?;
    /// publisher.close_now();
    /// assert_eq!(busy.next(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_now(&mut self) {
        // It fails only where the stream has ended otherwise.
        let _ = self.sink.complete();
    }

    /// Ends the stream with a fault, without waiting.
    ///
    /// # Errors
    /// When the stream had ended otherwise before.
    ///
    /// ```
    /// use millstream::{End, StreamFault};
    /// let (mut publisher, stream) = millstream::rendezvous::<u64>().build()?;
    /// let mut consumer = stream.subscribe()?;
    /// publisher.fail(StreamFault::new(4, "no line"))?;
    /// assert_eq!(consumer.next(), None);
    /// assert!(matches!(consumer.end(), Some(End::Failed(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fail(&mut self, fault: StreamFault) -> Result<(), EndError> {
        self.sink.fail(fault)
    }

    /// Consumers that are registered.
    ///
    /// ```
    /// let (publisher, stream) = millstream::rendezvous::<u64>().build()?;
    /// let consumer = stream.subscribe()?;
    /// assert_eq!(publisher.consumers(), 1);
    /// # drop(consumer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn consumers(&self) -> usize {
        self.sink.consumers()
    }

    /// Why the stream takes nothing any more; `None` while it does.
    ///
    /// ```
    /// use millstream::CloseReason;
    /// let (mut publisher, _stream) = millstream::rendezvous::<u64>().build()?;
    /// assert_eq!(publisher.closed(), None);
    /// publisher.close()?;
    /// assert_eq!(publisher.closed(), Some(CloseReason::Completed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn closed(&self) -> Option<CloseReason> {
        self.sink.endpoint.closed()
    }
}

impl<T> Drop for Publisher<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let fault = StreamFault::new(StreamFault::PRODUCER_PANICKED, "the publisher panicked");
            // It fails only where the stream has ended.
            let _ = self.sink.fail(fault);
        }
    }
}

impl<T> fmt::Debug for Publisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("sink", &self.sink).finish()
    }
}
