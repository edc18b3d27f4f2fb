//! The smallest ring there is, the smallest element and a large one.

use std::thread;

use millstream::{Buffer, FrameSink, FrameSource, PublishError, SinkRef, SourceRef, broadcast};

use crate::stage::{Ground, Role, Stage, say, strategy};

pub(crate) const ROLES: &[(&str, Role)] = &[
    ("takes_one_by_one", takes_one_by_one),
    ("takes_frames_one_by_one", takes_frames_one_by_one),
    ("takes_large", takes_large),
    ("takes_odd_frames", takes_odd_frames),
];

const WAITS: [&str; 3] = ["park", "yield", "default"];
const MIB: usize = 1 << 20;

/// How many elements go through a ring of one: each waits for the other side to look.
const ONE_BY_ONE: u64 = 1000;

fn put_all(mut sink: SinkRef<u64>) {
    for element in 0..ONE_BY_ONE {
        sink.put(element).unwrap();
    }
    sink.complete().unwrap();
}

fn take_all(source: SourceRef<u64>) {
    assert!(source.eq(0..ONE_BY_ONE));
}

/// The bytes of a frame: its length and all of it tell which one it is.
fn frame(number: u64, len: usize) -> Vec<u8> {
    (0..len as u64)
        .map(|at| (at.wrapping_mul(31) ^ (at >> 8) ^ number) as u8)
        .collect()
}

fn put_frames(mut sink: FrameSink) {
    for number in 0..ONE_BY_ONE {
        sink.put(&frame(number, (number % 17) as usize)).unwrap();
    }
    sink.complete().unwrap();
}

fn take_frames(mut source: FrameSource) {
    for number in 0..ONE_BY_ONE {
        assert_eq!(&*source.next().unwrap(), frame(number, (number % 17) as usize));
    }
    assert!(source.next().is_none());
}

#[test]
fn a_ring_of_one_within_a_process() {
    for wait in WAITS {
        let waits = (strategy(wait), strategy(wait));
        let builder = millstream::channel::<u64>().buffer_size(Buffer::Rendezvous);
        let builder = builder.initial_demand(1).sink_wait(waits.0).source_wait(waits.1);
        let (sink, source) = builder.build().unwrap();
        let producer = thread::spawn(move || put_all(sink));
        take_all(source);
        producer.join().unwrap();

        let builder = millstream::channel::<[u8]>().buffer_size(Buffer::Rendezvous);
        let builder = builder.max_frame(16).initial_demand(1);
        let (sink, source) = builder.sink_wait(waits.0).source_wait(waits.1).build().unwrap();
        let producer = thread::spawn(move || put_frames(sink));
        take_frames(source);
        producer.join().unwrap();

        let builder = broadcast::<u64>().buffer_size(Buffer::Rendezvous).max_demand(1);
        let (sink, subscribers) = builder.sink_wait(waits.0).build().unwrap();
        let consumers = [0; 2].map(|_| {
            let subscriber = subscribers.subscribe().initial_demand(1);
            let source = subscriber.source_wait(waits.1).open().unwrap();
            thread::spawn(move || take_all(source))
        });
        put_all(sink);
        for consumer in consumers {
            consumer.join().unwrap();
        }
    }
}

fn takes_one_by_one(stage: &Stage) {
    let (name, wait): (String, String) = (stage.arg(0), stage.arg(1));
    let builder = stage.ground.subscribe::<u64>(&name).initial_demand(1);
    let source = builder.source_wait(strategy(&wait)).open().unwrap();
    say("HERE");
    take_all(source);
    say("DONE");
}

fn takes_frames_one_by_one(stage: &Stage) {
    let (name, wait): (String, String) = (stage.arg(0), stage.arg(1));
    let builder = stage.ground.subscribe::<[u8]>(&name).initial_demand(1);
    let source = builder.source_wait(strategy(&wait)).open().unwrap();
    say("HERE");
    take_frames(source);
    say("DONE");
}

#[test]
fn a_ring_of_one_between_processes() {
    let ground = Ground::new();
    for wait in WAITS {
        let builder = ground.publish::<u64>("one").buffer_size(Buffer::Rendezvous);
        let sink = builder.max_demand(1).sink_wait(strategy(wait)).open().unwrap();
        let consumer = ground.start("takes_one_by_one", &[&"one", &wait]);
        put_all(sink);
        consumer.expect("HERE");
        consumer.expect("DONE");

        let builder = ground.publish::<[u8]>("frame").buffer_size(Buffer::Rendezvous);
        let builder = builder.max_frame(16).max_demand(1);
        let sink = builder.sink_wait(strategy(wait)).open().unwrap();
        let consumer = ground.start("takes_frames_one_by_one", &[&"frame", &wait]);
        put_frames(sink);
        consumer.expect("HERE");
        consumer.expect("DONE");

        let builder = ground.publish::<u64>("all").buffer_size(Buffer::Rendezvous);
        let builder = builder.max_demand(1).consumers(2).sink_wait(strategy(wait));
        let sink = builder.open().unwrap();
        let consumers = [0; 2].map(|_| ground.start("takes_one_by_one", &[&"all", &wait]));
        for consumer in &consumers {
            consumer.expect("HERE");
        }
        put_all(sink);
        for consumer in &consumers {
            consumer.expect("DONE");
        }
    }
}

#[test]
fn elements_without_a_byte() {
    let builder = millstream::channel::<()>().buffer_size(Buffer::Rendezvous);
    let (mut sink, source) = builder.initial_demand(1).build().unwrap();
    let producer = thread::spawn(move || {
        for _ in 0..ONE_BY_ONE {
            sink.put(()).unwrap();
        }
        sink.complete().unwrap();
    });
    assert_eq!(source.count() as u64, ONE_BY_ONE);
    producer.join().unwrap();
}

/// 1 MiB of numbers that tell which element it is, and where in it they stand.
fn large(element: u64) -> Box<Large> {
    let words: Vec<u64> = (0..MIB as u64 / 8).map(|at| element << 32 | at).collect();
    words.try_into().unwrap()
}

type Large = [u64; MIB / 8];

const LARGE: u64 = 20;

/// On a stack that has room for some of them.
fn roomy<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::Builder::new().stack_size(64 * MIB).spawn(body).unwrap()
}

fn put_large(mut sink: SinkRef<Large>) {
    for element in 0..LARGE {
        sink.put(*large(element)).unwrap();
    }
    sink.complete().unwrap();
}

fn take_large(mut source: SourceRef<Large>) {
    for element in 0..LARGE {
        assert!(source.next().unwrap() == *large(element), "element {element}");
    }
    assert!(source.next().is_none());
}

fn takes_large(stage: &Stage) {
    let name: String = stage.arg(0);
    let source = stage
        .ground
        .subscribe::<Large>(&name)
        .initial_demand(2)
        .open()
        .unwrap();
    say("HERE");
    roomy(|| take_large(source)).join().unwrap();
    say("DONE");
}

#[test]
fn elements_of_a_mebibyte() {
    let builder = millstream::channel::<Large>().buffer_size(2).initial_demand(2);
    let (sink, source) = builder.build().unwrap();
    let producer = roomy(|| put_large(sink));
    roomy(|| take_large(source)).join().unwrap();
    producer.join().unwrap();

    let ground = Ground::new();
    let sink = ground
        .publish::<Large>("large")
        .buffer_size(1)
        .max_demand(2)
        .open()
        .unwrap();
    let consumer = ground.start("takes_large", &[&"large"]);
    roomy(|| put_large(sink)).join().unwrap();
    consumer.expect("HERE");
    consumer.expect("DONE");
}

const ODD: [usize; 9] = [0, MIB, 1, 0, 0, MIB - 1, 7, 4096, MIB];

fn put_odd(mut sink: FrameSink) {
    for number in 0..27 {
        sink.put(&frame(number, ODD[number as usize % ODD.len()]))
            .unwrap();
    }
    sink.complete().unwrap();
}

fn take_odd(mut source: FrameSource) {
    for number in 0..27 {
        let expected = frame(number, ODD[number as usize % ODD.len()]);
        assert!(*source.next().unwrap() == *expected, "frame {number}");
    }
    assert!(source.next().is_none());
}

fn takes_odd_frames(stage: &Stage) {
    let name: String = stage.arg(0);
    let source = stage
        .ground
        .subscribe::<[u8]>(&name)
        .initial_demand(2)
        .open()
        .unwrap();
    say("HERE");
    take_odd(source);
    say("DONE");
}

#[test]
fn frames_of_nothing_and_of_a_mebibyte() {
    let builder = millstream::channel::<[u8]>().max_frame(MIB).buffer_size(1);
    let (sink, source) = builder.initial_demand(2).build().unwrap();
    let producer = thread::spawn(move || put_odd(sink));
    take_odd(source);
    producer.join().unwrap();

    let ground = Ground::new();
    let builder = ground.publish::<[u8]>("odd").max_frame(MIB).buffer_size(1);
    let sink = builder.max_demand(2).open().unwrap();
    let consumer = ground.start("takes_odd_frames", &[&"odd"]);
    put_odd(sink);
    consumer.expect("HERE");
    consumer.expect("DONE");
}

#[test]
fn what_no_ring_can_hold_is_refused_with_both_numbers() {
    let ground = Ground::new();
    for (window, buffer) in [(u64::MAX, 1), (1 << 63, 1 << 62), (1 << 33, 1)] {
        let builder = ground.publish::<u64>("s").max_demand(window);
        let error = builder
            .buffer_size(Buffer::Bounded(buffer))
            .open()
            .map(drop)
            .unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, PublishError::TooLarge { .. }), "{error:?}");
        let PublishError::TooLarge { elements, most, .. } = error else {
            unreachable!()
        };
        assert!(elements > most, "{elements} {most}");
        assert!(text.contains(&most.to_string()), "{text}");
    }
    assert_eq!(ground.files(), [""; 0]);
}
