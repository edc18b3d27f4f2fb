//! What the process's background thread tells an endpoint, which looks at one word on its hot path.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::EventfdFlags;
use rustix::io::retry_on_intr;

use super::error::SystemError;
use crate::primitive::Arc;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::futex::Futex;
use crate::wait::ring_within;

pub(crate) use crate::ring::notice::{ARRIVED, GONE};

/// A word, a bell and a counter of the bell's rings, shared by an endpoint and the background thread.
#[derive(Debug)]
pub(crate) struct Notice {
    word: AtomicU64,
    bell: OwnedFd,
    rings: Arc<Futex>,
}

impl Notice {
    pub(super) fn new() -> Result<Self, SystemError> {
        let bell = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| SystemError::new("making an eventfd", Path::new("this process"), errno))?;
        Ok(Self {
            word: AtomicU64::new(0),
            bell,
            rings: Arc::new(Futex::default()),
        })
    }

    /// [`ARRIVED`] and [`GONE`]. What was done before a bit was set is to be seen by whoever loads the bit with
    /// Acquire.
    pub(crate) fn word(&self) -> &AtomicU64 {
        &self.word
    }

    /// Readable once a bit was set, until it is read.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Counted up once a bit was set, for who sleeps on it.
    pub(crate) fn rings(&self) -> &Arc<Futex> {
        &self.rings
    }

    pub(super) fn set(&self, bits: u64) {
        self.word.fetch_or(bits, Ordering::AcqRel);
        // A full counter rings as well.
        let _ = retry_on_intr(|| rustix::io::write(&self.bell, &1u64.to_ne_bytes()));
        ring_within(&self.rings);
    }

    pub(super) fn clear(&self, bits: u64) {
        self.word.fetch_and(!bits, Ordering::AcqRel);
    }
}
