//! What needs a process of its own: this test binary, executed again for one test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::{env, fs};

use super::ground::*;
use crate::process::error::{PublishError, SubscribeError};
use crate::process::{GONE, list};

const ROLE: &str = "MILLSTREAM_TEST_ROLE";

/// This test again, in another process, whose `role` is told by [`role`].
fn again(test: &str, role: &str, ground: &Ground) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("process::tests::processes::{test}"),
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ROLE, role)
        .env("MILLSTREAM_DIR", &ground.dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The role of this process and the directory, when it was started by [`again`].
fn role() -> Option<(String, Ground)> {
    let dir = env::var_os("MILLSTREAM_DIR")?;
    Some((env::var(ROLE).ok()?, Ground::at(dir.into())))
}

/// Waits until the process says that it has come so far.
fn heard(child: &mut Child, word: &str) {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
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

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
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
    let Some((_, ground)) = role() else {
        // It lives until the other process has ended.
        let ground = Ground::new();
        let child = again(
            "the_thread_goes_with_the_last_stream_and_takes_everything_along",
            "",
            &ground,
        );
        assert!(child.wait_with_output().unwrap().status.success());
        return;
    };
    let ground = Ground::at(ground.dir);
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
        assert_eq!(subscription.pid, Some(producer.id()));
        assert_eq!(list(Some(ground.dir.clone())).unwrap(), ["quotes"]);
        let error = ground.publish("quotes").unwrap_err();
        assert!(matches!(error, PublishError::NameTaken { pid, .. } if pid == Some(producer.id())));
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
            _ => assert_eq!(list(Some(ground.dir.clone())).unwrap(), [""; 0]),
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
        assert_eq!((arrival.start, arrival.pid), (start, Some(consumer.id())));
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
