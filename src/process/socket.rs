//! Unix sockets that keep the bounds of packets, and carry descriptors and credentials.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, Gid, Mode};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

use super::directory::{Circle, RuntimeDirectory};
use super::error::SystemError;
use super::name::Name;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;
/// The most groups in which Linux lets a process be.
const MOST_GROUPS: usize = 1 << 16;
/// The most descriptors in one message.
pub(super) const MOST_FDS: usize = 4;

/// The path of the name's socket through the open directory: short, however deep the directory lies, where an
/// address has 108 bytes; and the directory that was checked, whatever its path leads to by now.
fn address(directory: &RuntimeDirectory, name: &Name) -> Result<SocketAddrUnix, Errno> {
    SocketAddrUnix::new(format!(
        "/proc/self/fd/{}/{}",
        directory.fd().as_raw_fd(),
        name.socket_file()
    ))
}

fn socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// Listens under the name, to the user of this process and to the group that the directory lets in. The caller holds the claim
/// to the name and has removed any socket from before.
pub(super) fn listen(directory: &RuntimeDirectory, name: &Name) -> Result<OwnedFd, SystemError> {
    let refused = |what| {
        let path = directory.at(&name.socket_file());
        move |errno| SystemError::new(what, &path, errno)
    };
    let socket = socket().map_err(refused("making a socket"))?;
    // Before binding, so that the file never has another mode.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR).map_err(refused("making a socket private"))?;
    let address = address(directory, name).map_err(refused("naming a socket"))?;
    rustix::net::bind(&socket, &address).map_err(refused("binding a socket (is /proc mounted?)"))?;
    if let Circle::ForGroup(group) = directory.circle() {
        let (file, group) = (name.socket_file(), Some(Gid::from_raw(group)));
        rustix::fs::chownat(directory.fd(), &file, None, group, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(refused("giving a socket to a group"))?;
        // By its name, because the kernel applies the umask to what it takes over from the socket. Only this user can have
        // put anything else there.
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP;
        rustix::fs::chmodat(directory.fd(), &file, mode, AtFlags::empty())
            .map_err(refused("letting a group call at a socket"))?;
    }
    rustix::net::listen(&socket, BACKLOG).map_err(refused("listening on a socket"))?;
    Ok(socket)
}

/// Connects to whoever listens under the name, without waiting.
pub(super) fn connect(directory: &RuntimeDirectory, name: &Name) -> Result<OwnedFd, Errno> {
    let socket = socket()?;
    let address = address(directory, name)?;
    retry_on_intr(|| rustix::net::connect(&socket, &address))?;
    Ok(socket)
}

/// The next connection; `None` when nobody waits.
pub(super) fn accept(listener: &OwnedFd) -> Result<Option<OwnedFd>, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    loop {
        match rustix::net::accept_with(listener, flags) {
            Ok(connection) => return Ok(Some(connection)),
            Err(Errno::WOULDBLOCK) => return Ok(None),
            // Whoever wanted to connect has gone again.
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Two connected sockets: a doorbell.
pub(super) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// Sends one packet with descriptors, whole or not at all, without waiting.
pub(super) fn send(connection: &OwnedFd, packet: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    retry_on_intr(|| {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(Errno::TOOBIG);
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::net::sendmsg(connection, &[IoSlice::new(packet)], &mut control, flags)
    })
    .map(|_| ())
}

/// What a look for a packet found.
#[derive(Debug)]
pub(super) enum Receipt {
    /// A packet of so many bytes, with these descriptors.
    Packet(usize, Vec<OwnedFd>),
    /// A packet that does not fit, or has more descriptors than any that is expected.
    Overlong,
    /// A packet whose descriptors do not all fit among this process's open files, or are not wanted.
    WithoutFds,
    /// Nothing yet.
    Nothing,
    /// The peer closed the connection, or its process died.
    HungUp,
}

/// Receives one packet, without waiting, with at most `fds` descriptors.
pub(super) fn receive(connection: &OwnedFd, packet: &mut [u8], fds: usize) -> Result<Receipt, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    // Without room for descriptors the kernel closes those that a stranger sends.
    let room = if fds == 0 { 0 } else { space.len() };
    let mut resets = 0;
    loop {
        let mut control = RecvAncillaryBuffer::new(&mut space[..room]);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        match rustix::net::recvmsg(connection, &mut [IoSliceMut::new(packet)], &mut control, flags) {
            Ok(received) => {
                let mut got = Vec::new();
                for message in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(more) = message {
                        got.extend(more);
                    }
                }
                let cut = received.flags.contains(ReturnFlags::CTRUNC);
                return Ok(if cut && got.len() < MOST_FDS {
                    // None were wanted, or there was room for more and this process may not open any more.
                    Receipt::WithoutFds
                } else if cut || received.flags.contains(ReturnFlags::TRUNC) {
                    Receipt::Overlong
                } else if received.bytes == 0 {
                    Receipt::HungUp
                } else {
                    Receipt::Packet(received.bytes, got)
                });
            }
            Err(Errno::WOULDBLOCK) => return Ok(Receipt::Nothing),
            Err(Errno::INTR) => {}
            // The peer closed with something unread; what it sent before is still to be had.
            Err(Errno::CONNRESET) if resets == 0 => resets += 1,
            Err(Errno::CONNRESET) => return Ok(Receipt::HungUp),
            Err(errno) => return Err(errno),
        }
    }
}

/// Waits until there is something to receive, or a hang-up. False when the deadline passed first.
pub(super) fn wait_readable(connection: &OwnedFd, deadline: Instant) -> Result<bool, Errno> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = timespec(left);
        match poll(&mut [PollFd::new(connection, PollFlags::IN)], Some(&timeout)) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(errno),
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// Who is at the other end, as the kernel noted when the connection, or the listening, began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// `None` when the process is in a container into which this one cannot see.
    pub(super) pid: Option<u32>,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// By libc and not by rustix, whose type for the answer has no room for the process id 0 of a foreign container.
pub(super) fn peer(connection: &OwnedFd) -> Result<Peer, Errno> {
    let mut credentials = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the pointers are to a live `ucred` and to its size, which the call may lower; any bytes are a
    // valid `ucred`.
    let answer = unsafe {
        libc::getsockopt(
            connection.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut len,
        )
    };
    if answer != 0 || len as usize != size_of::<libc::ucred>() {
        return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO));
    }
    let pid = u32::try_from(credentials.pid).ok().filter(|pid| *pid != 0);
    Ok(Peer {
        pid,
        uid: credentials.uid,
        gid: credentials.gid,
    })
}

/// Whether the process at the other end was in the group, as its own or as one of the others it had, when it connected.
pub(super) fn is_member(connection: &OwnedFd, peer: Peer, group: u32) -> Result<bool, Errno> {
    if peer.gid == group {
        return Ok(true);
    }
    // Most have few; the kernel says how many there are when they do not fit.
    let mut groups = vec![0; 64];
    for _ in 0..2 {
        let mut len = size_of_val(groups.as_slice()) as libc::socklen_t;
        // SAFETY: the pointers are to `len` writable bytes and to that number, which the call may change; any bytes are
        // valid group numbers.
        let answer = unsafe {
            libc::getsockopt(
                connection.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        let count = len as usize / size_of::<libc::gid_t>();
        if answer == 0 {
            return Ok(groups[..count.min(groups.len())].contains(&group));
        }
        let errno = Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO);
        if errno != Errno::RANGE || count > MOST_GROUPS {
            return Err(errno);
        }
        groups.resize(count, 0);
    }
    Err(Errno::RANGE)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::process::directory::{Circle, Missing};

    #[test]
    fn a_deep_directory_and_a_long_name() {
        let parent = tempfile::tempdir().unwrap();
        let mut path = parent.path().to_path_buf();
        for _ in 0..5 {
            path.push("d".repeat(60));
            rustix::fs::mkdir(&path, Mode::RWXU).unwrap();
        }
        let directory = RuntimeDirectory::open(path, Missing::Fail, Circle::Own).unwrap();
        let name = Name::new(&"n".repeat(80)).unwrap();
        assert_eq!(connect(&directory, &name).unwrap_err(), Errno::NOENT);
        let listener = listen(&directory, &name).unwrap();
        let stat = directory.look(&name.socket_file()).unwrap().unwrap();
        assert_eq!(stat.st_mode & 0o7777, 0o600);
        assert!(accept(&listener).unwrap().is_none());
        let one = connect(&directory, &name).unwrap();
        let other = accept(&listener).unwrap().unwrap();
        let own = Peer {
            pid: Some(std::process::id()),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        };
        for group in rustix::process::getgroups().unwrap() {
            assert!(is_member(&other, own, group.as_raw()).unwrap());
        }
        assert!(is_member(&other, own, own.gid).unwrap());
        assert!(!is_member(&other, own, 0x7abc_def0).unwrap());
        assert_eq!(peer(&one).unwrap(), own);
        assert_eq!(peer(&other).unwrap(), own);
        drop(listener);
        assert_eq!(connect(&directory, &name).unwrap_err(), Errno::CONNREFUSED);
    }

    #[test]
    fn packets_and_descriptors() {
        let (one, other) = pair().unwrap();
        let mut packet = [0; 8];
        assert!(matches!(receive(&other, &mut packet, 3), Ok(Receipt::Nothing)));
        assert!(!wait_readable(&other, Instant::now()).unwrap());
        send(&one, b"ab", &[one.as_fd(), other.as_fd()]).unwrap();
        send(&one, b"cd", &[]).unwrap();
        assert!(wait_readable(&other, Instant::now()).unwrap());
        assert!(matches!(receive(&other, &mut packet, 3), Ok(Receipt::Packet(2, fds)) if fds.len() == 2));
        assert!(matches!(receive(&other, &mut packet, 3), Ok(Receipt::Packet(2, fds)) if fds.is_empty()));
        send(&one, &[7; 9], &[]).unwrap();
        assert!(matches!(receive(&other, &mut packet, 3), Ok(Receipt::Overlong)));
        send(&one, b"ab", &[one.as_fd()]).unwrap();
        assert!(matches!(receive(&other, &mut packet, 0), Ok(Receipt::WithoutFds)));
        send(&one, b"last", &[]).unwrap();
        send(&other, b"never read", &[]).unwrap();
        drop(one);
        assert!(matches!(
            receive(&other, &mut packet, 0),
            Ok(Receipt::Packet(4, _))
        ));
        assert!(matches!(receive(&other, &mut packet, 0), Ok(Receipt::HungUp)));
        assert_eq!(send(&other, b"x", &[]).unwrap_err(), Errno::PIPE);
    }
}
