//! A buffer size of 0 is unbounded (row C2), which only elements within one process can be.

use std::num::NonZeroU64;
use std::thread;

use millstream::{Buffer, ChannelError, End, SinkRef, SourceRef, TryNext};

use crate::support::{STRATEGIES, joined, within};

fn unbounded(demand: u64, start: u64) -> (SinkRef<u64>, SourceRef<u64>) {
    millstream::channel::<u64>()
        .buffer_size(0)
        .initial_demand(demand)
        .start_position(start)
        .build()
        .unwrap()
}

#[test]
fn c2_a_size_of_zero_is_unbounded_and_put_never_waits() {
    within(|| {
        for start in [0, u64::from(u32::MAX) - 100, u64::MAX - 100] {
            let (mut sink, mut source) = unbounded(3, start);
            for i in 0..10_000 {
                sink.try_put(i).unwrap();
            }
            sink.complete().unwrap();
            assert_eq!(
                source.by_ref().collect::<Vec<_>>(),
                (0..10_000).collect::<Vec<_>>()
            );
            assert_eq!(source.end(), Some(End::Completed));
        }
    });
}

#[test]
fn c2_everything_that_was_put_comes_in_every_way() {
    within(|| {
        let (mut sink, mut source) = unbounded(16, 0);
        let all: Vec<u64> = (0..5000).collect();
        sink.put_slice(&all[..1000]).unwrap();
        assert_eq!(sink.try_put_slice(&all[1000..2000]).unwrap(), 1000);
        let mut claim = sink.claim(3000).unwrap();
        for element in &all[2000..] {
            claim.push(*element).unwrap();
        }
        assert_eq!(claim.commit().unwrap(), 3000);
        let mut got = Vec::new();
        assert_eq!(source.drain(1500, |element| got.push(element)), 1500);
        while got.len() < 3000 {
            let peek = source.peek(100);
            assert!(!peek.is_empty());
            got.extend(peek.iter().copied());
            peek.release_all();
        }
        while let TryNext::Item(element) = source.try_next() {
            got.push(element);
        }
        assert_eq!(got, all);
        assert_eq!(source.try_next(), TryNext::Empty);
    });
}

#[test]
fn c2_a_consumer_beside_it_follows_wherever_the_buffer_goes() {
    for strategy in STRATEGIES {
        within(move || {
            let (mut sink, source) = millstream::channel::<u64>()
                .buffer_size(Buffer::Unbounded)
                .sink_wait(strategy)
                .source_wait(strategy)
                .build()
                .unwrap();
            let reader = thread::spawn(move || source.collect::<Vec<u64>>());
            for burst in 0..100 {
                for i in 0..burst * 10 {
                    sink.put(burst * 10_000 + i).unwrap();
                }
                thread::yield_now();
            }
            sink.complete().unwrap();
            let expected = (0..100).flat_map(|burst| (0..burst * 10).map(move |i| burst * 10_000 + i));
            assert_eq!(joined(reader), expected.collect::<Vec<_>>());
        });
    }
}

#[test]
fn c2_demand_still_says_what_may_be_taken() {
    within(|| {
        let (mut sink, mut source) = millstream::channel::<u64>()
            .buffer_size(0)
            .initial_demand(4)
            .manual_demand()
            .build()
            .unwrap();
        for i in 0..1000 {
            sink.try_put(i).unwrap();
        }
        assert_eq!(source.try_next(), TryNext::Empty);
        let mut next = 0;
        for count in [1, 2, 500, 497] {
            source.request(NonZeroU64::new(count).unwrap()).unwrap();
            for _ in 0..count {
                assert_eq!(source.try_next(), TryNext::Item(next));
                next += 1;
            }
            assert_eq!(source.try_next(), TryNext::Empty);
        }
    });
}

#[test]
fn c2_closes_are_seen_as_ever() {
    within(|| {
        let (mut sink, source) = unbounded(2, 0);
        for i in 0..500 {
            sink.put(i).unwrap();
        }
        drop(source);
        assert!(sink.put(500).is_err());
        assert!(sink.try_put(500).is_err());
    });
}

#[test]
fn c2_frames_and_streams_between_processes_are_bounded() {
    let frames = millstream::channel::<[u8]>().buffer_size(0).build();
    assert_eq!(frames.err(), Some(ChannelError::UnboundedFrames));
    #[cfg(target_os = "linux")]
    {
        let error = millstream::publish::<u64>("unbounded")
            .buffer_size(0)
            .open()
            .map(drop);
        assert!(
            matches!(&error, Err(millstream::PublishError::UnboundedNotShareable { name }) if name == "unbounded"),
            "{error:?}"
        );
    }
}
