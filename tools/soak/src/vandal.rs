//! A bad peer's part: connections that say nothing, say nonsense, hang up, come in floods or want the wrong thing.

use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};

use crate::element::{Large, Small};
use crate::line::Kind;
use crate::part::{Fault, Scene, stream_name};
use crate::random::Random;

pub(crate) fn vandalise(scene: &Scene<'_>, random: &mut Random) -> Result<(), Fault> {
    let part = scene.part;
    while !scene.ledger.is_finishing() {
        let slot = random.between(1, part.consumers as u64) as usize;
        let name = part.kind.name(&stream_name(part.stream), slot);
        let socket = part.streams.join(format!("{name}.sock"));
        match random.below(8) {
            0 => hang_up(&socket, 1),
            1 => hang_up(&socket, random.between(2, 30)),
            2 => stay_silent(&socket, random),
            3..5 => talk_nonsense(&socket, random, false),
            5 => talk_nonsense(&socket, random, true),
            6 => want_another_type(scene, &name)?,
            _ => {
                // Whoever looks may be told anything but must not disturb.
                let _ = millstream::observe(name.as_str(), Some(part.streams.clone()));
                let _ = millstream::list(Some(part.streams.clone()));
            }
        }
        scene.slot.beat();
        std::thread::sleep(Duration::from_micros(random.below(20_000)));
    }
    Ok(())
}

/// A connection to whoever listens there, if somebody does.
fn connect(path: &Path) -> Option<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).ok()?;
    let address = SocketAddrUnix::new(path).ok()?;
    rustix::net::connect(&socket, &address).ok()?;
    Some(socket)
}

fn hang_up(socket: &Path, times: u64) {
    let all: Vec<_> = (0..times).filter_map(|_| connect(socket)).collect();
    drop(all);
}

fn stay_silent(socket: &Path, random: &mut Random) {
    let silent = connect(socket);
    std::thread::sleep(Duration::from_millis(random.below(300)));
    drop(silent);
}

fn talk_nonsense(path: &Path, random: &mut Random, with_descriptors: bool) {
    let Some(socket) = connect(path) else { return };
    for _ in 0..random.between(1, 3) {
        let nonsense: Vec<u8> = (0..random.below(2000)).map(|_| random.next() as u8).collect();
        let files: Vec<File> = (0..random.below(4))
            .filter_map(|_| File::open("/dev/null").ok())
            .collect();
        let descriptors: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if with_descriptors && !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        // It may have been hung up on already, which is right.
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let _ = rustix::net::sendmsg(&socket, &[IoSlice::new(&nonsense)], &mut control, flags);
    }
    std::thread::sleep(Duration::from_millis(random.below(20)));
}

/// Subscribes as if the stream carried something else, which must be refused whatever becomes of the stream meanwhile.
fn want_another_type(scene: &Scene<'_>, name: &str) -> Result<(), Fault> {
    let streams = &scene.part.streams;
    let opened = match scene.part.kind {
        Kind::Large => millstream::subscribe::<Small>(name)
            .directory(streams)
            .open()
            .is_ok(),
        _ => millstream::subscribe::<Large>(name)
            .directory(streams)
            .open()
            .is_ok(),
    };
    if opened {
        Err(Fault::wrong(format!(
            "{name:?} let a consumer of another type in"
        )))
    } else {
        Ok(())
    }
}
