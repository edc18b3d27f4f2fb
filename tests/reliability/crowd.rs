//! Many more threads than cores, two that share one core, and one that others go before.

use std::thread;

use millstream::{SinkRef, SourceRef, WaitStrategy};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::alone;
use crate::stage::{Role, Stage, say, strategy};

pub(crate) const ROLES: &[(&str, Role)] = &[
    ("crowd_spin", |_| crowd("spin")),
    ("crowd_yield", |_| crowd("yield")),
    ("crowd_park", |_| crowd("park")),
    ("crowd_default", |_| crowd("default")),
    ("one_core", one_core),
    ("nice", nice),
];

const PAIRS: usize = 64;

fn pair(buffer: usize, wait: &str) -> (SinkRef<u64>, SourceRef<u64>) {
    let wait: WaitStrategy = strategy(wait);
    let builder = millstream::channel::<u64>().buffer_size(buffer);
    builder.sink_wait(wait).source_wait(wait).build().unwrap()
}

fn put_all(mut sink: SinkRef<u64>, count: u64) {
    for element in 0..count {
        sink.put(element).unwrap();
    }
    sink.complete().unwrap();
}

fn crowd(wait: &str) {
    const COUNT: u64 = 400;
    thread::scope(|scope| {
        for _ in 0..PAIRS {
            let (sink, source) = pair(128, wait);
            scope.spawn(|| put_all(sink, COUNT));
            scope.spawn(|| assert!(source.eq(0..COUNT)));
        }
    });
    say("done");
}

#[test]
fn sixty_four_pairs_that_spin() {
    alone("crowd_spin");
}

#[test]
fn sixty_four_pairs_that_yield() {
    alone("crowd_yield");
}

#[test]
fn sixty_four_pairs_that_park() {
    alone("crowd_park");
}

#[test]
fn sixty_four_pairs_that_wait_by_default() {
    alone("crowd_default");
}

#[test]
fn both_on_one_core_make_progress() {
    alone("one_core");
}

fn one_core(stage: &Stage) {
    let allowed = sched_getaffinity(None).unwrap();
    let core = (0..CpuSet::MAX_CPU).find(|core| allowed.is_set(*core)).unwrap();
    let mut one = CpuSet::new();
    one.set(core);
    for wait in ["spin", "yield", "park", "default"] {
        let (sink, source) = pair(16, wait);
        let producer = thread::spawn(move || {
            sched_setaffinity(None, &one).unwrap();
            put_all(sink, 1000);
        });
        let consumer = thread::spawn(move || {
            sched_setaffinity(None, &one).unwrap();
            assert!(source.eq(0..1000));
        });
        producer.join().unwrap();
        consumer.join().unwrap();
    }
    // And between two processes, one of which is this one with all of its threads.
    let ground = &stage.ground;
    sched_setaffinity(None, &one).unwrap();
    let mut consumer = ground.start("consumer", &[]);
    for wait in ["spin", "yield", "park"] {
        let builder = ground.publish::<u64>("s").sink_wait(strategy(wait));
        let sink = builder.open().unwrap();
        assert_eq!(consumer.ask(format_args!("open s wait={wait}")), "ok");
        consumer.say("take 1000");
        put_all(sink, 1000);
        consumer.expect("Some(0) Some(999) true");
    }
    say("done");
}

#[test]
fn who_is_nicer_than_all_others_gets_there_too() {
    alone("nice");
}

/// Lets all other threads go first; of this thread, and for good.
fn be_nice() {
    // SAFETY: no memory is passed. The number 0 means the calling thread.
    let done = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

fn nice(_: &Stage) {
    for wait in ["yield", "park", "default"] {
        let (sink, source) = pair(64, wait);
        let producer = thread::spawn(move || {
            be_nice();
            put_all(sink, 500);
        });
        assert!(source.eq(0..500));
        producer.join().unwrap();
        let (sink, source) = pair(64, wait);
        let consumer = thread::spawn(move || {
            be_nice();
            assert!(source.eq(0..500));
        });
        put_all(sink, 500);
        consumer.join().unwrap();
    }
    say("done");
}
