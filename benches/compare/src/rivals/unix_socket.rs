//! A pair of Unix stream sockets.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::byte_stream::{answer, ask_all, consume, each, named, produce, ways};
use crate::contender::{Contender, Figure, Job, Setting, Task, Way};
use crate::harness::pinning::{CONSUMER, PRODUCER};
use crate::harness::process::{Ground, Role};
use crate::sides::{inherited, number, pinned};

/// With the buffers that the kernel gives.
pub(crate) struct UnixSocket;

const WAYS: [Way; 3] = named("Unix socket, 1 a write", "Unix socket, 64 a write", "Unix socket");

impl Contender for UnixSocket {
    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match setting {
            Setting::Within => &[],
            Setting::Between => ways(task, &WAYS),
        }
    }

    fn run(&self, _way: &str, job: Job) -> Figure {
        let ground = Ground::new();
        let bytes = 8 * job.task.words();
        let (mine, other) = pair();
        let peer = job.start(&ground, &[&number(&other)]);
        drop(other);
        let (mut to, mut from) = both_ways(mine);
        let figure = match job.task {
            Task::Trip { .. } => pinned(
                PRODUCER,
                || (),
                |()| Figure::Times(ask_all(&mut to, &mut from, bytes, job.count)),
            ),
            _ => pinned(CONSUMER, || (), |()| consume(&mut from, bytes, job.count)),
        };
        peer.finish();
        figure
    }

    fn play(&self, way: &str, job: Job, role: &mut Role) {
        let bytes = 8 * job.task.words();
        let (mut to, mut from) = both_ways(inherited(role.next()));
        match job.task {
            Task::Trip { .. } => {
                pinned(CONSUMER, || (), |()| answer(&mut from, &mut to, bytes, job.count));
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
    // Without close-on-exec, for the second process inherits one.
    socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::empty(),
        None,
    )
    .expect("there are descriptors left")
}

fn both_ways(socket: OwnedFd) -> (UnixStream, UnixStream) {
    let socket = UnixStream::from(socket);
    (socket.try_clone().expect("there are descriptors left"), socket)
}
