//! What docs/reliability.md promises of peers that are stopped or slow, of odd sizes, and of the machine. Most of it happens in
//! processes of its own: this binary executes itself, once for each role.

#![cfg(target_os = "linux")]

mod clock;
mod crowd;
mod demand;
mod descriptors;
mod effort;
mod fork;
mod large;
mod memory;
mod namespaces;
#[path = "../processes/puppets.rs"]
mod puppets;
mod signals;
mod sizes;
#[path = "../processes/stage.rs"]
mod stage;
mod stopped;

use std::io::Write;

/// No test: where a process begins that a test has started.
#[test]
fn role() {
    stage::play(&[
        puppets::ROLES,
        clock::ROLES,
        crowd::ROLES,
        demand::ROLES,
        descriptors::ROLES,
        fork::ROLES,
        large::ROLES,
        memory::ROLES,
        namespaces::ROLES,
        signals::ROLES,
        sizes::ROLES,
        stopped::ROLES,
    ]);
}

/// Plays a role in a process of its own, to its good end.
fn alone(role: &str) {
    let ground = stage::Ground::new();
    let scene = ground.start(role, &[]);
    scene.expect("done");
    scene.finish();
    assert_eq!(ground.files(), [""; 0]);
}

/// Says that a test passes something over, past the harness, which keeps to itself what a test prints that passes.
fn skipped(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {why}");
}

/// Whether this process may do what only root may; the test is skipped if not.
fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skipped(test, "only root may do what it does to the machine");
    }
    root
}
