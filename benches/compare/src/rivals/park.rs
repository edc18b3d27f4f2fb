//! The standard library's `park` and `unpark`, and a line.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{self, Thread};

use crossbeam_utils::CachePadded;

use crate::contender::{Contender, Figure, Job, Setting, Task, Way, single};
use crate::harness::pinning::both;
use crate::wake;

/// A consumer that parks until the line has changed.
pub(crate) struct Park;

impl Contender for Park {
    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match (setting, task) {
            (Setting::Within, Task::Wake) => const { &[single("std park/unpark")] },
            _ => &[],
        }
    }

    fn run(&self, _way: &str, job: Job) -> Figure {
        let line = CachePadded::new(AtomicU64::new(0));
        let (say, hear) = mpsc::channel::<Thread>();
        let line = &line;
        let put = move || {
            let consumer = hear.recv().expect("the consumer says who it is");
            let put = |index| {
                line.store(index, Ordering::Release);
                consumer.unpark();
            };
            wake::put_all(put, job.count)
        };
        let take = move || {
            say.send(thread::current()).expect("the producer listens");
            let mut last = 0;
            let take = || {
                while line.load(Ordering::Acquire) == last {
                    thread::park();
                }
                last += 1;
                line.load(Ordering::Acquire)
            };
            wake::take_all(take, job.count);
        };
        Figure::Times(both(put, take).0)
    }
}
