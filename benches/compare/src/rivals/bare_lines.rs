//! The limit of stamped lines: what millstream does, by hand and without its promises.

use crate::contender::{Contender, Figure, Job, Pace, Setting, Standing, Task, Way, single};
use crate::harness::bare_lines::{self, ROOM};
use crate::harness::element_flow::Take;
use crate::labour::labour;

/// Elements of up to seven words.
pub(crate) struct BareLines;

const NEXT: &str = "limit: bare lines put/next";
const DRAIN: &str = "limit: bare lines put/drain";

impl Contender for BareLines {
    fn standing(&self) -> Standing {
        Standing::Limit
    }

    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match (setting, task) {
            (Setting::Within, Task::Regime { .. } | Task::Flow { .. }) if task.words() <= ROOM => {
                const { &[single(NEXT), single(DRAIN)] }
            }
            _ => &[],
        }
    }

    fn run(&self, way: &str, job: Job) -> Figure {
        let take = if way == DRAIN { Take::Drain } else { Take::Next };
        let (words, capacity, count) = (job.task.words(), job.task.capacity(), job.count);
        let Task::Regime { pace, .. } = job.task else {
            return Figure::Rate(bare_lines::measure(words, capacity, take, count));
        };
        let (fast, slow) = (pace == Pace::Fast, pace == Pace::Slow);
        let making = move |index| labour(fast, index);
        let taking = move |sum| labour(slow, sum);
        Figure::Rate(bare_lines::burdened(words, capacity, take, count, making, taking))
    }
}
