//! Pipes: one, or one for each direction.

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::pipe::pipe;

use super::byte_stream::{answer, ask_all, consume, each, named, produce, ways};
use crate::contender::{Contender, Figure, Job, Setting, Task, Way};
use crate::harness::pinning::{CONSUMER, PRODUCER};
use crate::harness::process::{Ground, Role};
use crate::sides::{inherited, number, pinned};

/// Of the size that the kernel gives.
pub(crate) struct Pipe;

const WAYS: [Way; 3] = named("pipe, 1 a write", "pipe, 64 a write", "pipes");

impl Contender for Pipe {
    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match setting {
            Setting::Within => &[],
            Setting::Between => ways(task, &WAYS),
        }
    }

    fn run(&self, _way: &str, job: Job) -> Figure {
        let ground = Ground::new();
        let bytes = 8 * job.task.words();
        // The second process inherits both, and has the other end of each.
        let (from, to) = pair();
        let (arrived, there) = pair();
        let peer = job.start(&ground, &[&number(&to), &number(&arrived)]);
        drop((to, arrived));
        let (mut from, mut there) = (File::from(from), File::from(there));
        let figure = match job.task {
            Task::Trip { .. } => pinned(
                PRODUCER,
                || (),
                |()| Figure::Times(ask_all(&mut there, &mut from, bytes, job.count)),
            ),
            _ => pinned(CONSUMER, || (), |()| consume(&mut from, bytes, job.count)),
        };
        peer.finish();
        figure
    }

    fn play(&self, way: &str, job: Job, role: &mut Role) {
        let bytes = 8 * job.task.words();
        let (mut to, mut arrived) = (
            File::from(inherited(role.next())),
            File::from(inherited(role.next())),
        );
        match job.task {
            Task::Trip { .. } => {
                pinned(
                    CONSUMER,
                    || (),
                    |()| answer(&mut arrived, &mut to, bytes, job.count),
                );
            }
            _ => pinned(
                PRODUCER,
                || (),
                |()| produce(&mut to, bytes, each(way), job.count),
            ),
        }
        role.end();
    }
}

fn pair() -> (OwnedFd, OwnedFd) {
    pipe().expect("there are descriptors left")
}
