//! A consumer that asks for nothing, and one that asks for everything and takes nothing: either holds the producer, in memory
//! that was there before.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use millstream::{PutDeadlineError, SinkRef, SourceRef, TryNext, TryPutError};

use crate::alone;
use crate::effort::{ASLEEP, memory, spent};
use crate::stage::{Mapping, Role, Stage, eventually, say, soon, strategy};

pub(crate) const ROLES: &[(&str, Role)] = &[
    ("nobody_asks", nobody_asks),
    ("nobody_asks_here", nobody_asks_here),
    ("everything_asked", everything_asked),
];

/// More than anything here needs; what would grow with each refused put would need more.
const FLAT: u64 = 1 << 20;

/// Puts that are refused change nothing, and cost nothing where they wait.
fn held(sink: &mut SinkRef<u64>, held_at: u64) {
    assert_eq!(sink.try_put(7), Err(TryPutError::Full(7)));
    let (memory_before, spent_before) = (memory(), spent());
    let refused = sink.put_deadline(7, Instant::now() + Duration::from_secs(1));
    let effort = spent() - spent_before;
    assert_eq!(refused, Err(PutDeadlineError::TimedOut(7)));
    assert!(effort < ASLEEP, "{effort:?} of processor time in a second");
    eprintln!("a producer that nobody asks for anything, for 1 s: {effort:?}");
    for _ in 0..100_000 {
        assert_eq!(sink.try_put(7), Err(TryPutError::Full(7)));
    }
    let grown = memory().saturating_sub(memory_before);
    assert!(grown < FLAT, "{grown} bytes");
    assert_eq!(sink.position(), held_at);
}

#[test]
fn a_producer_that_nobody_asks_sleeps_in_the_memory_it_has() {
    alone("nobody_asks");
}

fn nobody_asks(stage: &Stage) {
    let ground = &stage.ground;
    let builder = ground
        .publish::<u64>("s")
        .buffer_size(4)
        .sink_wait(strategy("park"));
    let mut sink = builder.open().unwrap();
    let mut consumer = ground.start("consumer", &[]);
    assert_eq!(consumer.ask("open s manual window=8"), "ok");
    sink.put_slice(&[0, 1, 2, 3]).unwrap();
    let area = |name| Mapping::of(name).iter().map(|map| map.len).sum::<usize>();
    let mapped = area("s");
    held(&mut sink, 4);
    assert_eq!(area("s"), mapped);
    // One element asked for is one put more, and one put only.
    assert_eq!(consumer.ask("request 1"), "Ok(())");
    sink.put_deadline(4, soon()).unwrap();
    assert_eq!(sink.try_put(5), Err(TryPutError::Full(5)));
    assert_eq!(consumer.ask("next"), "item 0");
    assert_eq!(consumer.ask("try"), "empty");
    say("done");
}

#[test]
fn so_does_one_within_a_process() {
    alone("nobody_asks_here");
}

fn nobody_asks_here(_: &Stage) {
    let builder = millstream::channel::<u64>().buffer_size(4).initial_demand(8);
    let builder = builder.manual_demand().sink_wait(strategy("park"));
    let (mut sink, mut source): (SinkRef<u64>, SourceRef<u64>) = builder.build().unwrap();
    sink.put_slice(&[0, 1, 2, 3]).unwrap();
    held(&mut sink, 4);
    source.request(NonZeroU64::MIN).unwrap();
    sink.put_deadline(4, soon()).unwrap();
    assert_eq!(source.next(), Some(0));
    assert_eq!(source.try_next(), TryNext::Empty);
    say("done");
}

#[test]
fn who_asks_for_everything_and_takes_nothing_gets_no_more_than_the_window() {
    alone("everything_asked");
}

fn everything_asked(stage: &Stage) {
    let ground = &stage.ground;
    let builder = ground
        .publish::<u64>("s")
        .buffer_size(4)
        .sink_wait(strategy("park"));
    let mut sink = builder.open().unwrap();
    let mut consumer = ground.start("consumer", &[]);
    assert_eq!(consumer.ask("open s manual window=8"), "ok");
    for _ in 0..1000 {
        assert_eq!(consumer.ask(format_args!("request {}", u64::MAX)), "Ok(())");
    }
    eventually(|| sink.demand() == 8);
    let elements: Vec<u64> = (0..100).collect();
    assert_eq!(sink.try_put_slice(&elements).unwrap(), 12, "window and buffer");
    held(&mut sink, 12);
    assert_eq!(consumer.ask("take 8"), "Some(0) Some(7) true");
    say("done");
}
