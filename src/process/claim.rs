//! The claim to a name: an exclusive lock on `<name>.lock`, which the kernel drops with its holder.
//!
//! Both files of a name, the lock and the socket, are created and removed under the lock only. Whoever finds
//! the lock free may therefore remove them: their publisher is dead, or has not begun.

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, getpid};

use super::directory::RuntimeDirectory;
use super::error::SystemError;
use super::name::Name;
use super::socket;

/// How often a lock is tried whose holder does not listen: somebody sweeps, starts or stops at this moment.
const TRIES: u32 = 20;
/// A process that dies closes its descriptors, listeners and locks, within this time.
const DYING: Duration = Duration::from_millis(1);
/// How often a lock file may vanish between its opening and its locking.
const RACES: u32 = 100;

/// The sole right to publish under a name.
#[derive(Debug)]
pub(super) struct Claim {
    directory: Arc<RuntimeDirectory>,
    name: Name,
    /// Holds the lock.
    lock: OwnedFd,
    /// A forked child inherits the lock, and must not remove its parent's files.
    pid: Pid,
}

/// Why a name could not be claimed.
#[derive(Debug)]
pub(super) enum ClaimError {
    Taken { pid: Option<u32> },
    System(SystemError),
}

impl From<SystemError> for ClaimError {
    fn from(error: SystemError) -> Self {
        Self::System(error)
    }
}

impl Claim {
    /// Claims the name, and removes what a dead publisher left under it.
    pub(super) fn take(directory: &Arc<RuntimeDirectory>, name: &Name) -> Result<Self, ClaimError> {
        for round in 1.. {
            if let Some(claim) = Self::attempt(directory, name)? {
                directory.remove(&name.socket_file())?;
                return Ok(claim);
            }
            match holder(directory, name, DYING)? {
                Some(pid) => return Err(ClaimError::Taken { pid }),
                None if round == TRIES => break,
                None => thread::sleep(Duration::from_millis(round.min(10).into())),
            }
        }
        Err(ClaimError::Taken { pid: None })
    }

    /// One try for the lock; `None` when somebody holds it.
    fn attempt(directory: &Arc<RuntimeDirectory>, name: &Name) -> Result<Option<Self>, SystemError> {
        let file = name.lock_file();
        let refused = |what| {
            let path = directory.at(&file);
            move |errno| SystemError::new(what, &path, errno)
        };
        for _ in 0..RACES {
            // NONBLOCK, because a FIFO in the way would hold up the opening.
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let mode = Mode::RUSR | Mode::WUSR;
            let lock = retry_on_intr(|| rustix::fs::openat(directory.fd(), &file, flags, mode))
                .map_err(refused("opening the lock file"))?;
            match retry_on_intr(|| rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(errno) => return Err(refused("locking the lock file")(errno)),
            }
            let locked = rustix::fs::fstat(&lock).map_err(refused("looking at the lock file"))?;
            if FileType::from_raw_mode(locked.st_mode) != FileType::RegularFile {
                return Err(SystemError::InTheWay {
                    what: "locking",
                    path: directory.at(&file),
                });
            }
            // Somebody may have removed the file between opening and locking, and a third one made another.
            if is_named(directory, &file, &locked)? && locked.st_nlink > 0 {
                return Ok(Some(Self {
                    directory: Arc::clone(directory),
                    name: name.clone(),
                    lock,
                    pid: getpid(),
                }));
            }
        }
        Err(SystemError::Io {
            what: "locking the lock file",
            path: directory.at(&file),
            source: Errno::BUSY.into(),
        })
    }
}

/// Whether the name is that of the file of which the system says this.
fn is_named(directory: &RuntimeDirectory, file: &str, stat: &Stat) -> Result<bool, SystemError> {
    let named = directory.look(file)?;
    Ok(named.is_some_and(|named| (named.st_dev, named.st_ino) == (stat.st_dev, stat.st_ino)))
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.pid != getpid() {
            return;
        }
        let (file, directory) = (self.name.lock_file(), &self.directory);
        let is_ours = rustix::fs::fstat(&self.lock)
            .map_err(|errno| SystemError::new("looking at the lock file", &directory.at(&file), errno))
            .and_then(|stat| is_named(directory, &file, &stat));
        let removed = match is_ours {
            // The lock file goes last: while it is there, and locked, nobody touches the socket.
            Ok(true) => directory
                .remove(&self.name.socket_file())
                .and_then(|()| directory.remove(&file)),
            // Somebody deleted it under us: what has the name now is another's.
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            log::warn!("millstream leaves the files of {:?}: {error}", self.name);
        }
    }
}

/// The process that listens under the name, and goes on listening for a time; `None` when nobody does, and the
/// inner `None` when the system does not tell who.
///
/// An error when it cannot be found out whether anybody does: that is not to be taken for nobody.
fn holder(
    directory: &RuntimeDirectory,
    name: &Name,
    time: Duration,
) -> Result<Option<Option<u32>>, SystemError> {
    Ok(match socket::connect(directory, name) {
        // Whoever dies hangs up on those whom it has not accepted.
        Ok(connection) if !time.is_zero() && hangs_up(&connection, time) => None,
        Ok(connection) => Some(socket::peer(&connection).ok().and_then(|peer| peer.pid)),
        // So many want to connect that the queue is full.
        Err(Errno::AGAIN) => Some(None),
        // No socket, none that is listened at, or something foreign in its place.
        Err(Errno::NOENT | Errno::CONNREFUSED | Errno::PROTOTYPE | Errno::LOOP | Errno::NOTDIR) => None,
        Err(errno) => {
            let path = directory.at(&name.socket_file());
            return Err(SystemError::new("asking who holds a name", &path, errno));
        }
    })
}

fn hangs_up(connection: &OwnedFd, time: Duration) -> bool {
    socket::wait_readable(connection, Instant::now() + time).unwrap_or(true)
}

/// What a sweep found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Swept {
    /// No files of the name are left.
    Clean,
    /// The name is locked and somebody listens under it.
    Live,
    /// The name is locked and nobody listens: somebody starts, stops or dies at this moment.
    Held,
}

/// Removes what a dead publisher of the name left, where this user can.
pub(super) fn sweep(directory: &Arc<RuntimeDirectory>, name: &Name) -> Result<Swept, SystemError> {
    if directory.look(&name.lock_file())?.is_none() && directory.look(&name.socket_file())?.is_none() {
        return Ok(Swept::Clean);
    }
    if !directory.is_own() {
        // Another user's names: they are seen, and left for their owner to sweep.
        return match holder(directory, name, Duration::ZERO) {
            Ok(Some(_)) => Ok(Swept::Live),
            // A stream that is not for this process is none to it.
            Ok(None) | Err(SystemError::Permission { .. }) => Ok(Swept::Held),
            Err(error) => Err(error),
        };
    }
    match Claim::attempt(directory, name)? {
        // Dropping the claim removes the files.
        Some(_claim) => Ok(Swept::Clean),
        None if holder(directory, name, Duration::ZERO)?.is_some() => Ok(Swept::Live),
        None => Ok(Swept::Held),
    }
}

/// Tells one publication of a name from the next: each makes a socket of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Incarnation {
    inode: u64,
    made: (i64, u64),
}

impl Incarnation {
    /// The one that stands under the name now.
    pub(super) fn of(directory: &RuntimeDirectory, name: &Name) -> Result<Option<Self>, SystemError> {
        let stat = directory.look(&name.socket_file())?;
        Ok(stat.map(|stat| Self {
            inode: stat.st_ino,
            made: (stat.st_ctime, stat.st_ctime_nsec),
        }))
    }
}

/// Removes what the publisher of one incarnation left, who has hung up. False when it is to be tried again: a process
/// that dies closes one descriptor after the other, so for a moment it may hold the lock, or even listen.
pub(super) fn sweep_after(
    directory: &Arc<RuntimeDirectory>,
    name: &Name,
    gone: Incarnation,
) -> Result<bool, SystemError> {
    match Incarnation::of(directory, name)? {
        Some(next) if next != gone => Ok(true),
        _ => Ok(sweep(directory, name)? == Swept::Clean),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::process::directory::{Circle, Missing};

    fn directory(path: &std::path::Path) -> Arc<RuntimeDirectory> {
        Arc::new(RuntimeDirectory::open(path.join("run"), Missing::Create, Circle::Own).unwrap())
    }

    fn files(directory: &RuntimeDirectory) -> usize {
        fs::read_dir(directory.at("")).unwrap().count()
    }

    #[test]
    fn one_claim_at_a_time_also_within_a_process() {
        let parent = tempfile::tempdir().unwrap();
        let (directory, name) = (directory(parent.path()), Name::new("quotes").unwrap());
        let first = Claim::take(&directory, &name).unwrap();
        let mode = fs::metadata(directory.at("quotes.lock")).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert!(matches!(
            Claim::take(&directory, &name),
            Err(ClaimError::Taken { pid: None })
        ));
        let _listener = socket::listen(&directory, &name).unwrap();
        let own = std::process::id();
        assert!(matches!(Claim::take(&directory, &name), Err(ClaimError::Taken { pid }) if pid == Some(own)));
        assert_eq!(sweep(&directory, &name).unwrap(), Swept::Live);
        let _other = Claim::take(&directory, &Name::new("trades").unwrap()).unwrap();
        drop(first);
        assert_eq!(files(&directory), 1, "both files are gone with the claim");
        drop(Claim::take(&directory, &name).unwrap());
    }

    #[test]
    fn leftovers_are_in_nobodys_way() {
        let parent = tempfile::tempdir().unwrap();
        let (directory, name) = (directory(parent.path()), Name::new("quotes").unwrap());
        let leave = || {
            fs::write(directory.at("quotes.lock"), "").unwrap();
            drop(socket::listen(&directory, &name).unwrap());
        };
        leave();
        let claim = Claim::take(&directory, &name).unwrap();
        assert!(directory.look("quotes.sock").unwrap().is_none());
        assert_eq!(sweep(&directory, &name).unwrap(), Swept::Held);
        drop(claim);
        leave();
        assert_eq!(sweep(&directory, &name).unwrap(), Swept::Clean);
        assert_eq!(files(&directory), 0);
        drop(socket::listen(&directory, &name).unwrap());
        assert_eq!(
            sweep(&directory, &name).unwrap(),
            Swept::Clean,
            "a socket whose lock file somebody removed"
        );
        assert_eq!(files(&directory), 0);
        assert_eq!(sweep(&directory, &name).unwrap(), Swept::Clean);
    }

    #[test]
    fn a_dead_publisher_is_told_from_its_successor() {
        let parent = tempfile::tempdir().unwrap();
        let (directory, name) = (directory(parent.path()), Name::new("quotes").unwrap());
        let publish = || {
            let claim = Claim::take(&directory, &name).unwrap();
            let listener = socket::listen(&directory, &name).unwrap();
            (
                claim,
                listener,
                Incarnation::of(&directory, &name).unwrap().unwrap(),
            )
        };
        let (claim, listener, first) = publish();
        assert!(
            !sweep_after(&directory, &name, first).unwrap(),
            "it holds the lock and listens"
        );
        drop(listener);
        assert!(
            !sweep_after(&directory, &name, first).unwrap(),
            "it holds the lock"
        );
        drop(claim);
        assert!(
            sweep_after(&directory, &name, first).unwrap(),
            "there is nothing to sweep"
        );
        let (_claim, _listener, second) = publish();
        assert_ne!(first, second);
        assert!(
            sweep_after(&directory, &name, first).unwrap(),
            "what is there belongs to another"
        );
        assert!(!sweep_after(&directory, &name, second).unwrap());
        assert_eq!(files(&directory), 2);
    }

    #[test]
    fn a_replaced_lock_file_is_not_trusted() {
        let parent = tempfile::tempdir().unwrap();
        let (directory, name) = (directory(parent.path()), Name::new("quotes").unwrap());
        let zombie = Claim::take(&directory, &name).unwrap();
        fs::remove_file(directory.at("quotes.lock")).unwrap();
        let claim = Claim::take(&directory, &name).unwrap();
        assert_ne!(
            rustix::fs::fstat(&zombie.lock).unwrap().st_ino,
            rustix::fs::fstat(&claim.lock).unwrap().st_ino
        );
    }

    #[test]
    fn foreign_things_are_not_followed() {
        let parent = tempfile::tempdir().unwrap();
        let (directory, name) = (directory(parent.path()), Name::new("quotes").unwrap());
        let elsewhere = parent.path().join("elsewhere");
        symlink(&elsewhere, directory.at("quotes.lock")).unwrap();
        assert!(matches!(
            Claim::take(&directory, &name),
            Err(ClaimError::System(SystemError::InTheWay { .. }))
        ));
        assert!(!elsewhere.exists());
        fs::remove_file(directory.at("quotes.lock")).unwrap();
        fs::create_dir(directory.at("quotes.lock")).unwrap();
        assert!(matches!(
            Claim::take(&directory, &name),
            Err(ClaimError::System(SystemError::InTheWay { .. }))
        ));
        fs::remove_dir(directory.at("quotes.lock")).unwrap();
        let fifo = rustix::fs::mknodat(
            directory.fd(),
            "quotes.lock",
            FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        );
        fifo.unwrap();
        assert!(matches!(
            Claim::take(&directory, &name),
            Err(ClaimError::System(SystemError::InTheWay { .. }))
        ));
    }

    #[test]
    fn many_claim_one_name() {
        let parent = tempfile::tempdir().unwrap();
        let (directory, name) = (directory(parent.path()), Name::new("quotes").unwrap());
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        if let Ok(claim) = Claim::take(&directory, &name) {
                            let listener = socket::listen(&directory, &name).unwrap();
                            assert_eq!(sweep(&directory, &name).unwrap(), Swept::Live);
                            drop(claim);
                            drop(listener);
                        }
                        sweep(&directory, &name).unwrap();
                    }
                });
            }
        });
        assert_eq!(files(&directory), 0);
    }
}
