//! Flows of which one side has work of its own with each element.

use millstream::{ClaimError, WaitStrategy};

use super::{CLAIM, DRAIN, NEXT, SLICE};
use crate::contender::{Figure, Pace};
use crate::flow::{self, BATCH};
use crate::harness::element::{for_width, make, sum};
use crate::harness::stream;
use crate::labour::labour;

/// Million elements a second.
pub(super) fn run(way: &str, words: usize, capacity: usize, pace: Pace, count: u64) -> Figure {
    let (fast, slow) = (pace == Pace::Fast, pace == Pace::Slow);
    for_width!(words, W => {
        let ends = stream::channel::<[u64; W]>(capacity, WaitStrategy::BusySpin).build();
        let (mut sink, mut source) = ends.expect("a ring of this size can be made");
        let taken = "the consumer takes everything";
        let one = move |index| make::<W>(labour(fast, index));
        if way == NEXT.name {
            return flow::within::<W>(
                count,
                move |index| {
                    sink.put(one(index)).expect(taken);
                    index + 1
                },
                move || (sum(&labour(slow, source.next().expect("the producer puts as many"))), 1),
            );
        }
        if way == CLAIM.name {
            let each = (BATCH / 2).min(capacity / 2);
            let put = move |index| match sink.claim(each) {
                Ok(mut claim) => {
                    for index in (index..).take(each) {
                        claim.push(one(index)).expect("as many were claimed");
                    }
                    claim.commit().expect(taken);
                    index + each as u64
                }
                Err(ClaimError::Full { .. }) => index,
                Err(error) => panic!("{error}"),
            };
            let peek = move || {
                let peek = source.peek(BATCH);
                let total = peek.iter().map(|element| sum(&labour(slow, *element))).fold(0, u64::wrapping_add);
                (total, peek.release_all() as u64)
            };
            return flow::within::<W>(count, put, peek);
        }
        let drain = move || {
            let mut total = 0_u64;
            let count = source.drain(4096, |element| total = total.wrapping_add(sum(&labour(slow, element))));
            (total, count as u64)
        };
        if way == DRAIN.name {
            let put = move |index| {
                sink.put(one(index)).expect(taken);
                index + 1
            };
            return flow::within::<W>(count, put, drain);
        }
        assert_eq!(way, SLICE.name, "there are four ways");
        let mut batch = [[0; W]; BATCH];
        let put = move |index| {
            for (element, index) in batch.iter_mut().zip(index..) {
                *element = one(index);
            }
            sink.put_slice(&batch).expect(taken);
            index + BATCH as u64
        };
        flow::within::<W>(count, put, drain)
    })
}
