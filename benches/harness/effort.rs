//! What a thread spends on waiting for elements.

use std::fs;

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};

use super::clock::now;
use super::report::Latency;
use super::sample::Figure;

/// A thread's processor time and sleeps up to a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    wall: u64,
    processor: u64,
    sleeps: u64,
}

impl Mark {
    /// Those of this thread, up to now. Reading them takes about 20 us.
    pub(crate) fn now() -> Self {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        // Giving the core away and going on at once counts as involuntary.
        let sleeps = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        Self {
            wall: now(),
            processor: time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64,
            sleeps: sleeps.and_then(|text| text.trim().parse().ok()).unwrap_or(0),
        }
    }

    /// Latencies of elements that arrived since then, in this thread, and what they cost it.
    pub(crate) fn paid(self, latencies: Histogram<u64>, elements: u64) -> Paid {
        let after = Self::now();
        let share = (after.processor - self.processor) as f64 / (after.wall - self.wall) as f64;
        Paid {
            latencies,
            percent: 100.0 * share,
            sleeps: 1000.0 * (after.sleeps - self.sleeps) as f64 / elements as f64,
        }
    }
}

/// Latencies, and what the consumer paid for them.
#[derive(Clone, Debug)]
pub(crate) struct Paid {
    latencies: Histogram<u64>,
    /// Processor time a second.
    percent: f64,
    /// Each thousand elements.
    sleeps: f64,
}

impl Paid {
    /// How often the consumer slept for each thousand elements.
    pub(crate) fn sleeps(&self) -> f64 {
        self.sleeps
    }
}

/// By the median.
impl Figure for Paid {
    fn figure(&self) -> f64 {
        self.latencies.figure()
    }
}

impl Latency for Paid {
    const COLUMNS: &'static [&'static str] = &["CPU %", "sleeps/1k"];

    fn histogram(&self) -> &Histogram<u64> {
        &self.latencies
    }

    fn column(&self, column: usize) -> f64 {
        [self.percent, self.sleeps][column]
    }
}
