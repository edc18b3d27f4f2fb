//! The limit of waking by a descriptor: an eventfd, of which the value is what is put.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};

use crate::contender::{Contender, Figure, Job, Setting, Standing, Task, Way, single};
use crate::harness::pinning::{CONSUMER, PRODUCER};
use crate::harness::process::{Ground, Role};
use crate::sides::{inherited, number, pinned};
use crate::wake;

/// The consumer sleeps in `read`.
pub(crate) struct EventFd;

/// Its name, by which promises refer to it.
pub(crate) const NAME: &str = "limit: eventfd";

impl Contender for EventFd {
    fn standing(&self) -> Standing {
        Standing::Limit
    }

    fn ways(&self, _setting: Setting, task: Task) -> &'static [Way] {
        match task {
            Task::Wake => const { &[single(NAME)] },
            _ => &[],
        }
    }

    fn run(&self, _way: &str, job: Job) -> Figure {
        // Without close-on-exec, for a second process inherits it.
        let event = eventfd(0, EventfdFlags::empty()).expect("there are descriptors left");
        match job.setting {
            Setting::Within => {
                let (event, mut seen) = (&event, 0);
                wake::within(job.count, move |_| put(event), move || take(event, &mut seen))
            }
            Setting::Between => {
                let ground = Ground::new();
                let peer = job.start(&ground, &[&number(&event)]);
                let times = pinned(PRODUCER, || (), |()| wake::put_all(|_| put(&event), job.count));
                peer.finish();
                Figure::Times(times)
            }
        }
    }

    fn play(&self, _way: &str, job: Job, role: &mut Role) {
        let (event, mut seen) = (inherited(role.next()), 0);
        pinned(
            CONSUMER,
            || (),
            |()| wake::take_all(|| take(&event, &mut seen), job.count),
        );
        role.end();
    }
}

fn put(event: &OwnedFd) {
    write(event.as_fd(), &1_u64.to_ne_bytes()).expect("the count is small");
}

fn take(event: &OwnedFd, seen: &mut u64) -> u64 {
    let mut more = [0; 8];
    read(event.as_fd(), &mut more).expect("it can be waited for");
    *seen += u64::from_ne_bytes(more);
    *seen
}
