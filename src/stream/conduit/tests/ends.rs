//! Ends of a stream that a third party oversees, from its source and from outside.

#![forbid(unsafe_code)]

use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::stream::error::{PutError, TryPutError};

/// An element that counts how often elements of its kind were dropped.
#[derive(Debug)]
struct Counted(Arc<AtomicU64>);

impl Counted {
    fn new(drops: &Arc<AtomicU64>) -> Self {
        Self(Arc::clone(drops))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn drops() -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(0))
}

fn count(drops: &AtomicU64) -> u64 {
    drops.load(Ordering::Relaxed)
}

#[test]
fn cancelling_closes_all_lanes_and_drops_each_element_once() {
    for how in 0..4 {
        let drops = drops();
        let (conduit, mut source) = made::<Counted>(4, 4);
        source.adopt(SourceSettings {
            idle: Some(Duration::from_millis(1)),
            ..adoption(4)
        });
        let mut sinks = vec![sink(&conduit), sink(&conduit)];
        for sink in &mut sinks {
            sink.put(Counted::new(&drops)).unwrap();
            sink.put(Counted::new(&drops)).unwrap();
        }
        drop(source.next());
        assert_eq!(count(&drops), 1);
        // On the desk, untaken.
        sinks.push(sink(&conduit));
        sinks[2].put(Counted::new(&drops)).unwrap();
        match how {
            0 => source.cancel(),
            1 => drop(source),
            2 => {
                while source.next().is_some() {}
                assert_eq!(source.end(), Some(End::IdleTimeout));
            }
            _ => {
                conduit.cancel();
                // It may not look before its mark.
                while source.next().is_some() {}
                assert_eq!(source.end(), Some(End::Cancelled));
            }
        }
        assert_eq!(count(&drops), 5, "{how}");
        for sink in &mut sinks {
            let Err(TryPutError::Closed(back, CloseReason::Cancelled)) = sink.try_put(Counted::new(&drops))
            else {
                panic!("taken after the end");
            };
            std::mem::forget(back);
            assert!(sink.is_closed());
        }
        assert!(conduit.is_ended());
        assert_eq!(
            conduit.sink(WaitStrategy::park(), false).err(),
            Some(LaneError::Ended(CloseReason::Cancelled))
        );
        drop(sinks);
        assert_eq!(count(&drops), 5, "{how}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Outside {
    Complete,
    Fail,
    Cancel,
}

impl Outside {
    const ALL: [Self; 3] = [Self::Complete, Self::Fail, Self::Cancel];

    fn say<T>(self, conduit: &Conduit<T>) {
        match self {
            Self::Complete => conduit.complete(),
            Self::Fail => conduit.fail(Self::fault()),
            Self::Cancel => conduit.cancel(),
        }
    }

    fn fault() -> StreamFault {
        StreamFault::new(StreamFault::PRODUCER_STOPPED, "stopped")
    }

    fn end(self) -> End {
        match self {
            Self::Complete => End::Completed,
            Self::Fail => End::Failed(Self::fault()),
            Self::Cancel => End::Cancelled,
        }
    }

    fn reason(self) -> CloseReason {
        CloseReason::of(&self.end())
    }
}

#[test]
fn an_end_from_outside_wakes_a_blocked_put_which_gets_its_element_back() {
    for outside in Outside::ALL {
        let drops = drops();
        let (conduit, mut source) = made::<Counted>(2, 4);
        let mut blocked = [sink(&conduit), sink(&conduit)].map(|mut sink| {
            for _ in 0..2 {
                sink.put(Counted::new(&drops)).unwrap();
            }
            let drops = Arc::clone(&drops);
            Some(thread::spawn(move || sink.put(Counted::new(&drops))))
        });
        outside.say(&conduit);
        for thread in &mut blocked {
            let Err(PutError::Closed(back, reason)) = thread.take().unwrap().join().unwrap() else {
                panic!("taken beyond the buffer");
            };
            assert_eq!(reason, outside.reason());
            std::mem::forget(back);
        }
        assert!(conduit.is_ended());
        source.adopt(adoption(4));
        let taken = source.by_ref().count();
        assert_eq!(source.end(), Some(outside.end()));
        if !matches!(outside, Outside::Cancel) {
            assert_eq!(taken, 4);
        }
        assert_eq!(count(&drops), 4);
    }
}

#[test]
fn an_end_from_outside_wakes_a_source_that_waits_however_idle_the_sinks_are() {
    for outside in Outside::ALL {
        for sinks in 0..3 {
            let (conduit, mut source) = made::<u64>(2, 4);
            source.adopt(adoption(4));
            let mut sinks: Vec<_> = (0..sinks).map(|_| sink(&conduit)).collect();
            let reader = thread::spawn(move || (source.next(), source.end(), source));
            outside.say(&conduit);
            let (element, end, source) = reader.join().unwrap();
            assert_eq!((element, end), (None, Some(outside.end())));
            for sink in &mut sinks {
                assert_eq!(sink.try_put(1), Err(TryPutError::Closed(1, outside.reason())));
                assert!(sink.is_closed());
            }
            drop(source);
        }
    }
}

#[test]
fn an_idle_sink_puts_at_most_one_element_more_and_that_is_delivered() {
    for outside in [Outside::Complete, Outside::Fail] {
        let (conduit, mut source) = made::<u64>(8, 4);
        source.adopt(adoption(4));
        let mut sinks = [sink(&conduit), sink(&conduit)];
        for sink in &mut sinks {
            sink.put(1).unwrap();
        }
        outside.say(&conduit);
        for sink in &mut sinks {
            assert!(sink.is_closed());
            let mut taken = 0;
            while sink.put(2).is_ok() {
                taken += 1;
            }
            assert!(taken <= 1);
            assert_eq!(sink.put(3), Err(PutError::Closed(3, outside.reason())));
            assert_eq!(sink.position(), 1 + taken);
        }
        let position = sinks.iter().map(SinkRef::position).sum::<u64>();
        assert_eq!(source.by_ref().count() as u64, position);
        assert_eq!(source.end(), Some(outside.end()));
    }
}

/// Each element is delivered or given back, and dropped once, wherever the end from outside meets the two.
#[test]
fn an_end_from_outside_while_both_run_loses_nothing_and_doubles_nothing() {
    for round in 0..300 {
        let outside = Outside::ALL[round % 3];
        let drops = drops();
        let (conduit, mut source) = made::<Counted>(3, 4);
        source.adopt(adoption(4));
        let sinks: Vec<_> = (0..1 + round % 2)
            .map(|_| {
                let (mut sink, drops) = (sink(&conduit), Arc::clone(&drops));
                thread::spawn(move || {
                    let mut put = 0;
                    loop {
                        match sink.put(Counted::new(&drops)) {
                            Ok(()) => put += 1,
                            Err(PutError::Closed(back, reason)) => {
                                std::mem::forget(back);
                                return (put, reason);
                            }
                        }
                    }
                })
            })
            .collect();
        let reader = thread::spawn(move || {
            let mut taken = 0;
            for element in &mut source {
                taken += 1;
                drop(element);
            }
            (taken, source.end())
        });
        thread::yield_now();
        outside.say(&conduit);
        let mut put = 0;
        for sink in sinks {
            let (some, reason) = sink.join().unwrap();
            assert_eq!(reason, outside.reason());
            put += some;
        }
        let (taken, end) = reader.join().unwrap();
        assert_eq!(end, Some(outside.end()));
        if !matches!(outside, Outside::Cancel) {
            assert_eq!(taken, put);
        }
        drop(conduit);
        assert_eq!(count(&drops), put);
    }
}

#[test]
fn the_first_end_from_outside_stands() {
    let (conduit, mut source) = made::<u64>(2, 2);
    let mut sink = sink(&conduit);
    sink.put(1).unwrap();
    conduit.clone().complete();
    conduit.fail(Outside::fault());
    conduit.cancel();
    conduit.complete();
    source.adopt(adoption(2));
    assert_eq!(source.by_ref().collect::<Vec<_>>(), [1]);
    assert_eq!(source.end(), Some(End::Completed));
    assert!(sink.complete().is_ok());
    assert!(
        sink.complete_and_drain(Instant::now() + Duration::from_secs(60))
            .is_ok()
    );
    assert!(sink.fail(Outside::fault()).is_err());
}

#[test]
fn an_end_from_outside_after_the_source_is_gone_changes_nothing() {
    let (conduit, source) = made::<u64>(2, 2);
    let mut sink = sink(&conduit);
    drop(source);
    conduit.complete();
    assert_eq!(
        sink.try_put(1),
        Err(TryPutError::Closed(1, CloseReason::Cancelled))
    );
    assert!(conduit.is_ended());
}

#[test]
fn slices_and_claims_end_with_the_stream() {
    let (conduit, mut source) = made::<u64>(8, 4);
    let mut sink = sink(&conduit);
    sink.put_slice(&[0, 1]).unwrap();
    let mut claim = sink.claim(2).unwrap();
    claim.push(2).unwrap();
    conduit.complete();
    claim.commit().unwrap();
    assert_eq!(sink.try_put_slice(&[9]).unwrap_err().written, 0);
    assert_eq!(sink.put_slice(&[9]).unwrap_err().reason, CloseReason::Completed);
    assert!(sink.claim(1).is_err());
    source.adopt(adoption(4));
    assert_eq!(source.by_ref().collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn what_lies_in_a_stream_that_nobody_reads_is_dropped_once() {
    let drops = drops();
    let (conduit, source) = made::<Counted>(4, 4);
    let (mut one, mut other) = (sink(&conduit), sink(&conduit));
    one.put(Counted::new(&drops)).unwrap();
    other.put(Counted::new(&drops)).unwrap();
    drop((one, other));
    drop(conduit);
    assert_eq!(count(&drops), 0);
    drop(source);
    assert_eq!(count(&drops), 2);
}

#[test]
fn a_stream_whose_sink_nobody_asked_for_ends_with_its_overseer() {
    let (conduit, mut source) = made::<u64>(4, 4);
    drop(conduit);
    assert_eq!(source.next(), None);
    assert!(matches!(source.end(), Some(End::Failed(fault)) if fault.code() == StreamFault::SINK_DROPPED));
}
