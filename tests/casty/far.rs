//! Streams whose producer is in another process, and processes that are killed: rows C15, C16, C39, C43, C45, C47 to C50.

use std::thread;

use millstream::{
    ActorRef, ActorSystem, CloseReason, CompleteStream, GetSink, GetState, PutError, SinkRef, StreamFault,
    StreamProducerMsg, TryPutError, stream_producer,
};

use crate::reader::{Reader, number};
use crate::scene::{Place, Scene, within};
use crate::several::near_reader;
use crate::stage::{Actor, LONGEST, Role, Stage, eventually, say};

pub(crate) const ROLES: &[(&str, Role)] = &[("writer", writer)];

/// A producer and its sinks that do what they are told, line by line.
fn writer(stage: &Stage) {
    let mut system = Some(ActorSystem::builder("writer").build().unwrap());
    let mut held: Option<ActorRef<StreamProducerMsg<u64>>> = None;
    let mut sinks: Vec<SinkRef<u64>> = Vec::new();
    loop {
        let line = stage.hear();
        let words: Vec<&str> = line.split_whitespace().collect();
        let [verb, words @ ..] = &words[..] else { continue };
        let Some(here) = &system else { continue };
        match (*verb, &held) {
            ("produce", _) => {
                let props = stream_producer().buffer_size(number(words, "buffer").unwrap_or(0usize));
                let props = props.published(words[0]).directory(&stage.ground.dir);
                held = Some(here.spawn(words[0], props).unwrap());
                say("ok");
            }
            ("sink", Some(producer)) => {
                sinks.push(here.ask(producer, GetSink::new, LONGEST).unwrap());
                say("ok");
            }
            ("put", _) => {
                let (from, to) = (words[0].parse().unwrap(), words[1].parse::<u64>().unwrap());
                let sink = &mut sinks[number(words, "sink").unwrap_or(0usize)];
                let refused = (from..to).find_map(|element| sink.put(element).err());
                say(match refused {
                    None => "ok".to_string(),
                    Some(PutError::Closed(_, reason)) => format!("closed {reason:?}"),
                    Some(other) => other.to_string(),
                });
            }
            ("complete", _) => {
                sinks.iter_mut().for_each(|sink| sink.complete().unwrap());
                say("ok");
            }
            ("fail", _) => {
                sinks[0].fail(StreamFault::new(3, "why")).unwrap();
                say("ok");
            }
            ("told", Some(producer)) => {
                producer.tell(CompleteStream);
                say("ok");
            }
            ("drop", _) => {
                sinks.clear();
                say("ok");
            }
            ("state", Some(producer)) => {
                let state = here.ask(producer, GetState::new, LONGEST);
                say(state.map_or_else(|error| format!("{error:?}"), |state| format!("{state:?}")));
            }
            ("stop", Some(producer)) => {
                here.stop_and_wait(producer, LONGEST).unwrap();
                say("ok");
            }
            ("stopped", Some(producer)) => {
                let terminated = here.wait_stopped(producer, LONGEST).unwrap();
                let events = here.events();
                say(format_args!(
                    "{:?} {} {}",
                    terminated.reason,
                    events.dead_letters(),
                    events.unhandled()
                ));
            }
            ("shutdown", _) => {
                let report = system.take().unwrap().shutdown(LONGEST).unwrap();
                say(format_args!("{} {}", report.dead_letters, report.unhandled));
            }
            _ => panic!("a writer does not know how to {verb}"),
        }
    }
}

fn produced(scene: &Scene, name: &str, settings: &str) -> Actor {
    let mut writer = scene.ground.start("writer", &[]);
    assert_eq!(writer.ask(format!("produce {name} {settings}")), "ok");
    assert_eq!(writer.ask("sink"), "ok");
    writer
}

fn subscribed(scene: &Scene, name: &str, settings: &str) -> Reader {
    let mut reader = near_reader(scene, name);
    assert_eq!(reader.ask(format!("consume {settings}")), "ok");
    assert_eq!(reader.ask("source"), "ok");
    reader
}

fn far(name: &str, settings: &str, body: impl FnOnce(&Scene, Actor, Reader) + Send + 'static) {
    let (name, settings) = (name.to_string(), settings.to_string());
    within(move || {
        let scene = Scene::new(Place::OtherProcess);
        let writer = produced(&scene, &name, "buffer=4");
        let reader = subscribed(&scene, &name, &settings);
        body(&scene, writer, reader);
        eventually(|| scene.ground.files().is_empty());
    });
}

#[test]
fn c42_c45_a_far_producer_completes() {
    far("stream", "demand=4", |_, mut writer, mut reader| {
        reader.say("count 0");
        assert_eq!(writer.ask("put 0 5000"), "ok");
        assert_eq!(writer.ask("complete"), "ok");
        assert_eq!(reader.hear(), "5000 Completed");
        assert_eq!(writer.ask("stopped"), "Stopped 0 0");
        assert_eq!(reader.ask("stopped"), "Stopped");
        assert_eq!(reader.ask("letters"), "0 0");
    });
}

#[test]
fn c18_several_sinks_of_a_far_producer() {
    far("stream", "demand=4", |_, mut writer, mut reader| {
        assert_eq!(writer.ask("sink"), "ok");
        for round in 0..20 {
            for sink in 0..2 {
                let element = round * 2 + sink;
                assert_eq!(
                    writer.ask(format!("put {element} {} sink={sink}", element + 1)),
                    "ok"
                );
                assert_eq!(reader.ask("next"), format!("item {element}"));
            }
        }
        assert_eq!(writer.ask("complete"), "ok");
        assert_eq!(reader.ask("next"), "end Completed");
        assert_eq!(writer.ask("stopped"), "Stopped 0 0");
    });
}

#[test]
fn c43_a_far_producer_fails() {
    far("stream", "demand=4", |_, mut writer, mut reader| {
        assert_eq!(writer.ask("put 0 3"), "ok");
        assert_eq!(writer.ask("fail"), "ok");
        let fault = StreamFault::new(3, "why");
        assert_eq!(reader.ask("count 0"), format!("3 Failed({fault:?})"));
        assert_eq!(writer.ask("stopped"), "Stopped 0 0");
    });
}

#[test]
fn c15_c39_a_near_reader_leaves_a_far_producer() {
    for how in ["drop", "cancel", "stop", "break 9"] {
        far("stream", "demand=4", move |_, mut writer, mut reader| {
            writer.say("put 0 1000000");
            assert_eq!(reader.ask("take 5"), "0 1 2 3 4");
            assert_eq!(reader.ask(how), "ok");
            assert!(writer.hear().starts_with("closed "));
            assert_eq!(writer.ask("stopped"), "Stopped 0 0");
            assert_eq!(reader.ask("stopped"), "Stopped");
        });
    }
}

#[test]
fn c16_a_far_producer_is_killed_under_a_waiting_reader() {
    far("stream", "demand=4", |_, mut writer, mut reader| {
        assert_eq!(writer.ask("put 0 3"), "ok");
        assert_eq!(reader.ask("take 3"), "0 1 2");
        reader.say("next");
        writer.kill();
        assert_eq!(reader.hear(), "end PeerGone");
        assert_eq!(reader.ask("stopped"), "Stopped");
        assert_eq!(reader.ask("letters"), "0 0");
    });
}

#[test]
fn c16_a_far_producer_is_killed_before_anybody_asks_for_the_source() {
    within(|| {
        let scene = Scene::new(Place::OtherProcess);
        let mut writer = produced(&scene, "stream", "");
        let mut reader = near_reader(&scene, "stream");
        assert_eq!(reader.ask("consume"), "ok");
        eventually(|| writer.ask("state").starts_with("Subscribed"));
        writer.kill();
        assert_eq!(reader.ask("source"), "ok");
        assert_eq!(reader.ask("next"), "end PeerGone");
        assert_eq!(reader.ask("stopped"), "Stopped");
    });
}

#[test]
fn c16_a_far_consumer_is_killed_under_a_blocked_put() {
    within(|| {
        let scene = Scene::new(Place::OtherProcess);
        let (producer, mut sink, mut reader) = scene.stream(1, "demand=1");
        let putting = thread::spawn(move || {
            let refused = (0..).find_map(|element| sink.put(element).err());
            (refused.unwrap(), sink)
        });
        assert_eq!(reader.ask("next"), "item 0");
        let Reader::Process(process) = &mut reader else {
            panic!()
        };
        process.kill();
        let (refused, mut sink) = putting.join().unwrap();
        assert!(
            matches!(refused, PutError::Closed(_, CloseReason::PeerGone)),
            "{refused:?}"
        );
        assert_eq!(
            sink.try_put(7),
            Err(TryPutError::Closed(7, CloseReason::PeerGone))
        );
        scene.system.wait_stopped(&producer, LONGEST).unwrap();
        assert_eq!(scene.system.events().dead_letters(), 0);
        eventually(|| scene.ground.files().is_empty());
    });
}

#[test]
fn c16_a_far_consumer_is_killed_under_an_idle_stream() {
    for settings in ["", "manual"] {
        within(move || {
            let scene = Scene::new(Place::OtherProcess);
            let (producer, sink, mut reader) = scene.stream(4, settings);
            let Reader::Process(process) = &mut reader else {
                panic!()
            };
            process.kill();
            scene.system.wait_stopped(&producer, LONGEST).unwrap();
            assert!(sink.is_closed());
        });
    }
}

#[test]
fn c16_a_far_consumer_is_killed_with_the_end_before_it() {
    within(|| {
        let scene = Scene::new(Place::OtherProcess);
        let (producer, mut sink, mut reader) = scene.stream(4, "demand=4");
        sink.put(1).unwrap();
        sink.complete().unwrap();
        crate::scene::passed_on(&scene.ground, "stream", 1);
        assert!(scene.state(&producer).is_ok(), "it waits for its reader");
        let Reader::Process(process) = &mut reader else {
            panic!()
        };
        process.kill();
        scene.system.wait_stopped(&producer, LONGEST).unwrap();
    });
}

#[test]
fn c16_systems_shut_down_on_either_side() {
    far("stream", "demand=4", |_, mut writer, mut reader| {
        assert_eq!(writer.ask("put 0 3"), "ok");
        assert_eq!(reader.ask("take 3"), "0 1 2");
        reader.say("next");
        assert_eq!(writer.ask("shutdown"), "0 0");
        let end = reader.hear();
        assert!(end.contains(&StreamFault::PRODUCER_STOPPED.to_string()), "{end}");
        assert_eq!(reader.ask("stopped"), "Stopped");
    });
    far("stream", "demand=4", |_, mut writer, mut reader| {
        writer.say("put 0 1000000");
        assert_eq!(reader.ask("take 3"), "0 1 2");
        assert_eq!(reader.ask("shutdown"), "0 0");
        assert!(writer.hear().starts_with("closed "));
        assert_eq!(writer.ask("stopped"), "Stopped 0 0");
        assert_eq!(reader.ask("source"), "Stopped", "at once");
    });
}

#[test]
fn c12_what_was_completed_is_passed_on_before_the_system_shuts_down() {
    far("stream", "demand=2", |_, mut writer, mut reader| {
        assert_eq!(writer.ask("put 0 6"), "ok");
        assert_eq!(writer.ask("complete"), "ok");
        writer.say("shutdown");
        let all: Vec<_> = (0..6).map(|element| element.to_string()).collect();
        assert_eq!(reader.ask("take 6"), all.join(" "));
        assert_eq!(reader.ask("next"), "end Completed");
        assert_eq!(writer.hear(), "0 0");
    });
}

#[test]
fn c38_a_far_producer_says_nothing() {
    far("stream", "demand=4 timeout=20", |_, mut writer, mut reader| {
        assert_eq!(reader.ask("next"), "end IdleTimeout");
        assert_eq!(writer.ask("stopped"), "Stopped 0 0");
        assert!(writer.ask("put 0 1000").starts_with("closed "));
    });
}

#[test]
fn c48_both_directions_between_two_processes() {
    within(|| {
        let scene = Scene::new(Place::OtherProcess);
        let (producer, mut sink, mut there) = scene.stream(4, "demand=4");
        let mut writer = produced(&scene, "back", "buffer=4");
        let mut here = subscribed(&scene, "back", "demand=4");
        there.say("count 0");
        here.say("count 0");
        writer.say("put 0 3000");
        for element in 0..3000 {
            sink.put(element).unwrap();
        }
        sink.complete().unwrap();
        assert_eq!(writer.hear(), "ok");
        assert_eq!(writer.ask("complete"), "ok");
        assert_eq!(there.hear(), "3000 Completed");
        assert_eq!(here.hear(), "3000 Completed");
        assert_eq!(writer.ask("stopped"), "Stopped 0 0");
        scene.ends_well(&producer, &mut there);
    });
}

#[test]
fn c50_a_far_producer_is_made_ten_times() {
    within(|| {
        let scene = Scene::new(Place::OtherProcess);
        let mut writer = scene.ground.start("writer", &[]);
        for round in 0..10 {
            assert_eq!(writer.ask("produce stream buffer=4"), "ok");
            assert_eq!(writer.ask("sink"), "ok");
            let mut reader = subscribed(&scene, "stream", "demand=2");
            assert_eq!(writer.ask("put 0 3"), "ok");
            assert_eq!(reader.ask("take 3"), "0 1 2");
            let how = ["complete", "told", "drop", "stop"][round % 4];
            assert_eq!(writer.ask(how), "ok");
            let end = reader.ask("next");
            let is_complete = how == "complete" || how == "told";
            assert_eq!(end == "end Completed", is_complete, "{how}: {end}");
            assert_eq!(writer.ask("stopped"), "Stopped 0 0");
            assert_eq!(writer.ask("drop"), "ok");
            eventually(|| scene.ground.files().is_empty());
        }
    });
}
