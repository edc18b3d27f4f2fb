//! Actors and systems that stop, fail and are shut down under their streams: rows C6, C16, C29, C31, C39, section 6.

use std::thread;
use std::time::Instant;

use millstream::{
    ActorRef, ActorSystem, AskError, CloseReason, End, GetSink, GetSource, PutError, SourceRef,
    StreamConsumerMsg, StreamFault, StreamProducerMsg, StreamSubscribe, receive, stream_consumer,
    stream_producer,
};

use crate::scene::{Place, Producer, Scene, fill, rows};
use crate::stage::{LONGEST, eventually};

rows! {
    everywhere {
        c16_a_stopped_producer_releases_a_blocked_put
        c16_a_stopped_producer_wakes_a_waiting_reader
        c16_a_panicking_producer_says_so
        c16_a_producer_that_stops_before_anybody_asks
        c16_a_completed_stream_survives_its_producer
        c16_what_was_asked_for_comes_before_the_stop
        c16_the_producers_system_shuts_down
        c31_a_stopped_consumer_releases_a_blocked_put
        c31_a_stopped_consumer_that_gave_nothing_out
        c31_a_stopped_consumer_of_an_idle_stream
    }
    in_one_process {
        c31_a_stopped_consumer_wakes_its_reader
        c31_the_consumers_system_shuts_down
        c31_a_consumer_that_stops_during_its_handshake
    }
    in_one_system {
        c31_a_stopped_consumer_releases_a_drain
        c6_handles_outlive_their_system
        c6_a_stopped_actor_answers_at_once
        c6_who_asks_cannot_fail_who_answers
        c16_a_stopped_producer_under_the_next_consumer
    }
}

fn putting(mut sink: crate::scene::Sink) -> thread::JoinHandle<PutError<u64>> {
    thread::spawn(move || (0..).find_map(|element| sink.put(element).err()).unwrap())
}

fn reason(error: PutError<u64>) -> CloseReason {
    match error {
        PutError::Closed(_, reason) => reason,
        other => panic!("{other}"),
    }
}

/// The consumer was stopped by somebody who does not hold its source: elsewhere, all that is known is that it hung up.
fn assert_left(scene: &Scene, putting: thread::JoinHandle<PutError<u64>>) {
    let reason = reason(putting.join().unwrap());
    let is_gone = reason == CloseReason::PeerGone && !scene.is_one_system();
    assert!(reason == CloseReason::Cancelled || is_gone, "{reason}");
}

fn stopped() -> String {
    let fault = StreamFault::new(StreamFault::PRODUCER_STOPPED, "the producer stopped: stopped");
    format!("Failed({fault:?})")
}

fn c16_a_stopped_producer_releases_a_blocked_put(scene: &Scene) {
    for when in ["before anybody subscribed", "after that"] {
        let producer = scene.producer("stream", stream_producer().buffer_size(1));
        let sink = scene.sink(&producer);
        let reader = (when == "after that").then(|| scene.source(&producer, "demand=1"));
        let putting = putting(sink);
        scene.system.stop_and_wait(&producer, LONGEST).unwrap();
        assert_eq!(reason(putting.join().unwrap()), CloseReason::Failed, "{when}");
        drop(reader);
    }
}

fn c16_a_stopped_producer_wakes_a_waiting_reader(scene: &Scene) {
    let (producer, mut sink, mut reader) = scene.stream(4, "");
    sink.put(1).unwrap();
    assert_eq!(reader.ask("next"), "item 1");
    reader.say("next");
    scene.system.stop(&producer);
    assert_eq!(reader.hear(), format!("end {}", stopped()));
    scene.ends_well(&producer, &mut reader);
}

/// A message of one's own that cannot be made of another: who sends it, panics.
struct Poison;

impl From<StreamConsumerMsg<u64>> for Poison {
    fn from(_: StreamConsumerMsg<u64>) -> Self {
        std::panic::resume_unwind(Box::new("poisoned"));
    }
}

/// Makes a producer panic that has a consumer.
pub(crate) fn poison(system: &ActorSystem, producer: &Producer) {
    let poison: ActorRef<Poison> = system
        .spawn(&format!("poison-{}", system.actors().len()), || {
            receive(|_, _| millstream::Next::Same)
        })
        .unwrap();
    producer.tell(StreamSubscribe::new(&poison, 1));
}

fn c16_a_panicking_producer_says_so(scene: &Scene) {
    let (producer, sink, mut reader) = scene.stream(4, "");
    reader.say("next");
    poison(&scene.system, &producer);
    let end = reader.hear();
    let code = format!("code: {}", StreamFault::PRODUCER_PANICKED);
    assert!(end.contains(&code) && end.contains("poisoned"), "{end}");
    assert_eq!(reason(putting(sink).join().unwrap()), CloseReason::Failed);
    scene.system.wait_stopped(&producer, LONGEST).unwrap();
    assert_eq!(reader.ask("stopped"), "Stopped");
}

fn c16_a_producer_that_stops_before_anybody_asks(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let mut sink = scene.sink(&producer);
    let mut reader = scene.consumer(&producer, "");
    eventually(|| {
        matches!(
            scene.state(&producer),
            Ok(millstream::ProducerState::Subscribed { .. })
        )
    });
    sink.put(1).unwrap();
    scene.system.stop_and_wait(&producer, LONGEST).unwrap();
    assert_eq!(reader.ask("source"), "ok");
    // In one system what was put is there; where it was to be passed on, nobody had asked for it.
    let rest = reader.ask("rest");
    let all = if scene.is_one_system() {
        format!("1 {}", stopped())
    } else {
        stopped()
    };
    assert_eq!(rest, all);
    assert_eq!(reader.ask("stopped"), "Stopped");
}

fn c16_a_completed_stream_survives_its_producer(scene: &Scene) {
    let (producer, mut sink, mut reader) = scene.stream(8, "demand=16");
    for element in 0..8 {
        sink.put(element).unwrap();
    }
    sink.complete_and_drain(std::time::Instant::now()).ok();
    if !scene.is_one_system() {
        // Passed on, as it was asked for.
        crate::scene::passed_on(&scene.ground, "stream", 8);
    }
    drop(sink);
    scene.system.stop_and_wait(&producer, LONGEST).unwrap();
    assert_eq!(reader.ask("count 0"), "8 Completed");
    assert_eq!(reader.ask("stopped"), "Stopped");
}

fn c16_what_was_asked_for_comes_before_the_stop(scene: &Scene) {
    for round in 0..20 {
        let (producer, mut sink, mut reader) = scene.stream(8, "demand=64");
        eventually(|| sink.demand() == 64);
        for element in 0..round {
            sink.put(element).unwrap();
        }
        scene.system.stop_and_wait(&producer, LONGEST).unwrap();
        assert_eq!(reader.ask("count 0"), format!("{round} {}", stopped()));
        scene.ends_well(&producer, &mut reader);
    }
}

fn c16_the_producers_system_shuts_down(scene: &Scene) {
    let home = ActorSystem::builder("short").build().unwrap();
    let other = Scene {
        place: scene.place,
        ground: crate::stage::Ground::new(),
        system: home,
    };
    let producer = other.producer("stream", stream_producer().buffer_size(1));
    let sink = other.sink(&producer);
    let mut reader = if scene.is_one_system() {
        // The consumer lives on.
        let upstream = crate::reader::Upstream::Actor(producer.clone());
        crate::reader::Reader::here(crate::reader::Desk::new(scene.system.handle(), upstream))
    } else {
        other.reader(&producer)
    };
    assert_eq!(reader.ask("consume demand=1"), "ok");
    assert_eq!(reader.ask("source"), "ok");
    reader.say("rest");
    let putting = putting(sink);
    let Scene { system, ground, .. } = other;
    let report = system.shutdown(LONGEST).unwrap();
    assert_eq!((report.dead_letters, report.unhandled), (0, 0));
    assert_eq!(reason(putting.join().unwrap()), CloseReason::Failed);
    let fault = StreamFault::new(
        StreamFault::PRODUCER_STOPPED,
        "the producer stopped: its system was shut down",
    );
    let rest = reader.hear();
    assert!(rest.contains(&format!("code: {}", fault.code())), "{rest}");
    assert_eq!(reader.ask("stopped"), "Stopped");
    eventually(|| ground.files().is_empty());
}

fn c31_a_stopped_consumer_releases_a_blocked_put(scene: &Scene) {
    let (producer, sink, mut reader) = scene.stream(1, "demand=1");
    let putting = putting(sink);
    assert_eq!(reader.ask("next"), "item 0");
    assert_eq!(reader.ask("stop"), "ok");
    assert_left(scene, putting);
    scene.system.wait_stopped(&producer, LONGEST).unwrap();
    assert!(reader.ask("rest").ends_with("Cancelled"));
    scene.ends_well(&producer, &mut reader);
}

fn c31_a_stopped_consumer_that_gave_nothing_out(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().buffer_size(1));
    let mut sink = scene.sink(&producer);
    let mut reader = scene.consumer(&producer, "");
    eventually(|| {
        matches!(
            scene.state(&producer),
            Ok(millstream::ProducerState::Subscribed { .. })
        )
    });
    assert_eq!(fill(&mut sink, 0), 1);
    let putting = putting(sink);
    assert_eq!(reader.ask("stop"), "ok");
    assert_left(scene, putting);
    scene.ends_well(&producer, &mut reader);
}

fn c31_a_stopped_consumer_of_an_idle_stream(scene: &Scene) {
    let (producer, sink, mut reader) = scene.stream(1, "");
    // Its source is held by somebody who does not touch it.
    assert_eq!(reader.ask("stop"), "ok");
    scene.system.wait_stopped(&producer, LONGEST).unwrap();
    assert_left(scene, putting(sink));
    assert_eq!(reader.ask("next"), "end Cancelled");
    scene.ends_well(&producer, &mut reader);
}

/// What was put stays where it is: its source is held by somebody who does not touch it.
fn c31_a_stopped_consumer_releases_a_drain(scene: &Scene) {
    let (producer, mut sink, mut reader) = scene.stream(1, "");
    sink.put(1).unwrap();
    sink.complete().unwrap();
    let draining = thread::spawn(move || sink.complete_and_drain(Instant::now() + LONGEST));
    assert_eq!(reader.ask("stop"), "ok");
    let drained = draining.join().unwrap().unwrap_err();
    assert_eq!((drained.left, drained.reason), (1, Some(CloseReason::Cancelled)));
    assert_eq!(reader.ask("next"), "end Cancelled");
    scene.ends_well(&producer, &mut reader);
}

fn here(scene: &Scene, producer: &Producer, system: &ActorSystem) -> ActorRef<StreamConsumerMsg<u64>> {
    let consumer = match scene.place {
        Place::OneSystem => stream_consumer(producer),
        _ => {
            let name = producer.path().name();
            stream_consumer(system.lookup_stream_in(&scene.ground.dir, name, LONGEST).unwrap())
        }
    };
    system.spawn("reader", consumer.timeout(None)).unwrap()
}

fn c31_a_stopped_consumer_wakes_its_reader(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let consumer = here(scene, &producer, &scene.system);
    let mut source: SourceRef<u64> = scene.system.ask(&consumer, GetSource::new, LONGEST).unwrap();
    let waiting = thread::spawn(move || (source.next(), source.end()));
    scene.system.stop(&consumer);
    assert_eq!(waiting.join().unwrap(), (None, Some(End::Cancelled)));
    scene.system.wait_stopped(&producer, LONGEST).unwrap();
}

fn c31_the_consumers_system_shuts_down(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().buffer_size(1));
    let putting = putting(scene.sink(&producer));
    let away = ActorSystem::builder("away").build().unwrap();
    let consumer = here(scene, &producer, &away);
    let mut source: SourceRef<u64> = away.ask(&consumer, GetSource::new, LONGEST).unwrap();
    assert_eq!(source.next(), Some(0));
    let waiting = thread::spawn(move || source.by_ref().count());
    let report = away.shutdown(LONGEST).unwrap();
    assert_eq!((report.dead_letters, report.unhandled), (0, 0));
    waiting.join().unwrap();
    assert_left(scene, putting);
    scene.system.wait_stopped(&producer, LONGEST).unwrap();
    assert!(matches!(
        away_asked(&scene.system, &consumer),
        Err(AskError::Stopped)
    ));
}

fn away_asked(
    system: &ActorSystem,
    consumer: &ActorRef<StreamConsumerMsg<u64>>,
) -> Result<SourceRef<u64>, AskError> {
    system.ask(consumer, GetSource::new, LONGEST)
}

fn c31_a_consumer_that_stops_during_its_handshake(scene: &Scene) {
    for round in 0..20 {
        let producer = scene.producer(&format!("stream-{round}"), stream_producer());
        let mut sink = scene.sink(&producer);
        let away = ActorSystem::builder("away").build().unwrap();
        let consumer = here(scene, &producer, &away);
        away.stop_and_wait(&consumer, LONGEST).unwrap();
        drop(consumer);
        // Nobody knows whether it had come so far; the stream does not hang.
        if scene.place == Place::OneSystem {
            scene.system.wait_stopped(&producer, LONGEST).unwrap();
            assert!(sink.put(1).is_err());
        } else {
            eventually(|| away.events().dead_letters() == 0);
            let _ = sink.try_put(1);
            scene.system.stop_and_wait(&producer, LONGEST).unwrap();
        }
        assert_eq!(away.shutdown(LONGEST).unwrap().dead_letters, 0);
    }
}

fn c6_handles_outlive_their_system(scene: &Scene) {
    let system = ActorSystem::builder("short").build().unwrap();
    let producer = system.spawn("stream", stream_producer::<u64>()).unwrap();
    let mut sink = system.ask(&producer, GetSink::new, LONGEST).unwrap();
    let consumer = system.spawn("reader", stream_consumer(&producer)).unwrap();
    let mut source = away_asked(&system, &consumer).unwrap();
    sink.put(1).unwrap();
    drop(system);
    assert!(sink.is_closed());
    // One more may be taken as if it had been on its way.
    let late = sink.try_put(2).is_ok();
    assert!(matches!(
        sink.try_put(2),
        Err(millstream::TryPutError::Closed(2, _))
    ));
    assert!(matches!(sink.put(2), Err(PutError::Closed(2, _))));
    let taken: Vec<u64> = source.by_ref().collect();
    match source.end() {
        Some(End::Cancelled) => assert_eq!(taken, [0; 0]),
        Some(End::Failed(_)) => assert_eq!(taken, if late { vec![1, 2] } else { vec![1] }),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        scene.system.ask(&producer, GetSink::new, LONGEST),
        Err(AskError::Stopped)
    ));
    assert!(matches!(
        away_asked(&scene.system, &consumer),
        Err(AskError::Stopped)
    ));
}

fn c6_a_stopped_actor_answers_at_once(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    scene.system.stop_and_wait(&producer, LONGEST).unwrap();
    // Without a deadline.
    let asked = scene.system.ask(&producer, GetSink::new, LONGEST);
    assert!(matches!(asked, Err(AskError::Stopped)), "{asked:?}");
    let mut reader = scene.consumer(&producer, "");
    let refused = reader.ask("source");
    assert!(refused.contains("has stopped"), "{refused}");
}

fn c6_who_asks_cannot_fail_who_answers(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let asked = producer.clone();
    let asker = scene.system.spawn("asker", move || {
        let asked = asked.clone();
        millstream::setup(move |context| {
            let get = |reply| StreamProducerMsg::from(GetSink::new(reply));
            context.ask(&asked, get, LONGEST, |_| -> u32 {
                std::panic::resume_unwind(Box::new("mine"))
            });
            receive(|_, _: u32| millstream::Next::Same)
        })
    });
    let terminated = scene.system.wait_stopped(&asker.unwrap(), LONGEST).unwrap();
    assert!(matches!(terminated.reason, millstream::StopReason::Failed(_)));
    assert!(scene.state(&producer).is_ok());
}

fn c16_a_stopped_producer_under_the_next_consumer(scene: &Scene) {
    let (producer, _sink, mut first) = scene.stream(1, "");
    let mut second = scene.consumer(&producer, "");
    assert!(second.ask("source").contains("a consumer already"));
    scene.system.stop_and_wait(&producer, LONGEST).unwrap();
    assert_eq!(first.ask("next"), format!("end {}", stopped()));
    assert!(second.ask("source").contains("a consumer already"), "as before");
}
