//! The calls that millstream makes, each tried here and now.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::fs::{FallocateFlags, FlockOperation, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::process::{PidfdFlags, Resource, getpid, getrlimit, pidfd_open};
use rustix::thread::futex::{ClockId, Wait, WaitFlags, WaitPtr, WaitvFlags, waitv};
use rustix::thread::{MembarrierCommand, membarrier};

use super::check::Check;

const SANDBOX: &str = "a sandbox (seccomp, a container's profile) has to allow it";
const LENGTH: u64 = 1 << 20;

pub(crate) fn checks() -> Vec<Check> {
    vec![
        unexecutable(),
        needed("memfd_create", plain_memory().map(drop), "Linux 3.17"),
        needed("fallocate of a memfd", reserved(), "Linux 3.17"),
        needed("seals of size", sealed_size(), "Linux 3.17"),
        needed("seal of future writes", sealed_writes(), "Linux 5.1"),
        needed("descriptors by a socket", passed(), "any Linux"),
        needed("credentials of a socket", known_peer(), "any Linux"),
        needed("lock of a file", locked(), "any Linux"),
        needed("epoll and eventfd", woken(), "any Linux"),
        needed("/proc/self/fd", reached(), "a mounted /proc"),
        fence(
            "membarrier, private",
            MembarrierCommand::RegisterPrivateExpedited,
            MembarrierCommand::PrivateExpedited,
            "Linux 4.14",
        ),
        fence(
            "membarrier, global",
            MembarrierCommand::RegisterGlobalExpedited,
            MembarrierCommand::GlobalExpedited,
            "Linux 4.16",
        ),
        sleep_on_several(),
        pidfd(),
    ]
}

/// What there is no more of, when that is why a call was refused: then the kernel has the call, and no sandbox is in the way.
fn exhausted(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::FBIG => {
            "the limit of the file size refuses it, as shared memory counts as a file: raise it (ulimit -f)"
        }
        Errno::NOSPC | Errno::DQUOT => "there is no room for shared memory, or on its file system: free some",
        Errno::NOMEM | Errno::NOBUFS => {
            "the machine, or this control group, has no memory for it: free some, or raise the limit"
        }
        Errno::MFILE => "this process has all the descriptors that it may have: raise the limit (ulimit -n)",
        Errno::NFILE => {
            "all processes together have all the descriptors there are: raise fs.file-max (sysctl), or end some"
        }
        _ => return None,
    })
}

/// What to do about a refused call that is needed.
fn remedy(errno: Errno, since: &str) -> String {
    match exhausted(errno) {
        Some(cause) => cause.into(),
        None => format!("{since} has it; {SANDBOX}"),
    }
}

/// A call without which nothing can be published or subscribed.
fn needed(name: &str, tried: Result<(), Errno>, since: &str) -> Check {
    match tried {
        Ok(()) => Check::ok(name, "works"),
        Err(errno) => Check::attention(
            name,
            format!("refused: {errno}"),
            format!("no stream between processes without it: {}", remedy(errno, since)),
        ),
    }
}

/// A call that is done without where it is missing.
fn useful(name: &str, tried: Result<(), Errno>, without: &str) -> Check {
    match tried {
        Ok(()) => Check::ok(name, "works"),
        Err(errno) => Check::note(
            name,
            format!("refused: {errno}"),
            exhausted(errno).unwrap_or(without),
        ),
    }
}

fn memory(more: MemfdFlags) -> Result<OwnedFd, Errno> {
    // The kernel would kill this process by SIGXFSZ.
    if getrlimit(Resource::Fsize)
        .current
        .is_some_and(|limit| limit < LENGTH)
    {
        return Err(Errno::FBIG);
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | more;
    let fd = rustix::fs::memfd_create("millstream-doctor", flags)?;
    rustix::fs::ftruncate(&fd, LENGTH)?;
    Ok(fd)
}

fn plain_memory() -> Result<OwnedFd, Errno> {
    // Where the system demands that memory which is not executed says so, it is made that way.
    memory(MemfdFlags::NOEXEC_SEAL).or_else(|_| memory(MemfdFlags::empty()))
}

fn unexecutable() -> Check {
    useful(
        "memfd that is never executed",
        memory(MemfdFlags::NOEXEC_SEAL).map(drop),
        "memory is made without that seal; Linux 6.3 has it",
    )
}

fn reserved() -> Result<(), Errno> {
    rustix::fs::fallocate(plain_memory()?, FallocateFlags::empty(), 0, LENGTH)
}

/// What should be refused, and was.
fn refused<T>(tried: Result<T, Errno>) -> Result<(), Errno> {
    match tried {
        Err(Errno::PERM) => Ok(()),
        Err(errno) => Err(errno),
        // The seal does not hold.
        Ok(_) => Err(Errno::NOTSUP),
    }
}

fn sealed_size() -> Result<(), Errno> {
    let fd = plain_memory()?;
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    refused(rustix::fs::ftruncate(&fd, 0))?;
    refused(rustix::fs::ftruncate(&fd, 2 * LENGTH))
}

fn sealed_writes() -> Result<(), Errno> {
    let fd = plain_memory()?;
    rustix::fs::fcntl_add_seals(&fd, SealFlags::FUTURE_WRITE)?;
    refused(rustix::io::pwrite(&fd, b"x", 0))
}

fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

fn passed() -> Result<(), Errno> {
    let (one, other) = pair()?;
    let memory = plain_memory()?;
    let fds = [memory.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(Errno::TOOBIG);
    }
    rustix::net::sendmsg(&one, &[IoSlice::new(b"x")], &mut control, SendFlags::NOSIGNAL)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    rustix::net::recvmsg(&other, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
    let mut got = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds.count()),
        _ => None,
    });
    match got.next() {
        Some(1) => Ok(()),
        _ => Err(Errno::NOTSUP),
    }
}

fn known_peer() -> Result<(), Errno> {
    let (one, _other) = pair()?;
    let peer = rustix::net::sockopt::socket_peercred(&one)?;
    if peer.uid == rustix::process::geteuid() {
        Ok(())
    } else {
        Err(Errno::NOTSUP)
    }
}

fn locked() -> Result<(), Errno> {
    rustix::fs::flock(plain_memory()?, FlockOperation::NonBlockingLockExclusive)
}

fn woken() -> Result<(), Errno> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let data = epoll::EventData::new_u64(1);
    epoll::add(&poll, &bell, data, epoll::EventFlags::IN | epoll::EventFlags::ET)?;
    rustix::io::write(&bell, &1u64.to_ne_bytes()).map(drop)
}

/// Sockets are bound, and connected, by the descriptor of their directory.
fn reached() -> Result<(), Errno> {
    let memory = plain_memory()?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", memory.as_raw_fd()));
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map(drop)
}

fn fence(name: &str, register: MembarrierCommand, issue: MembarrierCommand, since: &str) -> Check {
    match membarrier(register).and_then(|()| membarrier(issue)) {
        Ok(()) => Check::ok(name, "works"),
        Err(errno) => Check::attention(
            name,
            format!("refused: {errno}"),
            format!(
                "every put carries a full fence without it, and is slower by an order of magnitude: {}",
                remedy(errno, since)
            ),
        ),
    }
}

/// Two counters, and each reads something else than it is said to: a sleep that is over at once.
fn sleep_on_several() -> Check {
    let counters = [const { AtomicU32::new(0) }; 2];
    let sleeps = counters.each_ref().map(|counter| {
        let mut sleep = Wait::new();
        sleep.val = 1;
        sleep.uaddr = WaitPtr::new(counter.as_ptr().cast());
        sleep.flags = WaitFlags::SIZE_U32 | WaitFlags::PRIVATE;
        sleep
    });
    let tried = match waitv(&sleeps, WaitvFlags::empty(), None, ClockId::Monotonic) {
        Ok(_) | Err(Errno::AGAIN) => Ok(()),
        Err(errno) => Err(errno),
    };
    useful(
        "futex_waitv",
        tried,
        "who sleeps is woken from other processes by sockets, a fifth later: Linux 5.16 has it, unless a sandbox refuses it",
    )
}

fn pidfd() -> Check {
    useful(
        "pidfd",
        pidfd_open(getpid(), PidfdFlags::empty()).map(drop),
        "millstream does not need it; supervisors of its processes may (Linux 5.3)",
    )
}
