//! The shared memory, byte by byte. Two builds of millstream meet in it, so a byte that moves is another version.

#![cfg(target_os = "linux")]

mod durable;
mod frames;
mod several;
#[path = "../processes/stage.rs"]
mod stage;

use millstream::{Element, SinkRef, StreamFault};
use stage::{Ground, Mapping, Role, Stage, credit_page, eventually, say};

const MOVED: &str = "the layout of shared memory has changed: raise MAJOR in src/ring/page.rs (what else moved may \
                     be read wrongly by processes built before), then change this test";

/// Major 2, minor 1.
const VERSION: u32 = 2 | 1 << 16;

const ROLES: &[(&str, Role)] = &[("numbers", numbers), ("frames", frames::frames)];

/// No test: where the other process begins.
#[test]
fn role() {
    stage::play(&[ROLES]);
}

#[millstream::element(name = "layout.Quote")]
struct Quote {
    ts: i64,
    bid: f64,
    ask: f64,
}

fn numbers(stage: &Stage) {
    let name: String = stage.arg(0);
    let builder = stage
        .ground
        .subscribe::<Quote>(&name)
        .initial_demand(7)
        .idle_timeout(None);
    let mut source = builder
        .source_wait(millstream::WaitStrategy::park())
        .open()
        .unwrap();
    say("HERE");
    loop {
        match stage.hear().as_str() {
            "next" => say(source.next().is_some()),
            "release" => {
                let _ = source.try_next();
                say("ok");
            }
            "cancel" => {
                source.cancel();
                say("ok");
            }
            _ => {}
        }
    }
}

#[track_caller]
fn word(mapping: &Mapping, offset: usize, value: u64) {
    let found = mapping.load(offset);
    assert_eq!(
        found, value,
        "the word at {offset} reads {found:#x}, not {value:#x}: {MOVED}"
    );
}

#[track_caller]
fn bytes(mapping: &Mapping, offset: usize, value: &[u8]) {
    let found = mapping.bytes(offset, value.len());
    assert_eq!(found, value, "the bytes at {offset}: {MOVED}");
}

fn two(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

#[test]
fn a_stream_of_elements() {
    let ground = Ground::new();
    let mut sink = ground
        .publish::<Quote>("layout-quotes")
        .buffer_size(5)
        .max_demand(9)
        .start_position(1000)
        .sink_wait(millstream::WaitStrategy::park())
        .open()
        .unwrap();
    let schema = Quote::schema();
    let encoded = schema.encode();
    let [memory] = Mapping::of("layout-quotes")[..] else {
        panic!("one mapping of the stream")
    };
    assert_eq!(memory.len, 4096 + 4096 + 4096, "header, schema, blocks: {MOVED}");

    // The header, 256 bytes.
    bytes(&memory, 0, b"\x89MLS\r\n\x1a\n");
    bytes(&memory, 8, &[2, 0, 1, 0]);
    word(&memory, 8, two(VERSION, 256));
    word(&memory, 16, two(1, 0x0102_0304));
    bytes(&memory, 20, &[4, 3, 2, 1]);
    word(&memory, 24, two(24, 8));
    word(&memory, 32, two(2, 8));
    word(&memory, 40, 64);
    word(&memory, 48, 8);
    word(&memory, 56, 8192);
    word(&memory, 64, 8 * 64);
    word(&memory, 72, 5);
    word(&memory, 80, 9);
    word(&memory, 88, 1000);
    word(&memory, 96, 0);
    let epoch = memory.load(104);
    assert_ne!(epoch, 0);
    word(&memory, 112, 0);
    bytes(&memory, 120, &schema.fingerprint().to_bytes());
    word(&memory, 136, two(4096, encoded.len() as u32));
    for reserved in (144..256).step_by(8) {
        word(&memory, reserved, 0);
    }
    // The producer's words, and the schema.
    for untouched in (256..4096).step_by(8) {
        word(&memory, untouched, 0);
    }
    bytes(&memory, 4096, &encoded);
    // Blocks of a stamp and two elements. The stamps begin at the base.
    for block in 0..8 {
        word(&memory, 8192 + block * 64, 1000);
    }
    for ts in 0..3 {
        sink.try_put(Quote {
            ts,
            bid: 1.5,
            ask: -2.0,
        })
        .unwrap();
    }
    for (offset, value) in [
        (0, 1002),
        (8, 0),
        (16, 1.5f64.to_bits()),
        (24, (-2.0f64).to_bits()),
        (32, 1),
        (40, 1.5f64.to_bits()),
        (48, (-2.0f64).to_bits()),
        (56, 0),
        (64, 1003),
        (72, 2),
        (128, 1000),
    ] {
        word(&memory, 8192 + offset, value);
    }

    // The credit page of a consumer with a window of 7 that takes nothing yet.
    let mut consumer = ground.start("numbers", &[&"layout-quotes"]);
    consumer.expect("HERE");
    let credit = credit_page(epoch);
    assert_eq!(credit.len, 4096, "{MOVED}");
    assert!(!credit.writable, "the consumer alone writes it");
    bytes(&credit, 0, b"\x89MLC\r\n\x1a\n");
    word(&credit, 8, two(VERSION, 128));
    word(&credit, 16, epoch);
    word(&credit, 24, 1000);
    word(&credit, 32, 0);
    word(&credit, 40, 7);
    for reserved in (48..256).step_by(8) {
        word(&credit, reserved, 0);
    }
    word(&credit, 256, 1007);
    word(&credit, 264, 1000);
    word(&credit, 272, 0);
    for reserved in (280..3968).step_by(8) {
        word(&credit, reserved, 0);
    }
    // It counts its rings from one on; from none, if its kernel has no sleep on several counters.
    let counts = credit.load(3968);
    assert!(counts <= 1, "{MOVED}");
    word(&memory, 3072, 0);
    // Credit follows about every half window, and whenever nothing is there.
    for _ in 0..3 {
        assert_eq!(consumer.ask("next"), "true");
    }
    assert_eq!(consumer.ask("release"), "ok");
    word(&credit, 256, 1010);
    word(&credit, 264, 1003);
    // A parked consumer: bit 0, and a number of the sleep above. The producer has not counted yet, so bit 55 is not set: it is to be
    // rung by its socket.
    consumer.say("next");
    eventually(|| {
        let word = credit.load(128);
        word & 3 == 1 && word >> 2 > 0 && word >> 55 == 0
    });
    sink.put(Quote {
        ts: 3,
        bid: 0.0,
        ask: 0.0,
    })
    .unwrap();
    consumer.expect("true");
    word(&memory, 3072, counts);
    // The producer, parked in the same way, but on the consumer's count.
    let putter = std::thread::spawn(move || {
        let refused = (4..1000).find_map(|ts| {
            sink.put(Quote {
                ts,
                bid: 0.0,
                ask: 0.0,
            })
            .err()
        });
        (sink, refused.is_some())
    });
    eventually(|| {
        let word = memory.load(256);
        word & 3 == 1 && word >> 2 & 0xffff > 0 && word >> 55 == counts
    });
    assert_eq!(consumer.ask("cancel"), "ok");
    word(&credit, 128, 2);
    let (sink, refused) = putter.join().unwrap();
    assert!(refused);
    word(&memory, 256, 0);
    // Rung once at least, and for one sleep once.
    assert!(counts == 0 || credit.load(3968) > 1, "{MOVED}");
    drop(sink);
}

#[test]
fn the_end() {
    let ground = Ground::new();
    let mut sink = ground.publish::<u64>("layout-end").open().unwrap();
    let [memory] = Mapping::of("layout-end")[..] else {
        panic!("one mapping of the stream")
    };
    sink.put_slice(&[1, 2, 3]).unwrap();
    word(&memory, 384, 0);
    sink.fail(StreamFault::new(77, "no line today")).unwrap();
    word(&memory, 384, 2);
    word(&memory, 392, 3);
    word(&memory, 400, 77);
    word(&memory, 408, 13);
    bytes(&memory, 416, b"no line today\0\0\0");
    word(&memory, 416 + 256, 0);

    let mut sink = ground.publish::<u64>("layout-completed").open().unwrap();
    let [memory] = Mapping::of("layout-completed")[..] else {
        panic!("one mapping of the stream")
    };
    sink.put_slice(&[1, 2]).unwrap();
    sink.complete().unwrap();
    word(&memory, 384, 1);
    word(&memory, 392, 2);
    word(&memory, 400, 0);
}

/// A stream that nobody reads, and its memory.
fn published<T: Element>(ground: &Ground, name: &str, buffer: usize) -> (SinkRef<T>, Mapping) {
    let builder = ground.publish::<T>(name).buffer_size(buffer).max_demand(1);
    let sink = builder.open().unwrap();
    let Ok([memory]) = <[Mapping; 1]>::try_from(Mapping::of(name)) else {
        panic!("one mapping of the stream")
    };
    (sink, memory)
}

#[test]
fn a_stream_of_bundles() {
    let ground = Ground::new();
    let (mut sink, memory) = published::<[u64; 9]>(&ground, "layout-bundles", 16);
    word(&memory, 24, two(72, 8));
    word(&memory, 32, two(16, 64));
    word(&memory, 40, 1216);
    word(&memory, 48, 2);
    word(&memory, 64, 2432);
    sink.put([5; 9]).unwrap();
    for (offset, value) in [(0, 1), (8, 0), (56, 0), (64, 5), (128, 5), (136, 0), (1216, 0)] {
        word(&memory, 8192 + offset, value);
    }
    sink.put([6; 9]).unwrap();
    for (offset, value) in [(0, 2), (64, 5), (136, 6), (200, 6), (208, 0), (1216, 0)] {
        word(&memory, 8192 + offset, value);
    }
    sink.put_slice(&[[7; 9]; 14]).unwrap();
    for (offset, value) in [(0, 16), (208, 7), (1208, 7), (1216, 0), (1280, 0)] {
        word(&memory, 8192 + offset, value);
    }
}

#[test]
fn a_stream_of_large_elements() {
    let ground = Ground::new();
    let (mut sink, memory) = published::<[u64; 17]>(&ground, "layout-large", 2);
    word(&memory, 24, two(136, 8));
    word(&memory, 32, two(1, 8));
    word(&memory, 40, 144);
    word(&memory, 48, 3);
    word(&memory, 64, 432);
    sink.put([5; 17]).unwrap();
    sink.put([6; 17]).unwrap();
    for (offset, value) in [(0, 1), (8, 5), (136, 5), (144, 2), (152, 6), (288, 0)] {
        word(&memory, 8192 + offset, value);
    }
}
