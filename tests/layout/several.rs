//! A stream for several consumers, and the page by which they ask for attention.

use crate::stage::{Ground, Mapping, eventually};
use crate::{MOVED, VERSION, bytes, two, word};

#[test]
fn a_stream_for_several_consumers() {
    let ground = Ground::new();
    let mut sink = ground
        .publish::<u64>("layout-several")
        .consumers(60)
        .buffer_size(5)
        .max_demand(9)
        .history(30)
        .start_position(1000)
        .open()
        .unwrap();
    let [memory] = Mapping::of("layout-several")[..] else {
        panic!("one mapping of the stream")
    };
    // Blocks of seven, for 44 elements, and one more.
    word(&memory, 48, 8);
    word(&memory, 72, 5);
    word(&memory, 80, 9);
    word(&memory, 144, 60);
    word(&memory, 152, 30);
    for reserved in (160..256).step_by(8) {
        word(&memory, reserved, 0);
    }
    word(&memory, 768, 1000);
    let epoch = memory.load(104);
    let [attention] = Mapping::of_stream("millstream-attention", epoch)[..] else {
        panic!("one mapping of the attention")
    };
    assert!(attention.writable && attention.len == 4096, "{MOVED}");
    bytes(&attention, 0, b"\x89MLA\r\n\x1a\n");
    word(&attention, 8, two(VERSION, 128));
    for untouched in (24..4096).step_by(8) {
        word(&attention, untouched, 0);
    }
    let open = || ground.subscribe::<u64>("layout-several").initial_demand(7).open();
    let first = open().unwrap();
    let second = open().unwrap();
    let mut bits: Vec<u64> = Mapping::of_stream("millstream-credit", epoch)
        .into_iter()
        .filter(|page| !page.writable)
        .map(|page| page.load(48))
        .collect();
    bits.sort_unstable();
    assert_eq!(bits, [1, 2], "{MOVED}");
    sink.put(7).unwrap();
    // What was asked for, and the buffer.
    word(&memory, 768, 1012);
    drop(second);
    eventually(|| attention.load(128) & 2 == 2);
    drop(first);
    // Whoever is evicted has its number, plus one, at its remainder by 256.
    let builder = ground.subscribe::<u64>("layout-several").initial_demand(1);
    let third = builder
        .evict_after(std::time::Duration::from_nanos(1))
        .open()
        .unwrap();
    for untouched in (896..4096).step_by(8) {
        word(&memory, untouched, 0);
    }
    eventually(|| sink.try_put(8).is_err() && memory.load(896 + 2 * 8) == 3);
    drop(third);
}
