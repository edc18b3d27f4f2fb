//! Frames of bytes: their headers, and the filler before the wrap.

use crate::stage::{Ground, Mapping, Stage, credit_page, say, soon};
use crate::{bytes, two, word};

pub(super) fn frames(stage: &Stage) {
    let name: String = stage.arg(0);
    let mut source = stage
        .ground
        .subscribe::<[u8]>(&name)
        .initial_demand(4)
        .open()
        .unwrap();
    say("HERE");
    stage.hear();
    for _ in 0..2 {
        say(source.next().unwrap().len());
    }
    let _ = source.try_next();
    say("ok");
    stage.stay();
}

#[test]
fn a_stream_of_frames() {
    let ground = Ground::new();
    let builder = ground
        .publish::<[u8]>("layout-frames")
        .max_frame(20)
        .buffer_size(3)
        .max_demand(4);
    let mut sink = builder.open().unwrap();
    let [memory] = Mapping::of("layout-frames")[..] else {
        panic!("one mapping of the stream")
    };
    word(&memory, 16, two(2, 0x0102_0304));
    word(&memory, 24, two(0, 1));
    word(&memory, 32, two(0, 8));
    word(&memory, 40, 0);
    word(&memory, 48, 0);
    word(&memory, 56, 4096);
    // Eight footprints of 32 bytes and a header, in whole lines.
    word(&memory, 64, 320);
    word(&memory, 72, 3);
    word(&memory, 80, 4);
    word(&memory, 96, 20);
    let epoch = memory.load(104);
    bytes(&memory, 120, &[0; 16]);
    word(&memory, 136, 0);
    // Low half of the position plus one, published, the length; then the bytes, padded to eight.
    sink.put(b"abc").unwrap();
    sink.put(b"").unwrap();
    sink.put(&[9; 20]).unwrap();
    word(&memory, 4096, 1 << 32 | 1 << 31 | 3);
    bytes(&memory, 4104, b"abc");
    word(&memory, 4112, 2 << 32 | 1 << 31);
    word(&memory, 4120, 3 << 32 | 1 << 31 | 20);
    bytes(&memory, 4128, &[9; 20]);
    word(&memory, 4152, 0);
    let mut consumer = ground.start("frames", &[&"layout-frames"]);
    consumer.expect("HERE");
    let credit = credit_page(epoch);
    word(&credit, 256, 4);
    word(&credit, 264, 0);
    word(&credit, 272, 0);
    consumer.say("go");
    consumer.expect("3");
    consumer.expect("0");
    consumer.expect("ok");
    // Credit follows after half the window: two frames, of 16 and 8 bytes. The third is taken and not released yet.
    word(&credit, 264, 2);
    word(&credit, 272, 24);
}

#[test]
fn a_filler_before_the_wrap() {
    let ground = Ground::new();
    let builder = ground
        .publish::<[u8]>("layout-wrap")
        .max_frame(120)
        .buffer_size(1)
        .max_demand(1);
    let mut sink = builder.open().unwrap();
    let mut source = ground
        .subscribe::<[u8]>("layout-wrap")
        .initial_demand(1)
        .open()
        .unwrap();
    let [memory, ..] = Mapping::of("layout-wrap")[..] else {
        panic!("a mapping of the stream")
    };
    // Three footprints of 128 and a header: 392, which is 448 in whole lines.
    word(&memory, 64, 448);
    for position in 0..4u8 {
        sink.put_deadline(&[position; 120], soon()).unwrap();
        assert_eq!(*source.next().unwrap(), [position; 120]);
    }
    // The fourth does not fit behind the third, at 384.
    word(&memory, 4096 + 384, 4 << 32 | 1 << 31 | 1 << 30);
    word(&memory, 4096, 4 << 32 | 1 << 31 | 120);
}
