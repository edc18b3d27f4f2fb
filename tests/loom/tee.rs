//! Branches of a tee: who pumps, who waits for room, and what a branch that has taken tells them.

use loom::thread;
use millstream::{Branch, End, SinkRef, tee};

use super::{PARK, pair};

/// A stream with all its elements in it and its end behind them, and two branches of it.
fn two(elements: u64, buffer: usize) -> (SinkRef<u64>, [Branch<u64>; 2]) {
    let (mut sink, source) = pair::<u64>(0, elements);
    for element in 0..elements {
        sink.try_put(element).unwrap();
    }
    sink.complete().unwrap();
    (
        sink,
        tee::<2, _>(source)
            .buffer_size(buffer)
            .wait(PARK)
            .build()
            .unwrap(),
    )
}

/// One branch takes, and the other sleeps until there is room, or is told what there is: in each order.
#[test]
fn branches_hold_each_other_up_and_let_each_other_go() {
    loom::model(|| {
        let (_sink, [mut one, mut other]) = two(2, 1);
        let reader = thread::spawn(move || {
            assert!(one.by_ref().eq(0..2));
            assert_eq!(one.end(), Some(End::Completed));
        });
        assert!(other.by_ref().eq(0..2));
        assert_eq!(other.end(), Some(End::Completed));
        reader.join().unwrap();
    });
}

/// The branch that holds the other up goes.
#[test]
fn a_branch_that_goes_wakes_who_waits_for_it() {
    for take in 0..2 {
        loom::model(move || {
            let (_sink, [mut one, mut other]) = two(2, 1);
            let reader = thread::spawn(move || assert_eq!(one.by_ref().take(take).count(), take));
            assert!(other.by_ref().eq(0..2));
            reader.join().unwrap();
        });
    }
}

/// The source brings nothing yet when a branch pumps, and sleeps at it.
#[test]
fn a_branch_that_pumps_is_woken_by_the_producer() {
    loom::model(|| {
        let (mut sink, source) = pair::<u64>(0, 1);
        let [mut only] = tee::<1, _>(source).buffer_size(1).wait(PARK).build().unwrap();
        let producer = thread::spawn(move || {
            sink.put(7).unwrap();
            sink.complete().unwrap();
        });
        assert_eq!(only.next(), Some(7));
        assert_eq!(only.next(), None);
        producer.join().unwrap();
    });
}
