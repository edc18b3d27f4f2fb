//! rtrb, by the loops that the benches have.

use crate::contender::{Contender, Figure, Job, Pace, Setting, Task, Way, batch, single};
use crate::flow;
use crate::harness::element::{for_width, make, sum};
use crate::harness::{element_flow, round_trip};
use crate::labour::labour;

/// Its two sides spin.
pub(crate) struct Rtrb;

const SINGLE: &str = "rtrb push/pop";
const CHUNKS: &str = "rtrb chunks of 64";

impl Contender for Rtrb {
    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match (setting, task) {
            (Setting::Within, Task::Flow { .. }) => const { &[single(SINGLE), batch(CHUNKS)] },
            (Setting::Within, Task::Trip { .. }) => const { &[single("rtrb")] },
            (Setting::Within, Task::Regime { .. }) => const { &[batch(CHUNKS)] },
            _ => &[],
        }
    }

    fn run(&self, way: &str, job: Job) -> Figure {
        let (words, capacity) = (job.task.words(), job.task.capacity());
        match (way, job.task) {
            (_, Task::Trip { .. }) => Figure::Times(round_trip::rtrb(words, job.count)),
            (_, Task::Regime { pace, .. }) => paced(words, capacity, pace, job.count),
            (CHUNKS, _) => Figure::Rate(element_flow::rtrb_chunks(words, capacity, job.count)),
            _ => Figure::Rate(element_flow::rtrb(words, capacity, job.count)),
        }
    }
}

fn paced(words: usize, capacity: usize, pace: Pace, count: u64) -> Figure {
    let each = element_flow::BATCH.min(capacity / 2);
    for_width!(words, W => {
        let (mut producer, mut consumer) = rtrb::RingBuffer::<[u64; W]>::new(capacity);
        flow::within::<W>(
            count,
            move |index| match producer.write_chunk_uninit(each) {
                Ok(chunk) => index + chunk.fill_from_iter((index..).take(each).map(|index| labour(pace == Pace::Fast, make(index)))) as u64,
                Err(_) => index,
            },
            move || {
                let there = consumer.slots();
                consumer.read_chunk(there).map_or((0, 0), |chunk| {
                    chunk.into_iter().fold((0, 0), |(total, count): (u64, u64), element| {
                        (total.wrapping_add(sum(&labour(pace == Pace::Slow, element))), count + 1)
                    })
                })
            },
        )
    })
}
