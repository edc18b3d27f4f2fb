//! A stream in a file, and its consumer's position in another.

use millstream::Element;

use crate::stage::Ground;
use crate::{MOVED, VERSION, two};

#[test]
fn a_durable_stream_and_its_consumers_position() {
    let ground = Ground::new();
    let file = ground.beside("durable");
    let builder = ground.publish::<u64>("layout-durable").durable(&file);
    let mut sink = builder.buffer_size(5).max_demand(9).open().unwrap();
    sink.put_slice(&[7, 8]).unwrap();
    let builder = ground.subscribe::<u64>("layout-durable").resumable("book");
    let mut source = builder
        .initial_demand(9)
        .transactional::<[u64; 2]>()
        .open()
        .unwrap();
    source.next().unwrap();
    source.commit(&[5, 6]);

    let stream = std::fs::read(&file).unwrap();
    let word = |bytes: &[u8], offset: usize| u64::from_ne_bytes(bytes[offset..][..8].try_into().unwrap());
    assert_eq!(stream.len(), 4096 + 4096 + 3 * 64, "{MOVED}");
    assert_eq!(word(&stream, 8), two(VERSION, 256), "{MOVED}");
    assert_eq!(word(&stream, 160), 1, "durable: {MOVED}");
    assert_ne!(word(&stream, 168), 0, "the checksum: {MOVED}");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let digits: String = boot.chars().filter(char::is_ascii_hexdigit).collect();
    let boot = u128::from_str_radix(&digits, 16).unwrap().to_le_bytes();
    assert_eq!(stream[2944..2960], boot, "{MOVED}");
    assert_eq!(word(&stream, 8192), 2, "the stamp: {MOVED}");

    let position = std::fs::read(ground.beside("durable.position")).unwrap();
    assert_eq!(position.len(), 4096, "{MOVED}");
    assert_eq!(&position[..8], b"\x89MLC\r\n\x1a\n", "{MOVED}");
    assert_eq!(word(&position, 16), word(&stream, 104), "the epoch: {MOVED}");
    assert_eq!(word(&position, 264), 1, "released: {MOVED}");
    assert_eq!(
        (word(&position, 384), &position[392..396]),
        (4, &b"book"[..]),
        "{MOVED}"
    );
    assert_eq!(word(&position, 512), 1, "commits: {MOVED}");
    let slot = &position[2304..];
    assert_eq!(
        (word(slot, 0), word(slot, 8)),
        (1, 16),
        "position, length: {MOVED}"
    );
    assert_eq!(slot[16..32], <[u64; 2]>::fingerprint().to_bytes(), "{MOVED}");
    assert_eq!((word(slot, 64), word(slot, 72)), (5, 6), "the state: {MOVED}");
    assert!(position[640..2304].iter().all(|byte| *byte == 0), "{MOVED}");
}
