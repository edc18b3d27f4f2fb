//! The messages of the handshake, made by hand, and sockets to send them.

use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use millstream::Element;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FlockOperation;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

use crate::stage::LONGEST;

pub(super) const WELCOME: u16 = 2;
pub(super) const REFUSAL: u16 = 3;

fn message(kind: u16, body: &[&[u8]]) -> Vec<u8> {
    let mut packet = b"\x89MLH\r\n\x1a\n\x02\x00\x00\x00".to_vec();
    let length = 18 + body.iter().map(|part| part.len()).sum::<usize>();
    packet.extend((length as u32).to_le_bytes());
    packet.extend(kind.to_le_bytes());
    body.iter().for_each(|part| packet.extend(*part));
    packet
}

/// A hello to a stream of `u64`: role 1 is a consumer's, 2 an observer's.
pub(super) fn hello(role: u8) -> Vec<u8> {
    let fingerprint = u64::schema().fingerprint().to_bytes();
    let schema = u64::schema().encode();
    let (window, length) = (16u64.to_le_bytes(), (schema.len() as u32).to_le_bytes());
    let mark = 0x0102_0304u32.to_ne_bytes();
    message(
        1,
        &[
            &[role, 1, 0, 0, 0, 0],
            &window,
            &fingerprint,
            &length,
            &mark,
            &schema,
        ],
    )
}

/// A message without a body of its own: 4 is the ready, 5 the evicted.
pub(super) fn bare(kind: u16) -> Vec<u8> {
    message(kind, &[&[0, 0]])
}

/// A welcome to a stream of so many bytes.
pub(super) fn welcome(len: usize, epoch: u64, window: u64) -> Vec<u8> {
    let words = [len as u64, epoch, 0, 0, window, 0]
        .map(u64::to_le_bytes)
        .concat();
    message(WELCOME, &[&[0, 0], &1u32.to_le_bytes(), &words])
}

pub(super) fn refusal(code: u16) -> Vec<u8> {
    message(REFUSAL, &[&code.to_le_bytes(), &[0; 44]])
}

fn socket() -> OwnedFd {
    rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap()
}

fn address(dir: &Path, name: &str) -> SocketAddrUnix {
    SocketAddrUnix::new(dir.join(format!("{name}.sock"))).unwrap()
}

pub(super) fn connect(dir: &Path, name: &str) -> OwnedFd {
    let socket = socket();
    rustix::net::connect(&socket, &address(dir, name)).unwrap();
    socket
}

/// Listens under a name as its producer does: with its lock, so that nobody takes the socket for a dead one's.
pub(super) fn listen(dir: &Path, name: &str) -> (OwnedFd, File) {
    let lock = File::create(dir.join(format!("{name}.lock"))).unwrap();
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    let socket = socket();
    rustix::net::bind(&socket, &address(dir, name)).unwrap();
    rustix::net::listen(&socket, 16).unwrap();
    (socket, lock)
}

pub(super) fn accept(listener: &OwnedFd) -> OwnedFd {
    assert!(readable(listener, LONGEST.as_secs()), "nobody calls");
    rustix::net::accept_with(listener, SocketFlags::CLOEXEC).unwrap()
}

pub(super) fn pair() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
}

fn readable(socket: &OwnedFd, seconds: u64) -> bool {
    let limit = Timespec {
        tv_sec: seconds as i64,
        tv_nsec: 0,
    };
    poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&limit)).unwrap() > 0
}

/// Sends a packet with descriptors. False when the peer has hung up.
pub(super) fn send(socket: &OwnedFd, packet: &[u8], fds: &[BorrowedFd<'_>]) -> bool {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(fds.is_empty() || control.push(SendAncillaryMessage::ScmRights(fds)));
    let sent = rustix::net::sendmsg(socket, &[IoSlice::new(packet)], &mut control, SendFlags::NOSIGNAL);
    sent.is_ok()
}

/// The next packet and its descriptors; no bytes when the peer has hung up.
pub(super) fn receive(socket: &OwnedFd) -> (Vec<u8>, Vec<OwnedFd>) {
    assert!(
        readable(socket, LONGEST.as_secs()),
        "neither an answer nor a hang-up"
    );
    let mut packet = vec![0; 1 << 17];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let parts = &mut [std::io::IoSliceMut::new(&mut packet)];
    match rustix::net::recvmsg(socket, parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
        Ok(received) => {
            let mut fds = Vec::new();
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(more) = message {
                    fds.extend(more);
                }
            }
            packet.truncate(received.bytes);
            (packet, fds)
        }
        Err(_) => (Vec::new(), Vec::new()),
    }
}

/// The type of a message.
pub(super) fn kind(packet: &[u8]) -> u16 {
    u16::from_le_bytes([packet[16], packet[17]])
}

/// Subscribes by hand: the connection, the welcome's descriptors (memory, credit page, bell), confirmed.
pub(super) fn subscribe(dir: &Path, name: &str) -> (OwnedFd, Vec<OwnedFd>) {
    let socket = connect(dir, name);
    assert!(send(&socket, &hello(1), &[]));
    let (answer, fds) = receive(&socket);
    assert_eq!(kind(&answer), WELCOME, "{answer:?}");
    assert!(send(&socket, &bare(4), &[]));
    (socket, fds)
}

/// As many copies of a descriptor as there are to be.
pub(super) fn copies(fd: &OwnedFd, count: usize) -> Vec<BorrowedFd<'_>> {
    vec![fd.as_fd(); count]
}
