//! The limit of a round trip: a counter in a line, one line each way, or many in turn.

use crate::contender::{Contender, Figure, Job, Setting, Standing, Task, Way, single};
use crate::harness::two_lines;

/// No ring at all.
pub(crate) struct TwoLines;

/// Its name.
const NAME: &str = "limit: two lines";

/// As a ring has them.
const IN_TURN: &str = "limit: lines in turn";

impl Contender for TwoLines {
    fn standing(&self) -> Standing {
        Standing::Limit
    }

    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match (setting, task) {
            (Setting::Within, Task::Trip { .. }) => const { &[single(NAME), single(IN_TURN)] },
            _ => &[],
        }
    }

    fn run(&self, way: &str, job: Job) -> Figure {
        Figure::Times(match way {
            IN_TURN => two_lines::in_turn(job.count),
            _ => two_lines::measure(job.count),
        })
    }
}
