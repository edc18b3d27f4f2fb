//! Messages between two actors, each on a worker of its own that is pinned and spins; and beside thousands of idle actors.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use millstream::{
    ActorRef, ActorSystem, Behaviour, Next, ReplyTo, SpawnOptions, WaitStrategy, receive, setup,
};

use super::pinning::{CONSUMER, PRODUCER, side_by_side};
use super::round_trip::{ask, face_to_face, histogram};
use super::vigil;

/// Messages that are under way at a time, so that the queue does not grow for ever.
const BURST: u64 = 1024;

/// A system of two workers, on the cores of producer and consumer.
pub(crate) fn pinned() -> ActorSystem {
    // Its workers spin from their first moment on.
    vigil::leave();
    ActorSystem::builder("bench")
        .workers([PRODUCER, CONSUMER])
        .wait(WaitStrategy::BusySpin)
        .build()
        .expect("the benches may use two cores")
}

/// A system with `idle` actors besides what is measured.
pub(crate) struct Post {
    system: ActorSystem,
}

enum Send {
    Begin(u64),
    Received,
}

impl Post {
    pub(crate) fn new(idle: usize) -> Self {
        let system = pinned();
        for number in 0..idle {
            system
                .spawn(&format!("idle-{number}"), Behaviour::<u64>::ignore)
                .expect("each has a name of its own");
        }
        Self { system }
    }

    /// Million messages a second, told by an actor on one worker to an actor on the other.
    pub(crate) fn tell(&self, count: u64) -> f64 {
        let count = count.next_multiple_of(BURST);
        let (told, heard) = mpsc::channel();
        let receiver = self.receiver();
        let to = receiver.clone();
        let sender = self.system.spawn_with(
            "sender",
            move || {
                let (to, told) = (to.clone(), told.clone());
                setup(move |context| {
                    let me = context.me().clone();
                    to.tell(Letter::Address(me));
                    let (mut left, mut began) = (0, Instant::now());
                    receive(move |_, message| {
                        match message {
                            Send::Begin(count) => {
                                (left, began) = (count, Instant::now());
                            }
                            Send::Received if left == 0 => {
                                told.send(began.elapsed()).expect("the bench waits");
                                return Next::Stop;
                            }
                            Send::Received => {}
                        }
                        for number in 0..BURST {
                            to.tell(Letter::Number(number));
                        }
                        left -= BURST;
                        Next::Same
                    })
                })
            },
            SpawnOptions::new().on_worker(0),
        );
        let sender = sender.expect("the name is free");
        sender.tell(Send::Begin(count));
        let took = heard.recv().expect("the receiver counts all");
        self.clear(&sender);
        self.clear(&receiver);
        count as f64 / took.as_secs_f64() / 1e6
    }

    fn receiver(&self) -> ActorRef<Letter> {
        let receiver = self.system.spawn_with(
            "receiver",
            || {
                let (mut sender, mut sum, mut count) = (None::<ActorRef<Send>>, 0u64, 0);
                receive(move |_, letter| {
                    match letter {
                        Letter::Address(address) => sender = Some(address),
                        Letter::Number(number) => {
                            sum = sum.wrapping_add(number);
                            count += 1;
                            if count == BURST {
                                assert_eq!(
                                    sum,
                                    BURST * (BURST - 1) / 2,
                                    "what was received is what was sent"
                                );
                                (sum, count) = (0, 0);
                                sender.iter().for_each(|sender| sender.tell(Send::Received));
                            }
                        }
                    }
                    Next::Same
                })
            },
            SpawnOptions::new().on_worker(1),
        );
        receiver.expect("the name is free")
    }

    fn clear<M: std::marker::Send + 'static>(&self, actor: &ActorRef<M>) {
        self.system
            .stop_and_wait(actor, Duration::from_secs(20))
            .expect("it stops");
    }

    /// The times of `count` questions that an actor asks an actor on the other worker, one after another.
    pub(crate) fn ask(&self, count: u64) -> Histogram<u64> {
        let answering = self.system.spawn_with(
            "answering",
            || {
                receive(|_, (number, reply): (u64, ReplyTo<u64>)| {
                    reply.send(number);
                    Next::Same
                })
            },
            SpawnOptions::new().on_worker(1),
        );
        let answering = answering.expect("the name is free");
        let (told, heard) = mpsc::channel();
        let to = answering.clone();
        let asking = self.system.spawn_with(
            "asking",
            move || {
                let (to, told) = (to.clone(), told.clone());
                setup(move |context| {
                    context.me().tell(None);
                    let (mut number, mut asked) = (0, Instant::now());
                    let mut times = Vec::with_capacity(ask::total(count) as usize);
                    receive(move |context, answer: Option<u64>| {
                        if answer.is_some() {
                            times.push(asked.elapsed().as_nanos() as u64);
                            assert_eq!(answer, Some(number), "the answer is that to the question");
                            number += 1;
                        }
                        if number == ask::total(count) {
                            told.send(std::mem::take(&mut times)).expect("the bench waits");
                            return Next::Stop;
                        }
                        asked = Instant::now();
                        let question = move |reply| (number, reply);
                        context.ask(&to, question, Duration::from_secs(20), Result::ok);
                        Next::Same
                    })
                })
            },
            SpawnOptions::new().on_worker(0),
        );
        let asking = asking.expect("the name is free");
        let times = heard.recv().expect("every question is answered");
        self.clear(&asking);
        self.clear(&answering);
        let mut histogram = histogram();
        for time in &times[(ask::total(count) - count) as usize..] {
            histogram.saturating_record(*time);
        }
        histogram
    }
}

enum Letter {
    Address(ActorRef<Send>),
    Number(u64),
}

/// The rival of telling: an unbounded channel of crossbeam between two pinned threads, with the same answer to each burst.
pub(crate) fn channel(count: u64) -> f64 {
    let count = count.next_multiple_of(BURST);
    let (sender, receiver) = crossbeam_channel::unbounded::<u64>();
    let (back, received) = crossbeam_channel::unbounded::<()>();
    let took = side_by_side(
        move || {
            for _ in 0..count / BURST {
                for number in 0..BURST {
                    sender.send(number).expect("the receiver stays");
                }
                while received.try_recv().is_err() {}
            }
        },
        move || {
            let mut began = None;
            for _ in 0..count / BURST {
                let mut sum = 0u64;
                for _ in 0..BURST {
                    let number = loop {
                        if let Ok(number) = receiver.try_recv() {
                            break number;
                        }
                    };
                    began.get_or_insert_with(Instant::now);
                    sum = sum.wrapping_add(number);
                }
                assert_eq!(sum, BURST * (BURST - 1) / 2, "what was received is what was sent");
                let _ = back.send(());
            }
            began.map_or(Duration::ZERO, |began| began.elapsed())
        },
    );
    count as f64 / took.as_secs_f64() / 1e6
}

/// The rival of asking: a question and its answer over two channels of crossbeam between two threads that spin.
pub(crate) fn channels(count: u64) -> Histogram<u64> {
    let (there, arrived) = crossbeam_channel::unbounded::<u64>();
    let (back, returned) = crossbeam_channel::unbounded::<u64>();
    let spin = |channel: &crossbeam_channel::Receiver<u64>| loop {
        if let Ok(number) = channel.try_recv() {
            break number;
        }
    };
    face_to_face(
        move || {
            for _ in 0..ask::total(count) {
                let _ = back.send(spin(&arrived));
            }
        },
        move || {
            ask::each(count, |index| {
                there.send(index).expect("the other side stays");
                assert_eq!(spin(&returned), index, "the answer is that to the question");
            })
        },
    )
}
