//! An actor as its worker knows it.

use std::sync::Arc;

use super::address::AnyAddress;
use super::failure::Failure;
use super::io::Readiness;
use super::phase::Ran;
use super::worker::Worker;
use crate::ring::parcel::Parcel;

/// An actor whose type does not matter.
pub(super) trait AnyCell {
    /// Attends to what waits, for one turn.
    fn run(&mut self, worker: &mut Worker) -> Ran;
    /// Whether something waits for it.
    fn has_work(&self) -> bool;
    /// Lets it go until somebody sends a note. False when something came meanwhile.
    fn settle(&mut self) -> bool;
    /// Lets the actor fail in its next turn.
    fn fail_later(&self, failure: Failure);
    /// Takes in a message that came by a lane. False when the worker knows already that something waits.
    fn deliver(&mut self, parcel: Parcel) -> bool;
    /// It is among the ready: what comes by a lane need not call for it.
    fn set_ready(&mut self);
    /// How it is reached.
    fn address(&self) -> Arc<dyn AnyAddress>;
    /// A timer of it is due.
    fn timer_is_due(&self, timer: u64);
    /// A descriptor of it is ready.
    fn descriptor_is_ready(&self, io: usize, readiness: Readiness);
    /// Its worker ends: whatever it is doing, it stops here and now.
    fn abandon(&mut self, worker: &mut Worker);
}
