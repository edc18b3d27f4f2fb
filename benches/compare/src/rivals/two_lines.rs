//! The limit of a round trip: a counter in a line, one line each way, or many in turn, or with a payload beside it.

use crate::contender::{Contender, Figure, Job, Setting, Standing, Task, Way, single};
use crate::harness::two_lines;

/// No ring at all.
pub(crate) struct TwoLines;

/// Its name.
const NAME: &str = "limit: two lines";

/// As a ring has them.
const IN_TURN: &str = "limit: lines in turn";

/// With a payload beside each.
const LADEN: &str = "limit: two lines and a payload";

/// Words beside a stamp in a line.
const ROOM: usize = 7;
/// Words of payloads.
const WIDTHS: [usize; 3] = [8, 32, 128];

impl Contender for TwoLines {
    fn standing(&self) -> Standing {
        Standing::Limit
    }

    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match (setting, task) {
            (Setting::Within, Task::Trip { .. }) if task.words() <= ROOM => {
                const { &[single(NAME), single(IN_TURN)] }
            }
            (Setting::Within, Task::Trip { .. }) if WIDTHS.contains(&task.words()) => {
                const { &[single(LADEN)] }
            }
            _ => &[],
        }
    }

    fn run(&self, way: &str, job: Job) -> Figure {
        Figure::Times(match way {
            IN_TURN => two_lines::in_turn(job.count),
            LADEN => two_lines::laden(job.task.words(), job.count),
            _ => two_lines::measure(job.count),
        })
    }
}
