//! Row C50: streams that come and go leave nothing behind; in a process of its own, whose holdings nobody else changes.

use std::sync::Arc;

use millstream::{
    ActorRef, ActorSystem, GetSink, GetSource, SinkRef, SourceRef, StreamConsumerMsg, StreamProducer,
    StreamProducerMsg, stream_consumer, stream_producer,
};

use crate::memory::live;
use crate::stage::{Ground, LONGEST, Role, Stage, eventually, holdings, say};

pub(crate) const ROLES: &[(&str, Role)] = &[("cycles", cycles), ("published_cycles", published_cycles)];

/// Bytes that a cycle may leave: a table that has grown is no leak, and a stream is a thousand times that.
const CRUMBS: i64 = 64;

fn played(role: &str) {
    let ground = Ground::new();
    let scene = ground.start(role, &[]);
    scene.expect("done");
    scene.finish();
    assert_eq!(ground.files(), [""; 0]);
}

#[test]
fn c50_a_thousand_streams_leave_nothing() {
    played("cycles");
}

#[test]
fn c50_a_hundred_published_streams_leave_nothing() {
    played("published_cycles");
}

/// One stream from its beginning to its end, which comes about in turn in each way there is.
fn cycle<T: Send + 'static>(
    system: &ActorSystem,
    producer: StreamProducer<T>,
    find: impl FnOnce(&ActorRef<StreamProducerMsg<T>>) -> ActorRef<StreamConsumerMsg<T>>,
    round: usize,
    make: impl Fn() -> T,
) {
    let producer = system.spawn("producer", producer).unwrap();
    let mut sink: SinkRef<T> = system.ask(&producer, GetSink::new, LONGEST).unwrap();
    let another: Option<SinkRef<T>> = round
        .is_multiple_of(3)
        .then(|| system.ask(&producer, GetSink::new, LONGEST).unwrap());
    let consumer = find(&producer);
    if round % 8 == 7 {
        // Nobody asks for its source.
        sink.put(make()).unwrap();
        system.stop_and_wait(&consumer, LONGEST).unwrap();
        drop(another);
    } else {
        let mut source: SourceRef<T> = system.ask(&consumer, GetSource::new, LONGEST).unwrap();
        for _ in 0..3 {
            sink.put(make()).unwrap();
            assert!(source.next().is_some());
        }
        sink.put(make()).unwrap();
        drop(another);
        match round % 8 {
            // Another sink that was dropped has failed the stream, which this one learns sooner or later.
            0 | 1 => assert!(sink.complete().is_ok() || round.is_multiple_of(3)),
            2 => source.cancel(),
            3 => system.stop(&producer),
            4 => system.stop(&consumer),
            5 => drop(sink),
            _ => {}
        }
        if round % 8 == 6 {
            drop(source);
        } else {
            source.by_ref().for_each(drop);
            assert!(source.end().is_some());
        }
    }
    system.wait_stopped(&producer, LONGEST).unwrap();
    system.wait_stopped(&consumer, LONGEST).unwrap();
}

fn run(rounds: usize, mut one: impl FnMut(usize)) {
    let mut round = 0;
    let mut some = |count| {
        for _ in 0..count {
            one(round);
            round += 1;
        }
    };
    // Whatever is made once, and kept.
    some(64);
    let (held, bytes) = (holdings(), live());
    some(rounds);
    eventually(|| {
        let (now, limit) = (holdings(), rounds as i64 * CRUMBS);
        now.0 <= held.0 && now.1 <= held.1 && now.2 <= held.2 && live() - bytes < limit
    });
}

fn cycles(_: &Stage) {
    let system = ActorSystem::builder("cycles").build().unwrap();
    let counted = Arc::new(());
    run(1000, |round| {
        let producer = stream_producer().buffer_size(round % 5).max_demand(64);
        let find = |producer: &ActorRef<_>| {
            let consumer = stream_consumer(producer).initial_demand(4);
            system.spawn("consumer", consumer).unwrap()
        };
        cycle(&system, producer, find, round, || counted.clone());
        assert_eq!(
            Arc::strong_count(&counted),
            1,
            "after {round}, all elements are dropped"
        );
    });
    assert_eq!(system.shutdown(LONGEST).unwrap().dead_letters, 0);
    say("done");
}

fn published_cycles(stage: &Stage) {
    let system = ActorSystem::builder("cycles").build().unwrap();
    let dir = &stage.ground.dir;
    run(100, |round| {
        let producer = stream_producer().buffer_size(round % 5).max_demand(64);
        let find = |_: &ActorRef<_>| {
            let stream = system.lookup_stream_in::<u64>(dir, "stream", LONGEST).unwrap();
            system
                .spawn("consumer", stream_consumer(&stream).initial_demand(4))
                .unwrap()
        };
        cycle(
            &system,
            producer.published("stream").directory(dir),
            find,
            round,
            || round as u64,
        );
    });
    system.shutdown(LONGEST).unwrap();
    say("done");
}
