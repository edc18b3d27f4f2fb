//! What actors cost: a message, a question and its answer, and the streams that they set up.
//!
//! `cargo bench --bench actors`; options after `--` (`--help` lists them). Workers and threads are pinned and spin.

mod harness;

use std::cell::OnceCell;
use std::rc::Rc;

use harness::element_flow::{Flow, Put, Take};
use harness::mail::{self, Post};
use harness::options::{Extent, Options};
use harness::report::Report;
use harness::round::{self, Group, Row};
use harness::round_trip;
use harness::spoken::Stage;
use harness::two_lines;

/// Actors that have nothing to do.
const IDLE_ACTORS: usize = 1_000;
/// Streams that carry nothing.
const IDLE_STREAMS: usize = 10_000;

fn main() {
    let options = Options::read();
    let mut report = Report::begin("Actors", &options);
    let groups = [tell(&options)].into_iter().chain(streams(&options)).collect();
    for outcome in &round::run(groups, &options) {
        report.figures(outcome);
    }
    for outcome in &round::run(vec![asks(&options)], &options) {
        report.latencies(outcome, 3);
    }
    report.finish(options.json.as_deref());
}

/// Something that is made when it is first needed, and kept.
type Kept<T> = Rc<OnceCell<T>>;

fn tell(options: &Options) -> Group<f64> {
    let count = match options.extent {
        Extent::Full => 1 << 20,
        Extent::Quick => 1 << 18,
        Extent::Test => 1 << 10,
    };
    let beside = format!("tell beside {IDLE_ACTORS} idle actors");
    let idle = match options.extent {
        Extent::Test => 10,
        _ => IDLE_ACTORS,
    };
    // Each time a system of its own, for its workers spin on the cores of the other rows.
    Group {
        name: "messages of 8 bytes, one way, in bursts of 1024".into(),
        unit: "million messages/s",
        rows: vec![
            Row::new("crossbeam channel, unbounded", move || mail::channel(count)),
            Row::new("tell", move || Post::new(0).tell(count)),
            Row::new(beside, move || Post::new(idle).tell(count)),
        ],
    }
}

fn asks(options: &Options) -> Group<hdrhistogram::Histogram<u64>> {
    let count = match options.extent {
        Extent::Full => 100_000,
        Extent::Quick => 20_000,
        Extent::Test => 100,
    };
    Group {
        name: "a question and its answer".into(),
        unit: "ns",
        rows: vec![
            Row::new("two lines (limit)", move || two_lines::measure(count)),
            Row::new("two rings of rtrb", move || round_trip::rtrb(1, count)),
            Row::new("crossbeam channels", move || mail::channels(count)),
            Row::new("ask, between two workers", move || Post::new(0).ask(count)),
        ],
    }
}

fn streams(options: &Options) -> Vec<Group<f64>> {
    let (count, idle) = match options.extent {
        Extent::Full => (1 << 20, IDLE_STREAMS),
        Extent::Quick => (1 << 18, IDLE_STREAMS),
        Extent::Test => (1 << 10, 10),
    };
    let alone: Kept<Stage> = Rc::default();
    let crowded: Kept<Stage> = Rc::default();
    let group = |words: usize, capacity: usize| {
        let flow = Flow {
            words,
            capacity,
            put: Put::One,
            take: Take::Drain,
        };
        let (alone, crowded) = (alone.clone(), crowded.clone());
        Group {
            name: format!("streams of {} bytes, capacity {capacity}, put/drain", 8 * words),
            unit: "million elements/s",
            rows: vec![
                Row::new("bare channel", move || flow.within(count)),
                Row::new("set up by actors", move || {
                    alone.get_or_init(|| Stage::new(0)).flow(flow, count)
                }),
                Row::new(format!("beside {IDLE_STREAMS} idle streams"), move || {
                    let stage = crowded.get_or_init(|| Stage::new(idle));
                    assert_eq!(stage.idle(), idle, "as many as the row says");
                    stage.flow(flow, count)
                }),
            ],
        }
    };
    vec![group(1, 1024), group(1, 64), group(7, 1024), group(7, 64)]
}
