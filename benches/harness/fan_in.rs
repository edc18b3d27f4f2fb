//! Elements of several producers to one consumer.

use std::fmt;
use std::hint::black_box;
use std::thread;
use std::time::Instant;

use millstream::{Merge, SinkRef, WaitStrategy};

use super::element::{Words, expected, make, sum};
use super::element_flow::Taken;
use super::pinning::side_by_side;
use super::stream;

/// An element.
type Word = Words<1>;

/// The order in which elements are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Fair,
    Priority,
    Arrival,
    Key,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fair => "fair",
            Self::Priority => "by_priority",
            Self::Arrival => "by_arrival",
            Self::Key => "ordered_by",
        })
    }
}

/// Several producers, one consumer. The producers share a core, for there are two: so all ends wait as they do by default, and
/// give the core away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FanIn {
    pub(crate) producers: usize,
    /// Elements that all rings hold together.
    pub(crate) capacity: usize,
}

impl FanIn {
    /// Million elements a second by a ring for each producer.
    pub(crate) fn merge(self, order: Order, count: u64) -> f64 {
        let (mut sinks, mut sources) = (Vec::new(), Vec::new());
        for _ in 0..self.producers {
            let builder = stream::channel::<Word>(self.capacity / self.producers, WaitStrategy::default());
            let builder = builder.sink_wait(WaitStrategy::default());
            let (sink, source) = builder.build().expect("a ring of this size can be made");
            sinks.push(sink);
            sources.push(source);
        }
        let merged = millstream::merge(sources).idle_timeout(None);
        let merged = match order {
            Order::Fair => merged.fair(),
            Order::Priority => merged.by_priority(),
            Order::Arrival => merged.by_arrival(|element| element[0]),
            Order::Key => merged.ordered_by(|element| element[0]),
        };
        let merged = merged.build();
        self.measure(sinks, put_all, move || take_merged(merged), count)
    }

    /// The rival: million elements a second by one channel, to which each producer has a sender.
    pub(crate) fn crossbeam(self, count: u64) -> f64 {
        let (sender, receiver) = crossbeam_channel::bounded(self.capacity);
        let senders = vec![sender; self.producers];
        self.measure(senders, send_all, move || receive(receiver), count)
    }

    fn measure<S: Send>(
        self,
        sinks: Vec<S>,
        put: fn(S, u64),
        take: impl FnOnce() -> Taken + Send,
        count: u64,
    ) -> f64 {
        let each = count / self.producers as u64;
        let produce = move || {
            thread::scope(|scope| {
                for sink in sinks {
                    // On the core of the one that starts it.
                    scope.spawn(move || put(sink, each));
                }
            });
        };
        let taken = side_by_side(produce, take);
        let all = expected::<1>(each).wrapping_mul(self.producers as u64);
        assert_eq!(taken.sum, all, "what was taken is what was put");
        (each * self.producers as u64 - 1) as f64 / taken.time.as_secs_f64() / 1e6
    }
}

#[inline(never)]
fn put_all(sink: SinkRef<Word>, count: u64) {
    let mut sink = sink;
    for index in 0..count {
        sink.put(make(index)).expect("the consumer takes everything");
    }
    sink.complete().expect("nobody has ended it");
}

#[inline(never)]
fn take_merged(merged: Merge<Word>) -> Taken {
    let mut merged = merged;
    let mut total = sum(&merged.next().expect("there is a first element"));
    let from = Instant::now();
    for element in merged.by_ref() {
        total = total.wrapping_add(sum(&element));
    }
    Taken {
        sum: black_box(total),
        time: from.elapsed(),
    }
}

#[inline(never)]
fn send_all(sender: crossbeam_channel::Sender<Word>, count: u64) {
    for index in 0..count {
        sender.send(make(index)).expect("the consumer takes everything");
    }
}

#[inline(never)]
fn receive(receiver: crossbeam_channel::Receiver<Word>) -> Taken {
    let mut total = sum(&receiver.recv().expect("there is a first element"));
    let from = Instant::now();
    for element in &receiver {
        total = total.wrapping_add(sum(&element));
    }
    Taken {
        sum: black_box(total),
        time: from.elapsed(),
    }
}
