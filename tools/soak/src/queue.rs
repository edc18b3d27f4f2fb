//! A work queue whose workers are processes: a lane for each, published anew when its worker has gone.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use millstream::{
    Buffer, CloseReason, NotDrained, PublishError, PutDeadlineError, SinkRef, TryPutError, WaitStrategy,
    WorkSink, publish,
};

use crate::element::{Mark, Medium, Sample};
use crate::line::Kind;
use crate::outlet::{Closed, How, Outlet, fault};
use crate::part::{Scene, stream_name};

pub(crate) struct Queue {
    sink: WorkSink<Medium>,
    stream: String,
    streams: PathBuf,
    workers: usize,
    strategy: WaitStrategy,
    /// When the lanes were last looked at.
    looked: Instant,
}

impl Queue {
    pub(crate) fn open(scene: &Scene<'_>, strategy: WaitStrategy) -> Result<Self, PublishError> {
        let part = scene.part;
        let mut queue = Self {
            // Of no lane, which cannot be unfit.
            sink: WorkSink::over(Vec::new()).map_err(|error| PublishError::ServiceUnavailable {
                why: error.to_string(),
            })?,
            stream: stream_name(part.stream),
            streams: part.streams.clone(),
            workers: part.consumers,
            strategy,
            looked: Instant::now(),
        };
        for slot in 1..=queue.workers {
            let lane = queue.lane(slot)?;
            queue.add(lane);
        }
        Ok(queue)
    }

    fn lane(&self, slot: usize) -> Result<SinkRef<Medium>, PublishError> {
        publish::<Medium>(Kind::Work.name(&self.stream, slot))
            .buffer_size(Buffer::Rendezvous)
            .sink_wait(self.strategy)
            .directory(&self.streams)
            .open()
    }

    fn add(&mut self, lane: SinkRef<Medium>) {
        // A lane without a buffer, for one consumer, is never refused.
        let _ = self.sink.add(lane);
    }

    /// Publishes lanes anew whose workers have gone.
    fn mend(&mut self) {
        if self.looked.elapsed() < Duration::from_millis(10) {
            return;
        }
        self.looked = Instant::now();
        self.sink.deal_again();
        if self.sink.consumers() >= self.workers {
            return;
        }
        for slot in 1..=self.workers {
            // The name of a lane that lives is taken.
            if let Ok(lane) = self.lane(slot) {
                self.add(lane);
            }
        }
    }
}

impl Outlet for Queue {
    fn put(&mut self, how: How, from: Mark) -> Result<u64, Closed> {
        self.mend();
        let element = Medium::make(from);
        if matches!(how, How::Try) {
            return match self.sink.try_put(element) {
                Ok(()) => Ok(1),
                Err(TryPutError::Closed(_, reason)) => Err((0, reason)),
                Err(_) => Ok(0),
            };
        }
        // Bounded, because who waits mends no lane.
        match self
            .sink
            .put_deadline(element, Instant::now() + Duration::from_millis(20))
        {
            Ok(()) => Ok(1),
            Err(PutDeadlineError::Closed(_, reason)) => Err((0, reason)),
            Err(_) => Ok(0),
        }
    }

    fn complete(&mut self) -> Result<(), CloseReason> {
        self.sink.complete().map_err(|error| error.reason)
    }

    fn drain(&mut self, deadline: Instant) -> Result<(), NotDrained> {
        // Somebody has to be there to do the work again of those who went.
        while self.sink.demand() == 0 && Instant::now() < deadline {
            self.mend();
            std::thread::sleep(Duration::from_millis(1));
        }
        self.sink.complete_and_drain(deadline)
    }

    fn fail(&mut self, code: u32) -> Result<(), CloseReason> {
        self.sink.fail(fault(code)).map_err(|error| error.reason)
    }

    fn position(&self) -> u64 {
        0
    }
}
