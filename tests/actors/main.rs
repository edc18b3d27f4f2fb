//! Pinned workers and the actors on them, row by row of the features that they take over from casty (K1 to K26, C51),
//! and what workers promise: nobody is held up, nobody is lost, nothing is left behind.
//!
//! Everything goes by the public interface. A `Puppet` does on its worker what a test sends it; conditions are waited
//! for, never times.
#![forbid(unsafe_code)]

mod ask;
mod blocking;
mod cycles;
mod drops;
mod events;
#[cfg(unix)]
mod io;
mod lanes;
mod life;
mod load;
mod mailbox;
mod names;
mod panics;
mod shutdown;
mod spy;
mod storms;
mod supervision;
mod support;
mod timers;
mod trees;
mod watch;
mod workers;
