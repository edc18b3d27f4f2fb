//! A subscription is cancelled by somebody who does not hold its source.

#![forbid(unsafe_code)]

use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::stream::canceller::Canceller;
use crate::stream::end::{CloseReason, End};
use crate::stream::error::{PutError, TryPutError};
use crate::stream::publish::publish;
use crate::stream::sink::SinkRef;
use crate::stream::source::{SourceRef, TryNext};
use crate::stream::subscribe::subscribe;
use crate::wait::WaitStrategy;

struct Ground(TempDir);

impl Ground {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn sink(&self) -> SinkRef<u64> {
        publish::<u64>("ticks")
            .directory(self.0.path().join("run"))
            .open()
            .unwrap()
    }

    fn source(&self, reconnect: bool) -> SourceRef<u64> {
        let builder = subscribe::<u64>("ticks")
            .wait_for(Duration::from_secs(60))
            .idle_timeout(None)
            .source_wait(WaitStrategy::park())
            .directory(self.0.path().join("run"));
        let builder = if reconnect { builder.reconnect() } else { builder };
        builder.open().unwrap()
    }
}

/// Puts until the stream takes nothing more.
fn closed(sink: &mut SinkRef<u64>) -> CloseReason {
    loop {
        if let Err(PutError::Closed(_, reason)) = sink.put(1) {
            return reason;
        }
    }
}

fn is_over(reason: CloseReason) -> bool {
    matches!(reason, CloseReason::Cancelled | CloseReason::PeerGone)
}

#[test]
fn a_reader_that_waits_waits_no_more() {
    let ground = Ground::new();
    let (mut sink, mut source) = (ground.sink(), ground.source(false));
    let canceller = source.canceller().unwrap();
    let reader = thread::spawn(move || {
        let taken = source.by_ref().count();
        (taken, source.end(), source)
    });
    sink.put(1).unwrap();
    canceller.cancel();
    canceller.clone().cancel();
    let (taken, end, _source) = reader.join().unwrap();
    assert!(taken <= 1);
    assert_eq!(end, Some(End::Cancelled));
    assert!(is_over(closed(&mut sink)));
}

#[test]
fn the_producer_learns_of_it_from_a_reader_that_does_nothing() {
    let ground = Ground::new();
    let (mut sink, mut source) = (ground.sink(), ground.source(false));
    let canceller = source.canceller().unwrap();
    while sink.try_put(1).is_ok() {}
    // Blocked, until the connection hangs up.
    let producer = thread::spawn(move || closed(&mut sink));
    canceller.cancel();
    assert!(is_over(producer.join().unwrap()));
    while source.next().is_some() {}
    assert_eq!(source.end(), Some(End::Cancelled));
}

#[test]
fn a_reader_that_always_finds_something_ends_at_its_mark() {
    let ground = Ground::new();
    let (mut sink, mut source) = (ground.sink(), ground.source(false));
    let canceller = source.canceller().unwrap();
    while sink.try_put(1).is_ok() {}
    canceller.cancel();
    let taken = source.by_ref().count();
    assert!(taken <= 8, "{taken} elements were taken after the end");
    assert_eq!(source.end(), Some(End::Cancelled));
}

#[test]
fn cancelling_what_has_ended_changes_nothing() {
    let ground = Ground::new();
    let (mut sink, mut source) = (ground.sink(), ground.source(false));
    let canceller = source.canceller().unwrap();
    sink.complete().unwrap();
    assert_eq!(source.next(), None);
    canceller.cancel();
    assert_eq!(source.end(), Some(End::Completed));
    drop((sink, source));
    canceller.cancel();
}

#[test]
fn a_source_that_reconnects_is_cancelled_for_good() {
    let ground = Ground::new();
    let (mut sink, mut source) = (ground.sink(), ground.source(true));
    let canceller = source.canceller().unwrap();
    sink.put(1).unwrap();
    assert_eq!(source.next(), Some(1));
    let reader = thread::spawn(move || (source.next(), source.end()));
    canceller.cancel();
    assert_eq!(reader.join().unwrap(), (None, Some(End::Cancelled)));
}

#[test]
fn within_one_process_there_is_none() {
    let (_sink, mut source) = crate::stream::channel::channel::<u64>().build().unwrap();
    assert!(
        source
            .canceller()
            .map(|canceller: Canceller| canceller.cancel())
            .is_none()
    );
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: std::sync::Arc<Self>) {}
}

/// Waits until one of the descriptors is readable.
fn listen(fds: &[std::os::fd::BorrowedFd<'_>]) {
    let mut polled: Vec<_> = fds
        .iter()
        .map(|fd| rustix::event::PollFd::new(fd, rustix::event::PollFlags::IN))
        .collect();
    let _ = rustix::event::poll(&mut polled, None);
}

#[test]
fn between_processes_descriptors_tell_what_there_is() {
    let ground = Ground::new();
    let (mut sink, mut source) = (ground.sink(), ground.source(false));
    let waker = Waker::from(std::sync::Arc::new(Nobody));
    let reader = thread::spawn(move || {
        let waker = Waker::from(std::sync::Arc::new(Nobody));
        let mut taken = 0;
        loop {
            match source.try_next() {
                TryNext::Item(element) => {
                    assert_eq!(element, taken);
                    taken += 1;
                }
                TryNext::End(end) => return (taken, end),
                TryNext::Empty if source.arm(&waker) => {}
                TryNext::Empty => listen(&source.bell_fds()),
            }
        }
    });
    for element in 0..20_000 {
        while let Err(error) = sink.try_put(element) {
            assert!(matches!(error, TryPutError::Full(_)), "{error}");
            if !sink.arm(&waker) {
                listen(&sink.bell_fds());
            }
        }
    }
    sink.complete_and_drain(Instant::now() + Duration::from_secs(60))
        .unwrap();
    assert_eq!(reader.join().unwrap(), (20_000, End::Completed));
}
