//! One producer and one consumer.

use std::num::NonZeroU64;
use std::sync::Arc;

use millstream::{CloseReason, End, NotDrained, PutError, StreamFault, WaitStrategy};
use shuttle::thread;

use super::{WAITS, pair, schedules};

/// Nothing here lasts that long; shuttle has no clock.
fn never() -> std::time::Instant {
    std::time::Instant::now() + std::time::Duration::from_secs(100_000)
}

#[test]
fn every_element_comes_once_and_in_order() {
    for wait in WAITS {
        for (buffer, demand) in [(0, 1), (1, 1), (0, 3), (2, 4)] {
            schedules(move || {
                let (mut sink, mut source) = pair::<u64>(wait, buffer, demand);
                let producer = thread::spawn(move || {
                    for element in 0..9 {
                        sink.put(element).unwrap();
                    }
                    sink.complete().unwrap();
                });
                assert!(source.by_ref().eq(0..9));
                assert_eq!(source.end(), Some(End::Completed));
                producer.join().unwrap();
            });
        }
    }
}

#[test]
fn batches_and_claims_come_whole() {
    schedules(|| {
        let (mut sink, mut source) = pair::<[u64; 3]>(WaitStrategy::park(), 2, 3);
        let producer = thread::spawn(move || {
            sink.put_slice(&[[0; 3], [1; 3], [2; 3], [3; 3], [4; 3], [5; 3], [6; 3]])
                .unwrap();
            while sink.claim(2).is_err() {
                thread::yield_now();
            }
            let mut claim = sink.claim(2).unwrap();
            claim.push([7; 3]).unwrap();
            claim.push([8; 3]).unwrap();
            claim.commit().unwrap();
            sink.complete().unwrap();
        });
        let mut got = vec![];
        while source.wait_readable() {
            source.drain(4, |element| got.push(element[0]));
        }
        assert!(got.into_iter().eq(0..9));
        producer.join().unwrap();
    });
}

#[test]
fn the_producer_is_never_ahead_of_what_was_asked_for() {
    schedules(|| {
        let (mut sink, mut source) = millstream::channel::<u64>()
            .buffer_size(1)
            .initial_demand(4)
            .manual_demand()
            .idle_timeout(None)
            .sink_wait(WaitStrategy::park())
            .source_wait(WaitStrategy::park())
            .build()
            .unwrap();
        let producer = thread::spawn(move || {
            for element in 0..7 {
                if sink.put(element).is_err() {
                    break;
                }
            }
            sink.position()
        });
        let mut asked = 0;
        for (more, taken) in [(1, 1), (2, 2), (1, 1)] {
            source.request(NonZeroU64::new(more).unwrap()).unwrap();
            asked += more;
            assert_eq!(source.by_ref().take(taken).count(), taken);
        }
        source.cancel();
        assert!(producer.join().unwrap() <= asked + 1);
    });
}

/// Each element is delivered, given back, or dropped, once, wherever in a put the close comes.
#[test]
fn a_close_against_puts() {
    for take in 0..4 {
        for cancel in [false, true] {
            schedules(move || {
                let token = Arc::new(());
                let (mut sink, mut source) = pair::<Arc<()>>(WaitStrategy::park(), 1, 2);
                let mine = token.clone();
                let producer = thread::spawn(move || {
                    let mut accepted = 0;
                    for _ in 0..6 {
                        match sink.put(mine.clone()) {
                            Ok(()) => accepted += 1,
                            Err(PutError::Closed(back, CloseReason::Cancelled)) => {
                                assert!(Arc::ptr_eq(&back, &mine));
                                break;
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                    accepted
                });
                let delivered: Vec<_> = source.by_ref().take(take).collect();
                if cancel {
                    source.cancel();
                    assert!(source.next().is_none());
                }
                drop(source);
                assert!(producer.join().unwrap() >= delivered.len());
                assert_eq!(Arc::strong_count(&token), 1 + delivered.len());
            });
        }
    }
}

#[test]
fn an_end_comes_behind_everything_before_it() {
    for way in 0..3 {
        schedules(move || {
            let (mut sink, mut source) = pair::<u64>(WaitStrategy::park(), 2, 2);
            let producer = thread::spawn(move || {
                sink.put_slice(&[0, 1, 2, 3]).unwrap();
                match way {
                    0 => sink.complete().unwrap(),
                    1 => sink.fail(StreamFault::new(5, "model of a fault")).unwrap(),
                    _ => drop(sink),
                }
            });
            assert!(source.by_ref().eq(0..4));
            let end = source.end().unwrap();
            assert_eq!(way == 0, end == End::Completed);
            producer.join().unwrap();
        });
    }
}

/// A completion against a cancel: whoever drains learns what was released, or that nobody will.
#[test]
fn a_cancel_against_a_drain() {
    for take in 0..4_u64 {
        schedules(move || {
            let (mut sink, mut source) = pair::<u64>(WaitStrategy::park(), 0, 3);
            let consumer = thread::spawn(move || {
                assert_eq!(source.by_ref().take(take as usize).count() as u64, take);
                source.cancel();
            });
            let written = sink
                .put_slice(&[1, 2, 3])
                .map_or_else(|error| error.written, |()| 3) as u64;
            assert!(written >= take);
            match sink.complete_and_drain(never()) {
                Ok(()) => assert_eq!(written, take),
                Err(NotDrained { left, reason }) => {
                    assert_eq!(left, written - take);
                    assert_eq!(reason, Some(CloseReason::Cancelled));
                }
            }
            consumer.join().unwrap();
        });
    }
}

#[test]
fn frames_of_any_length_come_whole() {
    schedules(|| {
        let (mut sink, mut source) = millstream::channel::<[u8]>()
            .max_frame(40)
            .buffer_size(1)
            .initial_demand(2)
            .idle_timeout(None)
            .sink_wait(WaitStrategy::park())
            .source_wait(WaitStrategy::park())
            .build()
            .unwrap();
        let producer = thread::spawn(move || {
            for len in [0, 40, 3, 8, 40, 40, 17] {
                sink.put(&vec![len; len.into()]).unwrap();
            }
            sink.complete().unwrap();
        });
        for len in [0, 40, 3, 8, 40, 40, 17] {
            assert_eq!(*source.next().unwrap(), *vec![len; len.into()]);
        }
        assert!(source.next().is_none());
        producer.join().unwrap();
    });
}
