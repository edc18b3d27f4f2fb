//! Operators over several streams, in one process and between processes: this binary executes itself, once for each role.

#![cfg(target_os = "linux")]

mod arbitrate;
mod merge;
#[path = "../processes/stage.rs"]
mod stage;
#[allow(dead_code, unused_macros, reason = "the tests of actors use more of it")]
#[path = "../actors/support.rs"]
mod support;

/// No test: where a process begins that a test has started.
#[test]
fn role() {
    stage::play(&[arbitrate::ROLES, merge::ROLES]);
}
