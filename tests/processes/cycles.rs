//! Row C50, and what is left behind: descriptors, threads, memory and files are back where they were.

use std::time::Instant;

use millstream::{CloseReason, End, PutError};

use crate::stage::{Actor, Ground, Mapping, Role, Stage, eventually, holdings, say, soon};

pub(crate) const ROLES: &[(&str, Role)] = &[("cycles", cycles), ("survives", survives)];

/// What a process holds may be let go a moment later: a thread that was joined is listed for a while.
#[track_caller]
fn back_at(baseline: (usize, usize, usize)) {
    let end = soon();
    while holdings() != baseline {
        assert!(
            Instant::now() < end,
            "holds {:?} and had {baseline:?} (descriptors, threads, memfds)",
            holdings()
        );
        std::thread::yield_now();
    }
}

#[test]
fn c50_many_cycles_leave_nothing() {
    let ground = Ground::new();
    let scene = ground.start("cycles", &[]);
    scene.expect("done");
    scene.finish();
    assert_eq!(ground.files(), [""; 0]);
}

/// In a process of its own, whose holdings nobody else changes.
fn cycles(stage: &Stage) {
    let ground = &stage.ground;
    let mut peers = [ground.start("consumer", &[]), ground.start("producer", &[])];
    let [consumer, producer] = &mut peers;
    let baseline = holdings();
    for cycle in 0..20u64 {
        let mut sink = ground.publish::<u64>("one").buffer_size(4).open().unwrap();
        assert_eq!(consumer.ask("open one"), "ok");
        assert_eq!(producer.ask("open two"), "ok");
        let mut source = ground.subscribe::<u64>("two").open().unwrap();
        sink.put_deadline(cycle, soon()).unwrap();
        assert_eq!(consumer.ask("next"), format!("item {cycle}"));
        assert_eq!(producer.ask(format!("put {cycle} {}", cycle + 1)), "ok");
        assert_eq!(source.next(), Some(cycle));
        // Each side leaves first in turn.
        if cycle % 2 == 0 {
            sink.complete().unwrap();
            assert_eq!(consumer.ask("next"), "none Some(Completed)");
            drop(source);
            assert_eq!(producer.ask("drop"), "ok");
        } else {
            assert_eq!(producer.ask("drop"), "ok");
            assert_eq!(source.next(), None);
            drop(source);
        }
        drop(sink);
        assert_eq!(consumer.ask("drop"), "ok");
        back_at(baseline);
        assert_eq!(ground.files(), [""; 0]);
    }
    // Five streams at once do not know of each other.
    let mut sinks: Vec<_> = (0..5)
        .map(|n| ground.publish::<u64>(&format!("s{n}")).open().unwrap())
        .collect();
    let mut consumers: Vec<Actor> = (0..5).map(|_| ground.start("consumer", &[])).collect();
    for (n, (sink, consumer)) in sinks.iter_mut().zip(&mut consumers).enumerate() {
        assert_eq!(consumer.ask(format!("open s{n}")), "ok");
        sink.put(n as u64 * 100).unwrap();
    }
    assert_eq!(consumers[2].ask("cancel"), "ok");
    consumers[3].kill();
    for n in [0, 1, 4] {
        assert_eq!(consumers[n].ask("next"), format!("item {}", n * 100));
        sinks[n].put(7).unwrap();
        assert_eq!(consumers[n].ask("next"), "item 7");
    }
    for (n, reason) in [(2, CloseReason::Cancelled), (3, CloseReason::PeerGone)] {
        let refused = (0..1000).find_map(|element| sinks[n].put(element).err());
        assert!(matches!(refused, Some(PutError::Closed(_, why)) if why == reason));
    }
    drop(sinks);
    drop(consumers);
    back_at(baseline);
    say("done");
}

#[test]
fn a_killed_peer_leaves_nothing_in_the_survivor() {
    let ground = Ground::new();
    let scene = ground.start("survives", &[]);
    scene.expect("done");
    scene.finish();
    assert_eq!(ground.files(), [""; 0]);
}

fn survives(stage: &Stage) {
    let ground = &stage.ground;
    let mut consumer = ground.start("consumer", &[]);
    let mut producer = ground.start("producer", &[]);
    let baseline = holdings();
    let mut sink = ground.publish::<u64>("out").buffer_size(4).open().unwrap();
    assert_eq!(consumer.ask("open out"), "ok");
    assert_eq!(producer.ask("open in buffer=4"), "ok");
    let mut source = ground.subscribe::<u64>("in").open().unwrap();
    assert_eq!(producer.ask("put 0 4"), "ok");
    consumer.kill();
    producer.kill();
    let refused = (0..)
        .find_map(|element| sink.put(element).err().map(|error| (element, error)))
        .unwrap();
    assert_eq!(refused.1, PutError::Closed(refused.0, CloseReason::PeerGone));
    assert_eq!(source.by_ref().collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(source.end(), Some(End::PeerGone));
    // The survivor removes the dead producer's files by itself; its own stand as long as the sink.
    eventually(|| ground.files().len() == 2);
    assert!(
        !Mapping::of("in").is_empty(),
        "the memory stays as long as the source"
    );
    drop(source);
    assert!(Mapping::of("in").is_empty());
    drop(sink);
    assert!(Mapping::of("out").is_empty() && Mapping::of("millstream-credit").is_empty());
    drop((consumer, producer));
    // Their pipes and watchdogs were in the baseline; all that is millstream's is gone.
    eventually(|| {
        let (descriptors, threads, memfds) = holdings();
        descriptors <= baseline.0 && threads <= baseline.1 && memfds == 0
    });
    assert_eq!(ground.files(), [""; 0]);
    say("done");
}
