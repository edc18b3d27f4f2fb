//! The limit of stamped lines: what millstream does, by hand and without its promises.

use crate::contender::{Contender, Figure, Job, Pace, Setting, Standing, Task, Way, single};
use crate::harness::bare_lines::{self, ROOM};
use crate::harness::element_flow::Take;

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
            (
                Setting::Within,
                Task::Regime {
                    pace: Pace::Equal, ..
                }
                | Task::Flow { .. },
            ) if task.words() <= ROOM => const { &[single(NEXT), single(DRAIN)] },
            _ => &[],
        }
    }

    fn run(&self, way: &str, job: Job) -> Figure {
        let take = if way == DRAIN { Take::Drain } else { Take::Next };
        Figure::Rate(bare_lines::measure(
            job.task.words(),
            job.task.capacity(),
            take,
            job.count,
        ))
    }
}
