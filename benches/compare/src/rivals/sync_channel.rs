//! The standard library's bounded channel.

use crate::contender::{Contender, Figure, Job, Setting, Task, Way, single};
use crate::flow;
use crate::harness::element::{for_width, sum};
use std::sync::mpsc;

pub(crate) struct SyncChannel;

const WAYS: &[Way] = &[single("std sync_channel")];

impl Contender for SyncChannel {
    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match (setting, task) {
            (Setting::Within, Task::Flow { .. }) => WAYS,
            _ => &[],
        }
    }

    fn run(&self, _way: &str, job: Job) -> Figure {
        for_width!(job.task.words(), W => {
            let (to, from) = mpsc::sync_channel::<[u64; W]>(job.task.capacity());
            flow::singles::<W>(
                job.count,
                move |element| to.send(element).expect("the consumer stays"),
                move || sum(&from.recv().expect("it is there before the producer goes")),
            )
        })
    }
}
