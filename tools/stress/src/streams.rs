//! One producer and one consumer.

use std::sync::Arc;
use std::thread;

use millstream::{Buffer, End, PutError, SinkRef, SourceRef, TryNext, WaitStrategy};

use crate::{Stress, WAITS, joined};

pub(crate) const ALL: &[Stress] = &[
    ("bytes", |count| elements(count, |i| i as u8)),
    ("words", |count| elements(count, |i| i)),
    ("triples", |count| elements(count, |i| [i; 3])),
    ("records", |count| elements(count, |i| [i; 20])),
    ("strings", |count| elements(count / 4, |i| format!("{i}"))),
    ("slices", slices),
    ("claims", claims),
    ("peeks", peeks),
    ("frames", frames),
    ("by hand", by_hand),
    ("closes", closes),
];

fn pair<T: Send + 'static>(wait: WaitStrategy, buffer: usize, demand: u64) -> (SinkRef<T>, SourceRef<T>) {
    millstream::channel::<T>()
        .buffer_size(Buffer::Bounded(buffer))
        .initial_demand(demand)
        .sink_wait(wait)
        .source_wait(wait)
        .build()
        .expect("a ring within the bounds")
}

/// One by one, over small and larger rings, with each way to wait.
fn elements<T: Send + PartialEq + std::fmt::Debug + 'static>(count: u64, make: fn(u64) -> T) -> u64 {
    let mut checked = 0;
    for wait in WAITS {
        for (buffer, demand) in [(0, 1), (1, 2), (16, 16)] {
            let (mut sink, mut source) = pair(wait, buffer, demand);
            let producer = thread::spawn(move || {
                for i in 0..count {
                    sink.put(make(i)).expect("the source stays");
                }
                sink.complete().expect("it is still open");
            });
            for i in 0..count {
                assert_eq!(source.next(), Some(make(i)));
                checked += 1;
            }
            assert_eq!(source.next(), None);
            assert_eq!(source.end(), Some(End::Completed));
            joined(producer);
        }
    }
    checked
}

fn slices(count: u64) -> u64 {
    let mut checked = 0;
    for wait in WAITS {
        let (mut sink, mut source) = pair(wait, 8, 24);
        let producer = thread::spawn(move || {
            let mut next = 0;
            while next < count {
                let many = (next % 13 + 1).min(count - next);
                let run: Vec<u64> = (next..next + many).collect();
                sink.put_slice(&run).expect("the source stays");
                next += many;
            }
        });
        let mut next = 0;
        while source.wait_readable() {
            source.drain(7, |element| {
                assert_eq!(element, next);
                next += 1;
            });
        }
        assert_eq!(next, count);
        checked += next;
        joined(producer);
    }
    checked
}

fn claims(count: u64) -> u64 {
    let mut checked = 0;
    for wait in WAITS {
        let (mut sink, mut source) = pair(wait, 5, 7);
        let producer = thread::spawn(move || {
            let mut next = 0_u64;
            while next < count {
                let many = (next % 5 + 1).min(count - next);
                // A claim does not wait; one that is dropped publishes nothing.
                while sink.claim(many as usize).is_err() {
                    thread::yield_now();
                }
                let mut claim = sink.claim(many as usize).expect("there is room");
                for i in next..next + many {
                    claim.push([i, !i]).expect("there is room");
                }
                if (next + many) % 11 == 3 && next.is_multiple_of(2) {
                    // Nobody is to see these; what comes for them is the same once more.
                    claim.abort();
                    let again: Vec<_> = (next..next + many).map(|i| [i, !i]).collect();
                    sink.put_slice(&again).expect("the source stays");
                } else {
                    claim.commit().expect("the source stays");
                }
                next += many;
            }
        });
        for i in 0..count {
            assert_eq!(source.next(), Some([i, !i]));
        }
        checked += count;
        assert_eq!(source.next(), None);
        joined(producer);
    }
    checked
}

fn peeks(count: u64) -> u64 {
    let count = count / 4;
    let (mut sink, mut source) = pair::<Box<u64>>(WaitStrategy::park(), 4, 4);
    let producer = thread::spawn(move || {
        for i in 0..count {
            sink.put(Box::new(i)).expect("the source stays");
        }
    });
    let mut next = 0;
    while source.wait_readable() {
        let peek = source.peek(3);
        for (at, element) in peek.iter().enumerate() {
            assert_eq!(**element, next + at as u64);
        }
        next += peek.release_all() as u64;
    }
    assert_eq!(next, count);
    joined(producer);
    next
}

fn frame_of(i: u64) -> Vec<u8> {
    (0..i * 7 % 100).map(|at| (i + at) as u8).collect()
}

fn frames(count: u64) -> u64 {
    let count = count / 2;
    for wait in WAITS {
        let (mut sink, mut source) = millstream::channel::<[u8]>()
            .max_frame(128)
            .buffer_size(3)
            .initial_demand(5)
            .sink_wait(wait)
            .source_wait(wait)
            .build()
            .expect("a ring within the bounds");
        let producer = thread::spawn(move || {
            for i in 0..count {
                let frame = frame_of(i);
                if i.is_multiple_of(3) {
                    while sink.claim(frame.len()).is_err() {
                        thread::yield_now();
                    }
                    let mut claim = sink.claim(frame.len()).expect("there is room");
                    claim.copy_from_slice(&frame);
                    claim.commit().expect("the source stays");
                } else {
                    sink.put(&frame).expect("the source stays");
                }
            }
        });
        for i in 0..count {
            let frame = source.next().expect("it has not ended");
            assert_eq!(*frame, *frame_of(i));
        }
        assert!(source.next().is_none());
        joined(producer);
    }
    3 * count
}

/// The consumer asks for each element.
fn by_hand(count: u64) -> u64 {
    let count = count / 4;
    let (mut sink, mut source) = millstream::channel::<u64>()
        .buffer_size(0)
        .initial_demand(3)
        .manual_demand()
        .sink_wait(WaitStrategy::park())
        .source_wait(WaitStrategy::park())
        .build()
        .expect("a ring within the bounds");
    let producer = thread::spawn(move || {
        for i in 0..count {
            sink.put(i).expect("the source stays");
        }
        sink
    });
    for i in 0..count {
        source
            .request(std::num::NonZeroU64::MIN)
            .expect("it is within the window");
        assert_eq!(source.next(), Some(i));
    }
    drop(joined(producer));
    count
}

/// Ends from both sides at once: each element is delivered, given back, or dropped, once.
fn closes(count: u64) -> u64 {
    let rounds = count / 20;
    let mut all = 0;
    for round in 0..rounds {
        let token = Arc::new(());
        let (mut sink, mut source) =
            pair::<Arc<()>>(WaitStrategy::park(), (round % 3) as usize, 1 + round % 4);
        let mine = token.clone();
        let producer = thread::spawn(move || {
            let mut accepted = 0;
            for _ in 0..20 {
                match sink.put(mine.clone()) {
                    Ok(()) => accepted += 1,
                    Err(PutError::Closed(back, _)) => {
                        drop(back);
                        break;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            accepted
        });
        let mut taken = 0;
        for _ in 0..round % 25 {
            match source.try_next() {
                TryNext::Item(_) => taken += 1,
                TryNext::Empty => thread::yield_now(),
                TryNext::End(_) => break,
            }
        }
        drop(source);
        assert!(joined(producer) >= taken);
        assert_eq!(Arc::strong_count(&token), 1);
        all += taken;
    }
    all
}
