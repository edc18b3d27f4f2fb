//! Elements of one producer, each to every one of several consumers.

use std::hint::black_box;
use std::time::Instant;

use crossbeam_channel::TryRecvError;
use disruptor::{BusySpin, EventPoller, Producer, SingleProducerBarrier, build_single_producer};
use millstream::{SinkRef, SourceRef, WaitStrategy};

use super::element::{Words, expected, make, sum};
use super::element_flow::{BATCH, Taken};
use super::pinning::side_by_side;
use super::stream;

/// Slots that the disruptor's producer claims at a time.
const CLAIMED: usize = 32;

/// One producer and several consumers. The consumers share a thread, which goes round: there are two cores, and a consumer that waits for
/// its turn on one is not a slow consumer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FanOut {
    pub(crate) consumers: usize,
    /// Elements that a ring holds.
    pub(crate) capacity: usize,
}

/// Where one consumer takes.
trait Outlet: Send {
    /// Takes what is there: adds it up, and says how much it was.
    fn take(&mut self, total: &mut u64) -> u64;
}

impl<const W: usize> Outlet for SourceRef<Words<W>> {
    #[inline(always)]
    fn take(&mut self, total: &mut u64) -> u64 {
        self.drain(usize::MAX, |element| *total = total.wrapping_add(sum(&element))) as u64
    }
}

impl<const W: usize> Outlet for rtrb::Consumer<Words<W>> {
    #[inline(always)]
    fn take(&mut self, total: &mut u64) -> u64 {
        let mut count = 0;
        while let Ok(element) = self.pop() {
            *total = total.wrapping_add(sum(&element));
            count += 1;
        }
        count
    }
}

impl<const W: usize> Outlet for crossbeam_channel::Receiver<Words<W>> {
    #[inline(always)]
    fn take(&mut self, total: &mut u64) -> u64 {
        let mut count = 0;
        loop {
            match self.try_recv() {
                Ok(element) => *total = total.wrapping_add(sum(&element)),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return count,
            }
            count += 1;
        }
    }
}

type Poller<const W: usize> = EventPoller<Words<W>, SingleProducerBarrier>;

impl<const W: usize> Outlet for Poller<W> {
    #[inline(always)]
    fn take(&mut self, total: &mut u64) -> u64 {
        let Ok(mut events) = self.poll() else { return 0 };
        (&mut events).fold(0, |count, element| {
            *total = total.wrapping_add(sum(element));
            count + 1
        })
    }
}

impl FanOut {
    /// Million elements a second, each counted once, by one ring.
    pub(crate) fn broadcast<const W: usize>(self, batches: bool, count: u64) -> f64 {
        let half = self.capacity as u64 / 2;
        let (sink, subscribers) = millstream::broadcast::<Words<W>>()
            .buffer_size(self.capacity / 2)
            .max_demand(half)
            .history(0)
            .sink_wait(WaitStrategy::BusySpin)
            .build()
            .expect("a ring of this size can be made");
        let join = || {
            subscribers
                .subscribe()
                .initial_demand(half)
                .idle_timeout(None)
                .open()
        };
        let sources = (0..self.consumers)
            .map(|_| join().expect("there is a place"))
            .collect();
        self.measure::<W, _, SourceRef<_>>(move || put(sink, batches, count), sources, count)
    }

    /// By a stream for each consumer.
    pub(crate) fn streams<const W: usize>(self, count: u64) -> f64 {
        let ends = |_| {
            let builder = stream::channel::<Words<W>>(self.capacity, WaitStrategy::BusySpin);
            builder.build().expect("a ring of this size can be made")
        };
        if self.consumers == 1 {
            // By the very loop that a broadcast is put by: what differs is what a consumer of several costs.
            let (sink, source) = ends(0);
            let produce = move || put(sink, false, count);
            return self.measure::<W, _, SourceRef<_>>(produce, vec![source], count);
        }
        let (mut sinks, sources): (Vec<_>, _) = (0..self.consumers).map(ends).unzip();
        let produce = move || {
            for index in 0..count {
                let element = make(index);
                for sink in &mut sinks {
                    sink.put(element).expect("the consumer takes everything");
                }
            }
            // Kept until everything was taken.
            sinks
        };
        self.measure::<W, _, SourceRef<_>>(produce, sources, count)
    }

    /// By a ring of rtrb for each.
    pub(crate) fn rtrb<const W: usize>(self, count: u64) -> f64 {
        let ends = |_| rtrb::RingBuffer::new(self.capacity);
        let (mut sinks, sources): (Vec<_>, _) = (0..self.consumers).map(ends).unzip();
        let produce = move || {
            for index in 0..count {
                let element: Words<W> = make(index);
                for sink in &mut sinks {
                    while sink.push(element).is_err() {
                        std::hint::spin_loop();
                    }
                }
            }
            sinks
        };
        self.measure::<W, _, rtrb::Consumer<_>>(produce, sources, count)
    }

    /// By a channel of crossbeam for each.
    pub(crate) fn crossbeam<const W: usize>(self, count: u64) -> f64 {
        let ends = |_| crossbeam_channel::bounded(self.capacity);
        let (sinks, sources): (Vec<_>, _) = (0..self.consumers).map(ends).unzip();
        let produce = move || {
            for index in 0..count {
                let element: Words<W> = make(index);
                for sink in &sinks {
                    sink.send(element).expect("the consumer takes everything");
                }
            }
            sinks
        };
        self.measure::<W, _, crossbeam_channel::Receiver<_>>(produce, sources, count)
    }

    /// By the disruptor.
    pub(crate) fn disruptor<const W: usize>(self, batches: bool, count: u64) -> f64 {
        let builder = build_single_producer(self.capacity, || [0; W], BusySpin);
        let (first, builder) = builder.new_event_poller();
        let mut pollers = vec![first];
        if self.consumers == 1 {
            let to = builder.build();
            return self.measure::<W, _, Poller<W>>(move || publish(to, batches, count), pollers, count);
        }
        let (second, mut builder) = builder.new_event_poller();
        pollers.push(second);
        while pollers.len() < self.consumers {
            let poller;
            (poller, builder) = builder.new_event_poller();
            pollers.push(poller);
        }
        let to = builder.build();
        self.measure::<W, _, Poller<W>>(move || publish(to, batches, count), pollers, count)
    }

    fn measure<const W: usize, P: Send, O: Outlet>(
        self,
        produce: impl FnOnce() -> P + Send,
        outlets: Vec<O>,
        count: u64,
    ) -> f64 {
        let all = count * self.consumers as u64;
        let taken = side_by_side(produce, move || take_all(outlets, all));
        let wanted = expected::<W>(count).wrapping_mul(self.consumers as u64);
        assert_eq!(taken.sum, wanted, "what was taken is what was put");
        (count - 1) as f64 / taken.time.as_secs_f64() / 1e6
    }
}

/// Goes round until `all` elements were taken.
#[inline(never)]
fn take_all<O: Outlet>(outlets: Vec<O>, all: u64) -> Taken {
    let mut outlets = outlets;
    let (mut total, mut count) = (0, 0);
    while count == 0 {
        count += outlets[0].take(&mut total);
    }
    let from = Instant::now();
    while count < all {
        for outlet in &mut outlets {
            count += outlet.take(&mut total);
        }
    }
    Taken {
        sum: black_box(total),
        time: from.elapsed(),
    }
}

/// Puts so many elements. Gives the sink back, which is kept until everything was taken.
#[inline(never)]
fn put<const W: usize>(mut sink: SinkRef<Words<W>>, batches: bool, count: u64) -> SinkRef<Words<W>> {
    if batches {
        let mut index = 0;
        while index < count {
            let batch: [Words<W>; BATCH] = std::array::from_fn(|at| make(index + at as u64));
            sink.put_slice(&batch).expect("the consumers take everything");
            index += BATCH as u64;
        }
    } else {
        for index in 0..count {
            sink.put(make(index)).expect("the consumers take everything");
        }
    }
    sink
}

/// Publishes so many events of the disruptor.
#[inline(never)]
fn publish<const W: usize, P: Producer<Words<W>>>(mut to: P, batches: bool, count: u64) -> P {
    if batches {
        for index in (0..count).step_by(CLAIMED) {
            to.batch_publish(CLAIMED, |slots| {
                for (slot, index) in slots.zip(index..) {
                    *slot = make(index);
                }
            });
        }
    } else {
        for index in 0..count {
            to.publish(|slot| *slot = make(index));
        }
    }
    to
}
