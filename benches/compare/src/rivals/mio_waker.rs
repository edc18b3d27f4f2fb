//! mio: a consumer that polls, and a waker.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use mio::{Events, Poll, Token, Waker};

use crate::contender::{Contender, Figure, Job, Setting, Task, Way, single};
use crate::wake;

/// What is put is a line; the waker is how the consumer hears of it.
pub(crate) struct MioWaker;

impl Contender for MioWaker {
    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match (setting, task) {
            (Setting::Within, Task::Wake) => const { &[single("mio Waker")] },
            _ => &[],
        }
    }

    fn run(&self, _way: &str, job: Job) -> Figure {
        let mut poll = Poll::new().expect("the kernel has epoll");
        let waker = Waker::new(poll.registry(), Token(0)).expect("the kernel has eventfd");
        let line = CachePadded::new(AtomicU64::new(0));
        let (line, mut last, mut events) = (&line, 0, Events::with_capacity(4));
        wake::within(
            job.count,
            move |index| {
                line.store(index, Ordering::Release);
                waker.wake().expect("the poll is there");
            },
            move || {
                while line.load(Ordering::Acquire) == last {
                    poll.poll(&mut events, None).expect("it can be waited for");
                }
                last += 1;
                line.load(Ordering::Acquire)
            },
        )
    }
}
