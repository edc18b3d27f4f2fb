//! The loops that every rival goes through; what differs is how it puts and how it takes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::contender::Figure;
use crate::harness::element::{Words, expected, make, sum};
use crate::harness::pinning::side_by_side;
use crate::harness::round_trip::{ask, face_to_face};

/// Elements of a batch.
pub(crate) const BATCH: usize = 64;

/// What a consumer took in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// Of all words that it read.
    pub(crate) sum: u64,
    /// Elements, but for those that came first.
    pub(crate) counted: u64,
    /// From the first elements to the last.
    pub(crate) time: Duration,
}

impl Taken {
    /// Million elements a second, each of which has `W` words that were written and read.
    pub(crate) fn figure<const W: usize>(self, count: u64) -> Figure {
        assert_eq!(self.sum, expected::<W>(count), "what was taken is what was put");
        Figure::Rate(self.counted as f64 / self.time.as_secs_f64() / 1e6)
    }
}

/// Puts until all are: `put` is told the next index and returns the one after what it put.
#[inline(never)]
pub(crate) fn produce(put: impl FnMut(u64) -> u64, count: u64) {
    let mut put = put;
    let mut index = 0;
    while index < count {
        index = put(index);
    }
}

/// Takes until all are: `take` returns the sum and the number of what it took, which may be none.
#[inline(never)]
pub(crate) fn consume(take: impl FnMut() -> (u64, u64), count: u64) -> Taken {
    let mut take = take;
    let (mut total, mut first) = (0, 0);
    while first == 0 {
        (total, first) = take();
    }
    let from = Instant::now();
    let mut taken = first;
    while taken < count {
        let (sum, number) = take();
        total = total.wrapping_add(sum);
        taken += number;
    }
    Taken {
        sum: black_box(total),
        counted: taken - first,
        time: from.elapsed(),
    }
}

/// A flow within one process.
pub(crate) fn within<const W: usize>(
    count: u64,
    put: impl FnMut(u64) -> u64 + Send,
    take: impl FnMut() -> (u64, u64) + Send,
) -> Figure {
    side_by_side(move || produce(put, count), move || consume(take, count)).figure::<W>(count)
}

/// The same, of one element at a time: `take` returns the sum of one.
pub(crate) fn singles<const W: usize>(
    count: u64,
    put: impl FnMut(Words<W>) + Send,
    take: impl FnMut() -> u64 + Send,
) -> Figure {
    let (mut put, mut take) = (put, take);
    let put = move |index| {
        put(make(index));
        index + 1
    };
    within::<W>(count, put, move || (take(), 1))
}

/// Round trips within one process, of who answers and who asks; each can send and receive.
pub(crate) fn trips<const W: usize>(
    count: u64,
    answering: (impl FnMut(Words<W>) + Send, impl FnMut() -> Words<W> + Send),
    asking: (impl FnMut(Words<W>) + Send, impl FnMut() -> Words<W> + Send),
) -> Figure {
    let times = face_to_face(
        move || answer(answering.0, answering.1, ask::total(count)),
        move || ask_all(asking.0, asking.1, count),
    );
    Figure::Times(times)
}

/// Gives every element back.
#[inline(never)]
pub(crate) fn answer<const W: usize>(
    send: impl FnMut(Words<W>),
    receive: impl FnMut() -> Words<W>,
    total: u64,
) {
    let (mut send, mut receive) = (send, receive);
    for _ in 0..total {
        send(receive());
    }
}

/// Times `count` elements there and back.
#[inline(never)]
pub(crate) fn ask_all<const W: usize>(
    send: impl FnMut(Words<W>),
    receive: impl FnMut() -> Words<W>,
    count: u64,
) -> Histogram<u64> {
    let (mut send, mut receive) = (send, receive);
    ask::each(count, |index| {
        send(make(index));
        let returned = sum(&receive());
        assert_eq!(
            returned,
            index.wrapping_mul(W as u64),
            "what comes back is what was sent"
        );
    })
}
