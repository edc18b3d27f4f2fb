//! A stream that a third party oversees: one sink or several, and ends from outside.

#![forbid(unsafe_code)]

use std::num::NonZeroU64;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::stream::error::{PutError, TryPutError};
use crate::stream::lanes::Adoption;
use crate::stream::source::TryNext;

fn adoption(window: u64) -> Adoption {
    Adoption {
        window,
        manual: false,
        eager: false,
        idle: None,
        strategy: WaitStrategy::park(),
    }
}

fn by_hand(window: u64) -> Adoption {
    Adoption {
        manual: true,
        ..adoption(window)
    }
}

fn made<T: Send + 'static>(buffer: impl Into<Buffer>, max_window: u64) -> (Conduit<T>, SourceRef<T>) {
    Conduit::new(buffer.into(), max_window).unwrap()
}

fn sink<T: Send + 'static>(conduit: &Conduit<T>) -> SinkRef<T> {
    conduit.sink(WaitStrategy::park(), false).unwrap()
}

/// Puts from `from` on until there is no room. How many.
fn fill(sink: &mut SinkRef<u64>, from: u64) -> u64 {
    let mut put = 0;
    while sink.try_put(from + put).is_ok() {
        put += 1;
    }
    put
}

fn one_more() -> NonZeroU64 {
    NonZeroU64::MIN
}

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
fn before_the_adoption_the_buffer_takes_exactly_its_size() {
    for size in [1, 2, 7, 8, 64] {
        let (conduit, mut source) = made::<u64>(size, 100);
        let mut sink = sink(&conduit);
        assert_eq!(sink.demand(), 0);
        assert_eq!(fill(&mut sink, 0), size as u64);
        assert_eq!(sink.try_put(0), Err(TryPutError::Full(0)));
        assert_eq!(source.try_next(), TryNext::Empty);
        assert_eq!(fill(&mut sink, 0), 0);
    }
}

#[test]
fn the_adoption_gives_its_window_at_once() {
    let (conduit, mut source) = made::<u64>(4, 100);
    let mut sink = sink(&conduit);
    assert_eq!(fill(&mut sink, 0), 4);
    source.adopt(adoption(10));
    assert_eq!(sink.demand(), 6);
    assert_eq!(fill(&mut sink, 4), 10);
    assert_eq!(
        (0..14).map(|_| source.next().unwrap()).collect::<Vec<_>>(),
        (0..14).collect::<Vec<_>>()
    );
    assert_eq!(source.position(), 14);
}

#[test]
fn a_window_beyond_the_most_is_the_most() {
    let (conduit, mut source) = made::<u64>(4, 10);
    let mut sink = sink(&conduit);
    source.adopt(adoption(11));
    assert_eq!(fill(&mut sink, 0), 14);
}

#[test]
fn without_a_window_what_is_buffered_is_taken() {
    let (conduit, mut source) = made::<u64>(3, 0);
    let mut sink = sink(&conduit);
    source.adopt(adoption(0));
    for lap in 0..5 {
        assert_eq!(fill(&mut sink, lap * 3), 3);
        for i in 0..3 {
            assert_eq!(source.try_next(), TryNext::Item(lap * 3 + i));
        }
        assert_eq!(source.try_next(), TryNext::Empty);
    }
}

#[test]
fn asking_by_hand_begins_with_nothing() {
    let (conduit, mut source) = made::<u64>(2, 10);
    let mut sink = sink(&conduit);
    source.adopt(by_hand(3));
    assert_eq!(fill(&mut sink, 0), 2);
    assert_eq!(source.try_next(), TryNext::Empty);
    source.request(NonZeroU64::new(5).unwrap()).unwrap();
    assert_eq!(sink.demand(), 1);
    assert_eq!(fill(&mut sink, 2), 3);
    assert_eq!(source.drain(100, |_| {}), 5);
    assert_eq!(fill(&mut sink, 5), 2);
    assert_eq!(source.try_next(), TryNext::Empty);
    assert!(matches!(conduit.sink(WaitStrategy::park(), true), Ok(_)));
}

#[test]
fn an_unbounded_buffer_takes_everything() {
    let (conduit, mut source) = made::<u64>(Buffer::Unbounded, 16);
    let (mut one, mut other) = (sink(&conduit), sink(&conduit));
    for i in 0..10_000 {
        one.try_put(i).unwrap();
        other.try_put(100_000 + i).unwrap();
    }
    source.adopt(adoption(16));
    one.complete().unwrap();
    other.complete().unwrap();
    let all: Vec<u64> = source.by_ref().collect();
    assert_eq!(source.end(), Some(End::Completed));
    let (low, high): (Vec<u64>, Vec<u64>) = all.into_iter().partition(|i| *i < 100_000);
    assert!(low.into_iter().eq(0..10_000));
    assert!(high.into_iter().eq(100_000..110_000));
}

#[test]
fn a_rendezvous_has_one_sink() {
    let (conduit, mut source) = made::<u64>(Buffer::Rendezvous, 2);
    let mut first = sink(&conduit);
    assert_eq!(fill(&mut first, 0), 0);
    assert_eq!(
        conduit.sink(WaitStrategy::park(), false).err(),
        Some(LaneError::Rendezvous)
    );
    source.adopt(adoption(2));
    assert_eq!(fill(&mut first, 0), 2);
    assert!(Conduit::<u64>::new(Buffer::Rendezvous, 0).is_err());
}

/// `sinks` threads put `each` elements; the source reads in whatever way. In order for each sink, and all of them.
fn merged(
    sinks: u64,
    each: u64,
    adoption: Adoption,
    mut read: impl FnMut(&mut SourceRef<u64>, &mut dyn FnMut(u64)),
) {
    let (conduit, mut source) = made::<u64>(5, 8);
    source.adopt(adoption);
    let threads: Vec<_> = (0..sinks)
        .map(|number| {
            let mut sink = sink(&conduit);
            thread::spawn(move || {
                for i in 0..each {
                    sink.put(number << 32 | i).unwrap();
                }
                sink.complete().unwrap();
            })
        })
        .collect();
    let mut next = vec![0; sinks as usize];
    while source.end().is_none() {
        read(&mut source, &mut |element| {
            let next = &mut next[(element >> 32) as usize];
            assert_eq!(element & 0xffff_ffff, *next);
            *next += 1;
        });
    }
    assert_eq!(source.end(), Some(End::Completed));
    assert!(next.iter().all(|next| *next == each));
    assert_eq!(source.position(), sinks * each);
    assert!(conduit.is_ended());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn several_sinks_are_merged_each_in_order() {
    for sinks in [1, 2, 5] {
        merged(sinks, 5_000, adoption(8), |source, took| {
            if let Some(element) = source.next() {
                took(element);
            }
        });
        merged(sinks, 5_000, adoption(0), |source, took| {
            if source.wait_readable() {
                source.drain(7, &mut *took);
            }
        });
        merged(sinks, 2_000, adoption(3), |source, took| {
            if source.wait_readable() {
                let peek = source.peek(4);
                peek.iter().copied().for_each(took);
                peek.release_all();
            }
        });
        merged(sinks, 2_000, by_hand(3), |source, took| {
            if source.end().is_none() {
                let before = SourceRef::position(source);
                let _ = source.request(NonZeroU64::new(2).unwrap());
                while SourceRef::position(source) < before + 2
                    && let Some(element) = source.next()
                {
                    took(element);
                }
            }
        });
    }
}

#[test]
fn a_busy_sink_does_not_starve_another() {
    for adoption in [
        adoption(8),
        adoption(0),
        Adoption {
            eager: true,
            ..adoption(8)
        },
    ] {
        let (conduit, mut source) = made::<u64>(8, 8);
        let (mut busy, mut calm) = (sink(&conduit), sink(&conduit));
        source.adopt(adoption);
        calm.put(1000).unwrap();
        fill(&mut busy, 0);
        // The lane that is never dry is left at its mark, which comes within a window.
        let mut taken = 0;
        while source.next() != Some(1000) {
            fill(&mut busy, 0);
            taken += 1;
        }
        assert!(taken <= 16, "{taken} elements of the busy sink came first");
    }
}

#[test]
fn nor_where_one_is_asked_for_at_a_time() {
    let (conduit, mut source) = made::<u64>(8, 8);
    let mut sinks = [sink(&conduit), sink(&conduit), sink(&conduit)];
    source.adopt(by_hand(8));
    let mut taken = [0; 3];
    for _ in 0..30 {
        for (number, sink) in sinks.iter_mut().enumerate() {
            fill(sink, number as u64 * 1000);
        }
        source.request(one_more()).unwrap();
        let TryNext::Item(element) = source.try_next() else {
            panic!("nothing where there is something in each lane");
        };
        taken[(element / 1000) as usize] += 1;
        // Never more than was asked for.
        assert_eq!(source.try_next(), TryNext::Empty);
        assert_eq!(source.drain(10, |_| {}), 0);
        assert!(source.peek(10).is_empty());
    }
    assert_eq!(taken, [10, 10, 10]);
    assert_eq!(source.position(), 30);
}

#[test]
fn no_more_is_under_way_than_the_buffers_and_one_window() {
    let (conduit, mut source) = made::<u64>(4, 10);
    let mut sinks = [sink(&conduit), sink(&conduit), sink(&conduit)];
    source.adopt(adoption(10));
    let fill_all = |sinks: &mut [SinkRef<u64>; 3]| sinks.iter_mut().map(|sink| fill(sink, 0)).sum::<u64>();
    let mut put = fill_all(&mut sinks);
    assert_eq!(put, 3 * 4 + 10);
    for _ in 0..200 {
        source.next().unwrap();
        put += fill_all(&mut sinks);
        assert!(put - source.position() <= 3 * 4 + 10);
    }
}

#[test]
fn a_new_sink_wakes_a_source_that_waits() {
    let (conduit, mut source) = made::<u64>(4, 4);
    source.adopt(adoption(4));
    let mut first = sink(&conduit);
    first.put(1).unwrap();
    let (told, heard) = mpsc::channel();
    let reader = thread::spawn(move || {
        for element in &mut source {
            told.send(element).unwrap();
        }
        source.end()
    });
    assert_eq!(heard.recv(), Ok(1));
    for i in 2..100 {
        let mut sink = sink(&conduit);
        sink.put(i).unwrap();
        assert_eq!(heard.recv(), Ok(i));
        sink.complete().unwrap();
    }
    first.complete().unwrap();
    assert_eq!(reader.join().unwrap(), Some(End::Completed));
    assert_eq!(
        conduit.sink(WaitStrategy::park(), false).err(),
        Some(LaneError::Ended(CloseReason::Completed))
    );
}

#[test]
fn the_first_fault_of_a_lane_is_the_sources() {
    let (conduit, mut source) = made::<u64>(4, 4);
    source.adopt(adoption(4));
    let [mut one, mut two, mut three] = [sink(&conduit), sink(&conduit), sink(&conduit)];
    one.put(1).unwrap();
    two.put(2).unwrap();
    two.fail(StreamFault::new(7, "the second")).unwrap();
    assert_eq!(source.drain(9, |_| {}), 2);
    assert_eq!(source.end(), None);
    one.complete().unwrap();
    three.put(3).unwrap();
    drop(three);
    assert_eq!(source.next(), Some(3));
    assert_eq!(source.next(), None);
    assert_eq!(source.end(), Some(End::Failed(StreamFault::new(7, "the second"))));
    assert_eq!(source.next(), None);
    assert_eq!(source.position(), 3);
}

#[test]
fn cancelling_closes_all_lanes_and_drops_each_element_once() {
    for how in 0..4 {
        let drops = drops();
        let (conduit, mut source) = made::<Counted>(4, 4);
        source.adopt(Adoption {
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
