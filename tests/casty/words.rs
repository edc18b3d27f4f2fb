//! Actors of the user's own that speak the protocol, from either side: rows C4, C8, C9, C13, C15, C17, C30, C32, C41 to C44,
//! C46, C51.

use std::num::NonZeroU64;
use std::sync::mpsc::{Receiver, Sender, channel};

use millstream::{
    ActorRef, CompleteStream, Mailbox, Next, Overflow, Push, Recipient, SpawnOptions, StreamCancel,
    StreamCompleted, StreamConsumerMsg, StreamDemand, StreamElement, StreamFailed, StreamFault,
    StreamProducerMsg, StreamSubscribe, receive, setup, stream_producer,
};

use crate::scene::{Producer, Scene, fill, rows};
use crate::stage::{LONGEST, eventually};

rows! {
    in_one_system {
        c4_c9_demand_before_subscribing_is_unhandled
        c8_c9_c13_by_explicit_demand
        c13_an_end_by_message_comes_last
        c15_a_raw_subscriber_cancels
        c15_a_raw_subscriber_that_stops_cancels
        c17_a_second_raw_subscriber_is_told_so
        c17_strangers_have_no_say
        c17_demand_that_comes_with_the_subscription
        c43_a_failure_by_message
        c44_a_hand_written_producer
        c44_a_hand_written_producer_completes_early
        c44_a_hand_written_producer_fails
        c44_a_hand_written_producer_sends_too_much
        c44_a_hand_written_producer_stops
        c44_a_hand_written_producer_hears_of_a_cancel
        c46_elements_meet_no_mailbox
        c51_full_mailboxes_lose_nothing_of_the_protocol
        c51_wake_ups_leave_messages_their_turn
    }
}

type Heard = Receiver<String>;

fn told(message: &StreamConsumerMsg<u64>) -> String {
    match message {
        StreamConsumerMsg::StreamElement(element) => element.0.to_string(),
        StreamConsumerMsg::StreamCompleted(_) => "completed".into(),
        StreamConsumerMsg::StreamFailed(failed) => format!("failed {}", failed.0.message()),
        other => format!("{other:?}"),
    }
}

/// An actor that says what it hears.
fn listener(scene: &Scene, name: &str) -> (ActorRef<StreamConsumerMsg<u64>>, Heard) {
    let (say, heard) = channel();
    let actor = scene.system.spawn(name, move || {
        let say = say.clone();
        receive(move |_, message| {
            let _ = say.send(told(&message));
            Next::Same
        })
    });
    (actor.unwrap(), heard)
}

fn hear(heard: &Heard) -> String {
    heard.recv_timeout(LONGEST).unwrap()
}

fn demand(producer: &Producer, from: &ActorRef<StreamConsumerMsg<u64>>, n: u64) {
    producer.tell(StreamDemand::new(from, NonZeroU64::new(n).unwrap()));
}

fn c4_c9_demand_before_subscribing_is_unhandled(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let (me, heard) = listener(scene, "me");
    demand(&producer, &me, 5);
    eventually(|| scene.system.events().unhandled() == 1);
    producer.tell(Push::new(1));
    producer.tell(StreamSubscribe::new(&me, 0));
    producer.tell(CompleteStream);
    demand(&producer, &me, 1);
    assert_eq!([hear(&heard), hear(&heard)], ["1", "completed"]);
}

fn c8_c9_c13_by_explicit_demand(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().buffer_size(3));
    let (me, heard) = listener(scene, "me");
    let mut sink = scene.sink(&producer);
    for element in [10, 20, 30] {
        sink.put(element).unwrap();
    }
    producer.tell(StreamSubscribe::new(&me, 0));
    demand(&producer, &me, 1);
    assert_eq!(hear(&heard), "10");
    sink.complete().unwrap();
    assert!(scene.state(&producer).is_ok(), "not over");
    assert!(heard.try_recv().is_err(), "no more was asked for");
    demand(&producer, &me, 1);
    demand(&producer, &me, 1);
    assert_eq!(
        [hear(&heard), hear(&heard), hear(&heard)],
        ["20", "30", "completed"]
    );
    scene.system.wait_stopped(&producer, LONGEST).unwrap();
    assert_eq!(scene.system.events().dead_letters(), 0);
}

fn c13_an_end_by_message_comes_last(scene: &Scene) {
    let (me, heard) = listener(scene, "me");
    for round in 0..50 {
        let producer = scene.producer(&format!("stream-{round}"), stream_producer());
        let mut sink = scene.sink(&producer);
        producer.tell(StreamSubscribe::new(&me, u64::MAX));
        for element in 0..100 {
            sink.put(element).unwrap();
        }
        sink.complete().unwrap();
        for element in 0..100 {
            assert_eq!(hear(&heard), element.to_string());
        }
        assert_eq!(hear(&heard), "completed");
        scene.system.wait_stopped(&producer, LONGEST).unwrap();
    }
}

fn c15_a_raw_subscriber_cancels(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().buffer_size(2));
    let (me, heard) = listener(scene, "me");
    let mut sink = scene.sink(&producer);
    producer.tell(StreamSubscribe::new(&me, 1));
    sink.put(1).unwrap();
    assert_eq!(hear(&heard), "1");
    assert_eq!(fill(&mut sink, 2), 2);
    let blocked = std::thread::spawn(move || sink.put(9));
    producer.tell(StreamCancel::new(&me));
    assert!(blocked.join().unwrap().is_err());
    scene.system.wait_stopped(&producer, LONGEST).unwrap();
    assert!(heard.try_recv().is_err(), "no word after it");
}

fn c15_a_raw_subscriber_that_stops_cancels(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let (me, heard) = listener(scene, "me");
    let mut sink = scene.sink(&producer);
    producer.tell(StreamSubscribe::new(&me, 1));
    sink.put(1).unwrap();
    assert_eq!(hear(&heard), "1");
    scene.system.stop_and_wait(&me, LONGEST).unwrap();
    scene.system.wait_stopped(&producer, LONGEST).unwrap();
    assert!(sink.put(2).is_err());
    assert_eq!(scene.system.events().dead_letters(), 0);
}

fn c17_a_second_raw_subscriber_is_told_so(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let mut reader = scene.source(&producer, "");
    let (me, heard) = listener(scene, "me");
    producer.tell(StreamSubscribe::new(&me, 5));
    let answer = hear(&heard);
    assert!(
        answer.starts_with("failed the producer has a consumer already"),
        "{answer}"
    );
    let mut sink = scene.sink(&producer);
    sink.put(1).unwrap();
    sink.complete().unwrap();
    assert_eq!(reader.ask("rest"), "1 Completed");
    assert!(heard.try_recv().is_err());
}

fn c17_strangers_have_no_say(scene: &Scene) {
    let (me, mine) = listener(scene, "me");
    let (stranger, theirs) = listener(scene, "stranger");
    for subscribed in ["by words", "by a ring"] {
        let before = scene.system.events().unhandled();
        let producer = scene.producer(&subscribed.replace(' ', "-"), stream_producer());
        let mut reader = None;
        if subscribed == "by words" {
            producer.tell(StreamSubscribe::new(&me, 0));
        } else {
            reader = Some(scene.source(&producer, ""));
        }
        let mut sink = scene.sink(&producer);
        sink.put(1).unwrap();
        demand(&producer, &stranger, 7);
        producer.tell(StreamCancel::new(&stranger));
        eventually(|| scene.system.events().unhandled() == before + 2);
        demand(&producer, &me, 1);
        sink.complete().unwrap();
        match &mut reader {
            None => assert_eq!([hear(&mine), hear(&mine)], ["1", "completed"]),
            Some(reader) => assert_eq!(reader.ask("rest"), "1 Completed"),
        }
    }
    assert!(theirs.try_recv().is_err());
}

fn c17_demand_that_comes_with_the_subscription(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let (me, heard) = listener(scene, "me");
    for element in 0..4 {
        producer.tell(Push::new(element));
    }
    producer.tell(StreamSubscribe::new(&me, 3));
    assert_eq!([hear(&heard), hear(&heard), hear(&heard)], ["0", "1", "2"]);
    assert!(scene.state(&producer).is_ok());
    assert!(heard.try_recv().is_err());
}

fn c43_a_failure_by_message(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let (me, heard) = listener(scene, "me");
    let mut sink = scene.sink(&producer);
    producer.tell(StreamSubscribe::new(&me, 9));
    sink.put(1).unwrap();
    sink.fail(StreamFault::new(3, "why")).unwrap();
    assert_eq!([hear(&heard), hear(&heard)], ["1", "failed why"]);
    scene.system.wait_stopped(&producer, LONGEST).unwrap();
}

/// What a hand-written producer does when it is asked for elements.
type OnDemand = fn(&Recipient<StreamConsumerMsg<u64>>, u64, &mut u64) -> bool;

/// A producer that counts; `on_demand` says whether it goes on.
fn counter(scene: &Scene, on_demand: OnDemand) -> (Producer, Receiver<String>) {
    let (say, heard): (Sender<String>, _) = channel();
    let producer = scene.system.spawn("counter", move || {
        let say = say.clone();
        setup(move |_| {
            let (mut consumer, mut next) = (None, 0);
            receive(move |_, message: StreamProducerMsg<u64>| {
                let _ = say.send(format!("{message:?}"));
                match message {
                    StreamProducerMsg::StreamSubscribe(subscribe) => consumer = Some(subscribe.accept().0),
                    StreamProducerMsg::StreamDemand(demand)
                        if !on_demand(consumer.as_ref().unwrap(), demand.n.get(), &mut next) =>
                    {
                        return Next::Stop;
                    }
                    _ => {}
                }
                Next::Same
            })
        })
    });
    (producer.unwrap(), heard)
}

fn send(consumer: &Recipient<StreamConsumerMsg<u64>>, count: u64, next: &mut u64) {
    for _ in 0..count {
        consumer.tell(StreamElement(*next).into());
        *next += 1;
    }
}

fn c44_a_hand_written_producer(scene: &Scene) {
    let (producer, heard) = counter(scene, |consumer, n, next| {
        let left = 100 - *next;
        send(consumer, n.min(left), next);
        if *next == 100 && left > 0 {
            consumer.tell(StreamCompleted.into());
        }
        true
    });
    let mut reader = scene.source(&producer, "demand=4");
    assert_eq!(hear(&heard), "StreamSubscribe");
    assert_eq!(reader.ask("count 0"), "100 Completed");
    assert_eq!(reader.ask("stopped"), "Stopped");
    assert_eq!(reader.ask("letters"), "0 0");
    let after: Vec<String> = heard.try_iter().collect();
    assert!(after.iter().all(|word| word == "StreamDemand"), "{after:?}");
}

fn c44_a_hand_written_producer_completes_early(scene: &Scene) {
    let (producer, _heard) = counter(scene, |consumer, _, next| {
        if *next == 0 {
            send(consumer, 2, next);
            consumer.tell(StreamCompleted.into());
            // Late: nobody gets it.
            send(consumer, 1, next);
        }
        true
    });
    let mut reader = scene.source(&producer, "demand=10");
    assert_eq!(reader.ask("rest"), "0 1 Completed");
    assert_eq!(reader.ask("stopped"), "Stopped");
}

fn c44_a_hand_written_producer_fails(scene: &Scene) {
    let (producer, _heard) = counter(scene, |consumer, _, next| {
        send(consumer, 1, next);
        consumer.tell(StreamFailed(StreamFault::new(3, "why")).into());
        true
    });
    let mut reader = scene.source(&producer, "demand=10");
    let fault = StreamFault::new(3, "why");
    assert_eq!(reader.ask("rest"), format!("0 Failed({fault:?})"));
}

fn c44_a_hand_written_producer_sends_too_much(scene: &Scene) {
    let (producer, heard) = counter(scene, |consumer, n, next| {
        send(consumer, n + 1, next);
        true
    });
    let mut reader = scene.consumer(&producer, "demand=3 manual");
    assert_eq!(reader.ask("source"), "ok");
    assert_eq!(reader.ask("request 3"), "Ok(())");
    let rest = reader.ask("rest");
    assert!(
        rest.starts_with("0 1 2 Failed") && rest.contains("more than was asked for"),
        "{rest}"
    );
    assert_eq!(reader.ask("stopped"), "Stopped");
    eventually(|| heard.try_iter().any(|word| word == "StreamCancel"));
}

fn c44_a_hand_written_producer_stops(scene: &Scene) {
    let (producer, _heard) = counter(scene, |consumer, _, next| {
        send(consumer, 1, next);
        false
    });
    let mut reader = scene.source(&producer, "demand=4");
    let rest = reader.ask("rest");
    assert!(rest.starts_with("0 Failed") && rest.contains("counter"), "{rest}");
    // One that has stopped before anybody subscribed.
    let mut late = scene.consumer(&producer, "");
    let refused = late.ask("source");
    assert!(refused.contains("has stopped"), "{refused}");
    assert_eq!(late.ask("source"), refused, "whenever it is asked");
}

fn c44_a_hand_written_producer_hears_of_a_cancel(scene: &Scene) {
    let (producer, heard) = counter(scene, |consumer, n, next| {
        send(consumer, n, next);
        true
    });
    let mut reader = scene.source(&producer, "demand=4");
    assert_eq!(reader.ask("take 10").split(' ').count(), 10);
    assert_eq!(reader.ask("drop"), "ok");
    eventually(|| heard.try_iter().any(|word| word == "StreamCancel"));
    assert_eq!(reader.ask("stopped"), "Stopped");
}

fn c46_elements_meet_no_mailbox(scene: &Scene) {
    let (producer, mut sink, mut reader) = scene.stream(16, "");
    let handled = || {
        scene
            .system
            .workers()
            .iter()
            .map(|worker| worker.messages)
            .sum::<u64>()
    };
    assert!(scene.state(&producer).is_ok());
    let before = handled();
    reader.say("count 0");
    for element in 0..50_000 {
        sink.put(element).unwrap();
    }
    sink.complete().unwrap();
    assert_eq!(reader.hear(), "50000 Completed");
    scene.ends_well(&producer, &mut reader);
    assert!(
        handled() < before + 50,
        "{} messages for 50,000 elements",
        handled() - before
    );
}

fn c51_full_mailboxes_lose_nothing_of_the_protocol(scene: &Scene) {
    let one = Mailbox::bounded(1, Overflow::DropNew);
    let options = SpawnOptions::new().mailbox(one);
    let producer = scene
        .system
        .spawn_with("stream", stream_producer::<u64>(), options)
        .unwrap();
    let (say, heard) = channel();
    let from = producer.clone();
    let _subscriber = scene.system.spawn_with(
        "me",
        move || {
            let (say, from) = (say.clone(), from.clone());
            setup(move |context| {
                from.tell(StreamSubscribe::new(context.me(), 64));
                let _ = say.send("asked".to_string());
                receive(move |_, message| {
                    let _ = say.send(told(&message));
                    Next::Same
                })
            })
        },
        SpawnOptions::new().mailbox(one),
    );
    // Questions may find the mailbox full, and are asked again; the subscription lies in it already.
    assert_eq!(hear(&heard), "asked");
    eventually(|| {
        matches!(
            scene.state(&producer),
            Ok(millstream::ProducerState::Subscribed { .. })
        )
    });
    let mut sink = scene.sink(&producer);
    let dropped = scene.system.dropped();
    for element in 0..64 {
        sink.put(element).unwrap();
    }
    sink.complete().unwrap();
    for element in 0..64 {
        assert_eq!(hear(&heard), element.to_string());
    }
    assert_eq!(hear(&heard), "completed");
    assert_eq!(scene.system.dropped(), dropped);
}

fn c51_wake_ups_leave_messages_their_turn(scene: &Scene) {
    // Each wake-up brings about the next, as where a stream flows without a pause.
    let restless = scene.system.spawn("restless", || {
        setup(|context| {
            let waker = context.waker(|| None);
            waker.wake_by_ref();
            receive(move |_, message: Option<millstream::ReplyTo<()>>| {
                match message {
                    None => waker.wake_by_ref(),
                    Some(reply) => reply.send(()),
                }
                Next::Same
            })
        })
    });
    scene.system.ask(&restless.unwrap(), Some, LONGEST).unwrap();
}
