//! What is published: elements put one after the other, at a rate if there is one, until the user or the consumer ends it.

use std::thread;
use std::time::Instant;

use anyhow::bail;
use millstream::{FrameSink, PutFrameDeadlineError, TryPutFrameError};

use crate::progress::Progress;
use crate::schedule::Schedule;
use crate::stop::{SLICE, Stop};

/// A sink, and what decides when the next element goes into it.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) sink: FrameSink,
    pub(crate) stop: Stop,
    pub(crate) progress: Progress,
    schedule: Option<Schedule>,
}

impl Feed {
    /// `rate` is in elements a second; without one they go as fast as the consumer takes them.
    pub(crate) fn new(sink: FrameSink, stop: Stop, rate: Option<f64>, progress: Progress) -> Self {
        Self {
            sink,
            stop,
            progress,
            schedule: rate.map(Schedule::new),
        }
    }

    /// What to look at while there is nothing to put: an error when no more is to be.
    pub(crate) fn idle(&self) -> anyhow::Result<()> {
        self.stop.check()?;
        if self.sink.is_closed() {
            // Says why.
            bail!(self.ended(&"its consumer left"));
        }
        Ok(())
    }

    /// Puts an element when it is due, waiting for room. `read` bytes of the input are used then.
    pub(crate) fn put(&mut self, element: &[u8], read: u64) -> anyhow::Result<()> {
        self.stop.check()?;
        self.pace()?;
        match self.sink.try_put(element) {
            Ok(()) => {}
            Err(TryPutFrameError::Full) => self.put_waiting(element)?,
            Err(TryPutFrameError::Closed(reason)) => bail!(self.ended(&reason)),
            Err(error) => return Err(error.into()),
        }
        self.progress.sent(self.sink.position(), read);
        Ok(())
    }

    fn put_waiting(&mut self, element: &[u8]) -> anyhow::Result<()> {
        loop {
            match self.sink.put_deadline(element, Instant::now() + SLICE) {
                Ok(()) => return Ok(()),
                Err(PutFrameDeadlineError::TimedOut) => self.stop.check()?,
                Err(PutFrameDeadlineError::Closed(reason)) => bail!(self.ended(&reason)),
                Err(error) => return Err(error.into()),
            }
            let put = self.sink.position();
            self.progress
                .waiting(|| format!("{put} elements, waiting for the consumer"));
        }
    }

    /// Waits until the next element is due.
    fn pace(&mut self) -> anyhow::Result<()> {
        while let Some(schedule) = &mut self.schedule {
            let Some(left) = schedule.left(Instant::now()) else {
                schedule.advance();
                break;
            };
            thread::sleep(left.min(SLICE));
            self.idle()?;
        }
        Ok(())
    }

    fn ended(&self, reason: &dyn std::fmt::Display) -> String {
        format!(
            "the stream is closed after {} elements: {reason}",
            self.sink.position()
        )
    }
}
