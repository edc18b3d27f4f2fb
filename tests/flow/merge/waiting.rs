//! How a merge waits, and what wakes it.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use millstream::{End, Merge, SinkRef, WaitStrategy, merge};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{in_order, inputs, roomy};
use crate::stage::{Ground, Stage, say, soon, strategy};
use crate::support::{joined, tests};

tests! {
    it_waits_until_the_deadline
    it_wakes_by_any_input_however_it_waits
    it_wakes_by_streams_of_both_kinds
    it_wakes_where_no_descriptor_is_left
}

fn it_waits_until_the_deadline() {
    let ([mut one, _two], sources) = inputs();
    let mut merged = merge(sources).build();
    assert!(
        merged
            .next_deadline(Instant::now() + Duration::from_millis(5))
            .is_err()
    );
    one.put(1).unwrap();
    assert_eq!(merged.next_deadline(soon()), Ok(Some(1)));
    assert_eq!(merged.end(), None);
}

/// Puts `0..count` and completes, and gives way now and then, so that the consumer finds nothing.
fn produce(mut sink: SinkRef<u64>, count: u64) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for element in 0..count {
            sink.put(element).unwrap();
            if element % 50 == 0 {
                thread::yield_now();
            }
        }
        sink.complete().unwrap();
    })
}

/// Of each input everything, in its order.
fn check(merged: &mut Merge<u64>, inputs: usize, count: u64) {
    let mut next = vec![0; inputs];
    for (input, element) in merged.indexed() {
        assert_eq!(element, next[input], "of input {input}");
        next[input] += 1;
    }
    assert_eq!(next, vec![count; inputs]);
    assert_eq!(merged.end(), Some(End::Completed));
}

const MANY: u64 = 20_000;

fn it_wakes_by_any_input_however_it_waits() {
    for wait in ["park", "yield", "default"] {
        for order in 0..4 {
            let (sinks, sources) = inputs::<4>();
            let merged = merge(sources).wait(strategy(wait)).idle_timeout(None);
            let mut merged = in_order(merged, order).build();
            let producers = sinks.map(|sink| produce(sink, MANY));
            check(&mut merged, 4, MANY);
            producers.into_iter().for_each(joined);
        }
    }
}

fn it_wakes_by_streams_of_both_kinds() {
    for near in [0, 2] {
        let ground = Ground::new();
        let (mut sinks, mut sources) = (Vec::new(), Vec::new());
        for _ in 0..near {
            let (sink, source) = roomy().build().unwrap();
            sinks.push(sink);
            sources.push(source);
        }
        for name in ["one", "two"] {
            sinks.push(ground.publish::<u64>(name).open().unwrap());
            sources.push(ground.subscribe::<u64>(name).open().unwrap());
        }
        let count = sources.len();
        let mut merged = merge(sources).wait(WaitStrategy::park()).build();
        // One after the other, each of them wakes it while all others are silent. Were it woken by the bound of its sleep alone,
        // this would take longer than the watchdog waits.
        let (told, heard) = std::sync::mpsc::channel();
        let producer = thread::spawn(move || {
            for round in 0..1000_u64 {
                for sink in &mut sinks {
                    sink.put(round).unwrap();
                    heard.recv().unwrap();
                }
            }
            drop(heard);
            sinks.iter_mut().for_each(|sink| sink.complete().unwrap());
            sinks
        });
        for round in 0..1000 {
            for input in 0..count {
                assert_eq!(merged.indexed().next(), Some((input, round)));
                told.send(()).unwrap();
            }
        }
        assert_eq!(merged.next(), None);
        assert_eq!(merged.end(), Some(End::Completed));
        drop(joined(producer));
    }
}

fn it_wakes_where_no_descriptor_is_left() {
    let ground = Ground::new();
    let process = ground.start("parched", &[]);
    process.expect("DONE");
}

/// Sleeps at streams of both kinds while it may open no descriptor, and then while it may.
pub(super) fn parched(stage: &Stage) {
    let mut far = stage.ground.publish::<u64>("far").open().unwrap();
    let source = stage.ground.subscribe::<u64>("far").open().unwrap();
    let ([mut near], [other]) = inputs();
    let mut merged = merge([source, other])
        .wait(WaitStrategy::park())
        .idle_timeout(None)
        .build();
    let usual = getrlimit(Resource::Nofile);
    let (wants, wanted) = mpsc::channel();
    let putter = thread::spawn(move || {
        for number in wanted {
            let sink = if number % 2 == 0 { &mut near } else { &mut far };
            sink.put(number).unwrap();
        }
    });
    // Fewer than are open, and as many as are polled.
    for current in [Some(4), usual.current] {
        setrlimit(Resource::Nofile, Rlimit { current, ..usual }).unwrap();
        for number in 0..20 {
            wants.send(number).unwrap();
            assert_eq!(merged.next_deadline(soon()), Ok(Some(number)));
        }
    }
    drop(wants);
    joined(putter);
    say("DONE");
}
