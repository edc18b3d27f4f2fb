//! A work queue whose workers are other processes, where what one does not release when it dies is done by another; and
//! sources whose producers are.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use millstream::{Buffer, End, SinkRef, SourceRef, WaitStrategy, WorkSink};

use crate::stage::{Actor, Ground, Role, Stage, eventually, say, soon};

pub(crate) const ROLES: &[(&str, Role)] = &[("worker", worker), ("epoch", epoch)];

fn opened(stage: &Stage) -> (String, SourceRef<u64>) {
    let name: String = stage.arg(0);
    let source = stage
        .ground
        .subscribe::<u64>(&name)
        .initial_demand(stage.arg(1))
        .release_on_next()
        .open()
        .unwrap();
    say("HERE");
    (name, source)
}

/// Notes each element when it is done. At the one that is given, it says so and hangs, or panics.
fn worker(stage: &Stage) {
    let (name, mut source) = opened(stage);
    let (stop, how): (u64, String) = (stage.arg(2), stage.arg(3));
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(stage.ground.beside(&name))
        .unwrap();
    let work = catch_unwind(AssertUnwindSafe(move || {
        for element in &mut source {
            if element == stop && how == "hangs" {
                say("HANGS");
                stage.stay();
            }
            assert!(element != stop || how != "panics", "as it is expected to");
            log.write_all(&element.to_le_bytes()).unwrap();
        }
        say(format_args!("{:?}", source.end()));
    }));
    if work.is_err() {
        say("PANICKED");
    }
    stage.stay();
}

/// Four published lanes, and a worker in a process of its own at each.
fn scene(ground: &Ground, window: u64, stop: u64, how: &str) -> (WorkSink<u64>, Vec<Actor>) {
    let names = ["w0", "w1", "w2", "w3"];
    let lanes: Vec<SinkRef<u64>> = names
        .iter()
        .map(|name| {
            ground
                .publish::<u64>(name)
                .buffer_size(Buffer::Rendezvous)
                .open()
                .unwrap()
        })
        .collect();
    let sink = WorkSink::over(lanes).unwrap();
    let workers: Vec<Actor> = names
        .iter()
        .map(|name| ground.start("worker", &[name, &window, &stop, &how]))
        .collect();
    for worker in &workers {
        worker.expect("HERE");
    }
    eventually(|| sink.consumers() == 4);
    (sink, workers)
}

/// What each worker has done, in order.
fn logs(ground: &Ground) -> Vec<Vec<u64>> {
    let numbers = |bytes: Vec<u8>| {
        let words = bytes.chunks_exact(8);
        words
            .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
            .collect()
    };
    (0..4)
        .map(|i| fs::read(ground.beside(&format!("w{i}"))).map_or_else(|_| Vec::new(), numbers))
        .collect()
}

/// Every element is done; by the workers that stay, once; and what is done twice is not more than `most`, by the one that died.
fn check(logs: &[Vec<u64>], dead: usize, count: u64, most: usize) {
    let mut times = BTreeMap::new();
    let mut survivors = BTreeMap::new();
    for (i, log) in logs.iter().enumerate() {
        for element in log {
            *times.entry(*element).or_insert(0) += 1;
            if i != dead {
                *survivors.entry(*element).or_insert(0) += 1;
            }
        }
    }
    assert!(times.keys().copied().eq(0..count), "{} were done", times.len());
    assert!(survivors.values().all(|times| *times == 1));
    let twice = times.values().filter(|times| **times > 1).count();
    assert!(twice <= most, "{twice} were done twice");
}

#[test]
fn a_worker_killed_in_its_work_loses_nothing() {
    for window in [1, 7] {
        let ground = Ground::new();
        let count = 4_000;
        let (mut sink, mut workers) = scene(&ground, window, u64::MAX, "works");
        for element in 0..count {
            if element == count / 2 {
                workers[2].shoot();
            }
            sink.put_deadline(element, soon()).unwrap();
        }
        sink.complete_and_drain(soon()).unwrap();
        workers[2].kill();
        for (i, worker) in workers.iter().enumerate() {
            if i != 2 {
                worker.expect("Some(Completed)");
            }
        }
        check(&logs(&ground), 2, count, 1);
    }
}

#[test]
fn what_a_dead_worker_had_in_hand_is_done_by_another_though_nothing_is_put() {
    for how in ["hangs", "panics"] {
        let ground = Ground::new();
        let (mut sink, mut workers) = scene(&ground, 1, 5, how);
        // Nothing is put behind the one at which a worker ends: a put would look after it.
        for element in 0..6 {
            sink.put_deadline(element, soon()).unwrap();
        }
        let said = how == "hangs";
        let dead = if said {
            let line = "HANGS";
            let dead = find(&workers, line);
            workers[dead].kill();
            dead
        } else {
            find(&workers, "PANICKED")
        };
        // Whoever is dealt it comes to the same end.
        eventually(|| sink.deal_again() == 1);
        let next = if said {
            let next = find(&workers, "HANGS");
            workers[next].kill();
            next
        } else {
            find(&workers, "PANICKED")
        };
        assert_ne!(dead, next);
        eventually(|| sink.deal_again() == 2);
        assert!(sink.consumers() <= 2);
    }
}

/// The one of the processes that says the line first.
fn find(workers: &[Actor], line: &str) -> usize {
    let mut found = None;
    eventually(|| {
        found = workers
            .iter()
            .position(|worker| worker.said().as_deref() == Some(line));
        found.is_some()
    });
    found.unwrap()
}

/// One incarnation of a producer, without an end.
fn epoch(stage: &Stage) {
    let mut sink = stage.ground.publish::<u64>("epochs").open().unwrap();
    let from: u64 = stage.arg(0);
    for element in from..from + 100 {
        sink.put(element).unwrap();
    }
    say("DONE");
    stage.stay();
}

#[test]
fn a_tee_and_a_conflated_source_go_on_with_the_next_producer() {
    for conflates in [false, true] {
        let ground = Ground::new();
        let mut first = ground.start("epoch", &[&0]);
        let source = ground
            .subscribe::<u64>("epochs")
            .reconnect()
            .source_wait(WaitStrategy::park())
            .open()
            .unwrap();
        let mut next: Box<dyn FnMut() -> Option<u64>> = if conflates {
            let mut all = millstream::conflate(source, |n| *n).build().unwrap();
            Box::new(move || all.next().map(|latest| latest.element))
        } else {
            let [mut one, mut other] = millstream::tee::<2, _>(source).build().unwrap();
            Box::new(move || {
                let element = one.next();
                assert_eq!(other.next(), element);
                element
            })
        };
        for element in 0..100 {
            assert_eq!(next(), Some(element));
        }
        first.expect("DONE");
        first.kill();
        let second = ground.start("epoch", &[&100]);
        for element in 100..200 {
            assert_eq!(next(), Some(element));
        }
        second.expect("DONE");
    }
}

#[test]
fn the_death_of_the_producer_reaches_every_branch_behind_what_it_published() {
    let ground = Ground::new();
    let mut producer = ground.start("epoch", &[&0]);
    let source = ground.subscribe::<u64>("epochs").open().unwrap();
    let readers = millstream::tee::<3, _>(source)
        .build()
        .unwrap()
        .map(|mut branch| {
            std::thread::spawn(move || {
                let all: Vec<u64> = branch.by_ref().collect();
                (all, branch.end())
            })
        });
    producer.expect("DONE");
    producer.kill();
    for reader in readers {
        assert_eq!(reader.join().unwrap(), ((0..100).collect(), Some(End::PeerGone)));
    }
}
