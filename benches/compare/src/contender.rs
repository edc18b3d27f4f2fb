//! What is measured, and who can do it.

use std::fmt;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::harness::process::{Ground, Peer, Role};

/// Where producer and consumer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Setting {
    /// Threads of one process.
    Within,
    /// Two processes.
    Between,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Within => "one process",
            Self::Between => "two processes",
        })
    }
}

/// Who is held up by work of its own for each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Pace {
    /// The consumer.
    Slow,
    /// Nobody.
    Equal,
    /// The producer.
    Fast,
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slow => "slow",
            Self::Equal => "equal",
            Self::Fast => "fast",
        })
    }
}

/// One thing to be done. Sizes are bytes of an element, capacities elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Elements in one direction, of which every byte is written and read.
    Flow { bytes: usize, capacity: usize },
    /// The same, but only the first word of each is written and read.
    Untouched { bytes: usize, capacity: usize },
    /// An element there and back, one at a time.
    Trip { bytes: usize },
    /// An element for a consumer that sleeps; it answers by a line for which the producer spins.
    Wake,
    /// A flow with a consumer that is slower or faster than the producer.
    Regime {
        bytes: usize,
        capacity: usize,
        pace: Pace,
    },
}

impl Task {
    /// 64-bit words of an element.
    pub(crate) fn words(self) -> usize {
        match self {
            Self::Flow { bytes, .. }
            | Self::Untouched { bytes, .. }
            | Self::Trip { bytes }
            | Self::Regime { bytes, .. } => bytes / 8,
            Self::Wake => 1,
        }
    }

    /// Elements that are under way at most.
    pub(crate) fn capacity(self) -> usize {
        match self {
            Self::Flow { capacity, .. }
            | Self::Untouched { capacity, .. }
            | Self::Regime { capacity, .. } => capacity,
            Self::Trip { .. } | Self::Wake => 32,
        }
    }
}

/// Whose figures they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// millstream's.
    Ours,
    /// A library's, or the kernel's, that could be taken instead.
    Rival,
    /// Hand-written, and with no promises: nothing can be faster by much.
    Limit,
}

/// How a contender does a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    /// Whether elements are put many at a time.
    pub(crate) batch: bool,
}

/// A way of one element at a time.
pub(crate) const fn single(name: &'static str) -> Way {
    Way { name, batch: false }
}

/// A way of many elements at a time.
pub(crate) const fn batch(name: &'static str) -> Way {
    Way { name, batch: true }
}

/// A task for one contender, as the processes that measure tell it each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// The place in [`crate::rivals::all`].
    pub(crate) contender: usize,
    /// The place in the contender's ways.
    pub(crate) way: usize,
    pub(crate) setting: Setting,
    pub(crate) task: Task,
    pub(crate) count: u64,
}

impl Job {
    /// The role in which the second process of this job is started.
    pub(crate) const ROLE: &str = "job";

    /// Starts the second process, which [`Contender::play`]s; `more` are words for it.
    pub(crate) fn start(self, ground: &Ground, more: &[&dyn ToString]) -> Peer {
        let job = serde_json::to_string(&self).expect("a job is numbers and names");
        let mut words: Vec<&dyn ToString> = vec![&Self::ROLE, &job];
        words.extend(more);
        ground.start(&words)
    }
}

/// What came of a job.
#[derive(Debug)]
pub(crate) enum Figure {
    /// Million elements a second.
    Rate(f64),
    /// Nanoseconds of each exchange.
    Times(Histogram<u64>),
}

/// Somebody who can do some of the tasks.
pub(crate) trait Contender: Sync {
    /// Whose it is.
    fn standing(&self) -> Standing {
        Standing::Rival
    }

    /// How it can do a task; not at all if there is no way.
    fn ways(&self, setting: Setting, task: Task) -> &'static [Way];

    /// Does a task in this process, or starts the second one for it, being the consumer then, or the one who asks.
    fn run(&self, way: &str, job: Job) -> Figure;

    /// Does the other side's part of a task, in the second process.
    fn play(&self, way: &str, job: Job, role: &mut Role) {
        let _ = role;
        unreachable!("{way:?} has no second process for {job:?}");
    }
}
