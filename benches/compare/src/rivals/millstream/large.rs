//! Elements of 64 KiB, written and read where they lie.

use std::path::Path;

use millstream::{ClaimError, SinkRef, SourceRef, WaitStrategy};

use crate::contender::{Figure, Job, Setting, Task};
use crate::flow::{Taken, consume, produce};
use crate::harness::element::{Words, expected, sum};
use crate::harness::pinning::{CONSUMER, PRODUCER, side_by_side};
use crate::harness::process::{Ground, Role};
use crate::harness::round_trip::ask;
use crate::harness::stream::{self, NAME, Trust};
use crate::sides::pinned;

const WORDS: usize = 8192;
const BACK: &str = "back";

type Sink = SinkRef<Words<WORDS>>;
type Source = SourceRef<Words<WORDS>>;

/// The job of the consumer, or of who asks.
pub(super) fn run(job: Job) -> Figure {
    assert_eq!(job.task.words(), WORDS, "large elements are of one size");
    let (capacity, count) = (job.task.capacity(), job.count);
    let touched = !matches!(job.task, Task::Untouched { .. });
    if job.setting == Setting::Within {
        let ends = stream::channel::<Words<WORDS>>(capacity, WaitStrategy::BusySpin).build();
        let (mut sink, mut source) = ends.expect("a ring of this size can be made");
        return figure(
            side_by_side(
                move || {
                    produce(|index| put(&mut sink, index, touched), count);
                    sink
                },
                move || consume(|| take(&mut source, touched), count),
            ),
            touched,
            count,
        );
    }
    let ground = Ground::new();
    let peer = job.start(&ground, &[]);
    let figure = match job.task {
        Task::Trip { .. } => pinned(
            PRODUCER,
            || {
                (
                    publish(ground.dir(), NAME, capacity),
                    subscribe(ground.dir(), BACK, capacity),
                )
            },
            |(there, back)| {
                Figure::Times(ask::each(count, |index| {
                    while put(there, index, true) == index {}
                    assert_eq!(
                        one(back),
                        index.wrapping_mul(WORDS as u64),
                        "what comes back is what was sent"
                    );
                }))
            },
        ),
        _ => {
            let make = || subscribe(ground.dir(), NAME, capacity);
            let taken = pinned(CONSUMER, make, |source| consume(|| take(source, touched), count));
            figure(taken, touched, count)
        }
    };
    peer.finish();
    figure
}

/// The other side, in the second process.
pub(super) fn play(job: Job, role: &mut Role) {
    let (capacity, count) = (job.task.capacity(), job.count);
    let dir = role.dir.clone();
    match job.task {
        Task::Trip { .. } => {
            let make = || (publish(&dir, BACK, capacity), subscribe(&dir, NAME, capacity));
            pinned(CONSUMER, make, |(back, there)| {
                for index in 0..ask::total(count) {
                    assert_eq!(
                        one(there),
                        index.wrapping_mul(WORDS as u64),
                        "what arrives is what was sent"
                    );
                    while put(back, index, true) == index {}
                }
            });
        }
        task => {
            let touched = !matches!(task, Task::Untouched { .. });
            let make = || publish(&dir, NAME, capacity);
            pinned(PRODUCER, make, |sink| {
                produce(|index| put(sink, index, touched), count);
                let _ = sink.complete();
            });
        }
    }
    role.end();
}

fn figure(taken: Taken, touched: bool, count: u64) -> Figure {
    let words = if touched { WORDS as u64 } else { 1 };
    assert_eq!(
        taken.sum,
        expected::<1>(count).wrapping_mul(words),
        "what was taken is what was put"
    );
    Figure::Rate(taken.counted as f64 / taken.time.as_secs_f64() / 1e6)
}

fn publish(dir: &Path, name: &str, capacity: usize) -> Sink {
    stream::publish::<Words<WORDS>>(dir, name, capacity)
        .open()
        .expect("the directory is ours")
}

fn subscribe(dir: &Path, name: &str, capacity: usize) -> Source {
    let spin = WaitStrategy::BusySpin;
    let source = stream::subscribe::<Words<WORDS>>(dir, name, capacity, spin, Trust::InPlace).open();
    source.expect("the other process publishes")
}

/// The next index, or the same one when the ring is full.
#[inline(always)]
fn put(sink: &mut Sink, index: u64, touched: bool) -> u64 {
    let mut claim = match sink.claim(1) {
        Ok(claim) => claim,
        Err(ClaimError::Full { .. }) => return index,
        Err(error) => panic!("{error}"),
    };
    for slot in claim.slots() {
        if touched {
            slot.fill(index);
        } else {
            slot[0] = index;
        }
    }
    claim.commit().expect("the consumer takes everything");
    index + 1
}

#[inline(always)]
fn take(source: &mut Source, touched: bool) -> (u64, u64) {
    let peek = source.peek(1);
    let total = peek
        .iter()
        .map(|element| if touched { sum(element) } else { element[0] })
        .fold(0, u64::wrapping_add);
    (total, peek.release_all() as u64)
}

#[inline(always)]
fn one(source: &mut Source) -> u64 {
    loop {
        let (total, count) = take(source, true);
        if count > 0 {
            break total;
        }
    }
}
