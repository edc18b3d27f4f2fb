//! A peer that is stopped (SIGSTOP, a debugger, a frozen control group) is alive: it keeps what it has, and costs who waits
//! for it nothing.

use std::fs;
use std::time::{Duration, Instant};

use millstream::{CloseReason, End, PutDeadlineError, PutError, TimedOut};
use rustix::process::Signal;

use crate::alone;
use crate::effort::{ASLEEP, spent};
use crate::stage::{Actor, Ground, LONGEST, Role, Stage, eventually, say, soon, strategy};

pub(crate) const ROLES: &[(&str, Role)] = &[
    ("waits_for_stopped_producer", waits_for_stopped_producer),
    ("waits_for_stopped_consumer", waits_for_stopped_consumer),
];

const A_SECOND: Duration = Duration::from_secs(1);

/// Stops a process; all of its threads stand still when this returns.
fn stop(actor: &Actor) {
    actor.signal(Signal::STOP);
    eventually(|| {
        let tasks = fs::read_dir(format!("/proc/{}/task", actor.pid)).unwrap();
        tasks.flatten().all(|task| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
        })
    });
}

#[test]
fn who_waits_for_a_stopped_producer_sleeps() {
    alone("waits_for_stopped_producer");
}

fn waits_for_stopped_producer(stage: &Stage) {
    let ground = &stage.ground;
    let mut producer = ground.start("producer", &[]);
    assert_eq!(producer.ask("open s"), "ok");
    assert_eq!(producer.ask("put 0 3"), "ok");
    let builder = ground.subscribe::<u64>("s").source_wait(strategy("park"));
    let mut source = builder.open().unwrap();
    stop(&producer);
    // What it had published is there, though it cannot be asked for anything.
    assert!(source.by_ref().take(3).eq(0..3));
    let before = spent();
    assert_eq!(source.next_deadline(Instant::now() + A_SECOND), Err(TimedOut));
    let effort = spent() - before;
    assert!(effort < ASLEEP, "{effort:?} of processor time in a second");
    eprintln!("a consumer parked for 1 s beside a stopped producer: {effort:?}");
    assert_eq!(source.end(), None);
    producer.signal(Signal::CONT);
    assert_eq!(producer.ask("put 3 6"), "ok");
    assert!(source.by_ref().take(3).eq(3..6));
    drop(producer);
    assert_eq!((source.next(), source.end()), (None, Some(End::PeerGone)));
    drop(source);
    eventually(|| ground.files().is_empty());
    say("done");
}

#[test]
fn who_waits_for_a_stopped_consumer_sleeps() {
    alone("waits_for_stopped_consumer");
}

fn waits_for_stopped_consumer(stage: &Stage) {
    let ground = &stage.ground;
    let builder = ground
        .publish::<u64>("s")
        .buffer_size(2)
        .sink_wait(strategy("park"));
    let mut sink = builder.open().unwrap();
    let mut consumer = ground.start("consumer", &[]);
    assert_eq!(consumer.ask("open s window=4"), "ok");
    eventually(|| sink.demand() == 4);
    stop(&consumer);
    for element in 0..6 {
        sink.put_deadline(element, soon()).unwrap();
    }
    let before = spent();
    let refused = sink.put_deadline(6, Instant::now() + A_SECOND);
    let effort = spent() - before;
    assert_eq!(refused, Err(PutDeadlineError::TimedOut(6)));
    assert!(effort < ASLEEP, "{effort:?} of processor time in a second");
    eprintln!("a producer parked for 1 s beside a stopped consumer: {effort:?}");
    assert!(!sink.is_closed());
    consumer.signal(Signal::CONT);
    consumer.say("take 8");
    sink.put_deadline(6, soon()).unwrap();
    sink.put_deadline(7, soon()).unwrap();
    consumer.expect("Some(0) Some(7) true");
    say("done");
}

#[test]
fn idle_time_beside_a_stopped_producer_is_called_idle_time() {
    let ground = Ground::new();
    let mut producer = ground.start("producer", &[]);
    assert_eq!(producer.ask("open s"), "ok");
    assert_eq!(producer.ask("put 0 1"), "ok");
    let builder = ground.subscribe::<u64>("s");
    let mut source = builder
        .idle_timeout(Some(Duration::from_millis(200)))
        .open()
        .unwrap();
    stop(&producer);
    assert_eq!(source.next(), Some(0));
    assert_eq!(source.next(), None);
    assert_eq!(source.end(), Some(End::IdleTimeout), "it has not died");
    producer.signal(Signal::CONT);
    eventually(|| producer.ask("closed") == "true");
    assert_eq!(producer.ask("try 1"), "closed 1 Cancelled");
}

#[test]
fn who_does_not_want_to_wait_for_the_stopped_leaves() {
    let ground = Ground::new();
    let mut producer = ground.start("producer", &[]);
    assert_eq!(producer.ask("open s"), "ok");
    let mut source = ground.subscribe::<u64>("s").open().unwrap();
    stop(&producer);
    source.cancel();
    assert_eq!(source.end(), Some(End::Cancelled));
    drop(source);
    producer.signal(Signal::CONT);
    eventually(|| producer.ask("closed") == "true");
    assert_eq!(producer.ask("try 1"), "closed 1 Cancelled");

    let mut sink = ground.publish::<u64>("t").open().unwrap();
    let mut consumer = ground.start("consumer", &[]);
    assert_eq!(consumer.ask("open t"), "ok");
    stop(&consumer);
    sink.put_slice(&[0, 1, 2]).unwrap();
    sink.complete().unwrap();
    drop(sink);
    // The name is free for a successor, though the stopped one has still to take what was put.
    let next = ground.publish::<u64>("t").open().unwrap();
    consumer.signal(Signal::CONT);
    assert_eq!(consumer.ask("take 3"), "Some(0) Some(2) true");
    assert_eq!(consumer.ask("next"), "none Some(Completed)");
    drop(next);
}

#[test]
fn a_stopped_peer_can_be_killed() {
    let ground = Ground::new();
    let mut producer = ground.start("producer", &[]);
    assert_eq!(producer.ask("open s"), "ok");
    assert_eq!(producer.ask("put 0 2"), "ok");
    let mut source = ground.subscribe::<u64>("s").open().unwrap();
    stop(&producer);
    let killed = Instant::now();
    producer.kill();
    assert!(source.by_ref().eq(0..2));
    assert_eq!(source.end(), Some(End::PeerGone));
    eprintln!("a stopped producer was killed: told after {:?}", killed.elapsed());
    assert!(killed.elapsed() < LONGEST);
    drop(source);

    let mut sink = ground.publish::<u64>("s").buffer_size(1).open().unwrap();
    let mut consumer = ground.start("consumer", &[]);
    assert_eq!(consumer.ask("open s window=1"), "ok");
    stop(&consumer);
    consumer.kill();
    let refused = (0..).find_map(|element| sink.put(element).err()).unwrap();
    assert!(
        matches!(refused, PutError::Closed(_, CloseReason::PeerGone)),
        "{refused:?}"
    );
}
