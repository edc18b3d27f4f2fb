//! What other programs took from the processors meanwhile.

use std::fs;

/// Processor time up to a moment, in ticks of the kernel (10 ms as a rule).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// All there was, on all processors.
    all: u64,
    /// What was not idle; the host's other guests count as well.
    busy: u64,
    /// What this process and its children took of that.
    own: u64,
}

impl Load {
    /// The time up to now, if the kernel tells.
    pub(crate) fn now() -> Option<Self> {
        let machine = fs::read_to_string("/proc/stat").ok()?;
        // user, nice, system, idle, iowait, irq, softirq, steal; guests are within user.
        let ticks = numbers(machine.lines().next()?.strip_prefix("cpu ")?, 8)?;
        let all = ticks.iter().sum();
        let process = fs::read_to_string("/proc/self/stat").ok()?;
        // After the name, which may hold anything: the state, ten numbers, and utime, stime, cutime, cstime.
        let rest = process.rsplit_once(')')?.1;
        let own = rest
            .split_whitespace()
            .skip(11)
            .take(4)
            .filter_map(|word| word.parse::<u64>().ok())
            .sum();
        Some(Self {
            all,
            busy: all - ticks[3] - ticks[4],
            own,
        })
    }

    /// The share of the machine that others took since `before`, from 0 to 1.
    pub(crate) fn others_since(before: Option<Self>) -> f64 {
        let (Some(before), Some(after)) = (before, Self::now()) else {
            return f64::NAN;
        };
        let all = after.all.saturating_sub(before.all);
        let others =
            (after.busy.saturating_sub(before.busy)).saturating_sub(after.own.saturating_sub(before.own));
        if all == 0 { 0.0 } else { others as f64 / all as f64 }
    }
}

fn numbers(text: &str, count: usize) -> Option<Vec<u64>> {
    let numbers: Vec<_> = text
        .split_whitespace()
        .take(count)
        .filter_map(|word| word.parse().ok())
        .collect();
    (numbers.len() == count).then_some(numbers)
}
