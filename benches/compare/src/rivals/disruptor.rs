//! disruptor: one producer, one poller.

use std::hint::spin_loop;

use disruptor::{BusySpin, EventPoller, Polling, Producer, SingleProducerBarrier, build_single_producer};

use crate::contender::{Contender, Figure, Job, Setting, Task, Way, batch, single};
use crate::flow;
use crate::harness::element::{Words, for_width, make, sum};

/// Its two sides spin; a poll takes whatever is there.
pub(crate) struct Disruptor;

const SINGLE: &str = "disruptor publish/poller";
const BATCHES: &str = "disruptor batch of 32/poller";
/// Half of the smallest ring: with all of it, the producer would wait until it is empty.
const BATCH: usize = 32;

type Poller<const W: usize> = EventPoller<Words<W>, SingleProducerBarrier>;

impl Contender for Disruptor {
    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match (setting, task) {
            (Setting::Within, Task::Flow { .. }) => const { &[single(SINGLE), batch(BATCHES)] },
            (Setting::Within, Task::Trip { .. }) => const { &[single("disruptor")] },
            _ => &[],
        }
    }

    fn run(&self, way: &str, job: Job) -> Figure {
        for_width!(job.task.words(), W => {
            let (mut to, mut from) = ends::<W>(job.task.capacity());
            match (way, job.task) {
                (_, Task::Trip { .. }) => {
                    let (mut back, mut returned) = ends::<W>(job.task.capacity());
                    flow::trips(
                        job.count,
                        (move |element| back.publish(|slot| *slot = element), move || one(&mut from)),
                        (move |element| to.publish(|slot| *slot = element), move || one(&mut returned)),
                    )
                }
                (BATCHES, _) => {
                    let put = move |index: u64| {
                        to.batch_publish(BATCH, |slots| {
                            for (slot, index) in slots.zip(index..) {
                                *slot = make(index);
                            }
                        });
                        index + BATCH as u64
                    };
                    flow::within::<W>(job.count, put, move || all(&mut from))
                }
                _ => {
                    let put = move |index: u64| {
                        to.publish(|slot| *slot = make(index));
                        index + 1
                    };
                    flow::within::<W>(job.count, put, move || all(&mut from))
                }
            }
        })
    }
}

fn ends<const W: usize>(capacity: usize) -> (impl Producer<Words<W>> + Send, Poller<W>) {
    let (poller, builder) = build_single_producer(capacity, || [0; W], BusySpin).new_event_poller();
    (builder.build(), poller)
}

#[inline(always)]
fn all<const W: usize>(from: &mut Poller<W>) -> (u64, u64) {
    match from.poll() {
        Ok(mut events) => (&mut events).fold((0, 0), |(total, count): (u64, u64), element| {
            (total.wrapping_add(sum(element)), count + 1)
        }),
        Err(Polling::NoEvents | Polling::Shutdown) => (0, 0),
    }
}

#[inline(always)]
fn one<const W: usize>(from: &mut Poller<W>) -> Words<W> {
    loop {
        if let Ok(mut events) = from.take(1)
            && let Some(element) = (&mut events).next()
        {
            break *element;
        }
        spin_loop();
    }
}
