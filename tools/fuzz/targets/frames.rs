//! Any bytes as an area of frames.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((head, area)) = data.split_at_checked(8) else {
        return;
    };
    let longest = usize::from(u16::from_le_bytes([head[0], head[1]]));
    let byte = u64::from(u16::from_le_bytes([head[2], head[3]]));
    let pos = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
    // Positions about the edge of the 32 bits that a header has of them, too.
    let pos = if longest % 2 == 0 {
        pos
    } else {
        pos.wrapping_sub(16)
    };
    millstream::fuzzing::frames(area, longest, pos, byte);
});
