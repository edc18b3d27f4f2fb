//! What is to be done at the end of a stream is done once, whatever the end.

#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, channel as queue};
use std::time::Duration;

use crate::stream::channel::channel;
use crate::stream::conduit::Conduit;
use crate::stream::end::{End, StreamFault};
use crate::stream::sink::SinkRef;
use crate::stream::source::SourceRef;
use crate::wait::WaitStrategy;

fn hooked<T: 'static>(source: &mut SourceRef<T>) -> Receiver<End> {
    let (told, ends) = queue();
    source.on_end(Box::new(move |end| told.send(end.clone()).unwrap()));
    ends
}

fn made() -> (SinkRef<u64>, SourceRef<u64>, Receiver<End>) {
    let (mut sink, mut source) = channel::<u64>()
        .idle_timeout(Some(Duration::from_millis(1)))
        .build()
        .unwrap();
    sink.put(1).unwrap();
    let ends = hooked(&mut source);
    (sink, source, ends)
}

/// The one end that was told by now.
fn told(ends: &Receiver<End>) -> Option<End> {
    let end = ends.try_recv().ok();
    assert!(ends.try_recv().is_err());
    end
}

#[test]
fn a_hook_is_called_once_for_each_end() {
    let (mut sink, mut source, ends) = made();
    sink.complete().unwrap();
    assert_eq!(source.next(), Some(1));
    assert_eq!(told(&ends), None);
    assert_eq!(source.next(), None);
    assert_eq!(told(&ends), Some(End::Completed));
    drop(source);
    assert_eq!(told(&ends), None);

    let (mut sink, mut source, ends) = made();
    sink.fail(StreamFault::new(3, "three")).unwrap();
    assert_eq!(source.drain(9, |_| {}), 1);
    assert_eq!(told(&ends), Some(End::Failed(StreamFault::new(3, "three"))));

    let (_sink, mut source, ends) = made();
    assert_eq!(source.by_ref().count(), 1);
    assert_eq!(told(&ends), Some(End::IdleTimeout));

    let (sink, mut source, ends) = made();
    source.cancel();
    assert!(sink.is_closed());
    assert_eq!(told(&ends), Some(End::Cancelled));
    source.cancel();
    drop(source);
    assert_eq!(told(&ends), None);

    let (_sink, source, ends) = made();
    drop(source);
    assert_eq!(told(&ends), Some(End::Cancelled));
}

#[test]
fn the_producer_knows_before_the_hook_does() {
    let (sink, mut source) = channel::<u64>().build().unwrap();
    let (told, closed) = queue();
    source.on_end(Box::new(move |_| told.send(sink.is_closed()).unwrap()));
    drop(source);
    assert_eq!(closed.recv(), Ok(true));
}

#[test]
fn a_hook_on_what_has_ended_is_called_at_once() {
    let (sink, mut source) = channel::<u64>().complete_on_drop().build().unwrap();
    drop(sink);
    assert_eq!(source.next(), None);
    let ends = hooked(&mut source);
    assert_eq!(told(&ends), Some(End::Completed));
}

#[test]
fn a_hook_is_called_while_a_panic_unwinds_and_may_panic_itself() {
    let (sink, mut source, ends) = made();
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        source.drain(9, |_| panic!("as the test asked for"));
    }));
    assert!(unwound.is_err());
    assert_eq!(told(&ends), Some(End::Cancelled));
    assert!(sink.is_closed());

    let (sink, mut source, _ends) = made();
    source.on_end(Box::new(|_| panic!("as the test asked for")));
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        source.drain(9, |_| panic!("as the test asked for"));
    }));
    assert!(unwound.is_err());
    assert!(sink.is_closed());
}

#[test]
fn ends_from_outside_are_told_when_the_source_finds_them() {
    for (way, expected) in [
        (Conduit::complete as fn(&Conduit<u64>), End::Completed),
        (
            |conduit| conduit.fail(StreamFault::new(1, "one")),
            End::Failed(StreamFault::new(1, "one")),
        ),
        (Conduit::cancel, End::Cancelled),
    ] {
        let (conduit, mut source) = Conduit::new(4.into(), 4).unwrap();
        let ends = hooked(&mut source);
        let _sinks = [(); 2].map(|()| conduit.sink(WaitStrategy::default(), true).unwrap());
        way(&conduit);
        assert_eq!(told(&ends), None);
        assert_eq!(source.next(), None);
        assert_eq!(told(&ends), Some(expected));
        drop(source);
        assert_eq!(told(&ends), None);
    }
}

#[test]
fn a_source_of_lanes_that_is_dropped_tells_it_after_every_sink() {
    let (conduit, mut source) = Conduit::<u64>::new(4.into(), 4).unwrap();
    let sinks = [(); 2].map(|()| conduit.sink(WaitStrategy::default(), true).unwrap());
    let (told, closed) = queue();
    source.on_end(Box::new(move |_| {
        told.send(sinks.iter().all(SinkRef::is_closed)).unwrap();
    }));
    assert!(source.try_next().item().is_none());
    drop(source);
    assert_eq!(closed.recv(), Ok(true));
}
