//! Every way in which elements go between threads of one process, with each element checked: what the sanitizers and valgrind
//! run. `millstream-stress COUNT [NAME...]`; COUNT elements go through each stream.
//!
//! A program of its own and no test, because the test harness has a channel of its own, of which ThreadSanitizer reports a race that
//! is none.

#![forbid(unsafe_code)]

mod actors;
mod several;
mod streams;

use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use millstream::WaitStrategy;

/// How long one of the stresses may take under the slowest of the tools, before it counts as hung.
const LONGEST: Duration = Duration::from_secs(300);

/// Each way to wait has its own code.
const WAITS: [WaitStrategy; 3] = [
    WaitStrategy::park(),
    WaitStrategy::SpinThenYield { spins: 4 },
    WaitStrategy::SpinThenPark { spins: 20, yields: 4 },
];

/// What can be run: a name, and what sends so many elements and returns how many it checked.
type Stress = (&'static str, fn(u64) -> u64);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(count) = arguments.next().and_then(|count| count.parse().ok()) else {
        eprintln!("usage: millstream-stress COUNT [NAME...], with how many elements go through each stream");
        return ExitCode::from(2);
    };
    let named: Vec<String> = arguments.collect();
    let all: Vec<Stress> = [streams::ALL, several::ALL, actors::ALL].concat();
    for name in &named {
        if !all.iter().any(|(known, _)| known == name) {
            let known: Vec<_> = all.iter().map(|(name, _)| *name).collect();
            eprintln!("there is no stress {name}; there are {}", known.join(", "));
            return ExitCode::from(2);
        }
    }
    let mut total = 0;
    for (name, stress) in all {
        if named.is_empty() || named.iter().any(|one| one == name) {
            let begun = Instant::now();
            let checked = watched(name, move || stress(count));
            println!(
                "{name:14} {checked:>9} elements, {} ms",
                begun.elapsed().as_millis()
            );
            total += checked;
        }
    }
    println!("stress: {total} elements checked");
    ExitCode::SUCCESS
}

/// Ends the process if `work` hangs, or panics in any of its threads.
fn watched(name: &'static str, work: impl FnOnce() -> u64 + Send + 'static) -> u64 {
    let (done, waiting) = channel();
    let worker = thread::spawn(move || {
        let checked = work();
        let _ = done.send(());
        checked
    });
    if waiting.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
        eprintln!("{name} hangs: nothing came of it in {LONGEST:?}");
        std::process::abort();
    }
    match worker.join() {
        Ok(checked) => checked,
        Err(_) => {
            eprintln!("{name} failed");
            std::process::exit(1)
        }
    }
}

/// What a thread returned; a panic of it is passed on.
fn joined<T>(thread: thread::JoinHandle<T>) -> T {
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
