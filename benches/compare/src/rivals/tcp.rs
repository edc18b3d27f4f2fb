//! A TCP connection over the loopback, without Nagle's delay.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use super::byte_stream::{self, named};
use crate::contender::{Contender, Figure, Job, Setting, Task, Way};
use crate::harness::process::{Ground, Role};

/// With the buffers that the kernel gives.
pub(crate) struct Tcp;

const WAYS: [Way; 3] = named(
    "TCP loopback, 1 a write",
    "TCP loopback, 64 a write",
    "TCP loopback",
);

impl Contender for Tcp {
    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        byte_stream::ways(setting, task, &WAYS)
    }

    fn run(&self, _way: &str, job: Job) -> Figure {
        let ground = Ground::new();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let peer = job.start(&ground, &[&port]);
        let (socket, _) = listener.accept().expect("the second process connects");
        let (mut to, mut from) = both_ways(socket);
        let figure = byte_stream::run(&mut to, &mut from, job);
        peer.finish();
        figure
    }

    fn play(&self, way: &str, job: Job, role: &mut Role) {
        let port: u16 = role.next();
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the first process listens");
        let (mut to, mut from) = both_ways(socket);
        byte_stream::play(&mut to, &mut from, way, job, role);
    }
}

fn both_ways(socket: TcpStream) -> (TcpStream, TcpStream) {
    socket.set_nodelay(true).expect("TCP has it");
    (socket.try_clone().expect("there are descriptors left"), socket)
}
