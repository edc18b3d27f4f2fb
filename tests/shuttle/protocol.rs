//! The protocol of streams as actors speak it: who sets a stream up, who ends it, and what becomes of the elements.

use millstream::{
    ActorRef, ActorSystem, End, GetSink, GetSource, SinkRef, SourceRef, StreamConsumerMsg, StreamProducerMsg,
    WaitStrategy, stream_consumer, stream_producer,
};
use shuttle::thread;

use super::actors::{EVER, system};
use super::{WAITS, schedules};

type Producer = ActorRef<StreamProducerMsg<u64>>;
type Consumer = ActorRef<StreamConsumerMsg<u64>>;

fn actors(system: &ActorSystem, wait: WaitStrategy) -> (Producer, Consumer) {
    let producer = system
        .spawn("producer", stream_producer().buffer_size(1).sink_wait(wait))
        .unwrap();
    let consumer = stream_consumer(&producer)
        .initial_demand(2)
        .timeout(None)
        .source_wait(wait);
    let consumer = system.spawn("consumer", consumer).unwrap();
    (producer, consumer)
}

fn ends(system: &ActorSystem, producer: &Producer, consumer: &Consumer) -> (SinkRef<u64>, SourceRef<u64>) {
    let sink = system.ask(producer, GetSink::new, EVER).unwrap();
    let source = system.ask(consumer, GetSource::new, EVER).unwrap();
    (sink, source)
}

#[test]
fn elements_come_once_and_in_order() {
    for wait in WAITS {
        schedules(move || {
            let system = system(2, wait);
            let (producer, consumer) = actors(&system, wait);
            let (mut sink, mut source) = ends(&system, &producer, &consumer);
            let reader = thread::spawn(move || {
                assert!(source.by_ref().eq(0..5));
                assert_eq!(source.end(), Some(End::Completed));
            });
            (0..5).for_each(|element| sink.put(element).unwrap());
            sink.complete().unwrap();
            reader.join().unwrap();
            system.shutdown(EVER).unwrap();
        });
    }
}

/// Nobody waits for ever, on whichever side the end comes from.
#[test]
fn whoever_goes_the_other_is_told() {
    for wait in WAITS {
        schedules(move || {
            let system = system(2, wait);
            let (producer, consumer) = actors(&system, wait);
            let (mut sink, source) = ends(&system, &producer, &consumer);
            let reader = thread::spawn(move || assert!(source.take(2).eq(0..2)));
            let put = (0..9).take_while(|element| sink.put(*element).is_ok()).count();
            assert!(
                (2..9).contains(&put),
                "{put} were taken of a stream of which 2 were read"
            );
            reader.join().unwrap();
        });
        schedules(move || {
            let system = system(2, wait);
            let (producer, consumer) = actors(&system, wait);
            let (mut sink, mut source) = ends(&system, &producer, &consumer);
            let reader = thread::spawn(move || {
                let read = source.by_ref().count() as u64;
                (read, source.end().unwrap())
            });
            let stopper = {
                let system = system.handle();
                thread::spawn(move || system.stop(&producer))
            };
            let put = (0..4).take_while(|element| sink.put(*element).is_ok()).count() as u64;
            drop(sink);
            let (read, end) = reader.join().unwrap();
            stopper.join().unwrap();
            assert!(
                read <= put && end != End::Completed,
                "{read} of {put}, then {end:?}"
            );
        });
    }
}
