//! An element there and back, one at a time.
//!
//! Each trip is timed by two readings of the clock, which cost about 30 ns of every figure, that of the limit too.

use std::hint::spin_loop;
use std::thread;

use hdrhistogram::Histogram;
use millstream::{SinkRef, SourceRef, WaitStrategy};

use super::element::{Words, for_width, make, sum};
use super::pinning::{CONSUMER, PRODUCER, both, pin, surrounded};
use super::process::{Ground, Role};
use super::stream::{self, Trust};

const THERE: &str = "there";
const BACK: &str = "back";
const CAPACITY: usize = 32;

/// A histogram of nanoseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    // Up to 10 s, with an error below a thousandth.
    Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("the bounds are valid")
}

/// The side that asks.
pub(crate) mod ask {
    use std::time::Instant;

    use hdrhistogram::Histogram;

    const WARM_UP: u64 = 1000;

    /// How many exchanges there are for `count` that are timed.
    pub(crate) fn total(count: u64) -> u64 {
        count + WARM_UP
    }

    /// Times `count` exchanges.
    #[inline(always)]
    pub(crate) fn each(count: u64, mut exchange: impl FnMut(u64)) -> Histogram<u64> {
        // Written down first, for the histogram is large and would push other things out of the cache.
        let mut times = Vec::with_capacity(count as usize);
        for index in 0..total(count) {
            let from = Instant::now();
            exchange(index);
            let time = from.elapsed();
            if index >= WARM_UP {
                times.push(time.as_nanos() as u64);
            }
        }
        let mut histogram = super::histogram();
        for time in times {
            histogram.saturating_record(time);
        }
        histogram
    }
}

/// Runs who answers and who asks on their cores; what the latter returns.
pub(crate) fn face_to_face<R: Send>(answer: impl FnOnce() + Send, ask: impl FnOnce() -> R + Send) -> R {
    both(ask, answer).0
}

/// Over two streams in one process.
pub(crate) fn within(words: usize, count: u64) -> Histogram<u64> {
    for_width!(words, W => {
        let make = || {
            let builder = stream::channel::<Words<W>>(CAPACITY, WaitStrategy::BusySpin);
            builder.build().expect("a ring of this size can be made")
        };
        let ((there, arrived), (back, returned)) = (make(), make());
        face_to_face(move || answer(arrived, back), move || ask_all(there, returned, count))
    })
}

/// Over two streams between processes.
pub(crate) fn between(words: usize, count: u64) -> Histogram<u64> {
    let ground = Ground::new();
    let mut peer = ground.start(&[&ROLE, &words]);
    let asking = || {
        for_width!(words, W => {
            let there = stream::publish::<Words<W>>(ground.dir(), THERE, CAPACITY).open();
            let there = there.expect("the directory is ours");
            let spin = WaitStrategy::BusySpin;
            let back = stream::subscribe::<Words<W>>(ground.dir(), BACK, CAPACITY, spin, Trust::Copied).open();
            let back = back.expect("the other process publishes");
            pin(PRODUCER);
            peer.go();
            surrounded(PRODUCER, || ask_all(there, back, count))
        })
    };
    let times = thread::scope(|scope| scope.spawn(asking).join()).expect("every element comes back");
    peer.finish();
    times
}

/// The answering process of [`between`].
pub(crate) const ROLE: &str = "round_trip";

/// Plays who answers.
pub(crate) fn play(role: &mut Role) {
    for_width!(role.next::<usize>(), W => {
        let back = stream::publish::<Words<W>>(&role.dir, BACK, CAPACITY).open().expect("the directory is ours");
        let spin = WaitStrategy::BusySpin;
        let there = stream::subscribe::<Words<W>>(&role.dir, THERE, CAPACITY, spin, Trust::Copied).open();
        let there = there.expect("the other process publishes");
        pin(CONSUMER);
        role.begin();
        surrounded(CONSUMER, || answer(there, back));
    });
}

#[inline(never)]
fn ask_all<const W: usize>(
    there: SinkRef<Words<W>>,
    back: SourceRef<Words<W>>,
    count: u64,
) -> Histogram<u64> {
    let (mut there, mut back) = (there, back);
    let times = ask::each(count, |index| {
        there.put(make(index)).expect("the other side takes everything");
        let returned = back.next().expect("every element comes back");
        assert_eq!(
            sum(&returned),
            index.wrapping_mul(W as u64),
            "what comes back is what was sent"
        );
    });
    let _ = there.complete();
    times
}

#[inline(never)]
fn answer<const W: usize>(there: SourceRef<Words<W>>, back: SinkRef<Words<W>>) {
    let mut back = back;
    for element in there {
        back.put(element).expect("the other side takes everything");
    }
    // Who asked may have gone already.
    let _ = back.complete();
}

/// The rival: over two rings of rtrb.
pub(crate) fn rtrb(words: usize, count: u64) -> Histogram<u64> {
    for_width!(words, W => {
        let (mut there, mut arrived) = rtrb::RingBuffer::<Words<W>>::new(CAPACITY);
        let (mut back, mut returned) = rtrb::RingBuffer::<Words<W>>::new(CAPACITY);
        face_to_face(
            move || {
                for _ in 0..ask::total(count) {
                    let element = pop(&mut arrived);
                    back.push(element).expect("there is one at a time");
                }
            },
            move || {
                ask::each(count, |index| {
                    there.push(make(index)).expect("there is one at a time");
                    let element = pop(&mut returned);
                    assert_eq!(sum(&element), index.wrapping_mul(W as u64), "what comes back is what was sent");
                })
            },
        )
    })
}

#[inline(always)]
fn pop<T>(consumer: &mut rtrb::Consumer<T>) -> T {
    loop {
        if let Ok(element) = consumer.pop() {
            break element;
        }
        spin_loop();
    }
}
