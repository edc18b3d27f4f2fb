//! What the processes of a scene tell each other and the driver: words in memory that all of them share, so that what was
//! written by a process that is dead can still be read.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use rustix::io::Errno;
use rustix::thread::futex;

use crate::fault::{Fault, Kind};

/// Who is killed.
pub(crate) const VICTIM: usize = 0;
/// Who lives on beside the victim.
pub(crate) const PEER: usize = 1;
pub(crate) const OTHER: usize = 2;
/// Who comes after the victim's death.
pub(crate) const HEIR: usize = 3;
pub(crate) const PLACES: usize = 5;

const TEXT: usize = 600;

/// One process's part. All zeros is a process that has not said anything.
#[repr(C, align(128))]
pub(crate) struct Place {
    stage: AtomicU32,
    fault: AtomicU32,
    text_len: AtomicU32,
    /// Elements of which a put has returned.
    acked: AtomicU64,
    /// The most elements that it is putting, and of which nothing is known until the put returns.
    uncertain: AtomicU64,
    /// Elements that it was handed, and is done with.
    taken: AtomicU64,
    /// Position of the first one.
    first: AtomicU64,
    /// How the stream ended for it; see [`crate::verdict`].
    end: AtomicU64,
    /// Anything else that a role notes.
    note: AtomicU64,
    /// When it heard of the end, by the monotonic clock, in nanoseconds.
    heard: AtomicU64,
    /// How long it took to open its stream, in nanoseconds.
    opened_in: AtomicU64,
    text: [AtomicU8; TEXT],
}

/// A field of a [`Place`].
macro_rules! words {
    ($($word:ident $set:ident)*) => {
        $(pub(crate) fn $word(&self) -> u64 {
            self.$word.load(Ordering::Acquire)
        }

        pub(crate) fn $set(&self, value: u64) {
            self.$word.store(value, Ordering::Release);
        })*
    };
}

impl Place {
    words! {
        acked set_acked
        uncertain set_uncertain
        taken set_taken
        first set_first
        end set_end
        note set_note
        heard set_heard
        opened_in set_opened_in
    }

    /// Says how far it has come, to all who wait for that. It does not fall back.
    pub(crate) fn reach(&self, stage: u32) {
        self.stage.fetch_max(stage, Ordering::AcqRel);
        // Of all errors none is possible for a word that is mapped.
        let _ = futex::wake(&self.stage, futex::Flags::empty(), u32::MAX >> 1);
    }

    pub(crate) fn stage(&self) -> u32 {
        self.stage.load(Ordering::Acquire)
    }

    /// Waits until it has come so far.
    pub(crate) fn wait_for(&self, stage: u32, patience: Duration) -> Result<(), Fault> {
        let end = Instant::now() + patience;
        loop {
            let now = self.stage();
            if now >= stage {
                return Ok(());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Fault::hung(format!(
                    "a process waited {patience:?} for another one's stage {stage}, which is at {now}"
                )));
            }
            let left = rustix::time::Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: left.subsec_nanos().into(),
            };
            match futex::wait(&self.stage, futex::Flags::empty(), now, Some(&left)) {
                Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => {}
                Err(error) => return Err(Fault::broken(format!("waiting for a word: {error}"))),
            }
        }
    }

    pub(crate) fn accuse(&self, fault: &Fault) {
        let bytes = fault.text.as_bytes();
        let len = bytes.len().min(TEXT);
        for (to, from) in self.text.iter().zip(bytes) {
            to.store(*from, Ordering::Relaxed);
        }
        self.text_len.store(len as u32, Ordering::Relaxed);
        self.fault.store(fault.kind as u32, Ordering::Release);
    }

    /// What it found wrong.
    pub(crate) fn fault(&self) -> Option<Fault> {
        let kind = Kind::from_code(self.fault.load(Ordering::Acquire))?;
        let len = self.text_len.load(Ordering::Relaxed) as usize;
        let bytes: Vec<u8> = self.text[..len.min(TEXT)]
            .iter()
            .map(|byte| byte.load(Ordering::Relaxed))
            .collect();
        Some(Fault {
            kind,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }
}

/// All parts, in memory that stays shared over a fork.
pub(crate) struct Ledger {
    places: NonNull<[Place; PLACES]>,
}

impl Ledger {
    pub(crate) fn new() -> Result<Self, Fault> {
        let len = std::num::NonZeroUsize::new(size_of::<[Place; PLACES]>())
            .ok_or_else(|| Fault::broken("a ledger of no bytes"))?;
        let (protection, flags) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED);
        // SAFETY: new memory, which is nobody else's.
        let memory = unsafe { mmap_anonymous(None, len, protection, flags) }
            .map_err(|error| Fault::broken(format!("mapping the ledger: {error}")))?;
        Ok(Self {
            places: memory.cast(),
        })
    }

    pub(crate) fn place(&self, index: usize) -> &Place {
        // SAFETY: mapped for as long as the process lives, zeroed by the kernel, aligned to a page; all of it is atomics.
        let places = unsafe { self.places.as_ref() };
        &places[index]
    }

    /// As new. No other process uses it.
    pub(crate) fn clear(&mut self) {
        // SAFETY: mapped, and of bytes for which zero is a value; by `&mut`, nobody of this process looks.
        unsafe { self.places.write_bytes(0, 1) };
    }
}

/// Nanoseconds of the monotonic clock, which all processes share.
pub(crate) fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
