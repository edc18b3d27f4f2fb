//! Which input goes first: fair, by priority, by arrival, by key, and how long a silent one holds the others back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use millstream::{End, TryNext, WaitStrategy, merge};

use super::{given, inputs};
use crate::support::tests;

tests! {
    no_input_starves_where_the_order_is_fair
    the_most_urgent_input_goes_first
    the_smallest_stamp_of_those_that_are_there_goes_first
    a_key_waits_for_who_may_bring_a_smaller_one
    an_input_that_has_ended_holds_nobody_back
    equal_keys_come_by_input_and_need_not_wait
    a_silent_input_holds_the_others_back_no_longer_than_the_watermark
    an_idle_input_is_heard_again_and_counts_when_it_is_late
    a_panic_of_the_key_leaves_the_rest_usable
}

fn no_input_starves_where_the_order_is_fair() {
    let ([mut one, mut two, mut three], sources) = inputs();
    let mut merged = merge(sources).fair().build();
    for sink in [&mut one, &mut two, &mut three] {
        sink.put_slice(&[0; 200]).unwrap();
    }
    let order: Vec<usize> = merged.indexed().take(600).map(|(input, _)| input).collect();
    // Wherever it begins, in as many elements as three runs have each of them comes.
    for some in order.windows(96).take(400) {
        assert!((0..3).all(|input| some.contains(&input)), "{some:?}");
    }
    assert_eq!(merged.last_input(), order.last().copied());
}

fn the_most_urgent_input_goes_first() {
    let ([mut one, mut two, mut three], sources) = inputs();
    let mut merged = merge(sources).by_priority().build();
    three.put_slice(&[31, 32, 33]).unwrap();
    two.put_slice(&[21, 22]).unwrap();
    assert_eq!(merged.next(), Some(21));
    one.put(11).unwrap();
    assert_eq!(given(&mut merged), [11, 22, 31, 32, 33]);
}

fn the_smallest_stamp_of_those_that_are_there_goes_first() {
    let ([mut one, mut two, _silent], sources) = inputs();
    let mut merged = merge(sources).by_arrival(|stamp| *stamp).build();
    one.put_slice(&[2, 3, 9]).unwrap();
    two.put_slice(&[1, 4]).unwrap();
    assert_eq!(given(&mut merged), [1, 2, 3, 4, 9]);
    two.put(5).unwrap();
    assert_eq!(given(&mut merged), [5]);
}

fn a_key_waits_for_who_may_bring_a_smaller_one() {
    let ([mut one, mut two], sources) = inputs();
    let mut merged = merge(sources).ordered_by(|key| *key).build();
    one.put_slice(&[2, 3, 9]).unwrap();
    assert_eq!(merged.try_next(), TryNext::Empty);
    two.put_slice(&[1, 4]).unwrap();
    assert_eq!(given(&mut merged), [1, 2, 3, 4]);
    // The other's last key is 4, so it may still bring less than 9.
    assert_eq!(merged.try_next(), TryNext::Empty);
    two.put(9).unwrap();
    assert_eq!(given(&mut merged), [9, 9]);
    assert_eq!(merged.late(), 0);
}

fn an_input_that_has_ended_holds_nobody_back() {
    let ([mut one, mut two, three], sources) = inputs();
    let mut merged = merge(sources).ordered_by(|key| *key).build();
    one.put_slice(&[2, 3]).unwrap();
    two.put(1).unwrap();
    two.complete().unwrap();
    assert_eq!(merged.try_next(), TryNext::Empty);
    drop(three);
    assert_eq!(given(&mut merged), [1, 2, 3]);
}

fn equal_keys_come_by_input_and_need_not_wait() {
    let (one, other) = (
        millstream::channel::<(u64, u8)>(),
        millstream::channel::<(u64, u8)>(),
    );
    let ((mut one, first), (mut other, second)) = (one.build().unwrap(), other.build().unwrap());
    let mut merged = merge([first, second]).ordered_by(|(key, _)| *key).build();
    other.put((7, 2)).unwrap();
    one.put_slice(&[(7, 1), (7, 1)]).unwrap();
    let mut next = || merged.try_next().item();
    assert_eq!(
        [next(), next(), next(), next()],
        [Some((7, 1)), Some((7, 1)), Some((7, 2)), None]
    );
    // Its watermark is 7: less does not come.
    other.put((7, 2)).unwrap();
    assert_eq!(next(), Some((7, 2)));
}

fn a_silent_input_holds_the_others_back_no_longer_than_the_watermark() {
    for wait in [
        WaitStrategy::park(),
        WaitStrategy::default(),
        WaitStrategy::BusySpin,
    ] {
        let ([mut one, _silent], sources) = inputs();
        let interval = Duration::from_millis(20);
        let merged = merge(sources)
            .ordered_by(|key| *key)
            .watermark(interval)
            .wait(wait);
        let mut merged = merged.build();
        one.put_slice(&[1, 2]).unwrap();
        let began = Instant::now();
        assert_eq!(merged.next(), Some(1));
        assert!(began.elapsed() >= interval);
        // From now on it is left out.
        assert_eq!(merged.try_next(), TryNext::Item(2));
        one.put(3).unwrap();
        assert_eq!(merged.try_next(), TryNext::Item(3));
        assert_eq!(merged.ends(), [None, None]);
    }
}

fn an_idle_input_is_heard_again_and_counts_when_it_is_late() {
    let ([mut one, mut two], sources) = inputs();
    let merged = merge(sources)
        .ordered_by(|key| *key)
        .watermark(Duration::from_millis(1));
    let mut merged = merged.build();
    one.put_slice(&[5, 8]).unwrap();
    assert_eq!((merged.next(), merged.next()), (Some(5), Some(8)));
    assert_eq!(merged.late(), 0);
    two.put_slice(&[6, 7, 9]).unwrap();
    one.put(10).unwrap();
    assert_eq!(merged.by_ref().take(4).collect::<Vec<_>>(), [6, 7, 9, 10]);
    assert_eq!(merged.late(), 2);
}

fn a_panic_of_the_key_leaves_the_rest_usable() {
    let ([mut one, mut two], sources) = inputs();
    let merged = merge(sources).ordered_by(|key| if *key == 13 { panic!("unlucky") } else { *key });
    let mut merged = merged.build();
    one.put_slice(&[1, 13, 14]).unwrap();
    two.put_slice(&[2, 15]).unwrap();
    one.complete().unwrap();
    two.complete().unwrap();
    assert_eq!(merged.next(), Some(1));
    assert!(catch_unwind(AssertUnwindSafe(|| merged.next())).is_err());
    assert_eq!(merged.by_ref().collect::<Vec<_>>(), [2, 14, 15]);
    assert_eq!(merged.end(), Some(End::Completed));
}
