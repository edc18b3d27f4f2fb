//! Any bytes as one packet of the handshake.
#![no_main]

libfuzzer_sys::fuzz_target!(|packet: &[u8]| millstream::fuzzing::message(packet));
