//! A subscription to a published stream, as its consumer holds it.

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, SealFlags};

use super::call::{Answer, call};
use super::directory::{Circle, Missing, RuntimeDirectory};
use super::error::{DirectoryError, SystemError};
use super::geometry::{self, Lie};
use super::name::Name;
use super::notice::Notice;
use super::reactor::Command;
use super::service::{Lease, Messenger, Unavailable, WAKE};
use super::subscribe_error::SubscribeError;
use super::watch::Watch;
use super::wire::{Hello, Join, Kind, Role};
use crate::memory::{Access, Counter, SIZE_SEALS, SharedMemory, WRITER_ONLY_SEALS};
use crate::primitive::Arc;
use crate::ring::notice::CANCEL;
use crate::ring::page::{CONSUMER_RINGS, DURABLE, ENDIAN_MARK, PAGE, PRODUCER_RINGS, StreamHeader};
use crate::wait::Rings;

/// First pause between two calls; each is twice as long as the one before, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// Looks at a dead producer's lock when the subscription is dropped before the background thread could sweep.
const LAST_LOOKS: u32 = 20;

/// What to subscribe to, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct SubscriptionSettings {
    /// The runtime directory, when it is not the one that the environment names.
    pub(crate) dir: Option<PathBuf>,
    pub(crate) name: String,
    /// The other user from whom to take the stream, if not from the own one.
    pub(crate) user: Option<u32>,
    /// Name of the subscription. A resumable one needs it.
    pub(crate) subscription: Option<String>,
    pub(crate) resumable: bool,
    /// The most demand that the consumer will have open.
    pub(crate) window: u64,
    pub(crate) kind: Kind,
    /// Take elements of whatever type.
    pub(crate) any_type: bool,
    pub(crate) fingerprint: [u8; 16],
    pub(crate) schema: Vec<u8>,
    /// Until when to wait for the stream; `None` not to wait.
    pub(crate) deadline: Option<Instant>,
    /// Whether the consumer's process is registered for memory barriers by its peers.
    pub(crate) membarrier: bool,
    /// How to take part in a stream for several consumers.
    pub(crate) join: Join,
}

/// A subscription whose every word was checked.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// The stream page and the area, mapped for reading.
    pub(crate) memory: Arc<SharedMemory>,
    /// The own credit page.
    pub(crate) credit: Arc<SharedMemory>,
    /// Of one of several consumers: the page by which they ask for attention, and its number among them.
    pub(crate) attention: Option<(SharedMemory, u64)>,
    /// A private copy.
    pub(crate) header: StreamHeader,
    pub(crate) schema: Vec<u8>,
    /// The consumer's end of the doorbell.
    pub(crate) bell: OwnedFd,
    /// The bell of its notice.
    pub(crate) own_bell: OwnedFd,
    pub(crate) start: u64,
    pub(crate) start_byte: u64,
    pub(crate) window: u64,
    pub(crate) epoch: u64,
    pub(crate) pid: Option<u32>,
    /// Whether the producer's process is registered for memory barriers by its peers.
    pub(crate) membarrier: bool,
    /// Dropping it ends the subscription.
    pub(crate) link: Link,
}

/// The connection to the producer, and the news of its end.
#[derive(Debug)]
pub(crate) struct Link {
    id: u64,
    notice: Arc<Notice>,
    lease: Lease,
}

impl Subscription {
    pub(crate) fn open(settings: SubscriptionSettings) -> Result<Self, SubscribeError> {
        let name = Name::new(&settings.name)?;
        let subscription = match settings.subscription {
            None if !settings.resumable => String::new(),
            subscription => Name::new(&subscription.unwrap_or_default())?.to_string(),
        };
        let hello = Hello {
            role: Role::Consumer,
            kind: settings.kind,
            any_type: settings.any_type,
            resumable: settings.resumable,
            membarrier: settings.membarrier,
            endian: ENDIAN_MARK,
            window: settings.window,
            fingerprint: settings.fingerprint,
            subscription,
            schema: settings.schema,
            join: settings.join,
        };
        let path = RuntimeDirectory::locate(settings.dir.as_deref());
        let circle = Circle::from_user(settings.user);
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match attempt(&path, circle, &name, &hello, settings.deadline) {
                Ok(subscription) => return Ok(subscription),
                Err(error) => error,
            };
            let Some(deadline) = settings.deadline else {
                return Err(error);
            };
            if !passes(&error) {
                return Err(error);
            }
            let now = Instant::now();
            if now >= deadline {
                return Err(SubscribeError::TimedOut {
                    name: name.to_string(),
                    path: path.join(name.socket_file()),
                    waited: now - begun,
                    last: error.to_string(),
                });
            }
            thread::sleep(pause.min(deadline - now));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Whether it may be otherwise in a moment.
fn passes(error: &SubscribeError) -> bool {
    matches!(
        error,
        SubscribeError::NotFound { .. }
            | SubscribeError::Busy { .. }
            | SubscribeError::Ended { .. }
            | SubscribeError::PeerGone { .. }
            | SubscribeError::Unresponsive { .. }
    )
}

/// Opens the directory for somebody who looks for a name in it.
pub(super) fn look_into(
    path: &Path,
    circle: Circle,
    name: &Name,
) -> Result<Arc<RuntimeDirectory>, SubscribeError> {
    match RuntimeDirectory::open(path.to_path_buf(), Missing::Fail, circle) {
        Ok(directory) => Ok(Arc::new(directory)),
        // The first producer will create it.
        Err(DirectoryError::NotFound { path }) => Err(SubscribeError::NotFound {
            name: name.to_string(),
            path: path.join(name.socket_file()),
        }),
        Err(error) => Err(error.into()),
    }
}

/// The seals that must be on the memory that a producer passes: none on a file, which has no seals.
pub(super) fn seals_on(is_file: bool, usual: SealFlags) -> SealFlags {
    if is_file { SealFlags::empty() } else { usual }
}

fn attempt(
    path: &Path,
    circle: Circle,
    name: &Name,
    hello: &Hello,
    deadline: Option<Instant>,
) -> Result<Subscription, SubscribeError> {
    let directory = look_into(path, circle, name)?;
    let Answer {
        connection,
        welcome,
        fds,
        pid,
        incarnation,
    } = call(&directory, name, hello, deadline)?;
    let corrupt = |Lie { word, value }| SubscribeError::PeerCorrupt {
        name: name.to_string(),
        word,
        value,
    };
    let count = fds.len() as u64;
    let miscounted = || {
        corrupt(Lie {
            word: "descriptors",
            value: count,
        })
    };
    let mut fds = fds.into_iter();
    let (Some(memory), Some(credit), Some(bell), attention, None) =
        (fds.next(), fds.next(), fds.next(), fds.next(), fds.next())
    else {
        return Err(miscounted());
    };
    // Only who keeps a position under a name is given a file; and not by another user, who could cut it off under a reader.
    let is_file = welcome.durable && hello.resumable && directory.is_own();
    let seals = |usual| seals_on(is_file, usual);
    let memory = SharedMemory::from_fd(
        memory,
        welcome.memory_len,
        Access::ReadOnly,
        seals(WRITER_ONLY_SEALS),
    )?;
    let credit = SharedMemory::from_fd(credit, PAGE as u64, Access::ReadWrite, seals(SIZE_SEALS))?;
    let (header, schema) = geometry::stream(&memory).map_err(corrupt)?;
    let says = header.flags & DURABLE != 0;
    if says != welcome.durable {
        return Err(corrupt(Lie {
            word: "flags",
            value: header.flags,
        }));
    }
    let number = geometry::credit(&credit, &header, &welcome).map_err(corrupt)?;
    if attention.is_some() != (header.consumers > 0) {
        return Err(miscounted());
    }
    let attention = match attention {
        None => None,
        Some(fd) => {
            let page = SharedMemory::from_fd(fd, PAGE as u64, Access::ReadWrite, SIZE_SEALS)?;
            geometry::attention(&page, &header).map_err(corrupt)?;
            Some((page, number.wrapping_sub(1)))
        }
    };
    let kind = Kind::of(&header);
    let typed = kind == Kind::Elements && !hello.any_type;
    let socket =
        rustix::fs::fstat(&bell).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket);
    for (right, word, value) in [
        (
            hello.kind == Kind::Any || hello.kind == kind,
            "kind",
            header.kind.into(),
        ),
        (
            !typed || hello.fingerprint == header.fingerprint,
            "fingerprint",
            0,
        ),
        (
            hello.window == welcome.window && hello.window <= header.max_demand,
            "window",
            welcome.window,
        ),
        (socket, "doorbell", 0),
    ] {
        if !right {
            return Err(corrupt(Lie { word, value }));
        }
    }
    let notice = Arc::new(Notice::new()?);
    let own_bell = notice.bell().try_clone_to_owned();
    let own_bell = own_bell.map_err(|error| SystemError::of_process("copying a bell", error))?;
    let lease = Lease::take()?;
    let path = directory.at(&name.socket_file());
    let own = directory.is_own();
    let watch = Watch {
        directory,
        name: name.clone(),
        notice: Arc::clone(&notice),
        connection: Some((connection, WAKE)),
        // What another user's producer leaves is that user's to remove.
        incarnation: incarnation.filter(|_| own),
        sweep: None,
    };
    let id = lease
        .call(|reply| Command::Watch(Box::new(watch), reply))?
        .map_err(|source| match source.kind() {
            std::io::ErrorKind::BrokenPipe => SubscribeError::PeerGone {
                name: name.to_string(),
            },
            _ => SystemError::Io {
                what: "confirming a subscription",
                path,
                source,
            }
            .into(),
        })?;
    Ok(Subscription {
        memory: Arc::new(memory),
        credit: Arc::new(credit),
        attention,
        header,
        schema,
        bell,
        own_bell,
        start: welcome.start,
        start_byte: welcome.start_byte,
        window: welcome.window,
        epoch: welcome.epoch,
        pid,
        membarrier: welcome.membarrier,
        link: Link { id, notice, lease },
    })
}

/// Ends a subscription from outside, on whichever thread.
#[derive(Clone, Debug)]
pub(crate) struct HangUp {
    id: u64,
    notice: Arc<Notice>,
    messenger: Messenger,
}

impl HangUp {
    /// Whether the subscription is of this process, and not of one that forked it.
    pub(crate) fn is_own(&self) -> bool {
        self.messenger.is_own()
    }

    /// Tells the consumer, which wakes it if it waits; and the producer, whatever the consumer does.
    pub(crate) fn hang_up(&self) {
        // The consumer first: it then closes, where it waits, and the producer hears of that rather than of a death.
        self.notice.set(CANCEL);
        self.messenger.tell(Command::HangUp(self.id));
    }
}

impl Subscription {
    /// How the consumer and the producer ring each other, if not by sockets.
    pub(crate) fn rings(&self) -> Option<Rings> {
        // Several are rung one by one, and a page of a revision before this has no place for it.
        if self.attention.is_some() || self.header.minor == 0 {
            return None;
        }
        let own = Counter::at(&self.credit, CONSUMER_RINGS)?;
        let peer = Counter::at(&self.memory, PRODUCER_RINGS)?;
        Rings::new(own, peer, Arc::clone(self.link.notice().rings()))
    }
}

impl Link {
    pub(crate) fn hang_up(&self) -> HangUp {
        HangUp {
            id: self.id,
            notice: Arc::clone(&self.notice),
            messenger: self.lease.messenger(),
        }
    }

    pub(crate) fn notice(&self) -> &Arc<Notice> {
        &self.notice
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // In a forked child the subscription is the parent's, and in a thread that has panicked it is gone.
        let Ok(Some(mut watch)) = self.lease.call(|reply| Command::Forget(self.id, reply)) else {
            return;
        };
        // The last one here who knows of a dead producer's files.
        for _ in 0..LAST_LOOKS {
            watch.tick(Instant::now());
            match watch.next_tick() {
                Some(next) => {
                    thread::sleep(next.saturating_duration_since(Instant::now()).min(LONGEST_PAUSE))
                }
                None => break,
            }
        }
    }
}

impl From<Unavailable> for SubscribeError {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Ended(why) => Self::ServiceUnavailable { why },
            Unavailable::Refused(error) => error.into(),
        }
    }
}
