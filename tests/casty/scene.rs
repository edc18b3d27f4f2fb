//! Where a body is played: with the consumer in the same system, in another one, or in another process.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use millstream::{
    ActorRef, ActorSystem, AskError, Buffer, GetSink, GetState, ProducerState, SinkRef, StreamProducer,
    StreamProducerMsg, Workers, stream_producer,
};

use crate::reader::{Desk, Reader, Upstream};
use crate::stage::{Ground, LONGEST, eventually};

pub(crate) type Producer = ActorRef<StreamProducerMsg<u64>>;
pub(crate) type Sink = SinkRef<u64>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    OneSystem,
    OtherSystem,
    OtherProcess,
}

pub(crate) struct Scene {
    pub(crate) place: Place,
    pub(crate) ground: Ground,
    pub(crate) system: ActorSystem,
}

impl Scene {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            ground: Ground::new(),
            // So that a producer and its consumer are on different workers.
            system: ActorSystem::builder("home")
                .workers(Workers::unpinned(2))
                .build()
                .unwrap(),
        }
    }

    pub(crate) fn is_one_system(&self) -> bool {
        self.place == Place::OneSystem
    }

    /// A producer, which is published if its consumer will be elsewhere.
    pub(crate) fn producer(&self, name: &str, props: StreamProducer<u64>) -> Producer {
        self.system.spawn(name, self.published(name, props)).unwrap()
    }

    pub(crate) fn published(&self, name: &str, props: StreamProducer<u64>) -> StreamProducer<u64> {
        match self.place {
            Place::OneSystem => props,
            _ => props.published(name).directory(&self.ground.dir),
        }
    }

    pub(crate) fn sink(&self, producer: &Producer) -> Sink {
        self.system.ask(producer, GetSink::new, LONGEST).unwrap()
    }

    /// Somebody who has no consumer yet.
    pub(crate) fn reader(&self, producer: &Producer) -> Reader {
        let name = producer.path().name();
        match self.place {
            Place::OneSystem => {
                Reader::here(Desk::new(self.system.handle(), Upstream::Actor(producer.clone())))
            }
            Place::OtherSystem => {
                let system = ActorSystem::builder("away").build().unwrap();
                Reader::here(Desk::owning(system, &self.ground.dir, name))
            }
            Place::OtherProcess => Reader::Process(self.ground.start("reader", &[&name])),
        }
    }

    /// A consumer whose source nobody has asked for.
    #[track_caller]
    pub(crate) fn consumer(&self, producer: &Producer, settings: &str) -> Reader {
        let mut reader = self.reader(producer);
        assert_eq!(reader.ask(format!("consume {settings}")), "ok");
        reader
    }

    /// A consumer whose source it has.
    #[track_caller]
    pub(crate) fn source(&self, producer: &Producer, settings: &str) -> Reader {
        let mut reader = self.consumer(producer, settings);
        assert_eq!(reader.ask("source"), "ok");
        reader
    }

    /// All of it, when the demand has arrived.
    #[track_caller]
    pub(crate) fn stream(&self, buffer: impl Into<Buffer>, settings: &str) -> (Producer, Sink, Reader) {
        let producer = self.producer("stream", stream_producer().buffer_size(buffer));
        let sink = self.sink(&producer);
        let reader = self.source(&producer, settings);
        if !settings.contains("manual") {
            eventually(|| sink.demand() > 0);
        }
        (producer, sink, reader)
    }

    pub(crate) fn state(&self, producer: &Producer) -> Result<ProducerState, AskError> {
        self.system.ask(producer, GetState::new, LONGEST)
    }

    /// Waits until the producer and the consumer have stopped, after which nothing has reached nobody.
    #[track_caller]
    pub(crate) fn ends_well(&self, producer: &Producer, reader: &mut Reader) {
        assert_eq!(reader.ask("stopped"), "Stopped");
        assert_eq!(reader.ask("letters"), "0 0");
        self.system.wait_stopped(producer, LONGEST).unwrap();
        let events = self.system.events();
        assert_eq!((events.dead_letters(), events.unhandled()), (0, 0));
        assert!(matches!(self.state(producer), Err(AskError::Stopped)));
        assert_eq!(reader.ask("state"), "Stopped");
        assert_eq!(reader.ask("source"), "Stopped", "at once");
    }
}

/// Puts elements counting up from `next` until the sink says no; how many it took.
pub(crate) fn fill(sink: &mut Sink, from: u64) -> u64 {
    let refused = (from..).find_map(|element| sink.try_put(element).err().map(|error| (element, error)));
    let (element, error) = refused.unwrap();
    assert_eq!(error, millstream::TryPutError::Full(element));
    element - from
}

/// Runs a body and fails when it hangs.
pub(crate) fn play(place: Place, body: fn(&Scene)) {
    within(move || body(&Scene::new(place)));
}

pub(crate) fn within(body: impl FnOnce() + Send + 'static) {
    let (done, outcome) = channel();
    let body = std::thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    match outcome.recv_timeout(LONGEST + Duration::from_secs(10)) {
        // Disconnected: it panicked.
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = body.join() {
                std::panic::resume_unwind(panic);
            }
        }
        Err(RecvTimeoutError::Timeout) => panic!("it hangs"),
    }
}

/// Makes a test of each body `fn name(scene: &Scene)`, in every place that is named.
macro_rules! rows {
    ($(everywhere { $($all:ident)* })? $(in_one_process { $($near:ident)* })? $(in_one_system { $($one:ident)* })?) => {
        mod one_system {
            crate::scene::rows!(OneSystem: $($($all)*)? $($($near)*)? $($($one)*)?);
        }
        mod published {
            crate::scene::rows!(OtherSystem: $($($all)*)? $($($near)*)?);
        }
        mod two_processes {
            crate::scene::rows!(OtherProcess: $($($all)*)?);
        }
    };
    ($place:ident: $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                crate::scene::play(crate::scene::Place::$place, super::$name);
            }
        )*
    };
}
pub(crate) use rows;

/// Waits until so many elements of a published stream are where its consumer finds them, and its end.
pub(crate) fn passed_on(ground: &Ground, name: &str, elements: u64) {
    eventually(|| {
        let seen = millstream::observe(name, Some(ground.dir.clone())).unwrap();
        let is_ended = !matches!(seen.state(), millstream::State::Open);
        seen.position() == elements && is_ended
    });
}
