//! The protocol of casty's reactive streams as actors speak it: the rows C1 to C51 of the features, through the public API.
//!
//! A body is written once, and runs where its consumer is in the same system, in another system that looks the published
//! stream up, and in another process: see `scene`.

#![cfg(target_os = "linux")]

mod buffer;
mod cycles;
mod ends;
mod far;
mod faults;
mod memory;
mod reader;
mod refusals;
mod restarts;
mod scene;
mod several;
#[path = "../processes/stage.rs"]
mod stage;
mod states;
mod words;

/// No test: where a process begins that a test has started.
#[test]
fn role() {
    stage::play(&[reader::ROLES, far::ROLES, cycles::ROLES]);
}
