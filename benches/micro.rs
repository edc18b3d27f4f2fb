//! The same operations under criterion, for who wants to compare saved baselines.
//!
//! `cargo bench --bench micro`; options after `--` are criterion's, such as `--save-baseline main` and `--baseline main`. On
//! one thread nothing is transferred from core to core: 500 elements are put, then taken, and what remains is the cost
//! of the operations. The flows are those of the bench `throughput`, one element an iteration.

mod harness;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use harness::element::{Words, make, sum};
use harness::element_flow::{self, Flow, Put, Take};
use harness::stream;
use millstream::WaitStrategy;

const CAPACITY: usize = 1024;
/// Elements that are put before they are taken.
const TURN: usize = 500;
/// The least elements of a flow that is timed.
const LEAST: u64 = 1 << 16;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    one_thread::<1>(&mut criterion);
    one_thread::<7>(&mut criterion);
    two_threads(&mut criterion, 1);
    two_threads(&mut criterion, 7);
    criterion.final_summary();
}

fn one_thread<const W: usize>(criterion: &mut Criterion) {
    let name = format!("one thread, {} bytes, {TURN} in, {TURN} out", 8 * W);
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(TURN as u64));
    ours::<W>(&mut group);
    rtrb::<W>(&mut group);
    group.finish();
}

/// Times `turn`, which puts and takes [`TURN`] elements through what `make` made.
fn turns<E>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    make: impl Fn() -> E,
    mut turn: impl FnMut(&mut E) -> u64,
) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let mut ends = make();
            let began = Instant::now();
            for _ in 0..iterations {
                black_box(turn(&mut ends));
            }
            began.elapsed()
        });
    });
}

fn ours<const W: usize>(group: &mut BenchmarkGroup<'_, WallTime>) {
    let channel = || {
        let builder = stream::channel::<Words<W>>(CAPACITY, WaitStrategy::BusySpin);
        builder.build().expect("a ring of this size can be made")
    };
    let batch: Vec<Words<W>> = (0..TURN as u64).map(make).collect();
    turns(group, "put/next", channel, |(sink, source)| {
        for index in 0..TURN as u64 {
            sink.put(make(index)).expect("there is room");
        }
        let next = |_| sum(&source.next().expect("it was put"));
        (0..TURN).map(next).sum()
    });
    turns(group, "put_slice/drain", channel, |(sink, source)| {
        sink.put_slice(black_box(&batch)).expect("there is room");
        let (mut taken, mut total) = (0, 0);
        while taken < TURN {
            taken += source.drain(TURN, |element| total += sum(&element));
        }
        total
    });
    turns(group, "claim/peek", channel, |(sink, source)| {
        let mut index = 0;
        while index < TURN {
            let mut claim = sink.claim(TURN - index).expect("there is room");
            while claim.push(make(index as u64)).is_ok() {
                index += 1;
            }
            claim.commit().expect("the source is there");
        }
        let (mut taken, mut total) = (0, 0);
        while taken < TURN {
            let peek = source.peek(TURN);
            total += peek.iter().map(sum).sum::<u64>();
            taken += peek.release_all();
        }
        total
    });
}

fn rtrb<const W: usize>(group: &mut BenchmarkGroup<'_, WallTime>) {
    let ring = || rtrb::RingBuffer::<Words<W>>::new(CAPACITY);
    turns(group, "rtrb push/pop", ring, |(producer, consumer)| {
        for index in 0..TURN as u64 {
            producer.push(make(index)).expect("there is room");
        }
        let pop = |_| sum(&consumer.pop().expect("it was pushed"));
        (0..TURN).map(pop).sum()
    });
    turns(group, "rtrb chunks", ring, |(producer, consumer)| {
        let chunk = producer.write_chunk_uninit(TURN).expect("there is room");
        chunk.fill_from_iter((0..).map(make));
        let chunk = consumer.read_chunk(TURN).expect("as many were written");
        chunk.into_iter().map(|element| sum(&element)).sum()
    });
}

fn two_threads(criterion: &mut Criterion, words: usize) {
    let name = format!("two threads, {} bytes, capacity {CAPACITY}", 8 * words);
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(1));
    let ways = [
        (Put::One, Take::Next),
        (Put::One, Take::Drain),
        (Put::Slice, Take::Drain),
    ];
    for (put, take) in ways {
        let flow = Flow {
            words,
            capacity: CAPACITY,
            put,
            take,
        };
        flows(&mut group, &format!("{put}/{take}"), |count| flow.within(count));
    }
    flows(&mut group, "rtrb push/pop", |count| {
        element_flow::rtrb(words, CAPACITY, count)
    });
    group.finish();
}

/// Times a flow that gives its rate in million elements a second.
fn flows(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, rate: impl Fn(u64) -> f64) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            // Fewer would time how two threads begin; the time is that of as many as were asked for.
            let rate = rate(element_flow::whole(iterations.max(LEAST)));
            Duration::from_secs_f64(iterations as f64 / (rate * 1e6))
        });
    });
}
