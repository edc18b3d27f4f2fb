//! Actors, and streams that they set up.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use millstream::{
    ActorRef, ActorSystem, GetSink, GetSource, Next, OneForOne, SinkRef, SourceRef, SpawnOptions, receive,
    stream_consumer, stream_producer,
};

use crate::{Stress, joined};

pub(crate) const ALL: &[Stress] = &[
    ("messages", messages),
    ("restarts", restarts),
    ("stops", stops),
    ("set up", set_up),
];

/// Nothing waits that long unless it hangs.
const LONG: Duration = Duration::from_secs(200);

fn system(workers: usize) -> ActorSystem {
    ActorSystem::builder("stress")
        .workers(workers)
        .build()
        .expect("there are threads")
}

/// From threads and from an actor on another worker, in the order of each.
fn messages(count: u64) -> u64 {
    let system = system(2);
    let (told, heard) = channel();
    let receiver: ActorRef<(usize, u64)> = system
        .spawn_with(
            "receiver",
            move || {
                let told = told.clone();
                receive(move |_, message| {
                    let _ = told.send(message);
                    Next::Same
                })
            },
            SpawnOptions::new().on_worker(0),
        )
        .expect("it is the only one of its name");
    let to = receiver.clone();
    let relay: ActorRef<u64> = system
        .spawn_with(
            "relay",
            move || {
                let to = to.clone();
                receive(move |_, number| {
                    to.tell((0, number));
                    Next::Same
                })
            },
            SpawnOptions::new().on_worker(1),
        )
        .expect("it is the only one of its name");
    let mut senders = vec![thread::spawn(move || (0..count).for_each(|i| relay.tell(i)))];
    senders.push(thread::spawn(move || {
        (0..count).for_each(|i| receiver.tell((1, i)))
    }));
    let mut next = [0; 2];
    for _ in 0..2 * count {
        let (sender, number) = heard.recv_timeout(LONG).expect("it was sent");
        assert_eq!(number, next[sender]);
        next[sender] += 1;
    }
    senders.into_iter().for_each(joined);
    2 * count
}

/// An actor that fails every so often is made anew, and misses nothing but what it failed at.
fn restarts(count: u64) -> u64 {
    let count = count / 20;
    let system = system(1);
    let (told, heard) = channel();
    let actor: ActorRef<u64> = system
        .spawn_with(
            "shaky",
            move || {
                let told = told.clone();
                receive(move |_, number| {
                    let _ = told.send(number);
                    if number % 10 == 9 {
                        Next::Fail(millstream::Failure::new("every tenth"))
                    } else {
                        Next::Same
                    }
                })
            },
            SpawnOptions::new().supervisor(OneForOne::new(usize::MAX, Duration::MAX)),
        )
        .expect("it is the only one of its name");
    (0..count).for_each(|i| actor.tell(i));
    for i in 0..count {
        assert_eq!(heard.recv_timeout(LONG), Ok(i));
    }
    count
}

/// Actors that come and go while others send to them.
fn stops(count: u64) -> u64 {
    let count = count / 50;
    let system = system(2);
    for round in 0..count {
        let actor: ActorRef<u64> = system
            .spawn("passing", move || {
                receive(move |_, number| if number == 3 { Next::Stop } else { Next::Same })
            })
            .expect("the one before has stopped");
        let sender = {
            let actor = actor.clone();
            thread::spawn(move || (0..6_u64).for_each(|i| actor.tell(i)))
        };
        if round % 2 == 0 {
            system.stop(&actor);
        }
        system.wait_stopped(&actor, LONG).expect("it was told to");
        joined(sender);
    }
    count
}

/// A stream between two actors of the protocol.
fn set_up(count: u64) -> u64 {
    let system = system(2);
    for round in 0..3 {
        let producer = system
            .spawn(&format!("producer {round}"), stream_producer().buffer_size(4))
            .expect("it is the only one of its name");
        let consumer = system
            .spawn(
                &format!("consumer {round}"),
                stream_consumer(&producer).initial_demand(3),
            )
            .expect("it is the only one of its name");
        let mut sink: SinkRef<u64> = system.ask(&producer, GetSink::new, LONG).expect("it answers");
        let source: SourceRef<u64> = system.ask(&consumer, GetSource::new, LONG).expect("it answers");
        let reader =
            thread::spawn(move || source.zip(0..).filter(|(got, expected)| got == expected).count() as u64);
        for i in 0..count {
            sink.put(i).expect("it is read");
        }
        sink.complete().expect("it is still open");
        assert_eq!(joined(reader), count);
        system
            .wait_stopped(&producer, LONG)
            .expect("the stream has ended");
    }
    3 * count
}
