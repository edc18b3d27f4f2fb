//! Actors of the protocol that fail and are restarted: their streams go on.

use std::sync::mpsc::channel;

use millstream::{
    ActorRef, ActorRestarted, GetSource, Next, OneForOne, ProducerState, SourceRef, SpawnOptions,
    StreamCompleted, StreamConsumerMsg, StreamDemand, StreamElement, StreamProducerMsg, StreamSubscribe,
    receive, stream_consumer, stream_producer,
};

use crate::faults::poison;
use crate::scene::{Producer, Scene, fill, rows};
use crate::stage::{LONGEST, eventually};

rows! {
    everywhere {
        a_restarted_producer_goes_on
        a_producer_restarted_before_anybody_asked
    }
    in_one_system {
        a_producer_restarted_under_a_raw_subscriber
        a_restarted_consumer_goes_on
        a_producer_that_is_not_restarted_any_more
    }
}

fn supervised<M: Send + 'static>() -> SpawnOptions<M> {
    SpawnOptions::new().supervisor(OneForOne::default())
}

fn producer(scene: &Scene) -> Producer {
    let props = scene.published("stream", stream_producer().buffer_size(4));
    scene.system.spawn_with("stream", props, supervised()).unwrap()
}

fn restart(scene: &Scene, producer: &Producer) {
    let restarts = scene.system.events().subscribe::<ActorRestarted>(4);
    poison(&scene.system, producer);
    let restarted = restarts.next_deadline(LONGEST).unwrap();
    assert_eq!(&restarted.path, producer.path());
}

fn a_restarted_producer_goes_on(scene: &Scene) {
    let producer = producer(scene);
    let mut sink = scene.sink(&producer);
    let mut reader = scene.source(&producer, "demand=4");
    for round in 0..3 {
        sink.put(round * 2).unwrap();
        assert_eq!(reader.ask("next"), format!("item {}", round * 2));
        reader.say("next");
        restart(scene, &producer);
        sink.put(round * 2 + 1).unwrap();
        assert_eq!(reader.hear(), format!("item {}", round * 2 + 1));
    }
    // Another sink, of the one that came after.
    let mut another = scene.sink(&producer);
    another.put(6).unwrap();
    assert_eq!(reader.ask("next"), "item 6");
    sink.complete().unwrap();
    another.complete().unwrap();
    assert_eq!(reader.ask("next"), "end Completed");
    scene.ends_well(&producer, &mut reader);
}

fn a_producer_restarted_before_anybody_asked(scene: &Scene) {
    let producer = producer(scene);
    let mut sink = scene.sink(&producer);
    assert_eq!(fill(&mut sink, 0), 4);
    let mut reader = scene.consumer(&producer, "demand=2");
    eventually(|| matches!(scene.state(&producer), Ok(ProducerState::Subscribed { .. })));
    restart(scene, &producer);
    assert_eq!(reader.ask("source"), "ok");
    assert_eq!(reader.ask("take 4"), "0 1 2 3");
    sink.complete().unwrap();
    assert_eq!(reader.ask("next"), "end Completed");
    scene.ends_well(&producer, &mut reader);
}

fn a_producer_restarted_under_a_raw_subscriber(scene: &Scene) {
    let producer = producer(scene);
    let (say, heard) = channel();
    let me = scene.system.spawn("me", move || {
        let say = say.clone();
        receive(move |_, message: StreamConsumerMsg<u64>| {
            if let StreamConsumerMsg::StreamElement(StreamElement(element)) = message {
                let _ = say.send(Some(element));
            } else if let StreamConsumerMsg::StreamCompleted(_) = message {
                let _ = say.send(None);
            }
            Next::Same
        })
    });
    producer.tell(StreamSubscribe::new(&me.unwrap(), 1000));
    let mut sink = scene.sink(&producer);
    for element in 0..10 {
        sink.put(element).unwrap();
    }
    restart(scene, &producer);
    for element in 10..20 {
        sink.put(element).unwrap();
    }
    sink.complete().unwrap();
    for element in 0..20 {
        assert_eq!(heard.recv_timeout(LONGEST).unwrap(), Some(element));
    }
    assert_eq!(heard.recv_timeout(LONGEST).unwrap(), None);
    scene.system.wait_stopped(&producer, LONGEST).unwrap();
}

/// What the hand-written producer below is told. Whoever demands is failed once.
enum Word {
    Subscribe(StreamSubscribe<u64>),
    Demand(StreamDemand),
    Other,
}

thread_local! {
    static FAILS: std::cell::Cell<bool> = const { std::cell::Cell::new(true) };
}

impl From<StreamProducerMsg<u64>> for Word {
    fn from(message: StreamProducerMsg<u64>) -> Self {
        match message {
            StreamProducerMsg::StreamSubscribe(subscribe) => Self::Subscribe(subscribe),
            StreamProducerMsg::StreamDemand(demand) => {
                // On the worker of whoever demands.
                if FAILS.replace(false) {
                    std::panic::resume_unwind(Box::new("poisoned"));
                }
                Self::Demand(demand)
            }
            _ => Self::Other,
        }
    }
}

fn a_restarted_consumer_goes_on(scene: &Scene) {
    let producer: ActorRef<Word> = scene
        .system
        .spawn("counter", || {
            let (mut consumer, mut next) = (None, 0u64);
            receive(move |_, word| {
                match word {
                    Word::Subscribe(subscribe) => {
                        assert!(consumer.is_none(), "it subscribes once");
                        consumer = Some(subscribe.accept().0);
                    }
                    Word::Demand(demand) => {
                        let left = 30 - next;
                        for _ in 0..demand.n.get().min(left) {
                            consumer.iter().for_each(|to| to.tell(StreamElement(next).into()));
                            next += 1;
                        }
                        if next == 30 && left > 0 {
                            consumer.iter().for_each(|to| to.tell(StreamCompleted.into()));
                        }
                    }
                    Word::Other => {}
                }
                Next::Same
            })
        })
        .unwrap();
    let restarts = scene.system.events().subscribe::<ActorRestarted>(4);
    let consumer = stream_consumer(&producer).timeout(None);
    let consumer = scene.system.spawn_with("reader", consumer, supervised()).unwrap();
    let source: SourceRef<u64> = scene.system.ask(&consumer, GetSource::new, LONGEST).unwrap();
    assert!(restarts.next_deadline(LONGEST).is_some());
    assert!(source.eq(0..30));
    scene.system.wait_stopped(&consumer, LONGEST).unwrap();
    assert_eq!(scene.system.events().dead_letters(), 0);
}

fn a_producer_that_is_not_restarted_any_more(scene: &Scene) {
    let options = SpawnOptions::new().supervisor(OneForOne::new(1, LONGEST));
    let producer = scene
        .system
        .spawn_with("stream", stream_producer::<u64>(), options)
        .unwrap();
    let mut sink = scene.sink(&producer);
    let mut reader = scene.source(&producer, "");
    restart(scene, &producer);
    sink.put(1).unwrap();
    assert_eq!(reader.ask("next"), "item 1");
    poison(&scene.system, &producer);
    let end = reader.ask("next");
    assert!(end.contains("poisoned"), "{end}");
}
