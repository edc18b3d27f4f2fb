//! What pipes and stream sockets have in common: bytes in order, by system calls that sleep.

use std::io::{Read, Write};
use std::time::Instant;

use hdrhistogram::Histogram;

use crate::contender::{Figure, Job, Setting, Task, Way, batch, single};
use crate::flow::BATCH;
use crate::harness::element::expected;
use crate::harness::pinning::{CONSUMER, PRODUCER};
use crate::harness::process::Role;
use crate::harness::round_trip::ask;
use crate::sides::pinned;

const WORD: usize = size_of::<u64>();
/// Above this many bytes an element, more than one at a time gains nothing.
const LARGE: usize = 4096;

/// Which ways a stream of bytes has between processes, of those named: one element a write, 64 a write, and round trips.
pub(crate) fn ways(setting: Setting, task: Task, named: &'static [Way; 3]) -> &'static [Way] {
    match (setting, task) {
        (Setting::Within, _) => &[],
        (Setting::Between, Task::Flow { bytes, .. }) if bytes > LARGE => &named[..1],
        (Setting::Between, Task::Flow { .. }) => &named[..2],
        (Setting::Between, Task::Trip { .. }) => &named[2..],
        _ => &[],
    }
}

/// What the first process does: it asks, or consumes.
pub(crate) fn run(to: &mut (impl Write + Send), from: &mut (impl Read + Send), job: Job) -> Figure {
    let bytes = 8 * job.task.words();
    match job.task {
        Task::Trip { .. } => pinned(
            PRODUCER,
            || (),
            |()| Figure::Times(ask_all(to, from, bytes, job.count)),
        ),
        _ => pinned(CONSUMER, || (), |()| consume(from, bytes, job.count)),
    }
}

/// What the second process does: it answers, or produces.
pub(crate) fn play(
    to: &mut (impl Write + Send),
    from: &mut (impl Read + Send),
    way: &str,
    job: Job,
    role: &mut Role,
) {
    let bytes = 8 * job.task.words();
    match job.task {
        Task::Trip { .. } => pinned(CONSUMER, || (), |()| answer(from, to, bytes, job.count)),
        _ => pinned(PRODUCER, || (), |()| produce(to, bytes, each(way), job.count)),
    }
    role.end();
}

/// The ways by their names.
pub(crate) const fn named(one: &'static str, many: &'static str, trip: &'static str) -> [Way; 3] {
    [single(one), batch(many), single(trip)]
}

/// Elements a write.
pub(crate) fn each(way: &str) -> usize {
    if way.contains("64") { BATCH } else { 1 }
}

/// Writes `0..count`, so many elements at a time.
fn produce(to: &mut impl Write, bytes: usize, each: usize, count: u64) {
    let mut buffer = vec![0; bytes * each];
    let mut index = 0_u64;
    while index < count {
        let here = each.min((count - index) as usize);
        for element in buffer[..here * bytes].chunks_exact_mut(bytes) {
            fill(element, index);
            index += 1;
        }
        to.write_all(&buffer[..here * bytes])
            .expect("the consumer reads everything");
    }
}

/// Reads all, whatever comes at a time up to 64 elements.
fn consume(from: &mut impl Read, bytes: usize, count: u64) -> Figure {
    let mut buffer = vec![0; (bytes * BATCH).min(LARGE * BATCH).max(bytes)];
    // A read may end within a word, whose beginning stays until the next.
    let (mut kept, mut total, mut got, mut first) = (0, 0_u64, 0, 0);
    let mut from_when = Instant::now();
    while got < bytes as u64 * count {
        let more = from.read(&mut buffer[kept..]).expect("it can be read");
        assert_ne!(more, 0, "the producer writes everything");
        let there = kept + more;
        let whole = there - there % WORD;
        total = total.wrapping_add(sum(&buffer[..whole]));
        buffer.copy_within(whole..there, 0);
        kept = there - whole;
        got += more as u64;
        if first == 0 {
            (first, from_when) = (got, Instant::now());
        }
    }
    let time = from_when.elapsed();
    let all = expected::<1>(count).wrapping_mul((bytes / WORD) as u64);
    assert_eq!(total, all, "what was read is what was written");
    Figure::Rate((got - first) as f64 / bytes as f64 / time.as_secs_f64() / 1e6)
}

/// Times `count` elements there and back.
fn ask_all(to: &mut impl Write, from: &mut impl Read, bytes: usize, count: u64) -> Histogram<u64> {
    let mut element = vec![0; bytes];
    ask::each(count, |index| {
        fill(&mut element, index);
        to.write_all(&element).expect("the other side reads everything");
        from.read_exact(&mut element).expect("every element comes back");
        let words = (bytes / WORD) as u64;
        assert_eq!(
            sum(&element),
            index.wrapping_mul(words),
            "what comes back is what was sent"
        );
    })
}

/// Gives every element back.
fn answer(from: &mut impl Read, to: &mut impl Write, bytes: usize, count: u64) {
    let (mut element, mut back) = (vec![0; bytes], vec![0; bytes]);
    for index in 0..ask::total(count) {
        from.read_exact(&mut element)
            .expect("the other side writes everything");
        let words = (bytes / WORD) as u64;
        assert_eq!(
            sum(&element),
            index.wrapping_mul(words),
            "what arrives is what was sent"
        );
        fill(&mut back, index);
        to.write_all(&back).expect("the other side reads everything");
    }
}

/// Writes every word.
#[inline(always)]
pub(crate) fn fill(element: &mut [u8], index: u64) {
    element.as_chunks_mut::<WORD>().0.fill(index.to_ne_bytes());
}

/// Reads every word.
#[inline(always)]
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<WORD>();
    words
        .iter()
        .fold(0, |sum: u64, word| sum.wrapping_add(u64::from_ne_bytes(*word)))
}
