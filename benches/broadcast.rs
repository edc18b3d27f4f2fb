//! How many elements a second go from one producer to every one of several consumers: by a broadcast, by the disruptor, and by
//! a ring or a channel for each consumer.
//!
//! `cargo bench --bench broadcast`; options after `--` (`--help` lists them). The producer has one core; the consumers share a
//! thread on the other, which goes round. An element counts once, however many take it. With one consumer, the broadcast beside
//! the stream is the price of a consumer that gates and keeps up.

mod harness;

use harness::fan_out::FanOut;
use harness::options::Options;
use harness::pace::Pace;
use harness::report::Report;
use harness::round::{self, Group};

const CAPACITY: usize = 1024;

fn main() {
    let options = Options::read();
    let mut report = Report::begin("Broadcast", &options);
    let mut groups = Vec::new();
    for consumers in [1, 2, 4] {
        groups.push(group::<1>(consumers, &options));
        groups.push(group::<7>(consumers, &options));
    }
    for outcome in round::run(groups, &options) {
        report.figures(&outcome);
    }
    report.finish(options.json.as_deref());
}

fn group<const W: usize>(consumers: usize, options: &Options) -> Group<f64> {
    let flow = FanOut {
        consumers,
        capacity: CAPACITY,
    };
    let row = |name: &str, run: fn(FanOut, u64) -> f64| {
        let pace = Pace::new(options.extent, |rate| rate * 1e6);
        pace.row(name.into(), move |count| run(flow, count))
    };
    Group {
        name: format!("1 to {consumers}, {} bytes, capacity {CAPACITY}", 8 * W),
        unit: "million elements/s",
        rows: vec![
            row("disruptor publish/poll", |flow, count| {
                flow.disruptor::<W>(false, count)
            }),
            row("disruptor batch of 32/poll", |flow, count| {
                flow.disruptor::<W>(true, count)
            }),
            row("broadcast put/drain", |flow, count| {
                flow.broadcast::<W>(false, count)
            }),
            row("broadcast put_slice/drain", |flow, count| {
                flow.broadcast::<W>(true, count)
            }),
            row("a stream each, put/drain", |flow, count| flow.streams::<W>(count)),
            row("a ring of rtrb each, push/pop", |flow, count| {
                flow.rtrb::<W>(count)
            }),
            row("a channel of crossbeam each", |flow, count| {
                flow.crossbeam::<W>(count)
            }),
        ],
    }
}
