//! Every interleaving that the memory model allows, within a bound on preemptions, of small streams.
//!
//! `RUSTFLAGS="--cfg millstream_loom" LOOM_MAX_PREEMPTIONS=2 cargo test --release --test loom`
//!
//! Loom knows nothing of time: nothing here has a deadline, and a bell that is lost is a deadlock, which loom reports.
//! The fence is a real one on both sides (`Fence::Full`), as loom has no `membarrier`.
#![cfg(millstream_loom)]
#![forbid(unsafe_code)]

mod broadcast;
mod tee;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use millstream::{
    Buffer, CloseReason, End, NotDrained, PutError, PutSliceError, SinkRef, SourceRef, StreamFault, TryNext,
    TryPutError, WaitStrategy,
};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PARK: WaitStrategy = WaitStrategy::park();

fn pair<T: Send + 'static>(buffer: usize, demand: u64) -> (SinkRef<T>, SourceRef<T>) {
    millstream::channel::<T>()
        .buffer_size(Buffer::Bounded(buffer))
        .initial_demand(demand)
        .idle_timeout(None)
        .sink_wait(PARK)
        .source_wait(PARK)
        .build()
        .unwrap()
}

/// What is there, without waiting.
fn next_or_yield<T>(source: &mut SourceRef<T>) -> Option<T> {
    loop {
        match source.try_next() {
            TryNext::Item(element) => return Some(element),
            TryNext::Empty => thread::yield_now(),
            TryNext::End(_) => return None,
        }
    }
}

fn put_or_yield<T>(sink: &mut SinkRef<T>, mut element: T) -> Result<(), T> {
    loop {
        match sink.try_put(element) {
            Ok(()) => return Ok(()),
            Err(TryPutError::Full(back)) => {
                element = back;
                thread::yield_now();
            }
            Err(error) => return Err(error.into_inner()),
        }
    }
}

/// Puts and takes without waiting: nothing but the stamps and the credit orders the two.
fn polling<T: Clone + PartialEq + std::fmt::Debug + Send + Sync + 'static>(
    buffer: usize,
    demand: u64,
    elements: Vec<T>,
) {
    loom::model(move || {
        let (mut sink, mut source) = pair(buffer, demand);
        let sent = elements.clone();
        let producer = thread::spawn(move || {
            for element in sent {
                put_or_yield(&mut sink, element).unwrap();
            }
            sink.complete().unwrap();
        });
        for element in &elements {
            assert_eq!(next_or_yield(&mut source).as_ref(), Some(element));
        }
        assert_eq!(next_or_yield(&mut source), None);
        assert_eq!(source.end(), Some(End::Completed));
        producer.join().unwrap();
    });
}

#[test]
fn publish_and_consume_within_a_line() {
    polling(2, 2, vec![1_u64, 2, 3]);
}

/// Two elements to a line, and one line: the third element lies where the first was.
#[test]
fn publish_and_consume_around_the_ring() {
    loom::model(|| {
        let (mut sink, mut source) = pair::<[u64; 3]>(0, 1);
        let producer = thread::spawn(move || {
            for i in 0..4 {
                put_or_yield(&mut sink, [i; 3]).unwrap();
            }
        });
        for i in 0..4 {
            assert_eq!(next_or_yield(&mut source), Some([i; 3]));
        }
        producer.join().unwrap();
    });
}

#[test]
fn records_larger_than_a_line_around_the_ring() {
    polling(0, 1, vec![[1_u64; 17], [2; 17], [3; 17]]);
    polling(1, 1, vec![[1_u64; 17], [2; 17], [3; 17]]);
}

#[test]
fn elements_of_a_bundle() {
    polling(1, 1, vec![[1_u64; 8], [2; 8], [3; 8]]);
}

#[test]
fn credit_limits_the_producer() {
    loom::model(|| {
        let (mut sink, mut source) = pair::<u64>(1, 1);
        let producer = thread::spawn(move || {
            for i in 0..4 {
                put_or_yield(&mut sink, i).unwrap();
            }
            sink
        });
        for i in 0..3 {
            assert_eq!(next_or_yield(&mut source), Some(i));
            assert!(source.granted() - source.position() <= 1);
        }
        let sink = producer.join().unwrap();
        assert!(sink.position() <= source.granted() + 1);
    });
}

#[test]
fn credit_asked_for_by_hand() {
    loom::model(|| {
        let (mut sink, mut source) = millstream::channel::<u64>()
            .buffer_size(1)
            .initial_demand(2)
            .manual_demand()
            .idle_timeout(None)
            .sink_wait(PARK)
            .source_wait(PARK)
            .build()
            .unwrap();
        let producer = thread::spawn(move || {
            sink.put(1).unwrap();
            sink.put(2).unwrap();
            sink
        });
        assert_eq!(source.try_next(), TryNext::Empty);
        source.request(NonZeroU64::MIN).unwrap();
        assert_eq!(source.next(), Some(1));
        assert_eq!(source.try_next(), TryNext::Empty);
        source.request(NonZeroU64::MIN).unwrap();
        assert_eq!(source.next(), Some(2));
        producer.join().unwrap();
    });
}

/// The consumer sees none of a batch or all of it.
#[test]
fn a_batch_is_published_together() {
    fn model<T: Copy + PartialEq + std::fmt::Debug + Send + Sync + 'static>(elements: [T; 3]) {
        loom::model(move || {
            let (mut sink, mut source) = pair::<T>(0, 3);
            let producer = thread::spawn(move || {
                let mut claim = sink.claim(3).unwrap();
                for element in elements {
                    claim.push(element).unwrap();
                }
                assert_eq!(claim.commit(), Ok(3));
                sink.complete().unwrap();
            });
            let mut got = vec![];
            while got.is_empty() {
                if source.drain(9, |element| got.push(element)) == 0 {
                    thread::yield_now();
                }
            }
            assert_eq!(got, elements);
            assert_eq!(next_or_yield(&mut source), None);
            producer.join().unwrap();
        });
    }
    model([1_u64, 2, 3]);
    // Two to a line: over an edge.
    model([[1_u64; 3], [2; 3], [3; 3]]);
    model([[1_u64; 8], [2; 8], [3; 8]]);
    model([[1_u64; 17], [2; 17], [3; 17]]);
}

#[test]
fn batches_around_the_ring() {
    loom::model(|| {
        let (mut sink, mut source) = pair::<[u64; 3]>(0, 2);
        let producer = thread::spawn(move || {
            sink.put_slice(&[[1; 3], [2; 3], [3; 3]]).unwrap();
            sink
        });
        let mut got = vec![];
        while got.len() < 3 {
            assert!(source.wait_readable());
            source.drain(2, |element| got.push(element[0]));
        }
        assert_eq!(got, [1, 2, 3]);
        producer.join().unwrap();
    });
}

#[test]
fn peek_and_release() {
    loom::model(|| {
        let (mut sink, mut source) = pair::<Box<u64>>(0, 1);
        let producer = thread::spawn(move || {
            put_or_yield(&mut sink, Box::new(1)).unwrap();
            put_or_yield(&mut sink, Box::new(2)).unwrap();
        });
        for expected in [1, 2] {
            while source.peek(1).is_empty() {
                thread::yield_now();
            }
            let peek = source.peek(1);
            assert!(peek.iter().all(|element| **element == expected));
            assert_eq!(peek.release_all(), 1);
        }
        producer.join().unwrap();
    });
}

/// The source sleeps for each element, the sink for each slot.
fn bells<T: Send + PartialEq + std::fmt::Debug + 'static>(make: fn(u64) -> T) {
    loom::model(move || {
        let (mut sink, mut source) = pair::<T>(0, 1);
        let producer = thread::spawn(move || {
            for i in 0..2 {
                sink.put(make(i)).unwrap();
            }
            sink
        });
        for i in 0..2 {
            assert_eq!(source.next(), Some(make(i)));
        }
        producer.join().unwrap();
    });
}

#[test]
fn bells_both_ways() {
    bells(|i| i);
}

#[test]
fn bells_both_ways_for_records() {
    bells(|i| [i; 17]);
}

#[test]
fn a_bell_for_a_batch() {
    loom::model(|| {
        let (mut sink, mut source) = pair::<u64>(0, 2);
        let producer = thread::spawn(move || {
            let mut claim = sink.claim(2).unwrap();
            claim.push(1).unwrap();
            claim.push(2).unwrap();
            claim.commit().unwrap();
            sink.put(3).unwrap();
            sink
        });
        for expected in 1..=3 {
            assert_eq!(source.next(), Some(expected));
        }
        drop(producer.join().unwrap());
    });
}

#[test]
fn a_bell_for_the_end() {
    for way in 0..3 {
        loom::model(move || {
            let (mut sink, mut source) = pair::<u64>(1, 1);
            let producer = thread::spawn(move || {
                sink.put(1).unwrap();
                match way {
                    0 => sink.complete().unwrap(),
                    1 => sink.fail(StreamFault::new(5, "model of a fault")).unwrap(),
                    _ => drop(sink),
                }
            });
            assert_eq!(source.next(), Some(1));
            assert_eq!(source.next(), None);
            match source.end() {
                Some(End::Completed) => assert_eq!(way, 0),
                Some(End::Failed(fault)) if way == 1 => {
                    assert_eq!(fault, StreamFault::new(5, "model of a fault"))
                }
                Some(End::Failed(fault)) => assert_eq!((way, fault.code()), (2, StreamFault::SINK_DROPPED)),
                other => panic!("{other:?}"),
            }
            producer.join().unwrap();
        });
    }
}

#[test]
fn a_bell_for_a_close() {
    loom::model(|| {
        let (mut sink, mut source) = pair::<u64>(0, 1);
        let consumer = thread::spawn(move || {
            let first = source.next();
            assert_eq!(first, Some(0));
        });
        let mut next = 0;
        let error = loop {
            match sink.put(next) {
                Ok(()) => next += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error, PutError::Closed(next, CloseReason::Cancelled));
        assert!(next >= 1, "what was taken did not come back");
        consumer.join().unwrap();
    });
}

/// Each element is delivered, returned, or dropped, once.
#[test]
fn a_close_against_a_put() {
    for take in 0..2 {
        for cancel in [false, true] {
            loom::model(move || {
                let token = Arc::new(());
                let (mut sink, mut source) = pair::<Arc<()>>(1, 1);
                let mine = token.clone();
                let producer = thread::spawn(move || {
                    let mut accepted = 0;
                    for _ in 0..2 {
                        match sink.put(mine.clone()) {
                            Ok(()) => accepted += 1,
                            Err(PutError::Closed(back, reason)) => {
                                assert_eq!(reason, CloseReason::Cancelled);
                                assert!(Arc::ptr_eq(&back, &mine));
                                assert!(sink.is_closed());
                                break;
                            }
                            Err(_) => unreachable!(),
                        }
                    }
                    accepted
                });
                let mut delivered = vec![];
                for _ in 0..take {
                    delivered.push(source.next().unwrap());
                }
                if cancel {
                    source.cancel();
                    assert!(source.next().is_none());
                }
                drop(source);
                let accepted = producer.join().unwrap();
                assert!(accepted >= delivered.len());
                assert_eq!(Arc::strong_count(&token), 1 + delivered.len());
            });
        }
    }
}

#[test]
fn a_close_against_a_claim() {
    loom::model(|| {
        let token = Arc::new(());
        let (mut sink, mut source) = pair::<[Option<Arc<()>>; 3]>(0, 3);
        let mine = token.clone();
        let producer = thread::spawn(move || {
            let Ok(mut claim) = sink.claim(3) else {
                return false;
            };
            for _ in 0..3 {
                claim.push([Some(mine.clone()), None, None]).unwrap();
            }
            claim.commit().is_ok()
        });
        let first = source.try_next().item();
        drop(source);
        let accepted = producer.join().unwrap();
        assert!(
            accepted || first.is_none(),
            "it was taken before anything was closed"
        );
        assert_eq!(Arc::strong_count(&token), 1 + usize::from(first.is_some()));
    });
}

/// What a slice says was written covers what was taken.
#[test]
fn a_close_against_a_slice() {
    loom::model(|| {
        let (mut sink, mut source) = pair::<u64>(0, 3);
        let producer = thread::spawn(move || match sink.put_slice(&[1, 2, 3]) {
            Ok(()) => 3,
            Err(PutSliceError { written, reason }) => {
                assert_eq!(reason, CloseReason::Cancelled);
                written
            }
        });
        let taken = source.drain(2, |_| ());
        drop(source);
        assert!(producer.join().unwrap() >= taken);
    });
}

/// The sink goes while nobody has read: what it put is dropped by whoever is last.
#[test]
fn both_ends_go() {
    loom::model(|| {
        let token = Arc::new(());
        let (mut sink, source) = pair::<Arc<()>>(1, 2);
        sink.put(token.clone()).unwrap();
        let mine = token.clone();
        let producer = thread::spawn(move || {
            let _ = sink.put(mine);
            let _ = sink.complete();
        });
        drop(source);
        producer.join().unwrap();
        assert_eq!(Arc::strong_count(&token), 1);
    });
}

/// Who waits until everything is released learns of a release, and of a cancel.
#[test]
fn a_bell_for_a_drained_stream() {
    for take in [1, 2] {
        loom::model(move || {
            let (mut sink, mut source) = pair::<u64>(0, 2);
            let consumer = thread::spawn(move || {
                for _ in 0..take {
                    source.next();
                }
            });
            let written = match sink.put_slice(&[1, 2]) {
                Ok(()) => 2,
                Err(error) => error.written,
            };
            assert!(written >= take);
            let never = Instant::now() + Duration::from_secs(1000);
            let drained = sink.complete_and_drain(never);
            // What the batch gave back is nobody's to drain.
            let expected = match written - take {
                0 => Ok(()),
                left => Err(NotDrained {
                    left: left as u64,
                    reason: Some(CloseReason::Cancelled),
                }),
            };
            assert_eq!(drained, expected);
            consumer.join().unwrap();
        });
    }
}

/// Whoever waited until everything is released sees what the consumer did with it, whether the consumer then looked
/// for more or went away.
#[test]
fn a_drained_stream_was_worked_on() {
    for leave in [false, true] {
        loom::model(move || {
            // A window of four: taking one element does not release it yet.
            let (mut sink, mut source) = pair::<u64>(0, 4);
            let done = loom::sync::Arc::new(AtomicUsize::new(0));
            let doing = done.clone();
            let consumer = thread::spawn(move || {
                while let Some(element) = next_or_yield(&mut source) {
                    doing.store(element as usize, Ordering::Relaxed);
                    if leave {
                        break;
                    }
                }
            });
            put_or_yield(&mut sink, 7).unwrap();
            let never = Instant::now() + Duration::from_secs(1000);
            sink.complete_and_drain(never).unwrap();
            assert_eq!(done.load(Ordering::Relaxed), 7);
            consumer.join().unwrap();
        });
    }
}
