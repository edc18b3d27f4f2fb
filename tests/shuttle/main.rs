//! Thousands of random schedules of streams, of what is built of them, and of actors: longer runs, and more threads, than loom can go through.
//!
//! `RUSTFLAGS="--cfg millstream_shuttle" cargo test --release --test shuttle`; `MILLSTREAM_SHUTTLE_SCHEDULES` says how many schedules of
//! each kind there are of each model (1,000), `MILLSTREAM_SHUTTLE_SEED` which.
//!
//! Shuttle knows one order of memory; what weaker orders allow is loom's. It knows nothing of time: sleeps have no bound, so a ring that is lost
//! is a deadlock, which it reports, and no deadline passes; only an actor's timers come, as soon as its worker has nothing else to do. The queues of
//! crossbeam and rtrb, in which messages and notes wait, are not explored: each call of theirs is one step. Not run by it: what sleeps at
//! descriptors (streams between processes, descriptors that actors watch), and evictions, which are a matter of time.
#![cfg(millstream_shuttle)]
#![forbid(unsafe_code)]

mod actors;
mod flow;
mod protocol;
mod several;
mod streams;

use std::env;
use std::str::FromStr;

use millstream::{Buffer, SinkRef, SourceRef, WaitStrategy};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

/// Each way to wait has its own code.
const WAITS: [WaitStrategy; 3] = [
    WaitStrategy::park(),
    WaitStrategy::SpinThenYield { spins: 1 },
    WaitStrategy::SpinThenPark { spins: 1, yields: 1 },
];

fn setting<T: FromStr>(name: &str, usual: T) -> T {
    env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(usual)
}

/// Runs a model by schedules drawn at random, and by schedules with few preemptions at random places (PCT), which find other mistakes.
fn schedules(model: impl Fn() + Send + Sync + Clone + 'static) {
    let each = setting("MILLSTREAM_SHUTTLE_SCHEDULES", 1_000);
    let seed = setting("MILLSTREAM_SHUTTLE_SEED", 1);
    run(RandomScheduler::new_from_seed(seed, each), model.clone());
    run(PctScheduler::new_from_seed(seed, 3, each), model);
}

fn run(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(model);
}

fn pair<T: Send + 'static>(wait: WaitStrategy, buffer: usize, demand: u64) -> (SinkRef<T>, SourceRef<T>) {
    millstream::channel::<T>()
        .buffer_size(Buffer::Bounded(buffer))
        .initial_demand(demand)
        .idle_timeout(None)
        .sink_wait(wait)
        .source_wait(wait)
        .build()
        .unwrap()
}
