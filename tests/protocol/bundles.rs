//! Sixteen elements of 57 to 128 bytes share a stamp. That is to be seen by nobody: each is there as soon as it was put, in
//! rings of one bundle, of a few, whose consumer keeps away from the one that is being filled, and of many.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::thread;

use millstream::{Buffer, CloseReason, End, SinkRef, SourceRef, TryNext, TryPutError};

use crate::support::{joined, within};

/// Three to a pair of lines, so that bundles do not fill their lines.
type Quote = [u64; 12];

/// Both ends: of this capacity, half of it demand, asked for by hand if so. They wait as they do by default: on a core that both threads
/// share, who only spins uses up its slice for each ring full of elements.
type Make = fn(usize, bool) -> (SinkRef<Quote>, SourceRef<Quote>);

const CAPACITIES: [usize; 8] = [2, 16, 32, 48, 64, 66, 300, 1024];
const MANY: u64 = 50_000;
/// In the midst of a bundle of positions, which wrap before many are put.
const START: u64 = u64::MAX - 5_003;

fn quote(number: u64) -> Quote {
    std::array::from_fn(|word| number.wrapping_mul(word as u64 + 1))
}

fn by_channel(capacity: usize, by_hand: bool) -> (SinkRef<Quote>, SourceRef<Quote>) {
    let builder = millstream::channel::<Quote>()
        .buffer_size(Buffer::Bounded(capacity / 2))
        .initial_demand(capacity as u64 / 2)
        .start_position(START);
    if by_hand { builder.manual_demand() } else { builder }
        .build()
        .unwrap()
}

#[cfg(target_os = "linux")]
fn by_name(capacity: usize, by_hand: bool) -> (SinkRef<Quote>, SourceRef<Quote>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let mut sink = millstream::publish::<Quote>("bundles")
        .directory(&path)
        .buffer_size(Buffer::Bounded(capacity / 2))
        .max_demand(capacity as u64 / 2)
        .start_position(START)
        .open()
        .unwrap();
    let builder = millstream::subscribe::<Quote>("bundles")
        .directory(&path)
        .initial_demand(capacity as u64 / 2);
    let builder = if by_hand { builder.manual_demand() } else { builder };
    let source = builder.open().unwrap();
    // Until the producer has seen what was granted.
    while !by_hand && sink.claim(capacity).is_err() {
        thread::yield_now();
    }
    (sink, source)
}

macro_rules! in_both_settings {
    ($($name:ident)+) => {
        mod in_one_process {
            $(#[test] fn $name() { crate::support::within(|| super::$name(super::by_channel)); })+
        }
        #[cfg(target_os = "linux")]
        mod published {
            $(#[test] fn $name() { crate::support::within(|| super::$name(super::by_name)); })+
        }
    };
}

in_both_settings! {
    each_is_there_when_it_was_put
    bursts_of_every_length_are_there_at_once
    the_window_is_exact
    singles_to_a_consumer_right_behind
    singles_that_are_drained
    slices_and_claims_to_one_that_looks_first
    batches_of_every_length_to_one_that_takes_in_every_way
    what_was_asked_for_by_hand_is_taken_and_no_more
    a_drain_gives_credit_in_the_midst_of_a_bundle
    an_end_in_the_midst_of_a_bundle_comes_after_the_last
    a_close_in_the_midst_of_a_bundle_gives_the_element_back
}

fn each_is_there_when_it_was_put(make: Make) {
    for capacity in CAPACITIES {
        let (mut sink, mut source) = make(capacity, false);
        for number in 0..2_000 {
            sink.try_put(quote(number)).unwrap();
            assert_eq!(source.try_next(), TryNext::Item(quote(number)), "of {capacity}");
            assert_eq!(source.try_next(), TryNext::Empty);
        }
    }
}

fn bursts_of_every_length_are_there_at_once(make: Make) {
    for capacity in CAPACITIES {
        let (mut sink, mut source) = make(capacity, false);
        let mut next = 0;
        // Credit for less than half the window may be late.
        let longest = (capacity / 2).min(70);
        for burst in (1..=longest).chain((1..=longest).rev()) {
            let from = next;
            for _ in 0..burst {
                sink.put(quote(next)).unwrap();
                next += 1;
            }
            if burst % 2 == 0 {
                assert!(source.by_ref().take(burst).eq((from..next).map(quote)));
                continue;
            }
            let mut expected = from;
            let taken = source.drain(usize::MAX, |element| {
                assert_eq!(element, quote(expected));
                expected += 1;
            });
            assert_eq!((taken, expected), (burst, next), "of {capacity}");
        }
    }
}

fn the_window_is_exact(make: Make) {
    for capacity in CAPACITIES {
        let (mut sink, mut source) = make(capacity, false);
        let (mut put, mut got) = (0, 0);
        for taken in 0..capacity.min(40) {
            while sink.try_put(quote(put)).is_ok() {
                put += 1;
            }
            assert_eq!(put - got, capacity as u64);
            assert!(matches!(sink.try_put(quote(put)), Err(TryPutError::Full(back)) if back == quote(put)));
            for _ in 0..taken {
                assert_eq!(source.next(), Some(quote(got)));
                got += 1;
            }
            // Who finds nothing has released everything.
            while let TryNext::Item(element) = source.try_next() {
                assert_eq!(element, quote(got));
                got += 1;
            }
        }
    }
}

fn apart(
    make: Make,
    capacity: usize,
    produce: fn(&mut SinkRef<Quote>),
    consume: impl FnOnce(&mut SourceRef<Quote>) -> u64,
) {
    let (mut sink, mut source) = make(capacity, false);
    let producer = thread::spawn(move || {
        produce(&mut sink);
        sink.complete().unwrap();
    });
    assert_eq!(consume(&mut source), MANY, "of {capacity}");
    assert_eq!(source.next(), None);
    assert_eq!(source.end(), Some(End::Completed));
    joined(producer);
}

fn put_singly(sink: &mut SinkRef<Quote>) {
    for number in 0..MANY {
        sink.put(quote(number)).unwrap();
    }
}

fn singles_to_a_consumer_right_behind(make: Make) {
    for capacity in CAPACITIES {
        apart(make, capacity, put_singly, |source| {
            let mut expected = 0;
            for element in source {
                assert_eq!(element, quote(expected));
                expected += 1;
            }
            expected
        });
    }
}

fn singles_that_are_drained(make: Make) {
    for capacity in CAPACITIES {
        apart(make, capacity, put_singly, |source| {
            let mut expected = 0;
            while source.wait_readable() {
                source.drain(usize::MAX, |element| {
                    assert_eq!(element, quote(expected));
                    expected += 1;
                });
            }
            expected
        });
    }
}

fn slices_and_claims_to_one_that_looks_first(make: Make) {
    fn put_together(sink: &mut SinkRef<Quote>) {
        let mut next = 0;
        while next < MANY {
            let some = (next % 41 + 1).min(MANY - next);
            let elements: Vec<Quote> = (next..next + some).map(quote).collect();
            if next % 2 == 0 {
                sink.put_slice(&elements).unwrap();
                next += some;
            } else if let Ok(mut claim) = sink.claim(2.min(elements.len())) {
                for element in elements.iter().take(claim.len()) {
                    claim.push(*element).unwrap();
                }
                next += claim.commit().unwrap() as u64;
            } else {
                sink.put(quote(next)).unwrap();
                next += 1;
            }
        }
    }
    for capacity in CAPACITIES {
        apart(make, capacity, put_together, |source| {
            let mut expected = 0;
            while source.wait_readable() {
                let peek = source.peek(23);
                for (element, number) in peek.iter().zip(expected..) {
                    assert_eq!(*element, quote(number));
                }
                let some = peek.len().div_ceil(2);
                expected += peek.release(some) as u64;
            }
            expected
        });
    }
}

/// Batches reach over bundles, and what is taken ends anywhere in them.
fn batches_of_every_length_to_one_that_takes_in_every_way(make: Make) {
    fn put_batches(sink: &mut SinkRef<Quote>) {
        let mut next = 0;
        while next < MANY {
            let some = (next % 67 + 1).min(MANY - next);
            if let Ok(mut claim) = sink.claim(some as usize) {
                for number in next..next + some {
                    claim.push(quote(number)).unwrap();
                }
                claim.commit().unwrap();
            } else {
                let elements: Vec<Quote> = (next..next + some).map(quote).collect();
                sink.put_slice(&elements).unwrap();
            }
            next += some;
        }
    }
    for capacity in CAPACITIES {
        apart(make, capacity, put_batches, |source| {
            let mut expected = 0;
            while source.wait_readable() {
                for _ in 0..expected % 5 {
                    if let TryNext::Item(element) = source.try_next() {
                        assert_eq!(element, quote(expected));
                        expected += 1;
                    }
                }
                source.drain(expected as usize % 37, |element| {
                    assert_eq!(element, quote(expected));
                    expected += 1;
                });
                let peek = source.peek(40);
                for (element, number) in peek.iter().zip(expected..) {
                    assert_eq!(*element, quote(number));
                }
                let some = peek.len().div_ceil(3);
                expected += peek.release(some) as u64;
            }
            expected
        });
    }
}

/// The stamps of a batch of all that a ring holds are those of the lap before when the next one comes, wherever it begins.
#[test]
fn a_batch_of_the_whole_ring_is_not_seen_again_a_lap_later() {
    for (capacity, offset) in (9..=66).flat_map(|capacity| (0..16).map(move |offset| (capacity, offset))) {
        let builder = millstream::channel::<Quote>().start_position(START);
        let builder = builder.buffer_size(Buffer::Bounded(capacity - 8));
        let (mut sink, mut source) = builder.initial_demand(8).build().unwrap();
        let mut put = 0;
        let mut taken = 0;
        for batch in (0..offset).map(|_| 1).chain([capacity; 3]).chain([1; 40]) {
            let mut claim = sink.claim(batch).unwrap();
            for _ in 0..batch {
                claim.push(quote(put)).unwrap();
                put += 1;
            }
            claim.commit().unwrap();
            // Twice, for who finds nothing gives all of the credit.
            for way in [put % 3, 1] {
                while way == 0
                    && let TryNext::Item(element) = source.try_next()
                {
                    assert_eq!(element, quote(taken), "{capacity} {offset}");
                    taken += 1;
                }
                let drain = |source: &mut SourceRef<Quote>, taken: &mut u64| {
                    source.drain(usize::MAX, |element| {
                        assert_eq!(element, quote(*taken), "{capacity} {offset}");
                        *taken += 1;
                    })
                };
                while drain(&mut source, &mut taken) > 0 {}
            }
            assert_eq!(
                (taken, source.try_next()),
                (put, TryNext::Empty),
                "{capacity} {offset}"
            );
        }
    }
}

fn what_was_asked_for_by_hand_is_taken_and_no_more(make: Make) {
    for capacity in CAPACITIES {
        let (mut sink, mut source) = make(capacity, true);
        // There is always one more than was asked for.
        sink.put(quote(0)).unwrap();
        let (mut put, mut got) = (1, 0);
        for asked in (1..=capacity as u64 / 2).take(33) {
            source.request(NonZeroU64::new(asked).unwrap()).unwrap();
            for _ in 0..asked {
                sink.put(quote(put)).unwrap();
                put += 1;
            }
            for _ in 0..asked {
                assert_eq!(source.try_next(), TryNext::Item(quote(got)), "of {capacity}");
                got += 1;
            }
            assert_eq!(source.try_next(), TryNext::Empty, "nothing more was asked for");
        }
    }
}

fn a_drain_gives_credit_in_the_midst_of_a_bundle(make: Make) {
    let (mut sink, mut source) = make(32, false);
    for number in 0..32 {
        sink.put(quote(number)).unwrap();
    }
    let (mut taken, mut put) = (0, 32);
    source.drain(usize::MAX, |element| {
        assert_eq!(element, quote(taken));
        taken += 1;
        // Half a window of 16 may be late, and what is in work.
        while taken == 10 && sink.try_put(quote(put)).is_ok() {
            put += 1;
        }
    });
    assert!(put >= 40, "{put}");
    assert!(taken >= 32);
}

fn an_end_in_the_midst_of_a_bundle_comes_after_the_last(make: Make) {
    for capacity in CAPACITIES {
        for count in 0..capacity.min(40) as u64 {
            let (mut sink, mut source) = make(capacity, false);
            for number in 0..count {
                sink.put(quote(number)).unwrap();
            }
            sink.complete().unwrap();
            assert!(source.by_ref().eq((0..count).map(quote)));
            assert_eq!(source.end(), Some(End::Completed));
        }
    }
}

fn a_close_in_the_midst_of_a_bundle_gives_the_element_back(make: Make) {
    for taken in 0..20 {
        let (mut sink, mut source) = make(64, false);
        for number in 0..20 {
            sink.put(quote(number)).unwrap();
        }
        assert!(source.by_ref().take(taken).eq((0..taken as u64).map(quote)));
        source.cancel();
        assert_eq!(source.try_next(), TryNext::End(End::Cancelled));
        let refused = sink.try_put(quote(20)).unwrap_err();
        assert_eq!(refused, TryPutError::Closed(quote(20), CloseReason::Cancelled));
    }
}

#[test]
fn what_a_bundle_still_holds_is_dropped_once() {
    within(|| {
        let token = Arc::new(());
        for taken in 0..60 {
            let (mut sink, mut source) = millstream::channel::<([u64; 8], Arc<()>)>()
                .buffer_size(32)
                .initial_demand(32)
                .build()
                .unwrap();
            for number in 0..60 {
                sink.put(([number; 8], Arc::clone(&token))).unwrap();
            }
            let mut claim = sink.claim(3).unwrap();
            claim.push(([60; 8], Arc::clone(&token))).unwrap();
            drop(claim);
            for number in 0..taken {
                assert_eq!(source.next().map(|(words, _)| words), Some([number; 8]));
            }
            if taken % 2 == 0 {
                drop(sink);
                drop(source);
            } else {
                drop(source);
                drop(sink);
            }
            assert_eq!(Arc::strong_count(&token), 1, "after {taken}");
        }
    });
}

#[test]
fn without_a_bound_they_go_from_ring_to_ring() {
    within(|| {
        let (mut sink, mut source) = millstream::channel::<Quote>()
            .buffer_size(Buffer::Unbounded)
            .initial_demand(3)
            .build()
            .unwrap();
        let (mut put, mut got) = (0, 0);
        for burst in 1..200 {
            for _ in 0..burst {
                sink.put(quote(put)).unwrap();
                put += 1;
            }
            for _ in 0..burst / 2 {
                assert_eq!(source.next(), Some(quote(got)));
                got += 1;
            }
        }
        sink.complete().unwrap();
        assert!(source.by_ref().eq((got..put).map(quote)));
    });
}
