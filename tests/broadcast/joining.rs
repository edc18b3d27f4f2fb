//! Who joins where.

use std::thread;
use std::time::Duration;

use millstream::{End, JoinError, JoinPosition, OnNoConsumer, Received, TryNext, broadcast};

use crate::support::watched;

#[test]
fn a_late_consumer_gets_what_is_put_after_it_joined() {
    for start in [0, (1 << 32) - 3, u64::MAX - 2] {
        let (mut sink, subscribers) = broadcast::<u64>().start_position(start).build().unwrap();
        let mut early = subscribers.subscribe().open().unwrap();
        sink.put_slice(&[1, 2]).unwrap();
        let mut late = subscribers.subscribe().open().unwrap();
        sink.put_slice(&[3, 4]).unwrap();
        sink.complete().unwrap();
        assert_eq!(late.by_ref().collect::<Vec<_>>(), [3, 4]);
        assert_eq!(early.by_ref().collect::<Vec<_>>(), [1, 2, 3, 4]);
        let mut after = subscribers.subscribe().open().unwrap();
        assert_eq!(after.next(), None);
        assert_eq!(after.end(), Some(End::Completed));
    }
}

#[test]
fn history_is_held_for_those_who_begin_with_the_oldest() {
    for start in [0, (1 << 32) - 30, u64::MAX - 20] {
        for history in [0, 1, 7, 100] {
            for put in [0, 1, 5, 50, 500, 5_000] {
                let (mut sink, subscribers) = broadcast::<u64>()
                    .buffer_size(3)
                    .max_demand(5)
                    .history(history)
                    .start_position(start)
                    .on_no_consumer(OnNoConsumer::Drop)
                    .build()
                    .unwrap();
                for i in 0..put {
                    sink.put(start.wrapping_add(i)).unwrap();
                }
                let mut source = subscribers.subscribe().from(JoinPosition::Oldest).open().unwrap();
                let first = source.position();
                assert!(start.wrapping_add(put).wrapping_sub(first) >= history.min(put));
                sink.complete().unwrap();
                let got: Vec<u64> = source.by_ref().collect();
                let held = start.wrapping_add(put).wrapping_sub(first);
                assert_eq!(got.len() as u64, held);
                assert!(
                    got.iter()
                        .zip(0..)
                        .all(|(value, i)| *value == first.wrapping_add(i))
                );
            }
        }
    }
}

#[test]
fn a_position_that_is_not_held_is_refused_with_those_that_are() {
    let (mut sink, subscribers) = broadcast::<u64>()
        .buffer_size(3)
        .max_demand(5)
        .history(8)
        .on_no_consumer(OnNoConsumer::Drop)
        .build()
        .unwrap();
    for i in 0..100 {
        sink.put(i).unwrap();
    }
    let at = |position| {
        subscribers
            .subscribe()
            .initial_demand(1)
            .from(JoinPosition::At(position))
            .open()
    };
    let Err(JoinError::NotHeld {
        asked: 0,
        oldest,
        newest: 100,
    }) = at(0)
    else {
        panic!()
    };
    assert!(oldest > 0 && oldest <= 92);
    assert!(at(oldest - 1).is_err());
    assert!(at(101).is_err());
    assert_eq!(at(oldest).unwrap().next(), Some(oldest));
    assert_eq!(at(99).unwrap().next(), Some(99));
    assert_eq!(at(100).unwrap().try_next(), TryNext::Empty);
}

#[test]
fn places_are_limited_and_given_up() {
    let (sink, subscribers) = broadcast::<u64>().consumers(64).build().unwrap();
    let mut sources: Vec<_> = (0..64).map(|_| subscribers.subscribe().open().unwrap()).collect();
    assert_eq!(
        subscribers.subscribe().open().err(),
        Some(JoinError::Full { most: 64 })
    );
    assert_eq!(sink.consumers(), 64);
    sources.pop();
    assert!(subscribers.subscribe().open().is_ok());
    let too_much = subscribers.subscribe().initial_demand(5000).open();
    assert_eq!(
        too_much.err(),
        Some(JoinError::DemandTooLarge {
            asked: 5000,
            max: 1024
        })
    );
}

#[test]
fn sixty_four_consumers_and_more_get_everything() {
    watched(|| {
        let (mut sink, subscribers) = broadcast::<u64>().consumers(130).build().unwrap();
        let readers: Vec<_> = (0..130)
            .map(|_| {
                let source = subscribers.subscribe().open().unwrap();
                thread::spawn(move || source.sum::<u64>())
            })
            .collect();
        for i in 0..500 {
            sink.put(i).unwrap();
        }
        sink.complete().unwrap();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), (0..500).sum());
        }
    });
}

#[test]
fn a_consumer_that_has_not_begun_to_take_holds_the_producer() {
    let (mut sink, subscribers) = broadcast::<u64>().build().unwrap();
    let _registered = subscribers.subscribe().manual_demand().open().unwrap();
    assert_eq!(sink.try_put_slice(&[0; 100]).unwrap(), 16);
}

#[test]
fn what_is_left_when_the_sink_is_dropped_is_delivered_before_the_fault() {
    let (mut sink, subscribers) = broadcast::<u64>().build().unwrap();
    let mut source = subscribers.subscribe().open().unwrap();
    sink.put_slice(&[1, 2]).unwrap();
    drop(sink);
    assert_eq!(source.by_ref().collect::<Vec<_>>(), [1, 2]);
    assert!(matches!(source.end(), Some(End::Failed(_))));
    let mut after = subscribers.subscribe().from(JoinPosition::Oldest).open().unwrap();
    assert_eq!(after.by_ref().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn what_an_aborted_claim_wrote_over_is_not_held() {
    for start in [0, u64::MAX - 50] {
        let (mut sink, subscribers) = broadcast::<[u64; 8]>()
            .buffer_size(1)
            .max_demand(16)
            .history(16)
            .start_position(start)
            .on_no_consumer(OnNoConsumer::Drop)
            .build()
            .unwrap();
        let element = |offset: u64| [start.wrapping_add(offset); 8];
        for offset in 0..100 {
            sink.put(element(offset)).unwrap();
        }
        let mut claim = sink.claim(17).unwrap();
        while claim.push([0xBAD; 8]).is_ok() {}
        claim.abort();
        // By this one the producer is held back before where the claim went.
        let gating = subscribers.subscribe().initial_demand(1).open().unwrap();
        sink.try_put(element(100)).unwrap();
        sink.try_put(element(101)).unwrap();
        assert!(sink.try_put(element(102)).is_err());
        let mut lossy = subscribers
            .subscribe()
            .from(JoinPosition::Oldest)
            .lossy()
            .open()
            .unwrap();
        let mut late = subscribers.subscribe().from(JoinPosition::Oldest).open().unwrap();
        drop(gating);
        sink.complete().unwrap();
        for expected in late.position().wrapping_sub(start)..102 {
            assert_eq!(late.next(), Some(element(expected)));
        }
        for expected in lossy.position().wrapping_sub(start)..102 {
            assert_eq!(lossy.next(), Some(Received::Element(element(expected))));
        }
    }
}

#[test]
fn who_cancelled_or_timed_out_has_left_though_the_handle_is_still_there() {
    let (mut sink, subscribers) = broadcast::<u64>().consumers(1).build().unwrap();
    let mut first = subscribers.subscribe().open().unwrap();
    sink.put_slice(&[1, 2, 3]).unwrap();
    assert_eq!(first.next(), Some(1));
    first.cancel();
    assert_eq!(sink.consumers(), 0);
    let patience = Some(Duration::from_millis(1));
    let mut second = subscribers.subscribe().idle_timeout(patience).open().unwrap();
    assert_eq!(second.by_ref().collect::<Vec<_>>(), [2, 3]);
    assert_eq!(second.end(), Some(End::IdleTimeout));
    assert_eq!(subscribers.consumers(), 0);
    drop((first, second));
    let third = subscribers.subscribe().open().unwrap();
    assert_eq!(third.position(), 3);
}
