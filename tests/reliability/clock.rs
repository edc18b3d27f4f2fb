//! Clocks that jump. Deadlines and timeouts are of the monotonic clock of their own process; nobody asks what time it is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use millstream::{End, OnNoConsumer, PutDeadlineError, TimedOut};

use crate::stage::{Ground, Role, Stage, eventually, say, soon, strategy};
use crate::{is_root, skipped};

pub(crate) const ROLES: &[(&str, Role)] =
    &[("asks_the_time", asks_the_time), ("lives_without", lives_without)];

/// Stands before the C library: whoever asks for the time of day ends the process.
const NO_TIME: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static int asked(void) { syscall(SYS_exit_group, 99); return -1; }
int clock_gettime(clockid_t clock, struct timespec *now) {
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI) return asked();
    return (int)syscall(SYS_clock_gettime, clock, now);
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) { return asked(); }
time_t time(time_t *now) { return asked(); }
"#;

/// That library, if there is a compiler.
fn no_time(dir: &Path) -> Option<PathBuf> {
    let (source, library) = (dir.join("no_time.c"), dir.join("no_time.so"));
    std::fs::write(&source, NO_TIME).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .status();
    built.is_ok_and(|status| status.success()).then_some(library)
}

#[test]
fn nobody_asks_what_time_it_is() {
    let ground = Ground::new();
    let Some(library) = no_time(ground.beside("").as_path()) else {
        skipped("nobody_asks_what_time_it_is", "there is no C compiler (cc)");
        return;
    };
    let without_time = |role| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env("LD_PRELOAD", &library);
        ground.launch(command, role, &[])
    };
    // That the library does what it says; else what follows would say nothing.
    let asking = without_time("asks_the_time");
    asking.expect("asking");
    assert_eq!(asking.code(), Some(99));
    let living = without_time("lives_without");
    living.expect("done");
    living.finish();
}

fn asks_the_time(stage: &Stage) {
    say("asking");
    say(format_args!("{:?}", SystemTime::now()));
    stage.stay();
}

/// Everything that waits: for a stream, for room, for an element, for an end, by each strategy.
fn lives_without(stage: &Stage) {
    let ground = &stage.ground;
    let missing = millstream::subscribe::<u64>("none").directory(&ground.dir);
    assert!(missing.wait_for(Duration::from_millis(50)).open().is_err());
    for wait in ["park", "yield", "spin", "default"] {
        let builder = ground
            .publish::<u64>("s")
            .buffer_size(1)
            .sink_wait(strategy(wait));
        let mut sink = builder.open().unwrap();
        let builder = ground
            .subscribe::<u64>("s")
            .initial_demand(1)
            .source_wait(strategy(wait));
        let mut source = builder
            .idle_timeout(Some(Duration::from_millis(50)))
            .open()
            .unwrap();
        let shortly = || Instant::now() + Duration::from_millis(20);
        assert_eq!(source.next_deadline(shortly()), Err(TimedOut));
        eventually(|| sink.demand() == 1);
        sink.put(0).unwrap();
        sink.put(1).unwrap();
        assert_eq!(
            sink.put_deadline(2, shortly()),
            Err(PutDeadlineError::TimedOut(2))
        );
        assert_eq!((source.next(), source.next()), (Some(0), Some(1)));
        assert_eq!((source.next(), source.end()), (None, Some(End::IdleTimeout)));
        drop((sink, source));
    }
    // An observer, a name's end, and a broadcast that evicts.
    let builder = ground.publish::<u64>("all").consumers(2).buffer_size(1);
    let mut sink = builder.on_no_consumer(OnNoConsumer::Drop).open().unwrap();
    let patience = Duration::from_millis(50);
    let builder = ground.subscribe::<u64>("all").initial_demand(1);
    let slow = builder.evict_after(patience).open().unwrap();
    millstream::observe("all", Some(ground.dir.clone())).unwrap();
    for element in 0..1000 {
        sink.put_deadline(element, soon()).unwrap();
    }
    // Nobody takes anything, so somebody was evicted; the background thread says so a little later.
    eventually(|| sink.unheard() > 0);
    drop((slow, sink));
    say("done");
}

#[test]
fn processes_whose_clocks_differ_by_a_day_do_not_notice() {
    const TEST: &str = "processes_whose_clocks_differ_by_a_day_do_not_notice";
    if !is_root(TEST) {
        return;
    }
    let ground = Ground::new();
    let ahead = |role| {
        let mut command = Command::new("unshare");
        command.args([
            "--time",
            "--monotonic",
            "86400",
            "--boottime",
            "86400",
            "--fork",
            "--kill-child",
        ]);
        command.arg(std::env::current_exe().unwrap());
        ground.launch(command, role, &[])
    };
    let supported = Command::new("unshare").args(["--time", "true"]).status();
    if !supported.is_ok_and(|status| status.success()) {
        skipped(TEST, "this kernel, or `unshare`, has no time namespaces");
        return;
    }
    let mut consumer = ahead("consumer");
    let builder = ground
        .publish::<u64>("s")
        .buffer_size(1)
        .sink_wait(strategy("park"));
    let mut sink = builder.open().unwrap();
    assert_eq!(consumer.ask("open s window=1 wait=park"), "ok");
    consumer.say("take 1000");
    for element in 0..1000 {
        sink.put_deadline(element, soon()).unwrap();
    }
    consumer.expect("Some(0) Some(999) true");
    let mut producer = ahead("producer");
    assert_eq!(producer.ask("open back wait=park buffer=1"), "ok");
    let idle = Duration::from_millis(300);
    let mut source = ground
        .subscribe::<u64>("back")
        .idle_timeout(Some(idle))
        .open()
        .unwrap();
    producer.say("put 0 1000");
    assert!(source.by_ref().take(1000).eq(0..1000));
    producer.expect("ok");
    let began = Instant::now();
    assert_eq!((source.next(), source.end()), (None, Some(End::IdleTimeout)));
    assert!(began.elapsed() >= idle, "{:?}", began.elapsed());
}
