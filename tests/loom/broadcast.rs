//! Joining and leaving a broadcast against the producer's limit.

use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use millstream::{
    Buffer, End, JoinPosition, OnNoConsumer, Received, SinkRef, SourceRef, Subscribers, TryNext, broadcast,
};

use super::{PARK, next_or_yield, put_or_yield};

/// A block of its own each.
type Record = [u64; 17];

fn crowd(absence: OnNoConsumer, history: u64) -> (SinkRef<Record>, Subscribers<Record>) {
    broadcast()
        .buffer_size(Buffer::Bounded(1))
        .max_demand(1)
        .history(history)
        .on_no_consumer(absence)
        .sink_wait(PARK)
        .build()
        .unwrap()
}

fn join(subscribers: &Subscribers<Record>, from: JoinPosition) -> SourceRef<Record> {
    let builder = subscribers
        .subscribe()
        .initial_demand(1)
        .idle_timeout(None)
        .source_wait(PARK);
    builder.from(from).open().unwrap()
}

/// Takes what comes without waiting, and checks that it is what belongs there. Returns whether there was anything.
fn check(source: &mut SourceRef<Record>) -> bool {
    let position = SourceRef::position(source);
    match source.try_next() {
        TryNext::Item(element) => {
            assert_eq!(element, [position; 17]);
            true
        }
        TryNext::Empty | TryNext::End(_) => false,
    }
}

fn joining(from: JoinPosition, history: u64) {
    loom::model(move || {
        let (mut sink, subscribers) = crowd(OnNoConsumer::Drop, history);
        let newcomer = thread::spawn(move || {
            let mut source = join(&subscribers, from);
            check(&mut source);
            check(&mut source);
        });
        for position in 0..4 {
            // Once somebody is there, it may be full.
            if sink.try_put([position; 17]).is_err() {
                break;
            }
        }
        newcomer.join().unwrap();
    });
}

#[test]
fn a_newcomer_against_a_producer_that_waits_for_nobody() {
    joining(JoinPosition::Live, 0);
}

#[test]
fn a_newcomer_at_the_oldest_against_a_producer_that_waits_for_nobody() {
    joining(JoinPosition::Oldest, 1);
}

#[test]
fn a_newcomer_beside_one_that_is_there() {
    loom::model(|| {
        let (mut sink, subscribers) = crowd(OnNoConsumer::Wait, 0);
        let mut there = join(&subscribers, JoinPosition::Live);
        sink.try_put([0; 17]).unwrap();
        let newcomer = thread::spawn(move || {
            let mut source = join(&subscribers, JoinPosition::Oldest);
            check(&mut source);
        });
        assert!(check(&mut there));
        for position in 1..3 {
            if sink.try_put([position; 17]).is_err() {
                break;
            }
            check(&mut there);
        }
        newcomer.join().unwrap();
    });
}

#[test]
fn a_leave_wakes_the_producer_that_waits_for_it() {
    loom::model(|| {
        let (mut sink, subscribers) = crowd(OnNoConsumer::Drop, 0);
        let leaving = join(&subscribers, JoinPosition::Live);
        sink.try_put([0; 17]).unwrap();
        sink.try_put([1; 17]).unwrap();
        let leaver = thread::spawn(move || drop(leaving));
        sink.put([2; 17]).unwrap();
        leaver.join().unwrap();
        assert_eq!(sink.consumers(), 0);
    });
}

#[test]
fn a_join_wakes_the_producer_that_waits_for_anybody() {
    loom::model(|| {
        let (mut sink, subscribers) = crowd(OnNoConsumer::Wait, 0);
        let newcomer = thread::spawn(move || {
            let mut source = join(&subscribers, JoinPosition::Live);
            next_or_yield(&mut source)
        });
        sink.put([0; 17]).unwrap();
        sink.complete().unwrap();
        assert_eq!(newcomer.join().unwrap(), Some([0; 17]));
    });
}

#[test]
fn a_newcomer_that_parks_is_rung() {
    loom::model(|| {
        let (mut sink, subscribers) = crowd(OnNoConsumer::Drop, 0);
        let newcomer = thread::spawn(move || {
            let mut source = join(&subscribers, JoinPosition::Live);
            let taken = source.next().is_some();
            (taken, taken || source.end() == Some(End::Completed))
        });
        put_or_yield(&mut sink, [0; 17]).unwrap();
        sink.complete().unwrap();
        let (_, explained) = newcomer.join().unwrap();
        assert!(explained);
    });
}

#[test]
fn two_that_park_are_both_rung() {
    loom::model(|| {
        let (mut sink, subscribers) = crowd(OnNoConsumer::Wait, 0);
        let mut sources = [(); 2]
            .map(|()| join(&subscribers, JoinPosition::Live))
            .into_iter();
        let mut here = sources.next().unwrap();
        let mut there = sources.next().unwrap();
        let parked = thread::spawn(move || there.next());
        sink.put([0; 17]).unwrap();
        assert_eq!(here.next(), Some([0; 17]));
        assert_eq!(parked.join().unwrap(), Some([0; 17]));
    });
}

#[test]
fn a_join_that_asks_for_nothing_wakes_the_producer_that_waits_for_anybody() {
    loom::model(|| {
        let (mut sink, subscribers) = crowd(OnNoConsumer::Wait, 0);
        let newcomer = thread::spawn(move || {
            let builder = subscribers.subscribe().initial_demand(1).manual_demand();
            builder.open().unwrap()
        });
        // There is a buffer, so this one needs no demand.
        sink.put([0; 17]).unwrap();
        drop(newcomer.join().unwrap());
    });
}

/// Whom the producer waits for misses nothing, also where it is to be evicted after a time.
#[test]
fn a_newcomer_that_may_be_evicted_misses_nothing_before() {
    loom::model(|| {
        let (mut sink, subscribers) = crowd(OnNoConsumer::Drop, 1);
        for position in 0..2 {
            sink.try_put([position; 17]).unwrap();
        }
        let newcomer = thread::spawn(move || {
            let builder = subscribers.subscribe().initial_demand(1).idle_timeout(None);
            let builder = builder.from(JoinPosition::Oldest).source_wait(PARK);
            let mut source = builder.evict_after(Duration::MAX).open().unwrap();
            for _ in 0..2 {
                let position = source.position();
                if let TryNext::Item(received) = source.try_next() {
                    assert_eq!(received, Received::Element([position; 17]));
                }
            }
        });
        for position in 2..4 {
            if sink.try_put([position; 17]).is_err() {
                break;
            }
        }
        newcomer.join().unwrap();
    });
}

#[test]
fn a_lossy_consumer_survives_that_the_producer_is_held_back_again() {
    loom::model(|| {
        let (mut sink, subscribers) = broadcast::<Record>()
            .buffer_size(Buffer::Bounded(1))
            .max_demand(3)
            .history(0)
            .on_no_consumer(OnNoConsumer::Drop)
            .build()
            .unwrap();
        let builder = subscribers.subscribe().initial_demand(1).idle_timeout(None);
        let mut lossy = builder.lossy().open().unwrap();
        for position in 0..4 {
            sink.try_put([position; 17]).unwrap();
        }
        for position in 0..3 {
            assert_eq!(lossy.try_next(), TryNext::Item(Received::Element([position; 17])));
        }
        let reader = thread::spawn(move || {
            let position = lossy.position();
            match lossy.try_next() {
                TryNext::Item(Received::Element(element)) => assert_eq!(element, [position; 17]),
                TryNext::Item(Received::Gap(gap)) => assert!(gap.count > 0),
                other => panic!("{other:?}"),
            }
        });
        sink.try_put([4; 17]).unwrap();
        let gating = join(&subscribers, JoinPosition::Live);
        for position in 5..7 {
            sink.try_put([position; 17]).unwrap();
        }
        reader.join().unwrap();
        drop(gating);
    });
}

/// Its bit may have been taken by a look that was too early to know whose it is.
#[test]
fn a_newcomer_that_parks_while_the_producer_looks_is_rung() {
    loom::model(|| {
        let (mut sink, subscribers) = crowd(OnNoConsumer::Drop, 0);
        for position in 0..2 {
            sink.try_put([position; 17]).unwrap();
        }
        let joined = Arc::new(AtomicUsize::new(0));
        let here = Arc::clone(&joined);
        let newcomer = thread::spawn(move || {
            let mut source = join(&subscribers, JoinPosition::Live);
            here.store(1, Ordering::SeqCst);
            source.next()
        });
        // The limit is used up, so it looks for another.
        let _ = sink.try_put([2; 17]);
        while joined.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        // If there is no room, the newcomer has not taken what fills it.
        let _ = sink.try_put([3; 17]);
        assert!(newcomer.join().unwrap().is_some());
    });
}
