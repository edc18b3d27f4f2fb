//! Flows of which one side has work of its own with each element.

use millstream::{ClaimError, SinkRef, SourceRef, WaitStrategy};

use super::{CLAIM, DRAIN, NEXT, SLICE};
use crate::contender::{Figure, Job, Pace, Setting};
use crate::flow::{BATCH, Taken, consume, produce};
use crate::harness::element::{Words, for_width, make, sum};
use crate::harness::pinning::{CONSUMER, PRODUCER, side_by_side};
use crate::harness::process::{Ground, Role};
use crate::harness::stream::{self, NAME, Trust};
use crate::labour::labour;
use crate::sides::pinned;

const TAKEN: &str = "the consumer takes everything";

/// Million elements a second, of the consumer.
pub(super) fn run(way: &str, pace: Pace, job: Job) -> Figure {
    let (capacity, count) = (job.task.capacity(), job.count);
    for_width!(job.task.words(), W => {
        if job.setting == Setting::Within {
            let ends = stream::channel::<Words<W>>(capacity, WaitStrategy::BusySpin).build();
            let (sink, source) = ends.expect("a ring of this size can be made");
            let put = move || put(sink, way, pace, capacity, count);
            return side_by_side(put, move || take(source, way, pace, count)).figure::<W>(count);
        }
        let ground = Ground::new();
        let peer = job.start(&ground, &[]);
        let wait = WaitStrategy::BusySpin;
        let make = || {
            let builder = stream::subscribe::<Words<W>>(ground.dir(), NAME, capacity, wait, Trust::InPlace);
            Some(builder.open().expect("the other process publishes"))
        };
        let taken = pinned(CONSUMER, make, |source| {
            take(source.take().expect("there is one"), way, pace, count)
        });
        peer.finish();
        taken.figure::<W>(count)
    })
}

/// The producer, in the second process.
pub(super) fn play(way: &str, pace: Pace, job: Job, role: &mut Role) {
    let (capacity, count) = (job.task.capacity(), job.count);
    for_width!(job.task.words(), W => {
        let publish = stream::publish::<Words<W>>(&role.dir, NAME, capacity);
        let make = move || Some(publish.open().expect("the directory is ours"));
        pinned(PRODUCER, make, |sink| {
            put(sink.take().expect("there is one"), way, pace, capacity, count);
        });
    });
    role.end();
}

// The handles are moved into the loops, as in the flows of the benches, so that their cursors can live in registers.

fn put<const W: usize>(sink: SinkRef<Words<W>>, way: &str, pace: Pace, capacity: usize, count: u64) {
    let (mut sink, fast) = (sink, pace == Pace::Fast);
    let one = move |index| make::<W>(labour(fast, index));
    if way == NEXT.name || way == DRAIN.name {
        let put = move |index| {
            sink.put(one(index)).expect(TAKEN);
            index + 1
        };
        return produce(put, count);
    }
    if way == CLAIM.name {
        let each = BATCH.min(capacity / 2);
        let put = move |index| match sink.claim(each) {
            Ok(mut claim) => {
                for index in (index..).take(each) {
                    claim.push(one(index)).expect("as many were claimed");
                }
                claim.commit().expect(TAKEN);
                index + each as u64
            }
            Err(ClaimError::Full { .. }) => index,
            Err(error) => panic!("{error}"),
        };
        return produce(put, count);
    }
    assert_eq!(way, SLICE.name, "there are four ways");
    let mut batch = [[0; W]; BATCH];
    let put = move |index| {
        for (element, index) in batch.iter_mut().zip(index..) {
            *element = one(index);
        }
        sink.put_slice(&batch).expect(TAKEN);
        index + BATCH as u64
    };
    produce(put, count);
}

fn take<const W: usize>(source: SourceRef<Words<W>>, way: &str, pace: Pace, count: u64) -> Taken {
    let (mut source, slow) = (source, pace == Pace::Slow);
    if way == NEXT.name {
        let next = move || {
            let element = source.next().expect("the producer puts as many");
            (sum(&labour(slow, element)), 1)
        };
        return consume(next, count);
    }
    if way == CLAIM.name {
        let peek = move || {
            let peek = source.peek(BATCH);
            let sums = peek.iter().map(|element| sum(&labour(slow, *element)));
            let total = sums.fold(0, u64::wrapping_add);
            (total, peek.release_all() as u64)
        };
        return consume(peek, count);
    }
    let drain = move || {
        let mut total = 0_u64;
        let count = source.drain(4096, |element| {
            total = total.wrapping_add(sum(&labour(slow, element)));
        });
        (total, count as u64)
    };
    consume(drain, count)
}
