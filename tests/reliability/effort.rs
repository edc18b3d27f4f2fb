//! Time that this process has spent on processors: in all of its threads, whoever asks.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What a wait of a second may cost: a sleep of a tenth of it is looked at ten times. A thread that spins would have spent
/// most of the second, even on a machine shared with others.
pub(crate) const ASLEEP: Duration = Duration::from_millis(100);

pub(crate) fn spent() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// Resident and private memory, in bytes.
pub(crate) fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kilobytes = |key| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    };
    (kilobytes("RssAnon:") + kilobytes("RssShmem:")) * 1024
}
