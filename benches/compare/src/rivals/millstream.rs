//! What all of this is about. Its small flows and trips are those that the benches time.

mod large;
mod paced;
mod sleeper;

use crate::contender::{Contender, Figure, Job, Setting, Standing, Task, Way, batch, single};
use crate::harness::element_flow::{Flow, Put, Take};
use crate::harness::frame_flow::{FrameFlow, PutFrame};
use crate::harness::process::Role;
use crate::harness::round_trip;
use crate::harness::stream::Trust;

/// Both ends spin, but for a consumer that is to be woken.
pub(crate) struct Millstream;

/// Above this many words, elements are written in place.
const LARGE: usize = 128;

const NEXT: Way = single("put/next");
const DRAIN: Way = single("put/drain");
const SLICE: Way = batch("put_slice/drain");
const CLAIM: Way = batch("claim/peek");
/// Between processes a peek is a copy, unless the producer is trusted.
const COPIED: Way = batch("claim/peek copied");
const LARGE_CLAIM: Way = single("claim/peek");
const SPINS: Way = single("millstream, spins, then parks");
const PARKS: Way = single("millstream, parks at once");
const FRAMES_PUT: Way = single("frames put/next copied");
const FRAMES_CLAIM: Way = single("frames claim/drain");

impl Contender for Millstream {
    fn standing(&self) -> Standing {
        Standing::Ours
    }

    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match (setting, task) {
            (Setting::Between, Task::Flow { .. }) if task.words() > LARGE => {
                &[LARGE_CLAIM, FRAMES_PUT, FRAMES_CLAIM]
            }
            (Setting::Within, Task::Flow { .. }) if task.words() > LARGE => &[LARGE_CLAIM, FRAMES_CLAIM],
            (Setting::Within, Task::Flow { .. }) => &[NEXT, DRAIN, SLICE, CLAIM],
            (_, Task::Regime { .. }) => &[NEXT, DRAIN, SLICE, CLAIM],
            (Setting::Between, Task::Flow { .. }) => &[NEXT, DRAIN, SLICE, CLAIM, COPIED],
            (_, Task::Untouched { .. }) => &[LARGE_CLAIM],
            (_, Task::Trip { .. }) => const { &[single("millstream")] },
            (_, Task::Wake) => &[SPINS, PARKS],
        }
    }

    fn run(&self, way: &str, job: Job) -> Figure {
        let (words, capacity) = (job.task.words(), job.task.capacity());
        match job.task {
            Task::Wake => sleeper::run(way, job),
            Task::Regime { pace, .. } => paced::run(way, pace, job),
            Task::Trip { .. } if words <= LARGE => Figure::Times(match job.setting {
                Setting::Within => round_trip::within(words, job.count),
                Setting::Between => round_trip::between(words, job.count),
            }),
            Task::Flow { bytes, .. } if way == FRAMES_PUT.name || way == FRAMES_CLAIM.name => {
                frames(way, bytes, job)
            }
            Task::Flow { .. } if words <= LARGE => {
                let (put, take) = match way {
                    way if way == NEXT.name => (Put::One, Take::Next),
                    way if way == DRAIN.name => (Put::One, Take::Drain),
                    way if way == SLICE.name => (Put::Slice, Take::Drain),
                    _ => (Put::Claim, Take::Peek),
                };
                let flow = Flow {
                    words,
                    capacity,
                    put,
                    take,
                };
                let trust = if way == COPIED.name {
                    Trust::Copied
                } else {
                    Trust::InPlace
                };
                Figure::Rate(match job.setting {
                    Setting::Within => flow.within(job.count),
                    Setting::Between => flow.between(trust, job.count),
                })
            }
            _ => large::run(job),
        }
    }

    fn play(&self, way: &str, job: Job, role: &mut Role) {
        match job.task {
            Task::Wake => sleeper::play(way, job, role),
            Task::Regime { pace, .. } => paced::play(way, pace, job, role),
            _ => large::play(job, role),
        }
    }
}

fn frames(way: &str, bytes: usize, job: Job) -> Figure {
    let (put, take, trust) = if way == FRAMES_CLAIM.name {
        (PutFrame::Claim, Take::Drain, Trust::InPlace)
    } else {
        (PutFrame::Copy, Take::Next, Trust::Copied)
    };
    let flow = FrameFlow {
        bytes,
        capacity: job.task.capacity(),
        put,
        take,
    };
    let gigabytes = match job.setting {
        Setting::Within => flow.within(job.count),
        Setting::Between => flow.between(trust, job.count),
    };
    Figure::Rate(gigabytes * 1e3 / bytes as f64)
}
