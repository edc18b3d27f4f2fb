use zerocopy::{FromZeros, IntoBytes};

use super::*;
use crate::memory::MemoryOptions;

const LEN: u64 = 3 * 4096;

pub(crate) fn of_elements() -> StreamHeader {
    StreamHeader {
        magic: STREAM_MAGIC,
        major: MAJOR,
        minor: MINOR,
        header_len: 256,
        kind: KIND_ELEMENTS,
        endian: ENDIAN_MARK,
        element_size: 8,
        element_align: 8,
        per_block: 7,
        first: 8,
        stride: 64,
        blocks: 64,
        area_offset: 8192,
        area_len: 4096,
        buffer_size: 48,
        max_demand: 400,
        base: 0,
        max_frame: 0,
        epoch: 77,
        fingerprint: [3; 16],
        schema_offset: 4096,
        schema_len: 5,
        ..StreamHeader::new_zeroed()
    }
}

fn of_frames() -> StreamHeader {
    StreamHeader {
        kind: KIND_FRAMES,
        element_size: 0,
        element_align: 1,
        per_block: 0,
        stride: 0,
        blocks: 0,
        max_frame: 1000,
        buffer_size: 1,
        max_demand: 2,
        fingerprint: [0; 16],
        schema_len: 0,
        ..of_elements()
    }
}

#[test]
fn honest_headers_pass() {
    check(&of_elements(), LEN).unwrap();
    check(&of_frames(), LEN).unwrap();
    let empty = StreamHeader {
        element_size: 0,
        element_align: 1,
        per_block: 56,
        ..of_elements()
    };
    check(&empty, LEN).unwrap();
    let several = StreamHeader {
        consumers: 64,
        history: 48,
        max_demand: 352,
        ..of_elements()
    };
    check(&several, LEN).unwrap();
    let later = StreamHeader {
        minor: MINOR + 1,
        reserved0: 9,
        ..of_elements()
    };
    check(&later, LEN).unwrap();
    let bundles = StreamHeader {
        element_size: 96,
        element_align: 32,
        per_block: 16,
        first: 64,
        stride: 1600,
        blocks: 2,
        area_len: 3200,
        buffer_size: 2,
        max_demand: 15,
        ..of_elements()
    };
    check(&bundles, LEN).unwrap();
    let large = StreamHeader {
        element_size: 96,
        element_align: 32,
        per_block: 1,
        first: 32,
        stride: 128,
        blocks: 32,
        buffer_size: 2,
        max_demand: 30,
        ..of_elements()
    };
    check(&large, LEN).unwrap();
}

#[test]
fn lies_are_named() {
    let lie = |change: fn(&mut StreamHeader)| {
        let mut header = of_elements();
        change(&mut header);
        check(&header, LEN).unwrap_err().word
    };
    assert_eq!(lie(|h| h.magic[3] ^= 1), "magic");
    assert_eq!(lie(|h| h.major = 1), "major");
    assert_eq!(lie(|h| h.endian = h.endian.swap_bytes()), "endian");
    assert_eq!(lie(|h| h.header_len = 255), "header_len");
    assert_eq!(lie(|h| h.kind = 3), "kind");
    assert_eq!(lie(|h| h.reserved[9] = 1), "reserved");
    assert_eq!(lie(|h| h.flags = 2), "flags");
    assert_eq!(lie(|h| (h.flags, h.consumers) = (DURABLE, 1)), "consumers");
    assert_eq!(lie(|h| h.element_size = 9), "element_align");
    assert_eq!(lie(|h| h.element_size = 16), "per_block");
    assert_eq!(lie(|h| h.element_size = u32::MAX), "element_size");
    assert_eq!(lie(|h| h.element_align = 0), "element_align");
    assert_eq!(lie(|h| h.element_align = 3), "element_align");
    assert_eq!(lie(|h| h.element_align = 1 << 31), "element_align");
    assert_eq!(lie(|h| h.per_block = 0), "per_block");
    assert_eq!(lie(|h| h.per_block = 8), "per_block");
    assert_eq!(lie(|h| h.per_block = u32::MAX), "per_block");
    assert_eq!(lie(|h| h.first = 0), "first");
    assert_eq!(lie(|h| h.first = 12), "first");
    assert_eq!(lie(|h| h.first = !7), "first");
    assert_eq!(lie(|h| h.stride = 68), "stride");
    assert_eq!(lie(|h| h.stride = 128), "blocks");
    assert_eq!(lie(|h| h.stride = 1 << 63), "blocks");
    assert_eq!(lie(|h| h.blocks = 0), "blocks");
    assert_eq!(lie(|h| h.blocks = 65), "blocks");
    assert_eq!(lie(|h| h.blocks = 1 << 58), "blocks");
    assert_eq!(lie(|h| h.area_offset = 0), "area_offset");
    assert_eq!(lie(|h| h.area_offset = 8200), "area_offset");
    assert_eq!(lie(|h| h.area_offset = 12288), "area_len");
    assert_eq!(lie(|h| h.area_offset = !4095), "area_len");
    assert_eq!(lie(|h| h.area_len = 0), "area_len");
    assert_eq!(lie(|h| h.area_len = u64::MAX), "area_len");
    assert_eq!(lie(|h| h.buffer_size = 49), "buffer_size");
    assert_eq!(lie(|h| h.buffer_size = u64::MAX), "buffer_size");
    assert_eq!(lie(|h| h.history = 1), "history");
    assert_eq!(lie(|h| (h.consumers, h.history) = (1, 1)), "buffer_size");
    assert_eq!(lie(|h| (h.consumers, h.history) = (1, u64::MAX)), "buffer_size");
    assert_eq!(lie(|h| h.max_demand = 0), "max_demand");
    assert_eq!(lie(|h| h.max_demand = u64::MAX), "max_demand");
    assert_eq!(lie(|h| h.max_frame = 1), "max_frame");
    assert_eq!(lie(|h| h.schema_offset = 4095), "schema_offset");
    assert_eq!(lie(|h| h.schema_offset = 8192), "schema_offset");
    assert_eq!(lie(|h| h.schema_offset = !7), "schema_offset");
    assert_eq!(lie(|h| h.schema_len = u32::MAX), "schema_len");
    assert_eq!(lie(|h| h.schema_len = 4097), "schema_offset");

    let lie = |change: fn(&mut StreamHeader)| {
        let mut header = of_frames();
        change(&mut header);
        check(&header, LEN).unwrap_err().word
    };
    assert_eq!(lie(|h| h.area_len = 4090), "area_len");
    assert_eq!(lie(|h| h.max_frame = 1016), "max_frame");
    assert_eq!(lie(|h| h.max_frame = u64::MAX), "max_frame");
    assert_eq!(lie(|h| h.first = 16), "first");
    assert_eq!(lie(|h| h.blocks = 1), "blocks");
    assert_eq!(lie(|h| h.stride = 64), "stride");
    assert_eq!(lie(|h| h.per_block = 1), "per_block");
    assert_eq!(lie(|h| h.element_size = 1), "element_size");
    assert_eq!(lie(|h| h.element_align = 2), "element_align");
    assert_eq!(lie(|h| h.buffer_size = u64::MAX), "buffer_size");
    assert_eq!(lie(|h| h.consumers = 1), "consumers");
    assert_eq!(lie(|h| h.history = 1), "history");
}

/// Whatever single byte of the header is wrong: either it is found, or what passes keeps every block inside.
#[test]
fn a_header_that_passes_keeps_inside() {
    for (kind, header) in [(KIND_ELEMENTS, of_elements()), (KIND_FRAMES, of_frames())] {
        for at in 0..256 {
            for flip in 1..=255 {
                let mut bytes = header.as_bytes().to_vec();
                bytes[at] ^= flip;
                let flipped = StreamHeader::read_from_bytes(&bytes).unwrap();
                if check(&flipped, LEN).is_ok() {
                    assert_eq!(flipped.kind, kind);
                    assert!(flipped.area_offset + flipped.area_len <= LEN);
                    assert_eq!(flipped.stride * flipped.blocks, header.stride * header.blocks);
                    let end = u64::from(flipped.per_block) * u64::from(flipped.element_size)
                        + u64::from(flipped.first);
                    assert!(kind == KIND_FRAMES || end <= flipped.stride);
                }
            }
        }
    }
}

#[test]
fn copied_from_memory() {
    let memory = SharedMemory::create("test", LEN as usize, MemoryOptions::default()).unwrap();
    assert_eq!(stream(&memory).unwrap_err().word, "magic");
    assert!(memory.copy_in(0, of_elements().as_bytes()));
    assert!(memory.copy_in(4096, b"shape"));
    assert_eq!(stream(&memory).unwrap(), (of_elements(), b"shape".to_vec()));
    let small = SharedMemory::create("test", 128, MemoryOptions::default()).unwrap();
    assert_eq!(
        stream(&small).unwrap_err(),
        Lie {
            word: "memory length",
            value: 128
        }
    );
}
