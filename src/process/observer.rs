//! Looking at published streams without taking part in them.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::call::{Answer, call};
use super::claim::{Swept, sweep};
use super::directory::{Circle, Missing, RuntimeDirectory};
use super::error::{DirectoryError, ListError, SystemError};
use super::geometry;
use super::name::Name;
use super::subscribe_error::{ObserveError, SubscribeError};
use super::subscription::{look_into, seals_on};
use super::wire::{Hello, Join, Kind, Role};
use crate::memory::{Access, SIZE_SEALS, SharedMemory, WRITER_ONLY_SEALS};
use crate::primitive::Arc;
use crate::ring::page::{ENDIAN_MARK, PAGE, StreamHeader};

/// A published stream at the moment of the look. The memory goes on to show the stream.
#[derive(Debug)]
pub(crate) struct Observation {
    pub(crate) memory: SharedMemory,
    /// A private, checked copy.
    pub(crate) header: StreamHeader,
    pub(crate) schema: Vec<u8>,
    /// The producer's process, if the system tells.
    pub(crate) pid: Option<u32>,
    pub(crate) epoch: u64,
    pub(crate) consumer: Option<ObservedConsumer>,
    /// How many consumers there were, of a stream for several; then the consumer is the slowest of those that gate.
    pub(crate) consumers: usize,
}

/// The stream's consumer at the moment of the look.
#[derive(Debug)]
pub(crate) struct ObservedConsumer {
    /// Its process, if the producer's system tells.
    pub(crate) pid: Option<u32>,
    /// Name of its subscription; may be empty.
    pub(crate) subscription: String,
    pub(crate) resumable: bool,
    /// False when it died and waits to be resumed.
    pub(crate) connected: bool,
    pub(crate) window: u64,
    pub(crate) start: u64,
    /// Its page, mapped for reading. What it says is not checked.
    pub(crate) credit: SharedMemory,
}

/// Looks at the stream published under `name`.
pub(crate) fn observe(
    dir: Option<PathBuf>,
    user: Option<u32>,
    name: &str,
) -> Result<Observation, ObserveError> {
    Ok(look(dir, user, name)?)
}

fn look(dir: Option<PathBuf>, user: Option<u32>, name: &str) -> Result<Observation, SubscribeError> {
    let name = Name::new(name)?;
    let directory = look_into(
        &RuntimeDirectory::locate(dir.as_deref()),
        Circle::from_user(user),
        &name,
    )?;
    let hello = Hello {
        role: Role::Observer,
        kind: Kind::Any,
        any_type: true,
        resumable: false,
        membarrier: false,
        endian: ENDIAN_MARK,
        window: 0,
        fingerprint: [0; 16],
        subscription: String::new(),
        schema: Vec::new(),
        join: Join::default(),
    };
    let Answer {
        welcome, fds, pid, ..
    } = call(&directory, &name, &hello, None)?;
    let corrupt = |word, value| SubscribeError::PeerCorrupt {
        name: name.to_string(),
        word,
        value,
    };
    let mut fds = fds.into_iter();
    let mut next = |word| fds.next().ok_or_else(|| corrupt(word, 0));
    let map = |fd: OwnedFd, len, seals| SharedMemory::from_fd(fd, len, Access::ReadOnly, seals);
    // A file of another user, who could cut it off under a reader, is not mapped.
    let is_file = welcome.durable && directory.is_own();
    let seals = |usual| seals_on(is_file, usual);
    let memory = map(
        next("memory descriptor")?,
        welcome.memory_len,
        seals(WRITER_ONLY_SEALS),
    )?;
    let (header, schema) = geometry::stream(&memory).map_err(|lie| corrupt(lie.word, lie.value))?;
    let consumer = match welcome.consumer {
        Some(consumer) => Some(ObservedConsumer {
            pid: Some(consumer.pid).filter(|pid| *pid != 0),
            subscription: consumer.subscription,
            resumable: consumer.resumable,
            connected: consumer.connected,
            window: welcome.window,
            start: welcome.start,
            credit: map(next("credit descriptor")?, PAGE as u64, seals(SIZE_SEALS))?,
        }),
        None => None,
    };
    Ok(Observation {
        memory,
        header,
        schema,
        pid,
        epoch: welcome.epoch,
        consumer,
        consumers: welcome.consumers as usize,
    })
}

/// The names under which somebody publishes, in order. What dead producers left is removed on the way.
pub(crate) fn list(dir: Option<PathBuf>, user: Option<u32>) -> Result<Vec<String>, ListError> {
    let path = RuntimeDirectory::locate(dir.as_deref());
    let directory = match RuntimeDirectory::open(path, Missing::Fail, Circle::from_user(user)) {
        Ok(directory) => Arc::new(directory),
        // Nobody has published yet.
        Err(DirectoryError::NotFound { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let names: BTreeSet<Name> = directory
        .files()?
        .iter()
        .filter_map(|file| Name::of_file(file))
        .collect();
    let mut live = Vec::new();
    for name in names {
        match sweep(&directory, &name) {
            Ok(Swept::Live) => live.push(name.to_string()),
            Ok(Swept::Clean | Swept::Held) => {}
            // Something foreign under a name like ours is nobody's stream.
            Err(error @ SystemError::InTheWay { .. }) => {
                log::debug!("millstream passes over {name:?}: {error}")
            }
            // A list without a name of which nothing could be found out would say that nobody has it.
            Err(error) => return Err(error.into()),
        }
    }
    Ok(live)
}
