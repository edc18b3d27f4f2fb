//! What needs a process of its own: this test binary, executed again for one test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use rustix::io::retry_on_intr;
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions, waitpid};

use super::ground::*;
use crate::process::reactor::Command as Order;
use crate::process::service::Lease;
use crate::process::subscription::{Subscription, SubscriptionSettings};
use crate::process::{GONE, list};
use crate::process::{PublishError, SubscribeError};

const ROLE: &str = "MILLSTREAM_TEST_ROLE";

/// A process that does not outlive its test, however that ends.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It fails for those that have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This test again, in another process, whose `role` is told by [`role`].
fn again(test: &str, role: &str, ground: &Ground) -> Process {
    let child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("process::tests::processes::{test}"),
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ROLE, role)
        .env("MILLSTREAM_DIR", &ground.dir)
        .stdout(Stdio::piped())
        .spawn();
    Process(child.unwrap())
}

/// The role of this process and the directory, when it was started by [`again`].
fn role() -> Option<(String, Ground)> {
    let dir = env::var_os("MILLSTREAM_DIR")?;
    Some((env::var(ROLE).ok()?, Ground::at(dir.into())))
}

/// Waits until the process says that it has come so far.
fn heard(child: &mut Process, word: &str) {
    let mut lines = BufReader::new(child.0.stdout.as_mut().unwrap()).lines();
    assert!(
        lines.any(|line| line.unwrap().contains(word)),
        "the other process ended before {word:?}"
    );
}

/// Waits to be killed.
fn stay() -> ! {
    println!("HERE");
    loop {
        std::thread::park();
    }
}

fn kill(process: Process) {
    drop(process);
}

fn service_threads() -> usize {
    fs::read_dir("/proc/self/task")
        .unwrap()
        .filter(|task| {
            let name = task
                .as_ref()
                .ok()
                .and_then(|task| fs::read_to_string(task.path().join("comm")).ok());
            name.is_some_and(|name| name.trim() == "millstream")
        })
        .count()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn the_thread_goes_with_the_last_stream_and_takes_everything_along() {
    let Some(ground) = alone("the_thread_goes_with_the_last_stream_and_takes_everything_along") else {
        return;
    };
    let before = descriptors();
    assert_eq!(service_threads(), 0);
    for _ in 0..20 {
        let one = ground.publish("one").unwrap();
        assert_eq!(service_threads(), 1);
        let two = ground.publish("two").unwrap();
        let subscription = ground.subscribe("one").unwrap();
        drop(one);
        drop(two);
        assert_eq!(service_threads(), 1, "a subscription needs it too");
        await_bits(subscription.link.notice(), GONE);
        drop(subscription);
        // A thread that was joined may be listed for a moment longer.
        eventually(|| service_threads() == 0);
        assert_eq!(descriptors(), before);
        assert_eq!(ground.files(), 0);
    }
    // Errors take nothing along either.
    let publication = ground.publish("one").unwrap();
    let with_one = descriptors();
    for _ in 0..20 {
        assert!(matches!(
            ground.publish("one"),
            Err(PublishError::NameTaken { .. })
        ));
        assert!(matches!(
            ground.subscribe("two"),
            Err(SubscribeError::NotFound { .. })
        ));
        let mut settings = ground.subscription("one");
        settings.fingerprint = [0; 16];
        crate::process::Subscription::open(settings).unwrap_err();
    }
    eventually(|| descriptors() == with_one);
    drop(publication);
    assert_eq!(descriptors(), before);
}

#[test]
fn a_killed_producer_leaves_nothing() {
    const TEST: &str = "a_killed_producer_leaves_nothing";
    if let Some((_, ground)) = role() {
        let _publication = ground.publish("quotes").unwrap();
        stay();
    }
    let ground = Ground::new();
    for round in 0..5 {
        let mut producer = again(TEST, "producer", &ground);
        heard(&mut producer, "HERE");
        let subscription = ground.subscribe("quotes").unwrap();
        assert_eq!(subscription.pid, Some(producer.0.id()));
        assert_eq!(list(Some(ground.dir.clone()), None).unwrap(), ["quotes"]);
        let error = ground.publish("quotes").unwrap_err();
        assert!(matches!(error, PublishError::NameTaken { pid, .. } if pid == Some(producer.0.id())));
        kill(producer);
        await_bits(subscription.link.notice(), GONE);
        if round % 2 == 0 {
            eventually(|| ground.files() == 0);
        } else {
            drop(subscription);
            assert_eq!(ground.files(), 0, "the last one who knows looks once more");
        }
    }
    // With nobody there, the next one finds it.
    for next in 0..3 {
        let mut producer = again(TEST, "producer", &ground);
        heard(&mut producer, "HERE");
        kill(producer);
        assert_eq!(ground.files(), 2);
        match next {
            0 => drop(ground.publish("quotes").unwrap()),
            1 => assert!(matches!(
                ground.subscribe("quotes"),
                Err(SubscribeError::NotFound { .. })
            )),
            _ => assert_eq!(list(Some(ground.dir.clone()), None).unwrap(), [""; 0]),
        }
        assert_eq!(ground.files(), 0);
    }
}

#[test]
fn a_killed_consumer_is_noticed_and_a_resumable_one_awaited() {
    if let Some((role, ground)) = role() {
        let subscription = match role.as_str() {
            "plain" => ground.subscribe("quotes").unwrap(),
            _ => ground.resume("quotes", "night").unwrap(),
        };
        let start = subscription.start;
        write_credit(&subscription, start.wrapping_add(10), start.wrapping_add(4));
        stay();
    }
    const TEST: &str = "a_killed_consumer_is_noticed_and_a_resumable_one_awaited";
    let ground = Ground::new();
    let publication = ground.publish("quotes").unwrap();
    let mut start = header().base;
    for _ in 0..4 {
        let mut consumer = again(TEST, "night", &ground);
        heard(&mut consumer, "HERE");
        let arrival = await_arrival(&publication);
        assert_eq!((arrival.start, arrival.pid), (start, Some(consumer.0.id())));
        start = start.wrapping_add(4);
        kill(consumer);
    }
    assert_eq!(bits(publication.notice()), 0);
    drop(publication);

    let publication = ground.publish("quotes").unwrap();
    let mut consumer = again(TEST, "plain", &ground);
    heard(&mut consumer, "HERE");
    await_arrival(&publication);
    kill(consumer);
    await_bits(publication.notice(), GONE);
}

/// Runs a test in a process of its own, because it changes something of the whole process. True in that process.
fn alone(test: &str) -> Option<Ground> {
    if let Some((_, ground)) = role() {
        return Some(ground);
    }
    let ground = Ground::new();
    let mut process = again(test, "alone", &ground);
    assert!(process.0.wait().unwrap().success());
    None
}

#[test]
fn a_panic_of_the_thread_ends_the_streams_and_hangs_nobody() {
    let Some(ground) = alone("a_panic_of_the_thread_ends_the_streams_and_hangs_nobody") else {
        return;
    };
    let publication = ground.publish("quotes").unwrap();
    let subscription = ground.subscribe("quotes").unwrap();
    let lease = Lease::take().unwrap();
    assert!(
        lease
            .call(|_: crossbeam_channel::Sender<()>| Order::Panic)
            .is_err()
    );
    await_bits(publication.notice(), GONE);
    await_bits(subscription.link.notice(), GONE);
    assert_eq!(ground.files(), 0, "the name is free");
    // A new thread serves who comes next, beside those who still hold on to the old one.
    let again = ground.publish("quotes").unwrap();
    let consumer = ground.subscribe("quotes").unwrap();
    await_arrival(&again);
    drop((publication, subscription, lease));
    assert_eq!((bits(again.notice()), service_threads()), (0, 1));
    drop(again);
    await_bits(consumer.link.notice(), GONE);
    drop(consumer);
    eventually(|| service_threads() == 0);
}

#[test]
fn too_few_descriptors_are_an_error_at_every_step() {
    let Some(ground) = alone("too_few_descriptors_are_an_error_at_every_step") else {
        return;
    };
    drop(ground.publish("warm-up").unwrap());
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let (mut published, mut subscribed) = (0, 0);
    for more in 0..40 {
        let current = Some(descriptors() as u64 + more);
        rustix::process::setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
        let settings = ground.try_publication("quotes");
        let publication = settings.and_then(crate::process::Publication::open);
        if publication.is_ok() {
            published += 1;
            let deadline = Some(Instant::now() + Duration::from_millis(40));
            let settings = SubscriptionSettings {
                deadline,
                ..ground.subscription("quotes")
            };
            subscribed += u32::from(Subscription::open(settings).is_ok());
        }
        rustix::process::setrlimit(Resource::Nofile, limit).unwrap();
        let failed = publication.as_ref().err().map(ToString::to_string);
        drop(publication);
        assert!(!ground.dir.exists() || ground.files() == 0, "{more}: {failed:?}");
    }
    assert!(
        (1..40).contains(&published) && (1..published).contains(&subscribed),
        "{published} {subscribed}"
    );
    eventually(|| service_threads() == 0);
}

#[test]
fn a_stopped_producer_is_called_so_and_goes_on() {
    const TEST: &str = "a_stopped_producer_is_called_so_and_goes_on";
    if let Some((_, ground)) = role() {
        let _publication = ground.publish("quotes").unwrap();
        stay();
    }
    let ground = Ground::new();
    let mut producer = again(TEST, "producer", &ground);
    heard(&mut producer, "HERE");
    let pid = Pid::from_child(&producer.0);
    let within = |limit| {
        let deadline = Some(Instant::now() + limit);
        Subscription::open(SubscriptionSettings {
            deadline,
            ..ground.subscription("quotes")
        })
    };
    let stop = || {
        rustix::process::kill_process(pid, Signal::STOP).unwrap();
        // The signal is on its way to the threads; the report comes when all have stopped.
        let stopped = retry_on_intr(|| waitpid(Some(pid), WaitOptions::UNTRACED)).unwrap();
        assert!(stopped.is_some_and(|(_, status)| status.stopped()));
    };
    stop();
    match within(Duration::from_millis(50)).unwrap_err() {
        SubscribeError::TimedOut { last, .. } => assert!(last.contains("is it stopped?"), "{last}"),
        other => panic!("{other}"),
    }
    assert!(matches!(
        ground.publish("quotes"),
        Err(PublishError::NameTaken { .. })
    ));
    rustix::process::kill_process(pid, Signal::CONT).unwrap();
    let subscription = within(WATCHDOG).unwrap();
    // Each interrupts the waits of the other process.
    for _ in 0..200 {
        stop();
        rustix::process::kill_process(pid, Signal::CONT).unwrap();
    }
    assert!(matches!(
        ground.subscribe("quotes"),
        Err(SubscribeError::AlreadySubscribed { .. })
    ));
    assert_eq!(bits(subscription.link.notice()), 0);
    kill(producer);
    await_bits(subscription.link.notice(), GONE);
}

#[test]
fn killed_at_any_moment_nothing_is_in_the_way() {
    const TEST: &str = "killed_at_any_moment_nothing_is_in_the_way";
    if let Some((role, ground)) = role() {
        println!("HERE");
        loop {
            if role == "producer" {
                drop(ground.publish("quotes"));
            } else {
                drop(ground.resume("trades", "night"));
            }
        }
    }
    let ground = Ground::new();
    let trades = ground.publish("trades").unwrap();
    for round in 0..40u32 {
        let mut producer = again(TEST, "producer", &ground);
        let mut consumer = again(TEST, "consumer", &ground);
        heard(&mut producer, "HERE");
        heard(&mut consumer, "HERE");
        // Some hundred different moments within a life of some ten microseconds.
        let until = Instant::now() + Duration::from_micros(u64::from(round) * 137 % 1000);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        kill(producer);
        let publication = ground.publish("quotes").unwrap();
        kill(consumer);
        drop(ground.resume("trades", "night").unwrap());
        assert_eq!(bits(trades.notice()) & GONE, 0);
        drop(publication);
        assert_eq!(ground.files(), 2);
    }
}
