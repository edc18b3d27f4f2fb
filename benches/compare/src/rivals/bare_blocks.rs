//! The limit of larger elements behind stamps: what millstream does, by hand and without its promises.

use crate::contender::{Contender, Figure, Job, Setting, Standing, Task, Way, batch, single};
use crate::harness::bare_blocks::{self, Publish};

/// Elements of whole lines.
pub(crate) struct BareBlocks;

const EACH: &str = "limit: bare blocks put one by one";
const BLOCKS: &str = "limit: bare blocks at once";
/// Words of the elements.
const WIDTHS: [usize; 3] = [8, 32, 128];

impl Contender for BareBlocks {
    fn standing(&self) -> Standing {
        Standing::Limit
    }

    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match (setting, task) {
            (Setting::Within, Task::Flow { .. }) if WIDTHS.contains(&task.words()) => {
                const { &[single(EACH), batch(BLOCKS)] }
            }
            _ => &[],
        }
    }

    fn run(&self, way: &str, job: Job) -> Figure {
        let publish = if way == BLOCKS {
            Publish::Blocks
        } else {
            Publish::Each
        };
        Figure::Rate(bare_blocks::measure(
            job.task.words(),
            job.task.capacity(),
            publish,
            job.count,
        ))
    }
}
