//! The limit of a round trip: a counter in a line, one line each way.

use crate::contender::{Contender, Figure, Job, Setting, Standing, Task, Way, single};
use crate::harness::two_lines;

/// No ring at all.
pub(crate) struct TwoLines;

/// Its name, by which promises refer to it.
pub(crate) const NAME: &str = "limit: two lines";

impl Contender for TwoLines {
    fn standing(&self) -> Standing {
        Standing::Limit
    }

    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match (setting, task) {
            (Setting::Within, Task::Trip { .. }) => const { &[single(NAME)] },
            _ => &[],
        }
    }

    fn run(&self, _way: &str, job: Job) -> Figure {
        Figure::Times(two_lines::measure(job.count))
    }
}
