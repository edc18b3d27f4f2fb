//! When a merge ends, how its inputs' ends and failures are told, and how it ends them.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use millstream::{CloseReason, End, EndPolicy, SinkRef, TryNext, merge};

use super::{fault, given, in_order, inputs};
use crate::support::{joined, tests};

tests! {
    no_input_at_all_ends_at_once
    it_ends_when_all_have_ended
    a_wait_without_a_bound_ends_with_the_silent_inputs_alone
    a_failure_is_told_at_the_end_and_loses_nothing
    a_failure_that_is_told_at_once_comes_after_what_is_there
    a_failure_that_is_told_at_once_keeps_the_order_of_keys
    a_fast_producer_cannot_put_a_failure_off
    dropping_and_cancelling_tell_every_producer
    elements_that_are_held_back_are_dropped_once
}

fn no_input_at_all_ends_at_once() {
    for mut merged in [
        merge::<u64>([]).build(),
        merge([]).by_priority().build(),
        merge([]).ordered_by(|key| *key).build(),
    ] {
        assert_eq!(merged.end(), None);
        assert_eq!(merged.try_next(), TryNext::End(End::Completed));
        assert_eq!(merged.next(), None);
        assert_eq!(merged.end(), Some(End::Completed));
        assert!(merged.ends().is_empty());
    }
}

fn it_ends_when_all_have_ended() {
    let ([mut one, mut two, mut three], sources) = inputs();
    let mut merged = merge(sources).build();
    two.complete().unwrap();
    one.put(1).unwrap();
    one.complete().unwrap();
    three.put(3).unwrap();
    assert_eq!(given(&mut merged), [1, 3]);
    assert_eq!(merged.try_next(), TryNext::Empty);
    assert_eq!(merged.end(), None);
    assert_eq!(merged.ends(), [Some(End::Completed), Some(End::Completed), None]);
    three.complete().unwrap();
    assert_eq!(merged.try_next(), TryNext::End(End::Completed));
    assert_eq!((merged.next(), merged.next()), (None, None));
}

fn a_wait_without_a_bound_ends_with_the_silent_inputs_alone() {
    let ([mut one, silent], sources) = inputs();
    let merged = merge(sources)
        .ordered_by(|key| *key)
        .idle_timeout(Some(Duration::from_millis(10)));
    let mut merged = merged.build();
    one.put_slice(&[1, 2]).unwrap();
    one.complete().unwrap();
    assert_eq!(merged.by_ref().collect::<Vec<_>>(), [1, 2]);
    assert!(silent.is_closed());
    assert_eq!(merged.ends(), [Some(End::Completed), Some(End::IdleTimeout)]);
    assert_eq!(
        (merged.end(), merged.failed_input()),
        (Some(End::IdleTimeout), Some(1))
    );
}

fn a_failure_is_told_at_the_end_and_loses_nothing() {
    for (order, expected) in [
        (0, [1, 2, 5, 3, 4, 6]),
        (1, [1, 2, 5, 3, 4, 6]),
        (2, [1, 2, 3, 4, 5, 6]),
        (3, [1, 2, 3, 4, 5, 6]),
    ] {
        let ([mut one, mut two], sources) = inputs();
        let merged = merge(sources);
        let mut merged = in_order(merged, order).build();
        one.put_slice(&[1, 2, 5]).unwrap();
        one.fail(fault()).unwrap();
        two.put_slice(&[3, 4]).unwrap();
        let mut all: Vec<u64> = merged.by_ref().take(4).collect();
        assert_eq!(merged.end(), None);
        two.put(6).unwrap();
        two.complete().unwrap();
        all.extend(merged.by_ref());
        assert_eq!(all, expected);
        assert_eq!(merged.end(), Some(End::Failed(fault())));
        assert_eq!(merged.failed_input(), Some(0));
        assert_eq!(merged.ends(), [Some(End::Failed(fault())), Some(End::Completed)]);
    }
}

fn a_failure_that_is_told_at_once_comes_after_what_is_there() {
    let ([mut one, mut two, mut three], sources) = inputs();
    let mut merged = merge(sources).end_policy(EndPolicy::FailFast).build();
    // Row L17: the failed input is empty, and the others hold something.
    one.fail(fault()).unwrap();
    two.put_slice(&[0; 100]).unwrap();
    three.put(1).unwrap();
    assert_eq!(merged.by_ref().count(), 101);
    assert_eq!(merged.end(), Some(End::Failed(fault())));
    let cancelled = Some(End::Cancelled);
    assert_eq!(
        merged.ends(),
        [Some(End::Failed(fault())), cancelled.clone(), cancelled]
    );
    assert!(two.is_closed() && three.is_closed());
}

fn a_failure_that_is_told_at_once_keeps_the_order_of_keys() {
    let ([mut one, mut two, _silent], sources) = inputs();
    let merged = merge(sources).ordered_by(|key| *key);
    let mut merged = merged.end_policy(EndPolicy::FailFast).build();
    one.put_slice(&[3, 5]).unwrap();
    two.put_slice(&[1, 4, 6, 7]).unwrap();
    one.fail(fault()).unwrap();
    // The third holds the others back, until the second's failure: the first two are given when it is known.
    assert_eq!(merged.try_next(), TryNext::Empty);
    two.fail(fault()).unwrap();
    drop(_silent);
    assert_eq!(merged.by_ref().collect::<Vec<_>>(), [1, 3, 4, 5, 6, 7]);
    assert!(matches!(merged.end(), Some(End::Failed(_))));
}

fn a_fast_producer_cannot_put_a_failure_off() {
    let ([failing, mut fast], sources) = inputs();
    let mut merged = merge(sources).end_policy(EndPolicy::FailFast).build();
    drop(failing);
    let producer = thread::spawn(move || (0..).find_map(|element| fast.put(element).err()));
    // More than the ring holds are not taken, however many are put meanwhile.
    let taken: Vec<u64> = merged.by_ref().collect();
    assert!((0..).zip(&taken).all(|(expected, element)| expected == *element));
    assert_eq!(merged.failed_input(), Some(0));
    drop(merged);
    joined(producer);
}

fn dropping_and_cancelling_tell_every_producer() {
    let (mut sinks, sources) = inputs::<3>();
    let merged = merge(sources).build();
    drop(merged);
    let closed = |sink: &mut SinkRef<u64>| {
        matches!(
            sink.try_put(1),
            Err(millstream::TryPutError::Closed(1, CloseReason::Cancelled))
        )
    };
    assert!(sinks.iter_mut().all(closed));

    let (mut sinks, sources) = inputs::<3>();
    let mut merged = merge(sources).ordered_by(|key| *key).build();
    sinks[0].put_slice(&[1, 2]).unwrap();
    assert_eq!(merged.try_next(), TryNext::Empty);
    merged.cancel();
    assert_eq!(merged.next(), None);
    assert_eq!(merged.end(), Some(End::Cancelled));
    assert!(sinks.iter_mut().all(closed));
    merged.cancel();
    assert_eq!(merged.try_next(), TryNext::End(End::Cancelled));
}

fn elements_that_are_held_back_are_dropped_once() {
    let all = Arc::new(());
    for cancels in [false, true] {
        let (mut sinks, mut sources) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let (sink, source) = millstream::channel::<(u64, Arc<()>)>().build().unwrap();
            sinks.push(sink);
            sources.push(source);
        }
        let mut merged = merge(sources).ordered_by(|(key, _)| *key).build();
        for sink in &mut sinks[..2] {
            for key in 0..4 {
                sink.put((key, Arc::clone(&all))).unwrap();
            }
        }
        assert!(merged.try_next().item().is_none());
        if cancels {
            merged.cancel();
        }
        drop((merged, sinks));
        assert_eq!(Arc::strong_count(&all), 1);
    }
}
