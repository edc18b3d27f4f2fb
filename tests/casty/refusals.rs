//! What cannot be had, and what is said then: names that are taken, kinds of elements, asks between producer and consumer.

use millstream::{
    AskError, GetSink, GetSinkError, GetSource, LookupStreamError, Push, StreamProducerMsg, stream_consumer,
    stream_producer,
};

use crate::scene::{Scene, rows};
use crate::stage::LONGEST;

rows! {
    in_one_process {
        a_name_that_is_taken
        a_name_that_is_free_again
        nobody_publishes_the_name
        another_kind_of_elements
        a_producer_that_can_hold_nothing
    }
}

fn refusal<T, E: std::error::Error + Clone + 'static>(asked: Result<T, AskError>) -> E {
    match asked {
        Err(AskError::Refused(why)) => why.downcast_ref::<E>().unwrap().clone(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was to be refused"),
    }
}

fn a_name_that_is_taken(scene: &Scene) {
    let dir = &scene.ground.dir;
    let published = || stream_producer::<u64>().published("name").directory(dir);
    let first = scene.system.spawn("first", published()).unwrap();
    let mut sink = scene.sink(&first);
    let second = scene.system.spawn("second", published()).unwrap();
    let why: GetSinkError = refusal(scene.system.ask(&second, GetSink::new, LONGEST));
    assert!(
        matches!(&why, GetSinkError::Unpublished(why) if why.contains("name")),
        "{why}"
    );
    let push = |reply| StreamProducerMsg::from(Push::asking(1, reply));
    let _: GetSinkError = refusal(scene.system.ask(&second, push, LONGEST));
    let consumer = scene.system.spawn("reader", stream_consumer(&second)).unwrap();
    let refused = scene.system.ask(&consumer, GetSource::new, LONGEST);
    assert!(matches!(refused, Err(AskError::Refused(_))), "{refused:?}");
    // The first has what it had.
    let stream = scene
        .system
        .lookup_stream_in::<u64>(dir, "name", LONGEST)
        .unwrap();
    let consumer = scene.system.spawn("another", stream_consumer(&stream)).unwrap();
    let mut source = scene.system.ask(&consumer, GetSource::new, LONGEST).unwrap();
    sink.put(1).unwrap();
    assert_eq!(source.next(), Some(1));
}

fn a_name_that_is_free_again(scene: &Scene) {
    for round in 0..5 {
        let props = stream_producer::<u64>()
            .published("name")
            .directory(&scene.ground.dir);
        let producer = scene.system.spawn("producer", props).unwrap();
        let mut sink = scene.sink(&producer);
        let stream = scene
            .system
            .lookup_stream_in::<u64>(&scene.ground.dir, "name", LONGEST)
            .unwrap();
        assert_eq!(stream.name(), "name");
        sink.put(round).unwrap();
        scene.system.stop_and_wait(&producer, LONGEST).unwrap();
        // Found before, and gone since.
        let consumer = scene.system.spawn("reader", stream_consumer(&stream)).unwrap();
        let refused = scene.system.ask(&consumer, GetSource::new, LONGEST);
        assert!(matches!(refused, Err(AskError::Refused(_))), "{refused:?}");
        scene.system.stop_and_wait(&consumer, LONGEST).unwrap();
    }
    assert_eq!(scene.system.events().dead_letters(), 0);
}

fn nobody_publishes_the_name(scene: &Scene) {
    let deadline = std::time::Duration::from_millis(1);
    let found = scene
        .system
        .lookup_stream_in::<u64>(&scene.ground.dir, "nobody", deadline);
    assert!(
        matches!(found, Err(LookupStreamError::NotFound { .. })),
        "{found:?}"
    );
}

fn another_kind_of_elements(scene: &Scene) {
    let props = stream_producer::<u64>()
        .published("name")
        .directory(&scene.ground.dir);
    let producer = scene.system.spawn("producer", props).unwrap();
    scene.sink(&producer).put(1).unwrap();
    let found = scene
        .system
        .lookup_stream_in::<f64>(&scene.ground.dir, "name", LONGEST);
    assert!(
        matches!(found, Err(LookupStreamError::OtherType { .. })),
        "{found:?}"
    );
}

fn a_producer_that_can_hold_nothing(scene: &Scene) {
    // More than any memory.
    let producer = scene.producer("stream", stream_producer().buffer_size(usize::MAX));
    let why: GetSinkError = refusal(scene.system.ask(&producer, GetSink::new, LONGEST));
    assert!(!why.to_string().is_empty());
    assert!(scene.state(&producer).is_ok(), "it lives");
}
