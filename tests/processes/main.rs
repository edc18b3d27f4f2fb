//! Streams between two real processes: this binary executes itself, once for each role.

#![cfg(target_os = "linux")]

mod broadcast;
mod bundles;
mod cycles;
mod death;
mod hostile;
mod liars;
mod limits;
mod listing;
mod puppets;
mod readonly;
mod refusals;
mod rendezvous;
mod resume;
mod rows;
mod scribbles;
mod sleepers;
mod stage;
mod users;

/// No test: where a process begins that a test has started.
#[test]
fn role() {
    stage::play(&[
        puppets::ROLES,
        broadcast::ROLES,
        bundles::ROLES,
        cycles::ROLES,
        death::ROLES,
        hostile::ROLES,
        liars::ROLES,
        limits::ROLES,
        listing::ROLES,
        readonly::ROLES,
        rendezvous::ROLES,
        resume::ROLES,
        sleepers::ROLES,
        users::ROLES,
    ]);
}
