//! Operators that give one stream to many: a work queue, a tee, a conflating consumer.

mod conflate;
mod support;
mod tee;
mod work_queue;

#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
#[path = "../processes/stage.rs"]
mod stage;

/// No test: where a process begins that a test has started.
#[cfg(target_os = "linux")]
#[test]
fn role() {
    stage::play(&[processes::ROLES]);
}
