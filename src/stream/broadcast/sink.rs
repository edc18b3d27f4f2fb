//! What a sink knows of a crowd.

#![forbid(unsafe_code)]

use crate::stream::sink::SinkRef;

impl<T> SinkRef<T> {
    /// Consumers at present. One or none but for a [`broadcast`](crate::broadcast).
    ///
    /// ```
    /// let (sink, subscribers) = millstream::broadcast::<u64>().build()?;
    /// let one = subscribers.subscribe().open()?;
    /// let other = subscribers.subscribe().open()?;
    /// assert_eq!(sink.consumers(), 2);
    /// drop(one);
    /// assert_eq!(sink.consumers(), 1);
    /// # drop(other);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn consumers(&self) -> usize {
        self.endpoint.consumers()
    }

    /// Elements that nobody was there to take, of a [`broadcast`](crate::broadcast) that does not wait for a consumer: those put after
    /// the last one had gone, and what that one left untaken.
    ///
    /// ```
    /// use millstream::OnNoConsumer;
    /// let (mut sink, _subscribers) =
    ///     millstream::broadcast::<u64>().on_no_consumer(OnNoConsumer::Drop).build()?;
    /// sink.put(1)?;
    /// assert_eq!(sink.unheard(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn unheard(&self) -> u64 {
        self.endpoint.unheard(self.position())
    }
}
