//! The end of what is published: completed or failed, and how long this process stays for the consumer.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;
use millstream::StreamFault;

use crate::feed::Feed;
use crate::patience::Patience;
use crate::report;
use crate::stop::{Interrupted, SLICE};

/// How long a failed stream stays for a consumer that is just coming.
const LAST_CALL: Duration = Duration::from_secs(2);
/// Between two looks for a consumer.
const LOOKS: Duration = Duration::from_millis(20);

/// The end of a feed's stream.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) name: String,
    pub(crate) directory: Option<PathBuf>,
    /// This process's, where the directory is for a group.
    pub(crate) user: Option<u32>,
    /// How long to wait for the consumer; by default as long as it takes.
    pub(crate) linger: Option<Patience>,
    /// What is published stays in a file, for a consumer that comes when this process has gone.
    pub(crate) is_durable: bool,
}

impl Delivery {
    /// Completes the stream and waits until the consumer has taken everything.
    pub(crate) fn complete(&self, feed: &mut Feed) -> anyhow::Result<()> {
        let patience = if self.is_durable {
            Patience::For(Duration::ZERO)
        } else {
            Patience::Forever
        };
        let end = self.linger.unwrap_or(patience).deadline();
        // A consumer that has cancelled may have taken everything before: the drain tells.
        let _ = feed.sink.complete();
        if feed.sink.position() == 0 && !self.is_durable && !self.consumer_comes(feed, end)? {
            bail!("the stream has no elements, and nobody came to see its end");
        }
        loop {
            let slice = Instant::now() + SLICE;
            let Err(left) = feed
                .sink
                .complete_and_drain(end.map_or(slice, |end| end.min(slice)))
            else {
                return Ok(());
            };
            let is_over = end.is_some_and(|end| Instant::now() >= end);
            if is_over && self.is_durable {
                return Ok(());
            }
            if left.reason.is_some() || is_over {
                return Err(left.into());
            }
            feed.stop.check()?;
            feed.progress
                .waiting(|| format!("{} elements are for the consumer to take", left.left));
        }
    }

    /// Fails the stream, for the consumer to see why. One that is just coming still gets it.
    pub(crate) fn fail(&self, feed: &mut Feed, error: &anyhow::Error) {
        let code = error
            .downcast_ref::<Interrupted>()
            .map_or(1, |interrupted| interrupted.exit_code());
        let fault = StreamFault::new(code.into(), format!("{error:#}"));
        if feed.sink.fail(fault).is_ok() && !error.is::<Interrupted>() {
            let linger = self.linger.unwrap_or(Patience::For(LAST_CALL));
            // Whether anybody came is all the same: the error is the caller's to report.
            let _ = self.consumer_comes(feed, linger.deadline());
        }
    }

    /// Waits until a consumer has come, which then gets everything from the shared memory, with or without this process.
    fn consumer_comes(&self, feed: &mut Feed, end: Option<Instant>) -> anyhow::Result<bool> {
        loop {
            // What it asked for stays, also when it came and left between two looks.
            let asked = feed.sink.demand() > 0;
            let seen = || report::look(&self.name, self.user, self.directory.clone());
            if asked || seen().is_ok_and(|seen| seen.consumer().is_some()) {
                return Ok(true);
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                return Ok(false);
            }
            feed.stop.check()?;
            feed.progress.waiting(|| "waiting for the consumer".into());
            thread::sleep(LOOKS);
        }
    }
}
