//! Any bytes as the pages of a stream: as they are, or as changes to pages that are right.
#![no_main]

#[path = "../shared/honest.rs"]
#[allow(dead_code, reason = "shared by several targets")]
mod honest;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    if *kind == 0 {
        return millstream::fuzzing::pages(rest);
    }
    let mut image = honest::pages(*kind).to_vec();
    honest::change(&mut image, rest);
    millstream::fuzzing::pages(&image);
});
