//! What the driver and its processes hold, which must not grow.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::tally::Tally;

/// The driver's memory may grow by this much after its first scenes: what an allocator keeps, and no more.
const GROWTH: u64 = 32 << 20;
/// How long a thread whose work is done may take to be gone.
pub(crate) const SETTLING: Duration = Duration::from_secs(10);

/// What is there at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Census {
    descriptors: usize,
    threads: usize,
    /// Resident bytes.
    memory: u64,
    /// Children, dead or alive.
    children: BTreeSet<u32>,
    /// Memfds that children hold.
    memfds: usize,
}

impl Census {
    pub(crate) fn take() -> anyhow::Result<Self> {
        let children = children()?;
        Ok(Self {
            descriptors: count("/proc/self/fd")?,
            threads: count("/proc/self/task")?,
            memory: memory()?,
            memfds: children.iter().map(|pid| memfds(*pid)).sum(),
            children,
        })
    }

    /// As it is when the threads that have played their scenes are gone, for which they may take a moment.
    pub(crate) fn settled(first: &Self) -> anyhow::Result<Self> {
        let end = Instant::now() + SETTLING;
        loop {
            let census = Self::take()?;
            if census.threads <= first.threads || Instant::now() > end {
                return Ok(census);
            }
            std::thread::yield_now();
        }
    }

    /// While scenes are played by so many threads of this process, and processes: nothing is held beyond them.
    pub(crate) fn check_within(&self, first: &Self, scenes: usize, processes: usize, tally: &mut Tally) {
        // The ledger of a scene is a mapping; a spawn has a few descriptors open for a moment.
        self.limit(tally, "threads", self.threads, first.threads + scenes);
        self.limit(
            tally,
            "descriptors",
            self.descriptors,
            first.descriptors + 8 * scenes,
        );
        self.limit(tally, "children", self.children.len(), processes);
        // Of each process: what it published, and what it subscribed to; a queue has a lane for each worker.
        self.limit(tally, "memfds of the processes", self.memfds, 16 * processes);
        self.check_memory(first, tally);
    }

    /// When everything is over: as at the beginning.
    pub(crate) fn check_after(&self, first: &Self, tally: &mut Tally) {
        self.limit(tally, "threads", self.threads, first.threads);
        self.limit(tally, "descriptors", self.descriptors, first.descriptors);
        self.limit(tally, "children, or zombies", self.children.len(), 0);
        self.check_memory(first, tally);
    }

    fn check_memory(&self, first: &Self, tally: &mut Tally) {
        let most = first.memory + GROWTH;
        if self.memory > most {
            tally.fault(
                "leaked",
                format_args!(
                    "the driver has {} bytes in memory, and had {}",
                    self.memory, first.memory
                ),
            );
        }
    }

    fn limit(&self, tally: &mut Tally, what: &str, have: usize, most: usize) {
        if have > most {
            tally.fault(
                "leaked",
                format_args!("the driver has {have} {what}, where {most} are in use: {self:?}"),
            );
        }
    }
}

fn count(path: &str) -> anyhow::Result<usize> {
    fs::read_dir(path)
        .map(Iterator::count)
        .with_context(|| format!("looking at {path}"))
}

fn memory() -> anyhow::Result<u64> {
    let path = "/proc/self/status";
    let status = fs::read_to_string(path).with_context(|| format!("looking at {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib << 10)
        .with_context(|| format!("{path} has no VmRSS"))
}

/// Children of all threads of this process.
fn children() -> anyhow::Result<BTreeSet<u32>> {
    let own = std::process::id().to_string();
    let mut children = BTreeSet::new();
    for entry in fs::read_dir("/proc").context("looking at /proc")?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        // It may be gone by now.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // Behind the name, which may have anything in it: the state, then the parent.
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1));
        if parent == Some(own.as_str()) {
            children.insert(pid);
        }
    }
    Ok(children)
}

fn memfds(pid: u32) -> usize {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return 0;
    };
    let is_memfd = |entry: &fs::DirEntry| {
        fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy().starts_with("/memfd:"))
    };
    entries.flatten().filter(is_memfd).count()
}
