//! Peers that write where their mappings let them, and what they must not: the other side ends the stream, or goes on
//! with what is right. It never panics, hangs, or reads outside of the memory.

use std::sync::mpsc::{Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use millstream::{CloseReason, Element, End, PutDeadlineError, SinkRef, TryNext};

use crate::stage::{Ground, Mapping, Role, Stage, eventually, say, soon};

pub(crate) const ROLES: &[(&str, Role)] = &[
    ("scribbling_consumer", consumer),
    ("scribbling_producer", producer),
    ("scribbling_resumable", resumable),
];

pub(crate) const CONTROL: usize = 128;
pub(crate) const GRANTED: usize = 256;
pub(crate) const RELEASED: usize = 264;
pub(crate) const RELEASED_BYTES: usize = 272;
/// How often each side rang, in its own page.
pub(crate) const PRODUCER_RINGS: usize = 3072;
pub(crate) const CONSUMER_RINGS: usize = 3968;
/// How many commits there were, and the slot of the first.
const COMMITS: usize = 512;
const COMMIT_1: usize = 2304;
const ATTENTION: usize = 128;
pub(crate) const END_KIND: usize = 384;
pub(crate) const END_POSITION: usize = 392;
pub(crate) const AREA: usize = 8192;

/// Writes words as told: `OFFSET VALUE` pairs.
fn write_words(mapping: &Mapping, words: &str) {
    let numbers: Vec<u64> = words
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect();
    for pair in numbers.as_chunks::<2>().0 {
        mapping.store(pair[0] as usize, pair[1]);
    }
}

fn the_writable(name: &str) -> Mapping {
    Mapping::of(name)
        .into_iter()
        .find(|mapping| mapping.writable)
        .expect("a mapping to scribble on")
}

/// A thread that goes on writing the attention word.
struct Flood(Option<(Sender<()>, JoinHandle<()>)>);

impl Flood {
    fn of(value: u64) -> Self {
        let (leash, over) = channel();
        let page = the_writable("millstream-attention").address();
        let thread = std::thread::spawn(move || {
            while over.try_recv() == Err(TryRecvError::Empty) {
                Mapping::at(page).store(ATTENTION, value);
            }
        });
        Self(Some((leash, thread)))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        if let Some((leash, thread)) = self.0.take() {
            drop(leash);
            thread.join().unwrap();
        }
    }
}

/// A consumer of what it is told to, which writes to its credit page.
fn consumer(stage: &Stage) {
    enum Held {
        Nothing,
        Elements {
            _source: Box<millstream::SourceRef<u64>>,
        },
        Frames {
            _source: Box<millstream::FrameSource>,
        },
    }
    let mut held = Held::Nothing;
    let mut flood = None;
    loop {
        let line = stage.hear();
        let (verb, words) = line.split_once(' ').unwrap_or((&line, ""));
        match verb {
            "elements" => {
                held = Held::Elements {
                    _source: Box::new(stage.ground.subscribe::<u64>(words).open().unwrap()),
                };
            }
            "frames" => {
                held = Held::Frames {
                    _source: Box::new(stage.ground.subscribe::<[u8]>(words).open().unwrap()),
                }
            }
            "write" => write_words(&the_writable("millstream-credit"), words),
            // Writes a word of the attention page for as long as the source is held.
            "flood" => flood = Some(Flood::of(words.parse().unwrap())),
            _ => {
                flood = None;
                held = Held::Nothing;
            }
        }
        say("ok");
        let _ = (&held, &flood);
    }
}

fn published<T: Element>(stage: &Stage, name: &str) -> SinkRef<T> {
    stage.ground.publish::<T>(name).max_demand(64).open().unwrap()
}

/// A producer of what it is told to, which writes to its stream's memory.
fn producer(stage: &Stage) {
    enum Held {
        Nothing,
        Elements(SinkRef<u64>),
        Bundles(SinkRef<[u64; 12]>),
        Records(SinkRef<[u64; 20]>),
        Frames(millstream::FrameSink),
    }
    let mut held = Held::Nothing;
    let mut name = String::new();
    loop {
        let line = stage.hear();
        let (verb, words) = line.split_once(' ').unwrap_or((&line, ""));
        match verb {
            "elements" | "bundles" | "records" | "frames" | "several" => {
                name = words.into();
                held = match verb {
                    "elements" => Held::Elements(published(stage, words)),
                    "several" => Held::Elements(
                        stage
                            .ground
                            .publish::<u64>(words)
                            .consumers(3)
                            .max_demand(64)
                            .open()
                            .unwrap(),
                    ),
                    "bundles" => Held::Bundles(published(stage, words)),
                    "records" => Held::Records(published(stage, words)),
                    _ => Held::Frames(
                        stage
                            .ground
                            .publish::<[u8]>(words)
                            .max_demand(64)
                            .max_frame(64)
                            .open()
                            .unwrap(),
                    ),
                };
            }
            "put" => {
                for element in 0..words.parse().unwrap() {
                    match &mut held {
                        Held::Elements(sink) => drop(sink.try_put(element)),
                        Held::Bundles(sink) => drop(sink.try_put([element; 12])),
                        Held::Records(sink) => drop(sink.try_put([element; 20])),
                        Held::Frames(sink) => drop(sink.try_put(&[element as u8; 24])),
                        Held::Nothing => {}
                    }
                }
            }
            // A consumer's credit is known to the producer a moment after the subscription returned.
            "deliver" => {
                for element in 0..words.parse().unwrap() {
                    match &mut held {
                        Held::Elements(sink) => sink.put_deadline(element, soon()).unwrap(),
                        Held::Bundles(sink) => sink.put_deadline([element; 12], soon()).unwrap(),
                        Held::Records(sink) => sink.put_deadline([element; 20], soon()).unwrap(),
                        Held::Frames(sink) => sink.put_deadline(&[element as u8; 24], soon()).unwrap(),
                        Held::Nothing => {}
                    }
                }
            }
            "write" => write_words(&the_writable(&name), words),
            "len" => {
                say(the_writable(&name).len);
                continue;
            }
            _ => held = Held::Nothing,
        }
        say("ok");
    }
}

#[test]
fn credit_that_cannot_be_right_is_named() {
    let ground = Ground::new();
    let mut hostile = ground.start("scribbling_consumer", &[]);
    for (round, (offset, value, word)) in [
        (GRANTED, 17, None),
        (GRANTED, 16 + 16 + 16 + 1, Some("granted")),
        (GRANTED, u64::MAX, Some("granted")),
        (GRANTED, 1 << 63, Some("granted")),
        (CONTROL, u64::MAX, None),
        (CONTROL, 2, None),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("credit{round}");
        let mut sink = ground.publish::<u64>(&name).buffer_size(16).open().unwrap();
        assert_eq!(hostile.ask(format!("elements {name}")), "ok");
        for element in 0..32 {
            sink.put_deadline(element, soon()).unwrap();
        }
        assert_eq!(hostile.ask(format!("write {offset} {value}")), "ok");
        let refused = (0..1000)
            .find_map(|element| sink.put_deadline(element, Instant::now()).err())
            .unwrap();
        match (word, refused) {
            (Some(word), PutDeadlineError::Closed(_, CloseReason::PeerCorrupt(corruption))) => {
                assert_eq!((corruption.word, corruption.value), (word, value));
            }
            (None, PutDeadlineError::TimedOut(_)) if offset == GRANTED => {}
            (None, PutDeadlineError::Closed(_, CloseReason::Cancelled)) if offset == CONTROL => {}
            (_, refused) => panic!("round {round}: {refused:?}"),
        }
        drop(sink);
        assert_eq!(hostile.ask("drop"), "ok");
    }
}

#[test]
fn credit_that_goes_back_is_named() {
    let ground = Ground::new();
    let mut hostile = ground.start("scribbling_consumer", &[]);
    let mut sink = ground.publish::<u64>("back").buffer_size(4).open().unwrap();
    assert_eq!(hostile.ask("elements back"), "ok");
    for element in 0..20 {
        sink.put_deadline(element, soon()).unwrap();
    }
    assert_eq!(hostile.ask(format!("write {GRANTED} 3")), "ok");
    let Err(PutDeadlineError::Closed(20, CloseReason::PeerCorrupt(corruption))) =
        sink.put_deadline(20, soon())
    else {
        panic!("demand moved backwards");
    };
    assert_eq!(
        (corruption.word, corruption.value, corruption.lowest),
        ("granted", 3, 16)
    );
    assert!(corruption.to_string().contains("granted"));
}

#[test]
fn released_bytes_that_cannot_be_right_are_named() {
    let ground = Ground::new();
    let mut hostile = ground.start("scribbling_consumer", &[]);
    for value in [1, 7, 1 << 40, u64::MAX - 7] {
        let name = format!("bytes{value}");
        let mut sink = ground
            .publish::<[u8]>(&name)
            .buffer_size(64)
            .max_frame(32)
            .open()
            .unwrap();
        assert_eq!(hostile.ask(format!("frames {name}")), "ok");
        assert_eq!(hostile.ask(format!("write {RELEASED_BYTES} {value}")), "ok");
        eventually(|| match sink.try_put(&[1; 32]) {
            Err(millstream::TryPutFrameError::Closed(CloseReason::PeerCorrupt(corruption))) => {
                assert_eq!((corruption.word, corruption.value), ("released bytes", value));
                true
            }
            Ok(()) | Err(millstream::TryPutFrameError::Full) => false,
            Err(error) => panic!("{error:?}"),
        });
        drop(sink);
        assert_eq!(hostile.ask("drop"), "ok");
    }
}

#[test]
fn a_stamp_or_an_end_that_cannot_be_right_is_named() {
    let ground = Ground::new();
    let mut hostile = ground.start("scribbling_producer", &[]);
    for (round, (words, word)) in [
        (format!("write {AREA} 8"), "stamp"),
        (format!("write {AREA} 1000"), "stamp"),
        (format!("write {AREA} {}", i64::MAX), "stamp"),
        (format!("write {END_POSITION} 3 {END_KIND} 1"), "end position"),
        (format!("write {END_POSITION} 5 {END_KIND} 9"), "end kind"),
        (
            format!("write {END_POSITION} 5 400 {} {END_KIND} 2", u64::MAX),
            "fault code",
        ),
        (
            format!("write {END_POSITION} 5 408 257 {END_KIND} 2"),
            "fault length",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("stamp{round}");
        assert_eq!(hostile.ask(format!("elements {name}")), "ok");
        assert_eq!(hostile.ask("put 5"), "ok");
        let mut source = ground.subscribe::<u64>(&name).open().unwrap();
        assert!(source.by_ref().take(5).eq(0..5));
        assert_eq!(source.try_next(), TryNext::Empty);
        assert_eq!(hostile.ask(words), "ok");
        assert_eq!(source.next(), None);
        let Some(End::PeerCorrupt(corruption)) = source.end() else {
            panic!("round {round}: {:?}", source.end())
        };
        assert_eq!(corruption.word, word, "round {round}");
        assert_eq!(source.next(), None);
        assert_eq!(hostile.ask("drop"), "ok");
    }
}

#[test]
fn a_frame_header_that_cannot_be_right_is_named() {
    let ground = Ground::new();
    let mut hostile = ground.start("scribbling_producer", &[]);
    // A stream of frames has no schema, so its area begins with the second page.
    let area = 4096;
    let right = |length: u64| (6 << 32) | (1 << 31) | length;
    for (round, header) in [
        1,
        right(65),
        right((1 << 30) - 1),
        right(3) ^ (1 << 33),
        right(1 << 30),
        u64::MAX,
        1 << 31,
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("frame{round}");
        assert_eq!(hostile.ask(format!("frames {name}")), "ok");
        assert_eq!(hostile.ask("put 5"), "ok");
        let mut source = ground.subscribe::<[u8]>(&name).open().unwrap();
        for expected in 0..5 {
            assert_eq!(*source.next().unwrap(), [expected; 24]);
        }
        assert_eq!(hostile.ask(format!("write {} {header}", area + 5 * 32)), "ok");
        assert!(source.next().is_none());
        // A filler without a frame behind it is the same lie.
        let Some(End::PeerCorrupt(corruption)) = source.end() else {
            panic!("round {round}: {:?}", source.end())
        };
        assert_eq!(corruption.word, "frame header", "round {round}");
        assert_eq!(hostile.ask("drop"), "ok");
    }
}

#[test]
fn a_resumable_consumer_that_leaves_lies_behind_ends_the_stream() {
    let ground = Ground::new();
    for (offset, value) in [(RELEASED, u64::MAX), (RELEASED, 100), (GRANTED, 3), (CONTROL, 2)] {
        let mut sink = ground.publish::<u64>("lies").buffer_size(4).open().unwrap();
        let mut hostile = ground.start("scribbling_resumable", &[]);
        hostile.expect("HERE");
        for element in 0..8 {
            sink.put_deadline(element, soon()).unwrap();
        }
        assert_eq!(hostile.ask(format!("{offset} {value}")), "ok");
        hostile.kill();
        let refused = (8..10_000).find_map(|element| match sink.put_deadline(element, soon()) {
            Err(PutDeadlineError::Closed(_, reason)) => Some(reason),
            _ => None,
        });
        assert!(
            matches!(
                refused,
                Some(CloseReason::PeerGone | CloseReason::Cancelled | CloseReason::PeerCorrupt(_))
            ),
            "{offset} {value}: {refused:?}"
        );
    }
}

/// Sum of a commit's words as its writer makes it, of a state without bytes and a type of zeroes.
fn sum_of_commit(position: u64) -> u64 {
    [position, 0, 0, 0]
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, word| {
            let sum = (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3);
            sum ^ (sum >> 32)
        })
}

#[test]
fn a_commit_that_cannot_be_right_is_not_gone_on_from() {
    let ground = Ground::new();
    // At 8 nothing was published behind it, and nothing is wrong.
    for (position, right) in [
        (8, true),
        (9, false),
        (20, false),
        (1 << 40, false),
        (u64::MAX, false),
    ] {
        let mut sink = ground.publish::<u64>("lies").buffer_size(64).open().unwrap();
        let mut hostile = ground.start("scribbling_resumable", &[]);
        hostile.expect("HERE");
        for element in 0..8 {
            sink.put_deadline(element, soon()).unwrap();
        }
        let sum = sum_of_commit(position);
        let words = format!("{COMMIT_1} {position} {} {sum} {COMMITS} 1", COMMIT_1 + 32);
        assert_eq!(hostile.ask(words), "ok");
        hostile.kill();
        let successor = ground
            .subscribe::<u64>("lies")
            .resumable("night")
            .wait_for(std::time::Duration::from_secs(2))
            .open();
        let came = successor.map(|mut source| {
            let refused = (8..40).find_map(|element| sink.put_deadline(element, soon()).err());
            let mut taken = Vec::new();
            while let Ok(Some(element)) = source.next_deadline(Instant::now()) {
                taken.push(element);
            }
            (source.position(), refused, taken)
        });
        match came {
            Ok((_, None, taken)) if right => assert!(taken.into_iter().eq(8..40)),
            // Of one that was published before the successor was let in nobody can tell that it was none.
            Ok((_, None, taken)) => {
                let first = taken.first().copied().unwrap_or(40);
                assert!(first == 0 || first == position, "{position}: {first}");
                assert!(taken.into_iter().eq(first..40), "{position}");
            }
            Ok((_, Some(PutDeadlineError::Closed(_, CloseReason::PeerCorrupt(_))), taken)) => {
                assert!(!right && taken.is_empty(), "{position}: {taken:?}");
            }
            other => panic!("{position}: {other:?}"),
        }
    }
}

#[test]
fn headers_are_not_read_again_once_they_were_checked() {
    let ground = Ground::new();
    let mut hostile = ground.start("scribbling_producer", &[]);
    for (round, value) in [0, u64::MAX, 1 << 63, 0x5555_5555_5555_5555]
        .into_iter()
        .enumerate()
    {
        for kind in ["elements", "frames"] {
            let name = format!("{kind}{round}");
            assert_eq!(hostile.ask(format!("{kind} {name}")), "ok");
            assert_eq!(hostile.ask("deliver 3"), "ok");
            let words: String = (0..256).step_by(8).map(|at| format!(" {at} {value}")).collect();
            if kind == "elements" {
                let mut source = ground.subscribe::<u64>(&name).initial_demand(64).open().unwrap();
                assert_eq!(source.next(), Some(0));
                assert_eq!(hostile.ask(format!("write{words}")), "ok");
                assert_eq!(hostile.ask("deliver 20"), "ok");
                let all: Vec<u64> = source.by_ref().take(22).collect();
                assert!(all.into_iter().eq((1..3).chain(0..20)));
            } else {
                let mut source = ground.subscribe::<[u8]>(&name).initial_demand(64).open().unwrap();
                assert_eq!(source.next().as_deref(), Some(&[0; 24][..]));
                assert_eq!(hostile.ask(format!("write{words}")), "ok");
                assert_eq!(hostile.ask("deliver 20"), "ok");
                for byte in (1..3).chain(0..20) {
                    assert_eq!(source.next().as_deref(), Some(&[byte; 24][..]));
                }
            }
            assert_eq!(hostile.ask("drop"), "ok");
        }
    }
}

/// A resumable consumer that takes nothing and writes what it is told.
fn resumable(stage: &Stage) {
    let _source = stage
        .ground
        .subscribe::<u64>("lies")
        .resumable("night")
        .open()
        .unwrap();
    say("HERE");
    loop {
        let words = stage.hear();
        write_words(&the_writable("millstream-credit"), &words);
        say("ok");
    }
}
