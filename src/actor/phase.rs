//! Where an actor stands in its life.

use super::failure::{Failure, StopReason};

/// What a worker knows of an actor that has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    /// Nothing is left to do. It counts as scheduled until it is settled.
    Idle,
    /// There is more to do.
    More,
    /// It has stopped.
    Gone,
}

/// Where an actor stands in its life.
#[derive(Debug)]
pub(super) enum Phase {
    /// To be made: for the first time, or again.
    New(Option<Again>),
    Running,
    /// Waits for its children to stop.
    Stopping(StopReason),
    Gone,
}

/// Why an actor is made again.
#[derive(Debug)]
pub(super) struct Again(pub(super) Option<Failure>);
