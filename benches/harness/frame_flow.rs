//! Frames of bytes in one direction, as fast as they go.

use std::fmt;
use std::hint::black_box;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use millstream::{ClaimError, FrameSink, FrameSource, WaitStrategy};

use super::element_flow::{Idle, Take};
use super::pinning::{CONSUMER, PRODUCER, pin, side_by_side, surrounded};
use super::process::{Ground, Role};
use super::stream::{self, NAME, Trust};

const WORD: usize = size_of::<u64>();

/// How the producer puts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PutFrame {
    /// From bytes that lie elsewhere.
    Copy,
    /// Written in place.
    Claim,
}

impl fmt::Display for PutFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Copy => "put",
            Self::Claim => "claim",
        })
    }
}

impl FromStr for PutFrame {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Copy, Self::Claim];
        known
            .into_iter()
            .find(|put| put.to_string() == text)
            .ok_or_else(|| text.to_owned())
    }
}

/// One flow to be measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameFlow {
    pub(crate) bytes: usize,
    pub(crate) capacity: usize,
    pub(crate) put: PutFrame,
    pub(crate) take: Take,
}

/// What the consumer saw: the sum of all words, and the time from the first frame to the last.
type Taken = (u64, Duration);

impl FrameFlow {
    /// GB a second in one process.
    pub(crate) fn within(self, count: u64) -> f64 {
        let builder = stream::channel::<[u8]>(self.capacity, WaitStrategy::BusySpin).max_frame(self.bytes);
        let (sink, source) = builder.build().expect("a ring of this size can be made");
        let taken = side_by_side(
            move || produce(sink, self, count),
            move || consume(source, self.take, count),
        );
        self.rate(taken, count)
    }

    /// GB a second between processes.
    pub(crate) fn between(self, trust: Trust, count: u64) -> f64 {
        let ground = Ground::new();
        let role: [&dyn ToString; 5] = [&Self::ROLE, &self.bytes, &self.capacity, &self.put, &count];
        let mut producer = ground.start(&role);
        let consumer = || {
            let spin = WaitStrategy::BusySpin;
            let builder = stream::subscribe::<[u8]>(ground.dir(), NAME, self.capacity, spin, trust);
            let source = builder.open().expect("the other process publishes");
            pin(CONSUMER);
            producer.go();
            surrounded(CONSUMER, || consume(source, self.take, count))
        };
        let taken =
            thread::scope(|scope| scope.spawn(consumer).join()).expect("the consumer gets everything");
        producer.finish();
        self.rate(taken, count)
    }

    /// The rival: GB a second of rtrb, the bytes of a frame as a chunk, which has no length of its own.
    pub(crate) fn rtrb(self, count: u64) -> f64 {
        let (producer, consumer) = rtrb::RingBuffer::<u8>::new(self.capacity * self.bytes);
        let bytes = self.bytes;
        let taken = side_by_side(
            move || rtrb_write(producer, bytes, count),
            move || rtrb_read(consumer, bytes, count),
        );
        self.rate(taken, count)
    }

    fn rate(self, (sum, time): Taken, count: u64) -> f64 {
        let words = (self.bytes / WORD) as u128;
        let indices = u128::from(count) * u128::from(count - 1) / 2;
        let expected = match self.put {
            PutFrame::Claim => indices * words,
            PutFrame::Copy => indices + u128::from(count) * (words - 1),
        };
        assert_eq!(sum, expected as u64, "what was taken is what was put");
        (count - 1) as f64 * self.bytes as f64 / time.as_secs_f64() / 1e9
    }

    /// The producer's process of [`between`](Self::between).
    pub(crate) const ROLE: &str = "frames";

    /// Plays the producer.
    pub(crate) fn play(role: &mut Role) {
        let flow = Self {
            bytes: role.next(),
            capacity: role.next(),
            put: role.next(),
            take: Take::Next,
        };
        let count = role.next();
        let builder = stream::publish::<[u8]>(&role.dir, NAME, flow.capacity).max_frame(flow.bytes);
        let sink = builder.open().expect("the directory is ours");
        pin(PRODUCER);
        role.begin();
        let sink = surrounded(PRODUCER, || produce(sink, flow, count));
        role.end();
        drop(sink);
    }
}

/// Reads every word.
#[inline(always)]
fn sum(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<WORD>();
    words
        .iter()
        .fold(0, |sum: u64, word| sum.wrapping_add(u64::from_ne_bytes(*word)))
}

/// Frames to be copied: ones, but for the first word, which is the index.
fn template(bytes: usize) -> Vec<u8> {
    1_u64.to_ne_bytes().repeat(bytes / WORD)
}

#[inline(never)]
fn produce(sink: FrameSink, flow: FrameFlow, count: u64) -> FrameSink {
    let mut sink = sink;
    match flow.put {
        PutFrame::Copy => {
            let mut frame = template(flow.bytes);
            for index in 0..count {
                frame[..WORD].copy_from_slice(&index.to_ne_bytes());
                sink.put(&frame).expect("the consumer takes everything");
            }
        }
        PutFrame::Claim => {
            let mut index = 0_u64;
            while index < count {
                let mut frame = match sink.claim(flow.bytes) {
                    Ok(frame) => frame,
                    Err(ClaimError::Full { .. }) => continue,
                    Err(error) => panic!("{error}"),
                };
                let (words, _) = frame.as_chunks_mut::<WORD>();
                words.fill(index.to_ne_bytes());
                frame.commit().expect("the consumer takes everything");
                index += 1;
            }
        }
    }
    let _ = sink.complete();
    sink
}

#[inline(never)]
fn consume(source: FrameSource, take: Take, count: u64) -> Taken {
    let mut source = source;
    let mut total = sum(&source.next().expect("there is a first frame"));
    let from = Instant::now();
    if take == Take::Drain {
        let mut taken = 1;
        let mut idle = Idle(0);
        while taken < count && idle.goes_on(|| source.end().is_some()) {
            taken += source.drain(4096, |frame| total = total.wrapping_add(sum(frame))) as u64;
        }
    } else {
        while let Some(frame) = source.next() {
            total = total.wrapping_add(sum(&frame));
        }
    }
    (black_box(total), from.elapsed())
}

#[inline(never)]
fn rtrb_write(producer: rtrb::Producer<u8>, bytes: usize, count: u64) -> rtrb::Producer<u8> {
    let mut producer = producer;
    let mut frame = template(bytes);
    for index in 0..count {
        frame[..WORD].copy_from_slice(&index.to_ne_bytes());
        while producer.push_entire_slice(&frame).is_err() {}
    }
    producer
}

#[inline(never)]
fn rtrb_read(consumer: rtrb::Consumer<u8>, bytes: usize, count: u64) -> Taken {
    let mut consumer = consumer;
    let mut read = || {
        loop {
            if let Ok(chunk) = consumer.read_chunk(bytes) {
                // The ring is whole frames long, so a frame is in one piece.
                let total = sum(chunk.as_slices().0);
                chunk.commit_all();
                break total;
            }
        }
    };
    let mut total = read();
    let from = Instant::now();
    for _ in 1..count {
        total = total.wrapping_add(read());
    }
    (black_box(total), from.elapsed())
}
