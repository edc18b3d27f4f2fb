//! Operators over several streams, in one process and between processes: this binary executes itself, once for each role.

mod conflate;
mod support;
mod tee;
mod work_queue;

#[cfg(target_os = "linux")]
mod arbitrate;
#[cfg(target_os = "linux")]
mod merge;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
#[path = "../processes/stage.rs"]
mod stage;

/// No test: where a process begins that a test has started.
#[cfg(target_os = "linux")]
#[test]
fn role() {
    stage::play(&[arbitrate::ROLES, merge::ROLES, processes::ROLES]);
}
