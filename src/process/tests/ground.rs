//! What the tests stand on.

use std::fs;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use zerocopy::{FromZeros, IntoBytes};

use crate::memory::{MemoryError, MemoryOptions, SharedMemory};
use crate::primitive::Arc;
use crate::primitive::atomic::Ordering;
use crate::process::geometry;
use crate::process::notice::{ARRIVED, Notice};
use crate::process::publication::{Arrival, Publication, PublicationSettings};
use crate::process::subscription::{Subscription, SubscriptionSettings};
use crate::process::wire::{Join, Kind};
use crate::process::{PublishError, SubscribeError};
use crate::ring::page::{ENDIAN_MARK, KIND_ELEMENTS, MAJOR, MINOR, STREAM_MAGIC, StreamHeader};

/// The longest that anything here may take.
pub(super) const WATCHDOG: Duration = Duration::from_secs(20);
pub(super) const LEN: usize = 3 * 4096;
pub(super) const SCHEMA: &[u8] = b"shape";

/// A runtime directory of one test.
#[derive(Debug)]
pub(super) struct Ground {
    _parent: Option<tempfile::TempDir>,
    pub(super) dir: PathBuf,
}

impl Ground {
    pub(super) fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("run");
        Self {
            _parent: Some(parent),
            dir,
        }
    }

    pub(super) fn at(dir: PathBuf) -> Self {
        Self { _parent: None, dir }
    }

    pub(super) fn files(&self) -> usize {
        fs::read_dir(&self.dir).unwrap().count()
    }

    pub(super) fn publish(&self, name: &str) -> Result<Publication, PublishError> {
        Publication::open(self.publication(name))
    }

    pub(super) fn publication(&self, name: &str) -> PublicationSettings {
        self.try_publication(name).unwrap()
    }

    pub(super) fn try_publication(&self, name: &str) -> Result<PublicationSettings, PublishError> {
        Ok(PublicationSettings {
            dir: Some(self.dir.clone()),
            name: name.into(),
            header: header(),
            schema: SCHEMA.into(),
            memory: Arc::new(try_stream_memory(&header())?),
            membarrier: true,
            group: None,
            assembly: None,
            position: None,
        })
    }

    pub(super) fn subscribe(&self, name: &str) -> Result<Subscription, SubscribeError> {
        Subscription::open(self.subscription(name))
    }

    pub(super) fn resume(&self, name: &str, subscription: &str) -> Result<Subscription, SubscribeError> {
        Subscription::open(SubscriptionSettings {
            subscription: Some(subscription.into()),
            resumable: true,
            ..self.subscription(name)
        })
    }

    pub(super) fn subscription(&self, name: &str) -> SubscriptionSettings {
        SubscriptionSettings {
            dir: Some(self.dir.clone()),
            name: name.into(),
            user: None,
            subscription: None,
            resumable: false,
            window: 16,
            kind: Kind::Elements,
            any_type: false,
            fingerprint: header().fingerprint,
            schema: SCHEMA.into(),
            deadline: None,
            membarrier: false,
            join: Join::default(),
        }
    }
}

pub(super) fn header() -> StreamHeader {
    StreamHeader {
        magic: STREAM_MAGIC,
        major: MAJOR,
        minor: MINOR,
        header_len: 256,
        kind: KIND_ELEMENTS,
        endian: ENDIAN_MARK,
        element_size: 8,
        element_align: 8,
        per_block: 7,
        first: 8,
        stride: 64,
        blocks: 64,
        area_offset: 8192,
        area_len: 4096,
        buffer_size: 48,
        max_demand: 400,
        base: u64::MAX - 2,
        epoch: 77,
        fingerprint: [3; 16],
        schema_offset: 4096,
        schema_len: SCHEMA.len() as u32,
        ..StreamHeader::new_zeroed()
    }
}

pub(super) fn stream_memory(header: &StreamHeader) -> SharedMemory {
    try_stream_memory(header).unwrap()
}

fn try_stream_memory(header: &StreamHeader) -> Result<SharedMemory, MemoryError> {
    let memory = SharedMemory::create("test", LEN, MemoryOptions::default())?;
    assert!(memory.copy_in(0, header.as_bytes()) && memory.copy_in(4096, SCHEMA));
    memory.seal_for_writer_only()?;
    Ok(memory)
}

/// What a consumer writes of itself.
pub(super) fn write_credit(subscription: &Subscription, granted: u64, released: u64) {
    assert!(subscription.credit.store(geometry::GRANTED, granted));
    assert!(subscription.credit.store(geometry::RELEASED, released));
}

/// Waits until one of the bits is set.
pub(super) fn await_bits(notice: &Notice, bits: u64) {
    let end = Instant::now() + WATCHDOG;
    while notice.word().load(Ordering::Acquire) & bits == 0 {
        assert!(Instant::now() < end, "no notice of {bits:x}");
        assert!(readable(notice.bell(), end), "the bell does not ring");
        let _ = rustix::io::read(notice.bell(), &mut [0u8; 8]);
    }
}

pub(super) fn bits(notice: &Notice) -> u64 {
    notice.word().load(Ordering::Acquire)
}

/// Waits until there is something to read.
pub(super) fn readable(fd: impl AsFd, end: Instant) -> bool {
    let left = end.saturating_duration_since(Instant::now());
    let limit = Timespec {
        tv_sec: left.as_secs() as i64,
        tv_nsec: left.subsec_nanos().into(),
    };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&limit)).unwrap() > 0
}

/// Waits until the condition holds, where nothing tells that it does.
pub(super) fn eventually(mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + WATCHDOG;
    while !condition() {
        assert!(Instant::now() < end, "it does not happen");
        std::thread::yield_now();
    }
}

pub(super) fn await_arrival(publication: &Publication) -> Arrival {
    await_bits(publication.notice(), ARRIVED);
    publication.take_arrival().unwrap()
}
