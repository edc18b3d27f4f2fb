//! Elements in one direction at a fixed rate, each with the time at which it was due.
//!
//! The latency counts from then and not from the moment of the put, so that a producer which was held up does not hide
//! that its elements come late (coordinated omission).

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use crossbeam_utils::CachePadded;
use hdrhistogram::Histogram;
use millstream::{SinkRef, SourceRef, WaitStrategy};

use super::clock::{now, spin_until};
use super::effort::{Mark, Paid};
use super::element::{Words, for_width};
use super::pinning::{CONSUMER, PRODUCER, pin, side_by_side};
use super::process::{Ground, Role};
use super::round_trip::histogram;
use super::stream::{self, NAME, Trust};

const CAPACITY: usize = 1024;

/// Elements that are sent and not counted.
const WARM_UP: u64 = 100;

/// The time before the first element, in nanoseconds, in which both sides settle.
const LEAD: u64 = 1_000_000;

/// One flow to be measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) words: usize,
    /// Nanoseconds between elements.
    pub(crate) interval: u64,
    /// What the consumer does when there is nothing.
    pub(crate) wait: WaitStrategy,
}

impl Pace {
    /// The latencies of `count` elements in one process.
    pub(crate) fn within(self, count: u64) -> Paid {
        for_width!(self.words, W => {
            let builder = stream::channel::<Words<W>>(CAPACITY, self.wait);
            let (mut sink, source) = builder.build().expect("a ring of this size can be made");
            side_by_side(
                move || {
                    put_all(&mut sink, self.interval, count);
                    sink
                },
                move || take_all(source, count),
            )
        })
    }

    /// The latencies of `count` elements between processes.
    pub(crate) fn between(self, count: u64) -> Paid {
        let ground = Ground::new();
        let mut producer = ground.start(&[&Self::ROLE, &self.words, &self.interval, &count]);
        let latencies = for_width!(self.words, W => {
            let consumer = || {
                let builder = stream::subscribe::<Words<W>>(ground.dir(), NAME, CAPACITY, self.wait, Trust::Copied);
                let source = builder.open().expect("the other process publishes");
                pin(CONSUMER);
                producer.go();
                take_all(source, count)
            };
            thread::scope(|scope| scope.spawn(consumer).join()).expect("the consumer gets everything")
        });
        producer.finish();
        latencies
    }

    /// The producer's process of [`between`](Self::between).
    pub(crate) const ROLE: &str = "pace";

    /// Plays the producer.
    pub(crate) fn play(role: &mut Role) {
        let (words, interval, count) = (role.next::<usize>(), role.next(), role.next());
        for_width!(words, W => {
            let sink = stream::publish::<Words<W>>(&role.dir, NAME, CAPACITY).open();
            let mut sink = sink.expect("the directory is ours");
            pin(PRODUCER);
            role.begin();
            put_all(&mut sink, interval, count);
            role.end();
        });
    }

    /// The rival of a spinning consumer: a ring of rtrb.
    pub(crate) fn rtrb(self, count: u64) -> Paid {
        for_width!(self.words, W => {
            let (mut producer, mut consumer) = rtrb::RingBuffer::<Words<W>>::new(CAPACITY);
            side_by_side(
                move || {
                    paced(now() + LEAD, self.interval, count, |due| {
                        // Full, as any ring, when the consumer was held up.
                        while producer.push([due; W]).is_err() {}
                    });
                    producer
                },
                move || {
                    latencies(count, || loop {
                        if let Ok(element) = consumer.pop() {
                            break element[0];
                        }
                        spin_loop();
                    })
                },
            )
        })
    }

    /// The limit of a spinning consumer: a line with the time in it.
    pub(crate) fn line(self, count: u64) -> Paid {
        let (line, begin) = (CachePadded::new(AtomicU64::new(0)), now() + LEAD);
        side_by_side(
            || {
                paced(begin, self.interval, count, |due| {
                    line.store(due, Ordering::Release)
                })
            },
            || self.seen(&line, begin, count, spin_loop),
        )
    }

    /// The limit of a consumer that sleeps: the standard library's `park` and `unpark`, and a line.
    pub(crate) fn unpark(self, count: u64) -> Paid {
        let (line, begin) = (CachePadded::new(AtomicU64::new(0)), now() + LEAD);
        let line = &line;
        let (say, hear) = mpsc::channel();
        side_by_side(
            move || {
                let consumer: thread::Thread = hear.recv().expect("the consumer says who it is");
                paced(begin, self.interval, count, |due| {
                    line.store(due, Ordering::Release);
                    consumer.unpark();
                });
            },
            move || {
                say.send(thread::current()).expect("the producer listens");
                self.seen(line, begin, count, thread::park)
            },
        )
    }

    /// The latencies of times that are written to a line one over the other.
    fn seen(self, line: &AtomicU64, begin: u64, count: u64, pause: impl Fn()) -> Paid {
        let (mut times, mark) = (Vec::with_capacity((count + WARM_UP) as usize), Mark::now());
        let mut last = begin - self.interval;
        while (times.len() as u64) < count + WARM_UP {
            let due = line.load(Ordering::Acquire);
            if due <= last {
                pause();
                continue;
            }
            let arrived = now();
            // A consumer that was held up sees the newest time only; those it missed arrive with it.
            let new = if last == 0 {
                1
            } else {
                (due - last) / self.interval
            };
            last = due;
            times.extend(
                (0..new)
                    .rev()
                    .map(|back| arrived.saturating_sub(due - back * self.interval)),
            );
        }
        let all = times.len() as u64;
        mark.paid(collect(&times[WARM_UP as usize..]), all)
    }

    /// The rival of a consumer that sleeps: a channel of crossbeam, which spins a little first.
    pub(crate) fn crossbeam(self, count: u64) -> Paid {
        for_width!(self.words, W => {
            let (sender, receiver) = crossbeam_channel::bounded::<Words<W>>(CAPACITY);
            side_by_side(
                move || {
                    paced(now() + LEAD, self.interval, count, |due| {
                        sender.send([due; W]).expect("the consumer stays");
                    });
                    sender
                },
                move || latencies(count, || receiver.recv().expect("the producer stays")[0]),
            )
        })
    }
}

/// Calls `send` with the time at which it is due, at that time, the first being `begin`.
#[inline(always)]
fn paced(begin: u64, interval: u64, count: u64, mut send: impl FnMut(u64)) {
    let mut due = begin;
    for _ in 0..count + WARM_UP {
        spin_until(due);
        send(due);
        due += interval;
    }
}

/// Calls `receive` for every element, which returns the time at which it was due.
#[inline(always)]
fn latencies(count: u64, mut receive: impl FnMut() -> u64) -> Paid {
    let (mut times, mark) = (Vec::with_capacity(count as usize), Mark::now());
    for index in 0..count + WARM_UP {
        let due = receive();
        let time = now().saturating_sub(due);
        if index >= WARM_UP {
            times.push(time);
        }
    }
    mark.paid(collect(&times), count + WARM_UP)
}

fn collect(times: &[u64]) -> Histogram<u64> {
    let mut histogram = histogram();
    for time in times {
        histogram.saturating_record(*time);
    }
    histogram
}

#[inline(never)]
fn put_all<const W: usize>(sink: &mut SinkRef<Words<W>>, interval: u64, count: u64) {
    paced(now() + LEAD, interval, count, |due| {
        sink.put([due; W]).expect("the consumer takes everything")
    });
    let _ = sink.complete();
}

#[inline(never)]
fn take_all<const W: usize>(source: SourceRef<Words<W>>, count: u64) -> Paid {
    let mut source = source;
    latencies(count, || source.next().expect("the producer puts as many")[0])
}
