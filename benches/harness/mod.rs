//! What the benches share: one noun a file.
//!
//! `round` runs rows round after round, `sample` says what counts of them, `probe` and `load` what the machine was doing
//! meanwhile, `vigil` keeps it from falling asleep in between, `report` prints.
//! `stream` has the two settings (in one process, between processes), and `process` executes the bench again for the
//! second one. What is timed: `element_flow` and `frame_flow` (throughput, in cells of one length by `pace`), `fan_in`, `fan_out`, `round_trip` with its limit `two_lines`, and
//! `one_way` (at a fixed rate, with `effort` for what the consumer
//! pays), `mail` (messages of actors) and `spoken` (streams that actors set up). `attach` is a consumer that comes and
//! goes, `heap` and `holdings` what streams keep. `bare_lines` and `bare_blocks` are the limits of a flow as `two_lines` is that of a trip, `bare_records` is one by hand; `verdict` compares with the design.

#![allow(dead_code, reason = "each bench uses its part")]
#![allow(
    clippy::disallowed_types,
    reason = "limits are measured with real atomics; loom has no part here"
)]

pub(crate) mod attach;
pub(crate) mod bare_blocks;
pub(crate) mod bare_lines;
pub(crate) mod bare_records;
pub(crate) mod clock;
pub(crate) mod effort;
pub(crate) mod element;
pub(crate) mod element_flow;
pub(crate) mod fan_in;
pub(crate) mod fan_out;
pub(crate) mod frame_flow;
pub(crate) mod heap;
pub(crate) mod holdings;
pub(crate) mod load;
pub(crate) mod machine;
pub(crate) mod mail;
pub(crate) mod one_way;
pub(crate) mod options;
pub(crate) mod pace;
pub(crate) mod pinning;
pub(crate) mod probe;
pub(crate) mod process;
pub(crate) mod report;
pub(crate) mod round;
pub(crate) mod round_trip;
pub(crate) mod sample;
pub(crate) mod spoken;
pub(crate) mod statistic;
pub(crate) mod stream;
pub(crate) mod two_lines;
pub(crate) mod verdict;
pub(crate) mod vigil;
