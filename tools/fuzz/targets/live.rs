//! A producer and a consumer of a shared stream that runs, while words anywhere in its pages are overwritten.
#![no_main]

#[path = "../shared/honest.rs"]
#[allow(dead_code, reason = "shared by several targets")]
mod honest;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use millstream::{FrameSink, FrameSource, LossySource, SinkRef, SourceRef, StreamFault, publish, subscribe};

/// The words that mean something, beside the area.
const WORDS: [usize; 14] = [
    128, 256, 264, 272, 384, 392, 400, 408, 416, 768, 776, 896, 4096, 8192,
];

enum Sink {
    Elements(SinkRef<u64>),
    Records(SinkRef<[u64; 20]>),
    Frames(FrameSink),
}

enum Source {
    Elements(SourceRef<u64>),
    Records(SourceRef<[u64; 20]>),
    Frames(FrameSource),
    Lossy(LossySource<u64>),
}

fn open(kind: u8) -> (Sink, Source) {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    let dir = DIR.get_or_init(honest::run_dir);
    match kind % 5 {
        0 => (
            Sink::Elements(
                publish::<u64>("live")
                    .directory(dir)
                    .buffer_size(8)
                    .max_demand(16)
                    .open()
                    .unwrap(),
            ),
            Source::Elements(
                subscribe::<u64>("live")
                    .directory(dir)
                    .initial_demand(16)
                    .open()
                    .unwrap(),
            ),
        ),
        1 => (
            Sink::Records(
                publish::<[u64; 20]>("live")
                    .directory(dir)
                    .buffer_size(8)
                    .max_demand(16)
                    .open()
                    .unwrap(),
            ),
            Source::Records(
                subscribe::<[u64; 20]>("live")
                    .directory(dir)
                    .initial_demand(16)
                    .open()
                    .unwrap(),
            ),
        ),
        2 => (
            Sink::Frames(
                publish::<[u8]>("live")
                    .directory(dir)
                    .max_frame(64)
                    .max_demand(16)
                    .open()
                    .unwrap(),
            ),
            Source::Frames(
                subscribe::<[u8]>("live")
                    .directory(dir)
                    .initial_demand(16)
                    .open()
                    .unwrap(),
            ),
        ),
        3 => (
            Sink::Elements(
                publish::<u64>("live")
                    .directory(dir)
                    .consumers(2)
                    .max_demand(16)
                    .open()
                    .unwrap(),
            ),
            Source::Elements(
                subscribe::<u64>("live")
                    .directory(dir)
                    .initial_demand(16)
                    .open()
                    .unwrap(),
            ),
        ),
        _ => (
            Sink::Elements(
                publish::<u64>("live")
                    .directory(dir)
                    .consumers(2)
                    .max_demand(16)
                    .open()
                    .unwrap(),
            ),
            Source::Lossy(
                subscribe::<u64>("live")
                    .directory(dir)
                    .initial_demand(16)
                    .lossy()
                    .open()
                    .unwrap(),
            ),
        ),
    }
}

fn put(sink: &mut Sink, count: u8) {
    for element in 0..count {
        match sink {
            Sink::Elements(sink) => drop(sink.try_put(element.into())),
            Sink::Records(sink) => drop(sink.try_put([element.into(); 20])),
            Sink::Frames(sink) => drop(sink.try_put(&[element; 64][..usize::from(element % 65)])),
        }
    }
}

fn take(source: &mut Source, how: u8) {
    match source {
        Source::Elements(source) => match how % 3 {
            0 => drop(source.try_next()),
            1 => drop(source.drain(how.into(), |_| {})),
            _ => drop(source.peek(how.into()).release(usize::from(how / 2))),
        },
        Source::Records(source) => match how % 3 {
            0 => drop(source.try_next()),
            1 => drop(source.drain(how.into(), |_| {})),
            _ => drop(source.peek(how.into()).release(usize::from(how / 2))),
        },
        Source::Frames(source) => {
            if let Ok(Some(frame)) = source.next_deadline(Instant::now()) {
                assert!(frame.len() <= 64);
            }
        }
        Source::Lossy(source) => drop(source.try_next()),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, mut steps)) = data.split_first() else {
        return;
    };
    let (mut sink, mut source) = open(*kind);
    let pages = ["live", "millstream-credit", "millstream-attention"].map(|name| honest::mapping(name, true));
    while let Some((step, rest)) = steps.split_at_checked(2) {
        steps = rest;
        match step[0] % 8 {
            0 | 1 => put(&mut sink, step[1]),
            2 | 3 => take(&mut source, step[1]),
            4 => {
                let ended = match &mut sink {
                    Sink::Elements(sink) => sink.fail(StreamFault::new(step[1].into(), "over")),
                    Sink::Records(sink) => sink.complete(),
                    Sink::Frames(sink) => sink.complete(),
                };
                let _ = ended;
            }
            which => {
                let Some((word, rest)) = steps.split_at_checked(8) else {
                    break;
                };
                steps = rest;
                let Some((begin, len)) = pages[usize::from(which - 5)] else {
                    continue;
                };
                let at = match WORDS.get(usize::from(step[1])) {
                    Some(at) => *at,
                    None => usize::from(step[1]) * 64,
                };
                if at + 8 <= len {
                    let value = u64::from_le_bytes(word.try_into().unwrap());
                    // SAFETY: a word of a mapping that the handles keep, to which there are no references.
                    unsafe { begin.add(at).cast::<u64>().write_volatile(value) };
                }
            }
        }
    }
});
