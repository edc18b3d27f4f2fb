//! Where elements are put: every kind of sink by the same few calls.

use std::time::{Duration, Instant};

use millstream::{
    Buffer, ClaimError, CloseReason, FrameSink, NotDrained, PublishError, Publisher, PutDeadlineError,
    PutError, PutFrameDeadlineError, PutFrameError, SinkRef, StreamFault, TryPutError, TryPutFrameError,
    publish,
};

use crate::element::{LONGEST_FRAME, Large, Mark, Medium, Sample, Small, write_frame};
use crate::line::Kind;
use crate::part::{Scene, strategy, stream_name};
use crate::queue::Queue;
use crate::random::Random;

/// How elements are put.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    Put,
    Try,
    Deadline,
    Slice(u64),
    Claim(u64),
}

impl How {
    pub(crate) fn draw(random: &mut Random) -> Self {
        match random.below(10) {
            0..4 => Self::Put,
            4 => Self::Try,
            5 => Self::Deadline,
            6..8 => Self::Slice(random.between(2, 100)),
            _ => Self::Claim(random.between(1, 12)),
        }
    }

    /// How many elements one call puts.
    pub(crate) fn count(self) -> u64 {
        match self {
            Self::Put | Self::Try | Self::Deadline => 1,
            Self::Slice(count) | Self::Claim(count) => count,
        }
    }
}

/// Elements that were published, and why there can be no more.
pub(crate) type Closed = (u64, CloseReason);

pub(crate) trait Outlet {
    /// Puts elements from a place on. How many were published: none if there was no room in time.
    fn put(&mut self, how: How, from: Mark) -> Result<u64, Closed>;
    fn complete(&mut self) -> Result<(), CloseReason>;
    fn drain(&mut self, deadline: Instant) -> Result<(), NotDrained>;
    fn fail(&mut self, code: u32) -> Result<(), CloseReason>;
    /// Position of the next element; where this is not 0 at first, the stream has gone on.
    fn position(&self) -> u64;
}

/// Publishes the stream of a scene.
pub(crate) fn open(scene: &Scene<'_>, random: &mut Random) -> Result<Box<dyn Outlet>, PublishError> {
    let part = scene.part;
    match part.kind {
        Kind::Small => elements::<Small>(scene, random),
        Kind::Medium | Kind::Resumed | Kind::Durable | Kind::Committed => elements::<Medium>(scene, random),
        Kind::Large => elements::<Large>(scene, random),
        Kind::Frames | Kind::ResumedFrames | Kind::DurableFrames => {
            let mut builder = publish::<[u8]>(stream_name(part.stream))
                .directory(&part.streams)
                .max_frame(LONGEST_FRAME)
                .buffer_size(buffer(scene, random))
                .max_demand(256);
            if part.kind.is_durable() {
                builder = builder.durable(part.file());
            }
            let sink = builder.sink_wait(strategy(random)).open()?;
            Ok(Box::new(Frames {
                sink,
                scratch: Vec::new(),
            }))
        }
        Kind::Broadcast => {
            let builder = publish::<Medium>(stream_name(part.stream))
                .directory(&part.streams)
                .consumers(8)
                .buffer_size(random.between(1, 256) as usize)
                .max_demand(256);
            let sink = builder.sink_wait(strategy(random)).open()?;
            Ok(Box::new(sink))
        }
        Kind::Rendezvous => {
            let builder = publish::<Small>(stream_name(part.stream)).directory(&part.streams);
            let publisher = builder.sink_wait(strategy(random)).publisher()?;
            Ok(Box::new(publisher))
        }
        Kind::Work => Ok(Box::new(Queue::open(scene, strategy(random))?)),
    }
}

fn elements<T: Sample>(scene: &Scene<'_>, random: &mut Random) -> Result<Box<dyn Outlet>, PublishError> {
    let part = scene.part;
    let mut builder = publish::<T>(stream_name(part.stream))
        .directory(&part.streams)
        .buffer_size(buffer(scene, random))
        .max_demand(256);
    if part.kind.is_durable() {
        builder = builder.durable(part.file());
    }
    let sink = builder.sink_wait(strategy(random)).open()?;
    Ok(Box::new(sink))
}

/// How much the producer may hold, of frames at least one.
fn buffer(scene: &Scene<'_>, random: &mut Random) -> Buffer {
    let part = scene.part;
    // A file is made with one size, and opened with that again.
    let mut once = Random::of(part.seed, &[part.stream, u64::MAX]);
    let random = if part.kind.is_durable() { &mut once } else { random };
    match random.below(8) {
        0 => Buffer::Rendezvous,
        1 => Buffer::Bounded(1),
        2..5 => Buffer::Bounded(random.between(2, 40) as usize),
        _ => Buffer::Bounded(random.between(40, 1024) as usize),
    }
}

fn at(from: Mark, index: u64) -> Mark {
    Mark {
        position: from.position + index,
        ..from
    }
}

fn shortly() -> Instant {
    Instant::now() + Duration::from_millis(20)
}

/// What a test's producer says of its fault.
pub(crate) fn fault(code: u32) -> StreamFault {
    StreamFault::new(code, "as the seed has it")
}

impl<T: Sample> Outlet for SinkRef<T> {
    fn put(&mut self, how: How, from: Mark) -> Result<u64, Closed> {
        match how {
            How::Put => match self.put(T::make(from)) {
                Ok(()) => Ok(1),
                Err(PutError::Closed(_, reason)) => Err((0, reason)),
                Err(_) => Ok(0),
            },
            How::Try => match self.try_put(T::make(from)) {
                Ok(()) => Ok(1),
                Err(TryPutError::Closed(_, reason)) => Err((0, reason)),
                Err(_) => Ok(0),
            },
            How::Deadline => match self.put_deadline(T::make(from), shortly()) {
                Ok(()) => Ok(1),
                Err(PutDeadlineError::Closed(_, reason)) => Err((0, reason)),
                Err(_) => Ok(0),
            },
            How::Slice(count) => {
                let some: Vec<T> = (0..count).map(|index| T::make(at(from, index))).collect();
                match self.put_slice(&some) {
                    Ok(()) => Ok(count),
                    Err(error) => Err((error.written as u64, error.reason)),
                }
            }
            How::Claim(count) => match self.claim(count as usize) {
                Ok(mut claim) => {
                    for index in 0..count {
                        // As many were claimed.
                        let _ = claim.push(T::make(at(from, index)));
                    }
                    match claim.commit() {
                        Ok(committed) => Ok(committed as u64),
                        Err(error) => Err((0, error.reason)),
                    }
                }
                Err(ClaimError::Closed(reason)) => Err((0, reason)),
                Err(_) => Ok(0),
            },
        }
    }

    fn complete(&mut self) -> Result<(), CloseReason> {
        self.complete().map_err(|error| error.reason)
    }

    fn drain(&mut self, deadline: Instant) -> Result<(), NotDrained> {
        self.complete_and_drain(deadline)
    }

    fn fail(&mut self, code: u32) -> Result<(), CloseReason> {
        self.fail(fault(code)).map_err(|error| error.reason)
    }

    fn position(&self) -> u64 {
        self.position()
    }
}

struct Frames {
    sink: FrameSink,
    scratch: Vec<u8>,
}

impl Outlet for Frames {
    fn put(&mut self, how: How, from: Mark) -> Result<u64, Closed> {
        write_frame(from, &mut self.scratch);
        match how {
            How::Put => match self.sink.put(&self.scratch) {
                Ok(()) => Ok(1),
                Err(PutFrameError::Closed(reason)) => Err((0, reason)),
                Err(_) => Ok(0),
            },
            How::Try => match self.sink.try_put(&self.scratch) {
                Ok(()) => Ok(1),
                Err(TryPutFrameError::Closed(reason)) => Err((0, reason)),
                Err(_) => Ok(0),
            },
            How::Deadline => match self.sink.put_deadline(&self.scratch, shortly()) {
                Ok(()) => Ok(1),
                Err(PutFrameDeadlineError::Closed(reason)) => Err((0, reason)),
                Err(_) => Ok(0),
            },
            How::Slice(count) => {
                let some: Vec<Vec<u8>> = (0..count)
                    .map(|index| {
                        let mut frame = Vec::new();
                        write_frame(at(from, index), &mut frame);
                        frame
                    })
                    .collect();
                match self.sink.put_slice(&some) {
                    Ok(()) => Ok(count),
                    Err(error) => match error.reason {
                        PutFrameError::Closed(reason) => Err((error.written as u64, reason)),
                        _ => Ok(error.written as u64),
                    },
                }
            }
            How::Claim(count) => {
                for index in 0..count {
                    write_frame(at(from, index), &mut self.scratch);
                    match self.sink.claim(self.scratch.len()) {
                        Ok(mut claim) => {
                            claim.copy_from_slice(&self.scratch);
                            if let Err(error) = claim.commit() {
                                return Err((index, error.reason));
                            }
                        }
                        Err(ClaimError::Closed(reason)) => return Err((index, reason)),
                        Err(_) => return Ok(index),
                    }
                }
                Ok(count)
            }
        }
    }

    fn complete(&mut self) -> Result<(), CloseReason> {
        self.sink.complete().map_err(|error| error.reason)
    }

    fn drain(&mut self, deadline: Instant) -> Result<(), NotDrained> {
        self.sink.complete_and_drain(deadline)
    }

    fn fail(&mut self, code: u32) -> Result<(), CloseReason> {
        self.sink.fail(fault(code)).map_err(|error| error.reason)
    }

    fn position(&self) -> u64 {
        self.sink.position()
    }
}

impl Outlet for Publisher<Small> {
    fn put(&mut self, how: How, from: Mark) -> Result<u64, Closed> {
        let value = Small::make(from);
        match how {
            How::Try => match self.try_put(value) {
                Ok(_) => Ok(1),
                Err(TryPutError::Closed(_, reason)) => Err((0, reason)),
                Err(_) => Ok(0),
            },
            How::Deadline => match self.put_deadline(value, shortly()) {
                Ok(_) => Ok(1),
                Err(PutDeadlineError::Closed(_, reason)) => Err((0, reason)),
                Err(_) => Ok(0),
            },
            // A rendezvous hands over one by one.
            How::Put | How::Slice(_) | How::Claim(_) => match self.put(value) {
                Ok(_) => Ok(1),
                Err(PutError::Closed(_, reason)) => Err((0, reason)),
                Err(_) => Ok(0),
            },
        }
    }

    fn complete(&mut self) -> Result<(), CloseReason> {
        self.close_now();
        Ok(())
    }

    fn drain(&mut self, deadline: Instant) -> Result<(), NotDrained> {
        // Whether it could tell everybody does not say that all have heard it.
        let told = self.close_deadline(deadline);
        let not = |reason| NotDrained { left: 0, reason };
        match told {
            Ok(true) => Ok(()),
            Ok(false) => Err(not(None)),
            Err(error) => Err(not(Some(error.reason))),
        }
    }

    fn fail(&mut self, code: u32) -> Result<(), CloseReason> {
        self.fail(fault(code)).map_err(|error| error.reason)
    }

    fn position(&self) -> u64 {
        0
    }
}
