//! Streams in a file: both sides die, and both go on.

#![cfg(target_os = "linux")]

mod life;
mod refusals;
#[path = "../processes/stage.rs"]
mod stage;
mod transactional;

/// No test: where a process begins that a test has started.
#[test]
fn role() {
    stage::play(&[life::ROLES, transactional::ROLES]);
}
