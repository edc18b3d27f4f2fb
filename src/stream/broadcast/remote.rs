//! Consumers of a broadcast between processes that the producer does not wait for, or not for ever.

use std::time::Duration;

use super::lossy::LossySource;
use crate::element::Element;
use crate::process::{Join, SubscribeError};
use crate::ring::Straggler;
use crate::stream::subscribe::SubscribeBuilder;
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
        settings.subscription = None;
        // It asks by itself: one that does not gate would be sent everything all the same.
        settings.source.manual = false;
        settings.join = Join {
            from: settings.join.from,
            gates: self.evict_after.is_some(),
            // None at all would mean for ever.
            evict_after: self.evict_after.map_or(0, |most| {
                u64::try_from(most.as_nanos()).unwrap_or(u64::MAX).max(1)
            }),
        };
        let (history, start, endpoint) = connect_lossy(&settings, settings.deadline())?;
        // SAFETY: the endpoint, which stands beside the cursors, keeps the memory. Whatever bytes another process may write
        // there are a `T`.
        let ring = unsafe { Straggler::new(history, start) };
        Ok(LossySource::new(ring, endpoint))
    }
}
