//! A stream that a third party oversees: its adoption, one sink or several.

#![forbid(unsafe_code)]

use std::num::NonZeroU64;
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::stream::error::{PutError, TryPutError};
use crate::stream::settings::SourceSettings;
use crate::stream::source::TryNext;

mod ends;

fn adoption(window: u64) -> SourceSettings {
    SourceSettings {
        window,
        manual: false,
        eager: false,
        idle: None,
        strategy: WaitStrategy::park(),
        ..SourceSettings::default()
    }
}

fn by_hand(window: u64) -> SourceSettings {
    SourceSettings {
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

#[test]
fn a_conduit_is_shared_between_threads() {
    fn shared<C: Clone + Send + Sync + 'static>() {}
    // What it carries need not be.
    shared::<Conduit<std::cell::Cell<u8>>>();
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
    assert!(conduit.sink(WaitStrategy::park(), true).is_ok());
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
    adoption: SourceSettings,
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
        SourceSettings {
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
    three.put(3).unwrap();
    let mut taken = Vec::new();
    source.by_ref().for_each(|element| taken.push(element));
    taken.sort_unstable();
    assert_eq!(taken, [1, 2, 3]);
    assert_eq!(source.end(), Some(End::Failed(StreamFault::new(7, "the second"))));
    assert_eq!(one.put(4), Err(PutError::Closed(4, CloseReason::Failed)));
    assert!(three.is_closed());
    assert_eq!(source.next(), None);
    assert_eq!(source.position(), 3);
}
