//! Streams of frames within one process.

use super::buffer::Buffer;
use super::channel::sealed::Settings;
use super::channel::{ChannelError, Payload, Wiring, capacity, endpoints};
use super::frame_sink::{self, FrameSink};
use super::frame_source::{self, FrameSource};
use super::settings::SinkSettings;
use crate::primitive::Arc;
use crate::ring::frame::{LONGEST, area_for};
use crate::ring::{FrameConsumer, FrameProducer, HeapFrames};

/// Bytes of an area for these settings.
fn frame_area(sink: &SinkSettings, capacity: usize) -> Result<usize, ChannelError> {
    if sink.max_frame > LONGEST {
        return Err(ChannelError::FrameTooLong {
            asked: sink.max_frame,
            most: LONGEST,
        });
    }
    area_for(capacity, sink.max_frame).ok_or(ChannelError::NoMemory {
        elements: capacity as u64,
        element: sink.max_frame,
    })
}

impl Payload for [u8] {
    type Sink = FrameSink;
    type Source = FrameSource;

    fn make(settings: Settings) -> Result<(Self::Sink, Self::Source), ChannelError> {
        let Settings { sink, source } = settings;
        if sink.buffer == Buffer::Unbounded {
            return Err(ChannelError::UnboundedFrames);
        }
        let capacity = capacity(&sink, &source)?;
        let area = frame_area(&sink, capacity)?;
        let no_memory = ChannelError::NoMemory {
            elements: capacity as u64,
            element: sink.max_frame,
        };
        let ring = Arc::new(HeapFrames::new(area, sink.start).ok_or(no_memory)?);
        // SAFETY: the lines belong to the ring.
        let (producer, consumer) = unsafe {
            let wiring = Wiring::direct(&ring.lines, source.window);
            endpoints(&ring.lines, &ring, &sink, &source, wiring)
        };
        // SAFETY: the area is zeroed; this is the only producer and the only consumer, and both keep the ring.
        let (put, mut take) = unsafe {
            (
                FrameProducer::new(ring.area(), sink.max_frame, sink.start, producer.watch()),
                FrameConsumer::new(ring.area(), sink.max_frame, sink.start, 0),
            )
        };
        take.credited(consumer.mark());
        Ok((
            FrameSink {
                lane: frame_sink::Lane::Frames(put),
                endpoint: producer,
                schema: None,
            },
            FrameSource {
                lane: frame_source::Lane::Frames(take),
                endpoint: consumer,
                scratch: None,
                schema: None,
                reconnect: None,
            },
        ))
    }
}
