//! How a stream is set up, and where its producer and its consumer stand: rows C1, C4 to C6, C15, C17, C19, C26 to C31, C35,
//! C47.

use millstream::{
    AskError, CompleteStream, GetSink, GetSinkError, ProducerState, StreamCancel, StreamDemand,
    stream_consumer, stream_producer,
};

use crate::scene::{Scene, rows};
use crate::stage::{LONGEST, eventually};

rows! {
    everywhere {
        c1_nothing_flows_until_the_source_is_asked_for
        c4_c5_c6_idle_subscribed_stopped
        c4_cancelled_before_anybody_subscribed
        c12_c27_completed_before_anybody_subscribed
        c17_a_second_consumer_changes_nothing
        c17_a_strangers_cancel_changes_nothing
        c27_a_late_source_finds_the_end
        c29_the_source_is_given_once
        c30_c31_waiting_active_stopped
        c31_a_cancelled_consumer_cancels
        c34_no_demand_is_refused
        c26_a_demand_beyond_the_most
    }
    in_one_process {
        c17_of_ten_racing_consumers_one_wins
        c18_c19_sinks_come_from_the_producer
    }
    in_one_system {
        c1_c26_defaults
        c47_a_published_producer_is_taken_by_its_reference
    }
}

fn c1_nothing_flows_until_the_source_is_asked_for(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().buffer_size(4));
    let mut sink = scene.sink(&producer);
    assert_eq!(crate::scene::fill(&mut sink, 0), 4);
    let mut reader = scene.consumer(&producer, "demand=2");
    assert_eq!(reader.ask("state"), "Waiting");
    assert_eq!(sink.demand(), 0);
    assert_eq!(crate::scene::fill(&mut sink, 4), 0, "no demand, so no more room");
    assert_eq!(reader.ask("source"), "ok");
    for element in 4..100 {
        assert_eq!(reader.ask("next"), format!("item {}", element - 4));
        sink.put(element).unwrap();
    }
    sink.complete().unwrap();
    assert_eq!(reader.ask("rest"), "96 97 98 99 Completed");
    scene.ends_well(&producer, &mut reader);
}

fn c4_c5_c6_idle_subscribed_stopped(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    assert_eq!(scene.state(&producer).unwrap(), ProducerState::Idle);
    let mut sink = scene.sink(&producer);
    assert_eq!(scene.state(&producer).unwrap(), ProducerState::Idle);
    let mut reader = scene.consumer(&producer, "");
    eventually(|| matches!(scene.state(&producer), Ok(ProducerState::Subscribed { .. })));
    assert_eq!(reader.ask("source"), "ok");
    sink.complete().unwrap();
    assert_eq!(reader.ask("next"), "end Completed");
    scene.ends_well(&producer, &mut reader);
    let late = scene.system.ask(&producer, GetSink::new, LONGEST);
    assert!(matches!(late, Err(AskError::Stopped)), "{late:?}");
}

fn c4_cancelled_before_anybody_subscribed(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().buffer_size(1));
    let mut sink = scene.sink(&producer);
    sink.put(0).unwrap();
    let blocked = std::thread::spawn(move || sink.put(1));
    producer.tell(StreamCancel::new(&producer));
    scene.system.wait_stopped(&producer, LONGEST).unwrap();
    let refused = blocked.join().unwrap().unwrap_err();
    assert_eq!(refused.into_inner(), 1);
}

fn c12_c27_completed_before_anybody_subscribed(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    producer.tell(CompleteStream);
    producer.tell(CompleteStream);
    let refused = scene.system.ask(&producer, GetSink::new, LONGEST);
    let Err(AskError::Refused(why)) = refused else {
        panic!("{refused:?}")
    };
    let why = why.downcast_ref::<GetSinkError>();
    assert!(matches!(why, Some(GetSinkError::Ended(_))), "{why:?}");
    let mut reader = scene.source(&producer, "manual");
    assert_eq!(reader.ask("next"), "end Completed");
    scene.ends_well(&producer, &mut reader);
}

fn c17_a_second_consumer_changes_nothing(scene: &Scene) {
    let (producer, mut sink, mut first) = scene.stream(0, "demand=4");
    let mut second = scene.consumer(&producer, "demand=4 timeout=1");
    let refused = second.ask("source");
    assert!(refused.starts_with("refused: "), "{refused}");
    assert_eq!(second.ask("state"), "Waiting");
    assert_eq!(second.ask("tell_cancel"), "ok");
    assert_eq!(second.ask("stopped"), "Stopped");
    for element in 0..40 {
        sink.put(element).unwrap();
    }
    sink.complete().unwrap();
    assert_eq!(first.ask("count 0"), "40 Completed");
    assert_eq!(second.ask("letters"), "0 0");
    scene.ends_well(&producer, &mut first);
}

fn c17_a_strangers_cancel_changes_nothing(scene: &Scene) {
    let (producer, mut sink, mut reader) = scene.stream(4, "demand=4");
    let stranger = scene.producer("stranger", stream_producer());
    producer.tell(StreamCancel::new(&stranger));
    producer.tell(StreamDemand::new(&stranger, std::num::NonZeroU64::MIN));
    eventually(|| scene.system.events().unhandled() == 2);
    for element in 0..40 {
        sink.put(element).unwrap();
        assert_eq!(reader.ask("next"), format!("item {element}"));
    }
    sink.complete().unwrap();
    assert_eq!(reader.ask("next"), "end Completed");
    assert_eq!(reader.ask("stopped"), "Stopped");
}

fn c17_of_ten_racing_consumers_one_wins(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let mut sink = scene.sink(&producer);
    let mut readers: Vec<_> = (0..10).map(|_| scene.reader(&producer)).collect();
    readers.iter_mut().for_each(|reader| reader.say("consume"));
    readers
        .iter_mut()
        .for_each(|reader| assert_eq!(reader.hear(), "ok"));
    readers.iter_mut().for_each(|reader| reader.say("source"));
    let answers: Vec<String> = readers.iter_mut().map(|reader| reader.hear()).collect();
    let won: Vec<usize> = (0..10).filter(|n| answers[*n] == "ok").collect();
    let [won] = won[..] else { panic!("{answers:?}") };
    let mut reader = readers.swap_remove(won);
    drop(readers);
    sink.put(7).unwrap();
    sink.complete().unwrap();
    assert_eq!(reader.ask("rest"), "7 Completed");
    scene.ends_well(&producer, &mut reader);
}

fn c18_c19_sinks_come_from_the_producer(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let mut sinks: Vec<_> = (0..5).map(|_| scene.sink(&producer)).collect();
    let mut reader = scene.source(&producer, "");
    for (n, sink) in sinks.iter_mut().enumerate() {
        sink.put(n as u64).unwrap();
        assert_eq!(reader.ask("next"), format!("item {n}"));
    }
    drop(sinks);
    assert!(reader.ask("next").starts_with("end Failed"), "a dropped sink");
}

fn c27_a_late_source_finds_the_end(scene: &Scene) {
    for elements in [0, 3] {
        let producer = scene.producer(&format!("stream-{elements}"), stream_producer());
        let mut sink = scene.sink(&producer);
        let mut reader = scene.consumer(&producer, "demand=1");
        for element in 0..elements {
            sink.put(element).unwrap();
        }
        sink.complete().unwrap();
        drop(sink);
        eventually(|| matches!(scene.state(&producer), Ok(ProducerState::Subscribed { .. })));
        assert_eq!(reader.ask("source"), "ok");
        assert_eq!(reader.ask("count 0"), format!("{elements} Completed"));
        scene.ends_well(&producer, &mut reader);
    }
}

fn c29_the_source_is_given_once(scene: &Scene) {
    let (producer, mut sink, mut reader) = scene.stream(0, "");
    let again = reader.ask("source");
    assert!(
        again.starts_with("refused: the source was given out before"),
        "{again}"
    );
    sink.put(1).unwrap();
    sink.complete().unwrap();
    assert_eq!(reader.ask("rest"), "1 Completed");
    scene.ends_well(&producer, &mut reader);
}

fn c30_c31_waiting_active_stopped(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let mut reader = scene.consumer(&producer, "");
    assert_eq!(reader.ask("state"), "Waiting");
    assert_eq!(reader.ask("source"), "ok");
    assert_eq!(reader.ask("state"), "Active");
    assert_eq!(reader.ask("drop"), "ok");
    scene.ends_well(&producer, &mut reader);
}

fn c31_a_cancelled_consumer_cancels(scene: &Scene) {
    for settings in ["asked", "not asked"] {
        let producer = scene.producer("stream", stream_producer().buffer_size(2));
        let mut sink = scene.sink(&producer);
        let mut reader = scene.consumer(&producer, "demand=2");
        eventually(|| matches!(scene.state(&producer), Ok(ProducerState::Subscribed { .. })));
        if settings == "asked" {
            assert_eq!(reader.ask("source"), "ok");
        }
        let blocked = std::thread::spawn(move || (0..).find_map(|element| sink.put(element).err()));
        assert_eq!(reader.ask("tell_cancel"), "ok");
        assert!(blocked.join().unwrap().is_some(), "{settings}");
        scene.ends_well(&producer, &mut reader);
    }
}

fn c34_no_demand_is_refused(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let mut reader = scene.consumer(&producer, "demand=0");
    let refused = reader.ask("source");
    assert!(
        refused.starts_with("refused: an initial demand of 0"),
        "{refused}"
    );
    // The producer is there for somebody else.
    assert_eq!(scene.state(&producer).unwrap(), ProducerState::Idle);
}

fn c26_a_demand_beyond_the_most(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().max_demand(8));
    let mut sink = scene.sink(&producer);
    let mut reader = scene.consumer(&producer, "demand=9");
    let refused = reader.ask("source");
    assert!(refused.starts_with("refused: "), "{refused}");
    assert!(refused.contains('9') && refused.contains('8'), "{refused}");
    // The next one asks for as much as it may.
    let mut reader = scene.source(&producer, "demand=8");
    eventually(|| sink.demand() == 8);
    sink.put(1).unwrap();
    sink.complete().unwrap();
    assert_eq!(reader.ask("rest"), "1 Completed");
    scene.ends_well(&producer, &mut reader);
}

fn c1_c26_defaults(scene: &Scene) {
    let producer = stream_producer::<u64>();
    assert!(
        format!("{producer:?}").contains("buffer: Unbounded"),
        "{producer:?}"
    );
    let producer = scene.producer("stream", producer);
    let consumer = format!("{:?}", stream_consumer(&producer));
    assert!(consumer.contains("window: 16"), "{consumer}");
    assert!(consumer.contains("idle: Some(30s)"), "{consumer}");
    let sink = scene.sink(&producer);
    let _reader = scene.source(&producer, "");
    eventually(|| sink.demand() == 16);
}

fn c47_a_published_producer_is_taken_by_its_reference(scene: &Scene) {
    let props = stream_producer().published("stream").directory(&scene.ground.dir);
    let producer = scene.producer("stream", props);
    let mut sink = scene.sink(&producer);
    let mut reader = scene.source(&producer, "");
    sink.put(1).unwrap();
    sink.complete().unwrap();
    assert_eq!(reader.ask("rest"), "1 Completed");
    scene.ends_well(&producer, &mut reader);
}
