//! Broadcasts between processes: consumers that the producer does not wait for, or not for ever, and the rendezvous.

use std::time::Duration;

use super::CONSUMERS;
use super::lossy::LossySource;
use super::publisher::Publisher;
use super::rendezvous::Subscriber;
use crate::element::Element;
use crate::process::{Join, PublishError, SubscribeError};
use crate::ring::Straggler;
use crate::stream::buffer::Buffer;
use crate::stream::publish::PublishBuilder;
use crate::stream::subscribe::SubscribeBuilder;
use crate::stream::subscribe::sealed::Subscribe;
use crate::stream::subscribed::connect_lossy;

/// Settings of a subscription for which the producer does not wait, or not for ever; see [`SubscribeBuilder::lossy`] and
/// [`SubscribeBuilder::evict_after`].
#[derive(Debug)]
#[must_use]
pub struct LossySubscribeBuilder<T> {
    subscribe: SubscribeBuilder<T>,
    evict_after: Option<Duration>,
}

impl<T: Element> LossySubscribeBuilder<T> {
    pub(in crate::stream) fn new(subscribe: SubscribeBuilder<T>, evict_after: Option<Duration>) -> Self {
        Self {
            subscribe,
            evict_after,
        }
    }

    /// Subscribes.
    ///
    /// # Errors
    /// See [`SubscribeError`].
    ///
    /// ```
    /// use millstream::{Received, SubscribeError};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let mut sink = millstream::publish::<u64>("ticks").consumers(8).directory(path).open()?;
    /// let mut source = millstream::subscribe::<u64>("ticks").directory(path).lossy().open()?;
    /// sink.put(7)?;
    /// assert_eq!(source.next(), Some(Received::Element(7)));
    ///
    /// let only = millstream::publish::<u64>("one").directory(path).open()?;
    /// let refused = millstream::subscribe::<u64>("one").directory(path).lossy().open();
    /// assert!(matches!(refused, Err(SubscribeError::NotABroadcast { .. })));
    /// # drop(only);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(self) -> Result<LossySource<T>, SubscribeError> {
        let mut settings = self.subscribe.settings()?;
        // It asks by itself: one that does not gate would be sent everything all the same.
        settings.source.manual = false;
        connect(settings, self.evict_after.is_some(), self.evict_after)
    }

    /// Subscribes to a [rendezvous](PublishBuilder::publisher), of which the publisher waits for this consumer no longer than was
    /// said.
    ///
    /// # Errors
    /// See [`SubscribeError`].
    ///
    /// ```
    /// use std::time::Duration;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let mut publisher = millstream::publish::<u64>("ticks").directory(path).publisher()?;
    /// let builder = millstream::subscribe::<u64>("ticks").directory(path);
    /// let mut sleepy = builder.evict_after(Duration::from_millis(1)).subscriber()?;
    /// let awake = millstream::subscribe::<u64>("ticks").directory(path).subscriber()?;
    /// let reader = std::thread::spawn(move || awake.take(1).count());
    /// assert_eq!(publisher.put(7)?, 1);
    /// assert_eq!(reader.join().unwrap(), 1);
    /// assert_eq!(sleepy.next(), None);
    /// assert_eq!(sleepy.end(), Some(millstream::End::Evicted));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscriber(self) -> Result<Subscriber<T>, SubscribeError> {
        subscriber(self.subscribe, self.evict_after)
    }
}

/// streamx's stream between processes.
impl<T: Element> PublishBuilder<T> {
    /// Publishes a [rendezvous](crate::rendezvous): a broadcast without a buffer, whose consumers subscribe by
    /// [`subscriber`](SubscribeBuilder::subscriber). Whatever buffer and largest window were set, nothing is put that was not
    /// asked for, and dropping the publisher closes the stream.
    ///
    /// # Errors
    /// See [`PublishError`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let mut publisher = millstream::publish::<u64>("ticks").directory(path).publisher()?;
    /// let mut consumer = millstream::subscribe::<u64>("ticks").directory(path).subscriber()?;
    /// let reader = std::thread::spawn(move || consumer.next());
    /// assert_eq!(publisher.put(5)?, 1);
    /// assert_eq!(reader.join().unwrap(), Some(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publisher(self) -> Result<Publisher<T>, PublishError> {
        let builder = self
            .buffer_size(Buffer::Rendezvous)
            .max_demand(1)
            .complete_on_drop();
        builder.for_several(CONSUMERS).open().map(Publisher::new)
    }
}

/// streamx's stream between processes.
impl<T: Element> SubscribeBuilder<T> {
    /// Registers with a [rendezvous](PublishBuilder::publisher): from here on its publisher waits for this consumer. Whatever demand
    /// was set, it asks for an element when it waits for one. It does not reconnect and is not resumable.
    ///
    /// # Errors
    /// See [`SubscribeError`].
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let mut publisher = millstream::publish::<u64>("ticks").directory(path).publisher()?;
    /// let registered = millstream::subscribe::<u64>("ticks").directory(path).subscriber()?;
    /// assert!(publisher.put_deadline(1, Instant::now() + Duration::from_millis(1)).is_err());
    /// # drop(registered);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscriber(self) -> Result<Subscriber<T>, SubscribeError> {
        subscriber(self, None)
    }
}

fn subscriber<T: Element>(
    builder: SubscribeBuilder<T>,
    evict_after: Option<Duration>,
) -> Result<Subscriber<T>, SubscribeError> {
    let settings = builder.initial_demand(1).manual_demand().settings()?;
    connect(settings, true, evict_after).map(Subscriber::new)
}

/// Subscribes as a consumer that looks at what it copied before it believes it.
fn connect<T: Element>(
    mut settings: Subscribe,
    gates: bool,
    evict_after: Option<Duration>,
) -> Result<LossySource<T>, SubscribeError> {
    settings.subscription = None;
    settings.join = Join {
        from: settings.join.from,
        gates,
        // None at all would mean for ever.
        evict_after: evict_after.map_or(0, |most| {
            u64::try_from(most.as_nanos()).unwrap_or(u64::MAX).max(1)
        }),
    };
    let (history, start, endpoint) = connect_lossy(&settings, settings.deadline())?;
    // SAFETY: the endpoint, which stands beside the cursors, keeps the memory. Whatever bytes another process may write
    // there are a `T`.
    let ring = unsafe { Straggler::new(history, start) };
    Ok(LossySource::new(ring, endpoint))
}
