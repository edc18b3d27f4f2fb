//! Peers that know the handshake, and lie: messages made by hand, byte by byte, over sockets of the test's own.

mod consumer;
mod descriptors;
mod flood;
mod producer;
mod wire;

use millstream::PutDeadlineError;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use crate::stage::{Actor, LONGEST, Role, Stage, holdings, say, soon};

pub(crate) const ROLES: &[(&str, Role)] = &[
    ("deceived_producer", deceived_producer),
    ("deceived_consumer", deceived_consumer),
    ("flooder", flood::flooder),
];

/// A producer of a stream that liars call, and of another one that must not notice.
fn deceived_producer(stage: &Stage) {
    let publish = |name: &str| stage.ground.publish::<u64>(name).buffer_size(16).max_demand(64);
    let several: bool = stage.arg(0);
    let open = || match several {
        true => publish("target").consumers(8).open().unwrap(),
        false => publish("target").open().unwrap(),
    };
    let mut steady = publish("steady").open().unwrap();
    let mut target = Some(open());
    say("HERE");
    loop {
        let line = stage.hear();
        let (verb, number) = line.split_once(' ').unwrap_or((&line, "0"));
        let number: u64 = number.parse().unwrap();
        match verb {
            "steady" => {
                for element in 0..number {
                    steady.put_deadline(element, soon()).unwrap();
                }
                say("ok");
            }
            // Puts until it is full, or over, or so much time has passed.
            "put" => {
                let deadline = Instant::now() + Duration::from_millis(number);
                let sink = target.as_mut().unwrap();
                say(loop {
                    match sink.put_deadline(7, deadline) {
                        Ok(()) => {}
                        Err(PutDeadlineError::Closed(_, reason)) => break format!("{reason:?}"),
                        Err(_) => break "TimedOut".into(),
                    }
                });
            }
            "reopen" => {
                drop(target.take());
                target = Some(open());
                say("ok");
            }
            "consumers" => say(target.as_mut().unwrap().consumers()),
            "holdings" => say(possessions()),
            "cpu" => say(cpu().as_millis()),
            _ => panic!("a deceived producer does not know how to {verb}"),
        }
    }
}

/// Subscribes to whatever a liar offers, and says what came of it.
fn deceived_consumer(stage: &Stage) {
    let mut steady = stage.ground.subscribe::<u64>("steady").open().unwrap();
    let mut held = None;
    say("HERE");
    loop {
        let line = stage.hear();
        let (verb, words) = line.split_once(' ').unwrap_or((&line, ""));
        let dir = &stage.ground.dir;
        match verb {
            "elements" => match millstream::subscribe::<u64>(words)
                .initial_demand(64)
                .directory(dir)
                .open()
            {
                Ok(mut source) => {
                    for _ in 0..10 {
                        let _ = source.try_next();
                    }
                    say(format_args!("Ok {:?}", source.end()));
                    held = Some(source);
                }
                Err(error) => say(format_args!("{error:?}")),
            },
            "observe" => match millstream::observe(words, Some(dir.clone())) {
                Ok(mut seen) => {
                    seen.refresh();
                    say(format_args!("Ok {}", seen.position()));
                }
                Err(error) => say(format_args!("{error:?}")),
            },
            "next" => {
                let deadline = Instant::now() + Duration::from_millis(words.parse().unwrap());
                let source = held.as_mut().unwrap();
                let next = source.next_deadline(deadline);
                say(format_args!("{next:?} {:?}", source.end()));
            }
            "drop" => {
                drop(held.take());
                say("ok");
            }
            "steady" => {
                let count: usize = words.parse().unwrap();
                say(steady.by_ref().take(count).count());
            }
            "holdings" => say(possessions()),
            "cpu" => say(cpu().as_millis()),
            _ => panic!("a deceived consumer does not know how to {verb}"),
        }
    }
}

/// What this process holds, by kind: descriptors, then threads and memfds in its memory.
fn possessions() -> String {
    let mut kinds = BTreeMap::<String, usize>::new();
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        // One is gone again: that of this very look.
        let Ok(link) = fs::read_link(entry.unwrap().path()) else {
            continue;
        };
        let link = link.to_string_lossy();
        let kind = link.split(":[").next().unwrap_or_default();
        *kinds.entry(kind.to_string()).or_default() += 1;
    }
    let (_, threads, memories) = holdings();
    format!("{kinds:?}, {threads} threads, {memories} mapped memfds")
}

/// Waits until a process holds as many descriptors, threads and memfds as before.
fn settles(process: &mut Actor, before: &str) {
    let end = Instant::now() + LONGEST / 3;
    loop {
        let now = process.ask("holdings");
        if now == before {
            return;
        }
        assert!(
            Instant::now() < end,
            "it held {before}, and now holds {now} for good"
        );
    }
}

/// The processor time that this process has used.
fn cpu() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}
