//! flume's bounded channel.

use crate::contender::{Contender, Figure, Job, Setting, Task, Way, single};
use crate::flow;
use crate::harness::element::{for_width, sum};

pub(crate) struct Flume;

const WAYS: &[Way] = &[single("flume send/recv")];

impl Contender for Flume {
    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match (setting, task) {
            (Setting::Within, Task::Flow { .. }) => WAYS,
            _ => &[],
        }
    }

    fn run(&self, _way: &str, job: Job) -> Figure {
        for_width!(job.task.words(), W => {
            let (to, from) = flume::bounded::<[u64; W]>(job.task.capacity());
            flow::singles::<W>(
                job.count,
                move |element| to.send(element).expect("the consumer stays"),
                move || sum(&from.recv().expect("it is there before the producer goes")),
            )
        })
    }
}
