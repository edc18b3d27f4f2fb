//! Doors for the fuzz targets in `tools/fuzz`, built under `--cfg fuzzing` alone.

use std::cell::OnceCell;

use crate::process::fuzzing::Pages;
use crate::ring::frame::copy_out;
use crate::ring::{FrameArea, FrameConsumer};

/// Decodes a packet of the handshake.
pub fn message(packet: &[u8]) {
    crate::process::fuzzing::message(packet);
}

/// Checks the pages of a stream, as who maps them does.
pub fn pages(image: &[u8]) {
    thread_local!(static PAGES: OnceCell<Option<Pages>> = const { OnceCell::new() });
    PAGES.with(|pages| {
        if let Some(pages) = pages.get_or_init(Pages::new) {
            pages.check(image);
        }
    });
}

/// Writes the sum that a durable stream's file ought to have into its header.
pub fn seal(file: &mut [u8]) {
    crate::process::fuzzing::seal(file);
}

/// Writes the length and the sum that a snapshot of a durable stream ought to have into its head.
pub fn seal_snapshot(snapshot: &mut [u8]) {
    crate::process::fuzzing::seal_snapshot(snapshot);
}

/// Walks through an area of frames of at most `longest` bytes, beginning at the frame `pos` and `byte` bytes on.
pub fn frames(area: &[u8], longest: usize, pos: u64, byte: u64) {
    const WORD: usize = size_of::<u64>();
    let len = area.len() / 64 * 64;
    if len == 0 {
        return;
    }
    let mut words: Vec<u64> = area[..len]
        .as_chunks::<WORD>()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .collect();
    // SAFETY: the vector is aligned for headers, as long as was said, and outlives the consumer, the only one.
    let mut consumer = unsafe {
        let area = FrameArea::new(words.as_mut_ptr().cast(), len);
        FrameConsumer::new(area, longest, pos, byte / 8 * 8)
    };
    let mut payload = Vec::new();
    // Two rounds: nothing is cleared behind this consumer, so it comes to what it has seen.
    for _ in 0..2 * len / WORD {
        let Ok(Some((from, bytes))) = consumer.look() else {
            return;
        };
        assert!(bytes <= longest);
        // SAFETY: what the consumer found lies in the area.
        unsafe { copy_out(from, bytes, &mut payload) };
        let before = consumer.pos();
        consumer.skip();
        assert_eq!(consumer.pos(), before.wrapping_add(1));
    }
}
