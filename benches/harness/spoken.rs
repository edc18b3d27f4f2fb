//! Streams that actors set up: the same flow as over a bare channel, alone and beside thousands of idle streams.

use std::time::Duration;

use millstream::{
    ActorRef, ActorSystem, GetSink, GetSource, SinkRef, SourceRef, StreamConsumerMsg, StreamProducerMsg,
    WaitStrategy, stream_consumer, stream_producer,
};

use super::element::{Words, for_width};
use super::element_flow::{Flow, consume, produce};
use super::pinning::side_by_side;

const PATIENCE: Duration = Duration::from_secs(60);

/// A system whose one worker sleeps while elements flow, for it has no part in that.
pub(crate) struct Stage {
    system: ActorSystem,
    idle: Vec<Spoken<1>>,
}

/// A stream, and the actors that set it up.
struct Spoken<const W: usize> {
    producer: ActorRef<StreamProducerMsg<Words<W>>>,
    consumer: ActorRef<StreamConsumerMsg<Words<W>>>,
    ends: Option<(SinkRef<Words<W>>, SourceRef<Words<W>>)>,
}

impl Stage {
    /// A stage with `idle` streams, each with its two actors, and both ends given out.
    pub(crate) fn new(idle: usize) -> Self {
        let system = ActorSystem::builder("bench")
            .build()
            .expect("there is a thread to be had");
        let mut stage = Self {
            system,
            idle: Vec::new(),
        };
        stage.idle = (0..idle)
            .map(|number| stage.speak(&number.to_string(), 8))
            .collect();
        stage
    }

    fn speak<const W: usize>(&self, name: &str, capacity: usize) -> Spoken<W> {
        let spawned = "each has a name of its own";
        let producer = stream_producer()
            .buffer_size(capacity / 2)
            .sink_wait(WaitStrategy::BusySpin);
        let producer = self
            .system
            .spawn(&format!("producer-{name}"), producer)
            .expect(spawned);
        let consumer = stream_consumer(&producer)
            .initial_demand(capacity as u64 / 2)
            .timeout(None)
            .source_wait(WaitStrategy::BusySpin);
        let consumer = self
            .system
            .spawn(&format!("consumer-{name}"), consumer)
            .expect(spawned);
        let answers = "it answers";
        // The source first: by then the ring has the size that this consumer wants.
        let source = self
            .system
            .ask(&consumer, GetSource::new, PATIENCE)
            .expect(answers);
        let sink = self.system.ask(&producer, GetSink::new, PATIENCE).expect(answers);
        Spoken {
            producer,
            consumer,
            ends: Some((sink, source)),
        }
    }

    /// Million elements a second.
    pub(crate) fn flow(&self, flow: Flow, count: u64) -> f64 {
        for_width!(flow.words, W => {
            let mut spoken = self.speak::<W>("busy", flow.capacity);
            let (sink, source) = spoken.ends.take().expect("it was just made");
            let taken = side_by_side(
                move || produce(sink, flow.put, flow.capacity, count),
                move || consume(source, flow.take, flow.capacity, count),
            );
            self.system.wait_stopped(&spoken.producer, PATIENCE).expect("the stream has ended");
            self.system.wait_stopped(&spoken.consumer, PATIENCE).expect("the stream has ended");
            taken.rate::<W>(count)
        })
    }

    /// How many streams are idle.
    pub(crate) fn idle(&self) -> usize {
        self.idle.len()
    }
}
