//! ringbuf, with its cached indices.

use std::hint::spin_loop;

use ringbuf::HeapRb;
use ringbuf::traits::{Consumer, Producer, Split};

use crate::contender::{Contender, Figure, Job, Setting, Task, Way, batch, single};
use crate::flow::{self, BATCH};
use crate::harness::element::{Words, for_width, make, sum};

/// Its two sides spin.
pub(crate) struct Ringbuf;

const SINGLE: &str = "ringbuf push/pop";
const ITERATORS: &str = "ringbuf iterators of 64";

impl Contender for Ringbuf {
    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match (setting, task) {
            (Setting::Within, Task::Flow { .. }) => const { &[single(SINGLE), batch(ITERATORS)] },
            (Setting::Within, Task::Trip { .. }) => const { &[single("ringbuf")] },
            _ => &[],
        }
    }

    fn run(&self, way: &str, job: Job) -> Figure {
        for_width!(job.task.words(), W => match (way, job.task) {
            (_, Task::Trip { .. }) => {
                let (mut there, mut arrived) = HeapRb::<[u64; W]>::new(job.task.capacity()).split();
                let (mut back, mut returned) = HeapRb::<[u64; W]>::new(job.task.capacity()).split();
                flow::trips(
                    job.count,
                    (move |element| push(&mut back, element), move || pop(&mut arrived)),
                    (move |element| push(&mut there, element), move || pop(&mut returned)),
                )
            }
            (ITERATORS, _) => {
                let (mut to, mut from) = HeapRb::<[u64; W]>::new(job.task.capacity()).split();
                let last = job.count;
                flow::within::<W>(
                    job.count,
                    move |index| {
                        let until = last.min(index + BATCH as u64);
                        index + to.push_iter((index..until).map(make)) as u64
                    },
                    move || from.pop_iter().take(BATCH).fold((0, 0), |(total, count): (u64, u64), element: [u64; W]| {
                        (total.wrapping_add(sum(&element)), count + 1)
                    }),
                )
            }
            _ => {
                let (mut to, mut from) = HeapRb::<[u64; W]>::new(job.task.capacity()).split();
                flow::singles::<W>(
                    job.count,
                    move |element| push(&mut to, element),
                    move || sum(&pop(&mut from)),
                )
            }
        })
    }
}

#[inline(always)]
fn push<const W: usize>(to: &mut impl Producer<Item = Words<W>>, element: Words<W>) {
    let mut element = element;
    while let Err(back) = to.try_push(element) {
        element = back;
    }
}

#[inline(always)]
fn pop<const W: usize>(from: &mut impl Consumer<Item = Words<W>>) -> Words<W> {
    loop {
        if let Some(element) = from.try_pop() {
            break element;
        }
        spin_loop();
    }
}
