//! What a process holds.

use std::fs;

/// Descriptors, threads, memfds in its memory, and kilobytes that are resident.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holdings(pub(crate) [u64; 4]);

impl Holdings {
    /// What they are called.
    pub(crate) const NAMES: [&str; 4] = ["descriptors", "threads", "memfds", "resident kB"];

    /// Those of this process.
    pub(crate) fn now() -> Self {
        let count = |path| fs::read_dir(path).map_or(0, |entries| entries.count() as u64);
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok());
        Self([
            count("/proc/self/fd"),
            count("/proc/self/task"),
            maps.matches("/memfd:").count() as u64,
            kilobytes.unwrap_or(0),
        ])
    }
}
