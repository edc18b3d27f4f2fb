//! Elements in one direction, as fast as they go.

use std::fmt;
use std::hint::black_box;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use millstream::{ClaimError, SinkRef, SourceRef, WaitStrategy};

use super::element::{Words, expected, for_width, make, sum};
use super::pinning::{CONSUMER, PRODUCER, pin, side_by_side, surrounded};
use super::process::{Ground, Role};
use super::stream::{self, NAME, Trust};

/// Elements of a batch.
pub(crate) const BATCH: usize = 64;

/// A count of elements that every way of putting divides.
pub(crate) fn whole(count: u64) -> u64 {
    count.next_multiple_of(BATCH as u64)
}

/// How the producer puts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    One,
    Slice,
    Claim,
}

impl fmt::Display for Put {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "put",
            Self::Slice => "put_slice",
            Self::Claim => "claim",
        })
    }
}

impl FromStr for Put {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::One, Self::Slice, Self::Claim];
        known
            .into_iter()
            .find(|put| put.to_string() == text)
            .ok_or_else(|| text.to_owned())
    }
}

/// How the consumer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    Next,
    Drain,
    Peek,
}

impl fmt::Display for Take {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Next => "next",
            Self::Drain => "drain",
            Self::Peek => "peek",
        })
    }
}

/// What the consumer saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) sum: u64,
    /// From the first element to the last.
    pub(crate) time: Duration,
}

impl Taken {
    /// Million elements a second.
    pub(crate) fn rate<const W: usize>(self, count: u64) -> f64 {
        assert_eq!(self.sum, expected::<W>(count), "what was taken is what was put");
        (count - 1) as f64 / self.time.as_secs_f64() / 1e6
    }
}

/// One flow to be measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) words: usize,
    pub(crate) capacity: usize,
    pub(crate) put: Put,
    pub(crate) take: Take,
}

impl Flow {
    /// Million elements a second in one process.
    pub(crate) fn within(self, count: u64) -> f64 {
        for_width!(self.words, W => {
            let builder = stream::channel::<Words<W>>(self.capacity, WaitStrategy::BusySpin);
            let (sink, source) = builder.build().expect("a ring of this size can be made");
            let taken = side_by_side(
                move || produce(sink, self.put, self.capacity, count),
                move || consume(source, self.take, self.capacity, count),
            );
            taken.rate::<W>(count)
        })
    }

    /// Million elements a second between processes.
    pub(crate) fn between(self, trust: Trust, count: u64) -> f64 {
        let ground = Ground::new();
        let role: [&dyn ToString; 5] = [&Self::ROLE, &self.words, &self.capacity, &self.put, &count];
        let mut producer = ground.start(&role);
        let rate = for_width!(self.words, W => {
            let wait = WaitStrategy::BusySpin;
            let consumer = || {
                let builder = stream::subscribe::<Words<W>>(ground.dir(), NAME, self.capacity, wait, trust);
                let source = builder.open().expect("the other process publishes");
                pin(CONSUMER);
                producer.go();
                surrounded(CONSUMER, || consume(source, self.take, self.capacity, count))
            };
            let taken = thread::scope(|scope| scope.spawn(consumer).join()).expect("the consumer gets everything");
            taken.rate::<W>(count)
        });
        producer.finish();
        rate
    }

    /// The producer's process of [`between`](Self::between).
    pub(crate) const ROLE: &str = "elements";

    /// Plays the producer.
    pub(crate) fn play(role: &mut Role) {
        let (words, capacity, put, count) = (role.next::<usize>(), role.next(), role.next(), role.next());
        for_width!(words, W => {
            let sink = stream::publish::<Words<W>>(&role.dir, NAME, capacity).open().expect("the directory is ours");
            pin(PRODUCER);
            role.begin();
            let sink = surrounded(PRODUCER, || produce(sink, put, capacity, count));
            role.end();
            drop(sink);
        });
    }
}

// A consumer that counts may have left before the producer completes: that `complete` is refused then is no fault, for
// the sum shows whether everything arrived.
//
// The loops are functions of their own, so that both settings time the same machine code. They take the handle by value
// and into a variable, as whoever writes `for x in source` has it, so that its cursors can live in registers.

/// Puts `0..count` and completes.
#[inline(never)]
pub(crate) fn produce<const W: usize>(
    sink: SinkRef<Words<W>>,
    put: Put,
    capacity: usize,
    count: u64,
) -> SinkRef<Words<W>> {
    match put {
        Put::One => put_one(sink, count),
        Put::Slice => put_slice(sink, count),
        // As rtrb's chunks: half of a small ring, so that it need not be empty.
        Put::Claim => put_claim(sink, BATCH.min(capacity / 2), count),
    }
}

#[inline(never)]
fn put_one<const W: usize>(sink: SinkRef<Words<W>>, count: u64) -> SinkRef<Words<W>> {
    let mut sink = sink;
    for index in 0..count {
        sink.put(make(index)).expect("the consumer takes everything");
    }
    let _ = sink.complete();
    sink
}

#[inline(never)]
fn put_slice<const W: usize>(sink: SinkRef<Words<W>>, count: u64) -> SinkRef<Words<W>> {
    let mut sink = sink;
    let mut batch = [[0; W]; BATCH];
    let mut index = 0;
    while index < count {
        for element in &mut batch {
            *element = make(index);
            index += 1;
        }
        sink.put_slice(&batch).expect("the consumer takes everything");
    }
    let _ = sink.complete();
    sink
}

#[inline(never)]
fn put_claim<const W: usize>(sink: SinkRef<Words<W>>, each: usize, count: u64) -> SinkRef<Words<W>> {
    let mut sink = sink;
    let mut index = 0;
    while index < count {
        match sink.claim(each) {
            Ok(mut claim) => {
                for _ in 0..each {
                    claim.push(make(index)).expect("as many were claimed");
                    index += 1;
                }
                claim.commit().expect("the consumer takes everything");
            }
            Err(ClaimError::Full { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let _ = sink.complete();
    sink
}

#[inline(never)]
pub(crate) fn consume<const W: usize>(
    source: SourceRef<Words<W>>,
    take: Take,
    capacity: usize,
    count: u64,
) -> Taken {
    match take {
        Take::Next => take_next(source),
        Take::Drain => take_drain(source, count),
        Take::Peek => take_peek(source, BATCH.min(capacity / 2), count),
    }
}

#[inline(never)]
fn take_next<const W: usize>(source: SourceRef<Words<W>>) -> Taken {
    let mut source = source;
    let mut total = sum(&source.next().expect("there is a first element"));
    let from = Instant::now();
    for element in source.by_ref() {
        total = total.wrapping_add(sum(&element));
    }
    Taken {
        sum: black_box(total),
        time: from.elapsed(),
    }
}

#[inline(never)]
fn take_drain<const W: usize>(source: SourceRef<Words<W>>, count: u64) -> Taken {
    let mut source = source;
    let mut total = sum(&source.next().expect("there is a first element"));
    let from = Instant::now();
    let mut taken = 1;
    let mut idle = Idle(0);
    while taken < count && idle.goes_on(|| source.end().is_some()) {
        taken += source.drain(4096, |element| total = total.wrapping_add(sum(&element))) as u64;
    }
    Taken {
        sum: black_box(total),
        time: from.elapsed(),
    }
}

#[inline(never)]
fn take_peek<const W: usize>(source: SourceRef<Words<W>>, each: usize, count: u64) -> Taken {
    let mut source = source;
    let mut total = sum(&source.next().expect("there is a first element"));
    let from = Instant::now();
    let mut taken = 1;
    let mut idle = Idle(0);
    while taken < count && idle.goes_on(|| source.end().is_some()) {
        let peek = source.peek(each);
        for element in &peek {
            total = total.wrapping_add(sum(element));
        }
        taken += peek.release_all() as u64;
    }
    Taken {
        sum: black_box(total),
        time: from.elapsed(),
    }
}

/// A loop that would otherwise turn for ever after the producer's process has died.
pub(crate) struct Idle(pub(crate) u32);

impl Idle {
    /// Whether to look again.
    #[inline(always)]
    pub(crate) fn goes_on(&mut self, ended: impl FnOnce() -> bool) -> bool {
        self.0 = self.0.wrapping_add(1);
        self.0 != 0 || !ended()
    }
}

/// The rival: million elements a second of rtrb, one by one.
pub(crate) fn rtrb(words: usize, capacity: usize, count: u64) -> f64 {
    for_width!(words, W => {
        let (producer, consumer) = rtrb::RingBuffer::<Words<W>>::new(capacity);
        side_by_side(move || rtrb_push(producer, count), move || rtrb_pop(consumer, count)).rate::<W>(count)
    })
}

/// The rival: million elements a second of rtrb, put in chunks and taken as they are there.
pub(crate) fn rtrb_chunks(words: usize, capacity: usize, count: u64) -> f64 {
    for_width!(words, W => {
        let (producer, consumer) = rtrb::RingBuffer::<Words<W>>::new(capacity);
        let each = BATCH.min(capacity / 2);
        side_by_side(move || rtrb_write(producer, each, count), move || rtrb_read(consumer, count)).rate::<W>(count)
    })
}

#[inline(never)]
fn rtrb_push<const W: usize>(producer: rtrb::Producer<Words<W>>, count: u64) -> rtrb::Producer<Words<W>> {
    let mut producer = producer;
    for index in 0..count {
        let mut element = make(index);
        while let Err(rtrb::PushError::Full(back)) = producer.push(element) {
            element = back;
        }
    }
    producer
}

#[inline(never)]
fn rtrb_pop<const W: usize>(consumer: rtrb::Consumer<Words<W>>, count: u64) -> Taken {
    let mut consumer = consumer;
    let mut pop = || {
        loop {
            if let Ok(element) = consumer.pop() {
                break sum(&element);
            }
        }
    };
    let mut total = pop();
    let from = Instant::now();
    for _ in 1..count {
        total = total.wrapping_add(pop());
    }
    Taken {
        sum: black_box(total),
        time: from.elapsed(),
    }
}

#[inline(never)]
fn rtrb_write<const W: usize>(
    producer: rtrb::Producer<Words<W>>,
    each: usize,
    count: u64,
) -> rtrb::Producer<Words<W>> {
    let mut producer = producer;
    let mut index = 0;
    while index < count {
        if let Ok(chunk) = producer.write_chunk_uninit(each) {
            index += chunk.fill_from_iter((index..).map(make)) as u64;
        }
    }
    producer
}

#[inline(never)]
fn rtrb_read<const W: usize>(consumer: rtrb::Consumer<Words<W>>, count: u64) -> Taken {
    let mut consumer = consumer;
    while consumer.is_empty() {}
    let mut total = sum(&consumer.pop().expect("it is not empty"));
    let from = Instant::now();
    let mut taken = 1;
    while taken < count {
        let there = consumer.slots();
        if let Ok(chunk) = consumer.read_chunk(there) {
            for element in chunk {
                total = total.wrapping_add(sum(&element));
            }
            taken += there as u64;
        }
    }
    Taken {
        sum: black_box(total),
        time: from.elapsed(),
    }
}
