//! Containers: every process has the number 1, and sees no other.

use std::process::Command;

use millstream::{End, PublishError};

use crate::is_root;
use crate::stage::{Actor, Ground, Role, Stage, eventually, say};

pub(crate) const ROLES: &[(&str, Role)] = &[("tells_its_number", tells_its_number)];

/// A process that is the first of a namespace of its own, with a /proc of its own.
fn contained(ground: &Ground, role: &str) -> Actor {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg(std::env::current_exe().unwrap());
    ground.launch(command, role, &[])
}

fn tells_its_number(_: &Stage) {
    say(std::process::id());
}

#[test]
fn where_everybody_is_process_1_nobody_is_mistaken_for_another() {
    const TEST: &str = "where_everybody_is_process_1_nobody_is_mistaken_for_another";
    if !is_root(TEST) {
        return;
    }
    let ground = Ground::new();
    contained(&ground, "tells_its_number").expect("1");
    let mut producer = contained(&ground, "producer");
    let mut rival = contained(&ground, "producer");
    let mut consumer = contained(&ground, "consumer");
    assert_eq!(producer.ask("open s"), "ok");
    // Neither takes the name of the other for its own, nor its process for dead.
    let refused = rival.ask("open s");
    assert!(refused.contains("NameTaken"), "{refused}");
    assert_eq!(consumer.ask("open s"), "ok");
    producer.say("put 0 1000");
    assert_eq!(consumer.ask("take 1000"), "Some(0) Some(999) true");
    producer.expect("ok");
    let refused = ground.publish::<u64>("s").open().map(drop).unwrap_err();
    assert!(matches!(refused, PublishError::NameTaken { .. }), "{refused:?}");
    assert_eq!(millstream::list(Some(ground.dir.clone())).unwrap(), ["s"]);
    producer.kill();
    assert_eq!(consumer.ask("next"), format!("none {:?}", Some(End::PeerGone)));
    // And the dead one is known for dead, though there still is a process 1.
    eventually(|| rival.ask("open s") == "ok");
    assert_eq!(consumer.ask("open s"), "ok");
    assert_eq!(rival.ask("put 7 8"), "ok");
    assert_eq!(consumer.ask("next"), "item 7");
}
