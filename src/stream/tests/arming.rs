//! Waiting without a thread: a waker is woken once, and never forgotten.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::stream::buffer::Buffer;
use crate::stream::channel::channel;
use crate::stream::conduit::Conduit;
use crate::stream::error::TryPutError;
use crate::stream::settings::SourceSettings;
use crate::stream::sink::SinkRef;
use crate::stream::source::{SourceRef, TryNext};
use crate::wait::WaitStrategy;

/// Counts how often it was woken.
#[derive(Default)]
struct Counter(AtomicU64);

impl Counter {
    fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counter() -> (Arc<Counter>, Waker) {
    let counter = Arc::new(Counter::default());
    (Arc::clone(&counter), counter.into())
}

/// Unparks a thread, which sleeps until then however long that takes.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn own_waker() -> Waker {
    Arc::new(Unpark(thread::current())).into()
}

fn adopted<T: Send + 'static>(buffer: usize, window: u64, manual: bool) -> (Conduit<T>, SourceRef<T>) {
    let (conduit, mut source) = Conduit::new(Buffer::from(buffer), window).unwrap();
    source.adopt(SourceSettings {
        window,
        manual,
        eager: false,
        idle: None,
        strategy: WaitStrategy::default(),
        ..SourceSettings::default()
    });
    (conduit, source)
}

fn sink<T: Send + 'static>(conduit: &Conduit<T>) -> SinkRef<T> {
    conduit.sink(WaitStrategy::default(), true).unwrap()
}

#[test]
fn a_source_is_woken_by_an_element_and_by_the_end() {
    let (mut sink, mut source) = channel::<u64>().build().unwrap();
    let (woken, waker) = counter();
    assert!(!source.arm(&waker));
    sink.put(1).unwrap();
    assert_eq!(woken.count(), 1);
    sink.put(2).unwrap();
    assert_eq!(woken.count(), 1);
    assert!(source.arm(&waker));
    assert_eq!(source.drain(9, |_| {}), 2);
    assert!(!source.arm(&waker));
    drop(sink);
    assert_eq!(woken.count(), 2);
    assert!(source.arm(&waker));
    assert!(matches!(source.try_next(), TryNext::End(_)));
    assert!(source.arm(&waker));
    assert_eq!(woken.count(), 2);
}

#[test]
fn a_sink_is_woken_by_room_and_by_the_close() {
    let (mut sink, mut source) = channel::<u64>()
        .buffer_size(1)
        .initial_demand(1)
        .replenish_each()
        .build()
        .unwrap();
    let (woken, waker) = counter();
    assert!(sink.arm(&waker));
    while sink.try_put(1).is_ok() {}
    assert!(!sink.arm(&waker));
    assert_eq!(source.next(), Some(1));
    assert_eq!(woken.count(), 1);
    assert!(sink.arm(&waker));
    while sink.try_put(1).is_ok() {}
    assert!(!sink.arm(&waker));
    drop(source);
    assert_eq!(woken.count(), 2);
    assert!(sink.arm(&waker));
}

#[test]
fn a_source_of_lanes_is_woken_by_each_of_them_and_by_a_new_one() {
    let (conduit, mut source) = adopted::<u64>(4, 4, false);
    let (woken, waker) = counter();
    assert!(!source.arm(&waker));
    let mut first = sink(&conduit);
    first.put(1).unwrap();
    assert_eq!(woken.count(), 1);
    assert!(source.arm(&waker));
    assert_eq!(source.next(), Some(1));
    assert!(!source.arm(&waker));
    let mut second = sink(&conduit);
    assert_eq!(woken.count(), 2);
    // News of a lane, which is no news the next time.
    assert!(source.arm(&waker));
    assert!(!source.arm(&waker));
    second.put(2).unwrap();
    assert_eq!(woken.count(), 3);
    assert_eq!(source.next(), Some(2));
    for sink in [&mut first, &mut second] {
        assert!(!source.arm(&waker));
        sink.put(3).unwrap();
        assert_eq!(source.next(), Some(3));
    }
    assert_eq!(woken.count(), 5);
    assert!(!source.arm(&waker));
    conduit.complete();
    assert_eq!(woken.count(), 6);
    assert!(source.arm(&waker));
}

#[test]
fn an_end_from_outside_wakes_a_sink_that_is_armed() {
    let (conduit, _source) = adopted::<u64>(1, 0, false);
    let (mut one, mut other) = (sink(&conduit), sink(&conduit));
    let (woken, waker) = counter();
    for sink in [&mut one, &mut other] {
        sink.try_put(1).unwrap();
        assert!(!sink.arm(&waker));
    }
    conduit.cancel();
    assert_eq!(woken.count(), 2);
    assert!(one.arm(&waker) && other.arm(&waker));
}

#[test]
fn a_thread_that_waits_by_its_handle_after_arming_it_is_woken_too() {
    let (mut sink, mut source) = channel::<u64>()
        .source_wait(WaitStrategy::park())
        .build()
        .unwrap();
    let (_, waker) = counter();
    assert!(!source.arm(&waker));
    let reader = thread::spawn(move || source.next());
    sink.put(1).unwrap();
    assert_eq!(reader.join().unwrap(), Some(1));
}

/// Puts all of them, asleep where there is no room.
fn put_all(mut sink: SinkRef<u64>, elements: std::ops::Range<u64>) {
    let waker = own_waker();
    for mut element in elements {
        while let Err(error) = sink.try_put(element) {
            let TryPutError::Full(back) = error else {
                panic!("{error}");
            };
            element = back;
            if !sink.arm(&waker) {
                thread::park();
            }
        }
    }
    sink.complete().unwrap();
}

/// Takes everything, asleep where there is nothing.
fn take_all(mut source: SourceRef<u64>) -> Vec<u64> {
    let waker = own_waker();
    let mut taken = Vec::new();
    loop {
        match source.try_next() {
            TryNext::Item(element) => taken.push(element),
            TryNext::End(_) => return taken,
            TryNext::Empty if source.arm(&waker) => {}
            TryNext::Empty => thread::park(),
        }
    }
}

const MANY: u64 = 100_000;

#[test]
fn no_waking_is_lost_between_one_sink_and_its_source() {
    for (buffer, window) in [(1, 1), (7, 16)] {
        let (sink, source) = channel::<u64>()
            .buffer_size(buffer)
            .initial_demand(window)
            .idle_timeout(None)
            .build()
            .unwrap();
        let reader = thread::spawn(move || take_all(source));
        put_all(sink, 0..MANY);
        assert!(reader.join().unwrap().into_iter().eq(0..MANY));
    }
}

#[test]
fn no_waking_is_lost_between_several_sinks_and_their_source() {
    let (conduit, source) = adopted::<u64>(3, 2, false);
    let writers: Vec<_> = (0..4)
        .map(|number| {
            let sink = sink(&conduit);
            let from = number * MANY;
            thread::spawn(move || put_all(sink, from..from + MANY / 4))
        })
        .collect();
    let taken = take_all(source);
    assert_eq!(taken.len() as u64, MANY);
    for number in 0..4 {
        let of_one = taken.iter().copied().filter(|element| element / MANY == number);
        assert!(of_one.eq(number * MANY..number * MANY + MANY / 4));
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}
