//! crossbeam's bounded queue of many producers and consumers.

use std::sync::Arc;

use crate::contender::{Contender, Figure, Job, Setting, Task, Way, single};
use crate::flow;
use crate::harness::element::{for_width, sum};

/// Its two sides spin.
pub(crate) struct ArrayQueue;

const WAYS: &[Way] = &[single("crossbeam ArrayQueue")];

impl Contender for ArrayQueue {
    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match (setting, task) {
            (Setting::Within, Task::Flow { .. }) => WAYS,
            _ => &[],
        }
    }

    fn run(&self, _way: &str, job: Job) -> Figure {
        for_width!(job.task.words(), W => {
            let to = Arc::new(crossbeam_queue::ArrayQueue::<[u64; W]>::new(job.task.capacity()));
            let from = Arc::clone(&to);
            flow::singles::<W>(
                job.count,
                move |element| {
                    let mut element = element;
                    while let Err(back) = to.push(element) {
                        element = back;
                    }
                },
                move || loop {
                    if let Some(element) = from.pop() {
                        break sum(&element);
                    }
                },
            )
        })
    }
}
