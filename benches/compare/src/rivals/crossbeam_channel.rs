//! crossbeam's bounded channel, which spins a little before it sleeps.

use crate::contender::{Contender, Figure, Job, Setting, Task, Way, single};
use crate::flow;
use crate::harness::element::{for_width, sum};
use crate::wake;

pub(crate) struct CrossbeamChannel;

const WAYS: &[Way] = &[single("crossbeam-channel send/recv")];

impl Contender for CrossbeamChannel {
    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match (setting, task) {
            (Setting::Within, Task::Flow { .. } | Task::Trip { .. } | Task::Wake) => WAYS,
            _ => &[],
        }
    }

    fn run(&self, _way: &str, job: Job) -> Figure {
        for_width!(job.task.words(), W => match job.task {
            Task::Trip { .. } => {
                let (there, arrived) = crossbeam_channel::bounded::<[u64; W]>(job.task.capacity());
                let (back, returned) = crossbeam_channel::bounded::<[u64; W]>(job.task.capacity());
                let stays = "the other side stays";
                flow::trips(
                    job.count,
                    (move |element| back.send(element).expect(stays), move || arrived.recv().expect(stays)),
                    (move |element| there.send(element).expect(stays), move || returned.recv().expect(stays)),
                )
            }
            Task::Wake => {
                let (to, from) = crossbeam_channel::bounded::<u64>(job.task.capacity());
                let stays = "the other side stays";
                wake::within(
                    job.count,
                    move |index| to.send(index).expect(stays),
                    move || from.recv().expect(stays),
                )
            }
            _ => {
                let (to, from) = crossbeam_channel::bounded::<[u64; W]>(job.task.capacity());
                flow::singles::<W>(
                    job.count,
                    move |element| to.send(element).expect("the consumer stays"),
                    move || sum(&from.recv().expect("it is there before the producer goes")),
                )
            }
        })
    }
}
