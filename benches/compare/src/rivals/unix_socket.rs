//! A pair of Unix stream sockets.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::byte_stream::{self, named};
use crate::contender::{Contender, Figure, Job, Setting, Task, Way};
use crate::harness::process::{Ground, Role};
use crate::sides::{inherited, number};

/// With the buffers that the kernel gives.
pub(crate) struct UnixSocket;

const WAYS: [Way; 3] = named("Unix socket, 1 a write", "Unix socket, 64 a write", "Unix socket");

impl Contender for UnixSocket {
    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        byte_stream::ways(setting, task, &WAYS)
    }

    fn run(&self, _way: &str, job: Job) -> Figure {
        let ground = Ground::new();
        let (mine, other) = pair();
        let peer = job.start(&ground, &[&number(&other)]);
        drop(other);
        let (mut to, mut from) = both_ways(mine);
        let figure = byte_stream::run(&mut to, &mut from, job);
        peer.finish();
        figure
    }

    fn play(&self, way: &str, job: Job, role: &mut Role) {
        let (mut to, mut from) = both_ways(inherited(role.next()));
        byte_stream::play(&mut to, &mut from, way, job, role);
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
