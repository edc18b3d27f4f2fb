//! Where the two sides of a measurement meet: a page that both map, be they threads or processes.
//!
//! They meet there spinning, and bounce a line between them before and after what is timed. Nothing sleeps from the first
//! probe to the last, for the host of a virtual machine moves a processor when it wakes up, not while it runs.

use std::env;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use crossbeam_utils::CachePadded;
use memmap2::MmapOptions;
use tempfile::NamedTempFile;

use crate::harness::pinning::{AROUND, Around, PRODUCER};
use crate::harness::probe;

const PATH: &str = "MILLSTREAM_COMPARE_SEAM";
/// How often a measurement waits for separate cores before it begins all the same.
const PATIENCE: u64 = 12;
/// Between two looks whether the cores are separate.
const REST: Duration = Duration::from_millis(20);

/// The page. All zeros is its first state.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Seam {
    /// What the probe bounces.
    line: CachePadded<AtomicU64>,
    /// How often each side has come to the gate.
    arrived: [CachePadded<AtomicU64>; 2],
    /// Whether the cores were too near, so that both sides rest and probe again.
    rest: CachePadded<AtomicU64>,
    /// The bounce before and after, as the bits of nanoseconds.
    around: CachePadded<[AtomicU64; 2]>,
    /// How often the kernel took a side's core away from what was timed, less what it had been before.
    preempted: CachePadded<AtomicU64>,
    /// For what is measured: the words of contenders that need some.
    pub(crate) words: [CachePadded<AtomicU64>; 4],
}

static SEAM: OnceLock<Mapped> = OnceLock::new();

#[derive(Debug)]
struct Mapped(&'static Seam);

/// The file behind the page, which the processes that measure find by its path.
#[derive(Debug)]
pub(crate) struct SeamFile(NamedTempFile);

impl SeamFile {
    /// Makes the file; gone when dropped.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() {
            memory.to_owned()
        } else {
            env::temp_dir()
        };
        let file = NamedTempFile::with_prefix_in("millstream-compare-", &dir);
        let file =
            file.with_context(|| format!("no file can be made in {}; free or mount it", dir.display()))?;
        file.as_file().set_len(size_of::<Seam>() as u64)?;
        Ok(Self(file))
    }

    /// The environment by which a child process, and its children, find the page, which is cleared for them.
    pub(crate) fn environment(&self) -> anyhow::Result<(&'static str, PathBuf)> {
        self.0.as_file().set_len(0)?;
        self.0.as_file().set_len(size_of::<Seam>() as u64)?;
        Ok((PATH, self.0.path().to_owned()))
    }
}

/// Maps the page and has both sides of whatever is measured meet there.
pub(crate) fn join() -> anyhow::Result<()> {
    let path = env::var_os(PATH).context("the page's path is in the environment of whoever measures")?;
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let map = MmapOptions::new()
        .len(size_of::<Seam>())
        .populate()
        .map_raw(&file)?;
    // SAFETY: the mapping is aligned to a page, as long as the type, of which all bytes are a value, and never unmapped;
    // both processes reach it by atomics only.
    let seam = unsafe { &*map.as_ptr().cast::<Seam>() };
    std::mem::forget(map);
    let _ = SEAM.set(Mapped(seam));
    let _ = AROUND.set(Around {
        before: |core| page().meet(core),
        after: |core| page().part(core),
    });
    Ok(())
}

/// The page of this process.
pub(crate) fn page() -> &'static Seam {
    SEAM.get().expect("whoever measures has joined first").0
}

impl Seam {
    /// Both sides, before what is timed.
    fn meet(&self, core: usize) {
        for turn in 1..=PATIENCE {
            let bounce = self.probe(core);
            if core == PRODUCER {
                let near = probe::is_shared(bounce) && turn < PATIENCE;
                self.rest.store(u64::from(near), Ordering::Relaxed);
                self.around[0].store(bounce.to_bits(), Ordering::Relaxed);
            }
            self.gate(core);
            if self.rest.load(Ordering::Relaxed) == 0 {
                break;
            }
            thread::sleep(REST);
        }
        self.preempted.fetch_sub(preemptions(), Ordering::Relaxed);
        self.gate(core);
    }

    /// Both sides, after what is timed.
    fn part(&self, core: usize) {
        self.preempted.fetch_add(preemptions(), Ordering::Relaxed);
        let bounce = self.probe(core);
        if core == PRODUCER {
            self.around[1].store(bounce.to_bits(), Ordering::Relaxed);
        }
        self.gate(core);
    }

    fn probe(&self, core: usize) -> f64 {
        self.line.store(0, Ordering::Relaxed);
        self.gate(core);
        if core == PRODUCER {
            probe::ask(&self.line)
        } else {
            probe::answer(&self.line);
            f64::NAN
        }
    }

    /// Goes on when the other side is here, too.
    fn gate(&self, core: usize) {
        let [mine, other] = if core == PRODUCER { [0, 1] } else { [1, 0] };
        let times = self.arrived[mine].fetch_add(1, Ordering::AcqRel) + 1;
        while self.arrived[other].load(Ordering::Acquire) < times {}
    }

    /// How often either side lost its core to another program while it was timed.
    pub(crate) fn preempted(&self) -> u64 {
        self.preempted.load(Ordering::Acquire)
    }

    /// The bounce before and after what was timed last, in nanoseconds.
    pub(crate) fn around(&self) -> [f64; 2] {
        [0, 1].map(|at| f64::from_bits(self.around[at].load(Ordering::Acquire)))
    }
}

/// How often the kernel has taken the core away from this thread.
fn preemptions() -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}
