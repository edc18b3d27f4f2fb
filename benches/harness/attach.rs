//! A consumer that comes to a stream which another process publishes, and goes again.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Instant;

use hdrhistogram::Histogram;

use super::element::Words;
use super::holdings::Holdings;
use super::process::{Ground, Role};
use super::round_trip::histogram;
use super::stream::NAME;
use super::vigil;

/// The stream by which the publisher says that it publishes (again), and what it holds then.
const TURNS: &str = "turns";
/// Cycles after which threads and memory that are kept are there.
const WARM_UP: u64 = 20;
/// A byte there and back.
const WORD: [u8; 1] = *b"a";

type Element = Words<7>;

/// What came of many cycles.
#[derive(Clone, Debug)]
pub(crate) struct Cycles {
    /// How long the consumer took to be attached, each time.
    pub(crate) times: Histogram<u64>,
    /// Holdings at the first cycle that counts, and at the last.
    pub(crate) consumer: [Holdings; 2],
    pub(crate) publisher: [Holdings; 2],
}

/// Attaches and leaves `count` times.
pub(crate) fn measure(count: u64) -> Cycles {
    // Threads that sleep are part of what is timed.
    vigil::leave();
    let ground = Ground::new();
    let cycles = WARM_UP + count;
    let mut publisher = ground.start(&[&ROLE, &cycles]);
    let turns = millstream::subscribe::<Words<4>>(TURNS)
        .directory(ground.dir())
        .wait_for(super::stream::PATIENCE);
    let mut turns = turns.open().expect("the other process publishes");
    publisher.go();
    let mut times = histogram();
    let mut held = Vec::with_capacity(cycles as usize);
    for index in 0..cycles {
        let theirs = Holdings(turns.next().expect("the publisher says when it publishes"));
        let ours = Holdings::now();
        let builder = millstream::subscribe::<Element>(NAME).directory(ground.dir());
        let began = Instant::now();
        let source = builder.open().expect("it is published");
        let took = began.elapsed();
        drop(source);
        if index >= WARM_UP {
            times.saturating_record(took.as_nanos() as u64);
            held.push((ours, theirs));
        }
    }
    drop(turns);
    publisher.finish();
    let ends = [held.first(), held.last()].map(|ends| *ends.expect("some cycles count"));
    Cycles {
        times,
        consumer: ends.map(|(ours, _)| ours),
        publisher: ends.map(|(_, theirs)| theirs),
    }
}

/// The publishing process of [`measure`].
pub(crate) const ROLE: &str = "attach";

/// Plays the publisher.
pub(crate) fn play(role: &mut Role) {
    let cycles = role.next::<u64>();
    let turns = millstream::publish::<Words<4>>(TURNS).directory(&role.dir).open();
    let mut turns = turns.expect("the directory is ours");
    role.begin();
    for _ in 0..cycles {
        let sink = millstream::publish::<Element>(NAME).directory(&role.dir).open();
        let mut sink = sink.expect("the name is free");
        turns.put(Holdings::now().0).expect("the consumer takes turns");
        // Waits until the consumer has gone.
        while sink.put([0; 7]).is_ok() {}
    }
}

/// The limit: a Unix socket is connected, and one byte goes there and back.
pub(crate) fn socket(count: u64) -> Histogram<u64> {
    vigil::leave();
    let ground = Ground::new();
    std::fs::create_dir(ground.dir()).expect("the bench may write there");
    let cycles = WARM_UP + count;
    let listener = ground.start(&[&LIMIT, &cycles]);
    let path = ground.dir().join(NAME);
    let mut times = histogram();
    let patience = Instant::now() + super::stream::PATIENCE;
    while UnixStream::connect(&path).is_err() {
        assert!(Instant::now() < patience, "the other process listens");
        std::thread::yield_now();
    }
    for index in 0..cycles {
        let began = Instant::now();
        let mut stream = UnixStream::connect(&path).expect("the other process listens");
        stream.write_all(&WORD).expect("it reads");
        stream.read_exact(&mut [0]).expect("it answers");
        if index >= WARM_UP {
            times.saturating_record(began.elapsed().as_nanos() as u64);
        }
    }
    listener.finish();
    times
}

/// The listening process of [`socket`].
pub(crate) const LIMIT: &str = "socket";

/// Plays the listener.
pub(crate) fn listen(role: &mut Role) {
    let cycles = role.next::<u64>();
    let listener = UnixListener::bind(Path::new(&role.dir).join(NAME)).expect("the directory is ours");
    // The first one only looks whether somebody listens.
    for index in 0..=cycles {
        let (mut stream, _) = listener.accept().expect("the first process connects");
        if index > 0 {
            stream.read_exact(&mut [0]).expect("it writes");
            stream.write_all(&WORD).expect("it reads");
        }
    }
}
