//! Streams in a file: both sides die, and both go on.

#![cfg(target_os = "linux")]

mod life;
mod position;
mod power;
mod refusals;
mod snapshot;
#[path = "../processes/stage.rs"]
mod stage;
mod successors;
mod sync_kills;
mod synced;
mod transactional;

/// No test: where a process begins that a test has started.
#[test]
fn role() {
    stage::play(&[
        life::ROLES,
        transactional::ROLES,
        synced::ROLES,
        sync_kills::ROLES,
    ]);
}
