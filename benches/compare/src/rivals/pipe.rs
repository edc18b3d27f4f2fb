//! Pipes: one, or one for each direction.

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::pipe::pipe;

use super::byte_stream::{self, named};
use crate::contender::{Contender, Figure, Job, Setting, Task, Way};
use crate::harness::process::{Ground, Role};
use crate::sides::{inherited, number};

/// Of the size that the kernel gives.
pub(crate) struct Pipe;

const WAYS: [Way; 3] = named("pipe, 1 a write", "pipe, 64 a write", "pipes");

impl Contender for Pipe {
    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        byte_stream::ways(setting, task, &WAYS)
    }

    fn run(&self, _way: &str, job: Job) -> Figure {
        let ground = Ground::new();
        // The second process inherits both, and has the other end of each.
        let (from, to) = pair();
        let (arrived, there) = pair();
        let peer = job.start(&ground, &[&number(&to), &number(&arrived)]);
        drop((to, arrived));
        let (mut from, mut there) = (File::from(from), File::from(there));
        let figure = byte_stream::run(&mut there, &mut from, job);
        peer.finish();
        figure
    }

    fn play(&self, way: &str, job: Job, role: &mut Role) {
        let (mut to, mut arrived) = (
            File::from(inherited(role.next())),
            File::from(inherited(role.next())),
        );
        byte_stream::play(&mut to, &mut arrived, way, job, role);
    }
}

fn pair() -> (OwnedFd, OwnedFd) {
    pipe().expect("there are descriptors left")
}
