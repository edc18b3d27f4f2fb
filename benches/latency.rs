//! How long an element takes: there and back, one way at a fixed rate, and to a consumer that sleeps.
//!
//! `cargo bench --bench latency`; options after `--` (`--help` lists them). Both sides are pinned. Every figure has one
//! or two readings of the clock in it, of about 30 ns each; that of a limit or a rival too.

mod harness;

use harness::one_way::Pace;
use harness::options::{Extent, Options};
use harness::process::Role;
use harness::report::Report;
use harness::round::{self, Group, Row};
use harness::{round_trip, two_lines};
use hdrhistogram::Histogram;

const WORDS: [usize; 5] = [1, 7, 8, 32, 128];
const PACED: [usize; 3] = [1, 8, 128];
/// Nanoseconds between the elements of a flow at a fixed rate: 100 000 a second.
const INTERVAL: u64 = 10_000;
/// Nanoseconds between the elements for a consumer that sleeps meanwhile.
const REST: u64 = 100_000;

fn main() {
    if let Some(mut role) = Role::played() {
        return match role.next::<String>().as_str() {
            round_trip::ROLE => round_trip::play(&mut role),
            Pace::ROLE => Pace::play(&mut role),
            other => panic!("there is no role {other:?}"),
        };
    }
    let options = Options::read();
    let mut report = Report::begin("Latency", &options);
    let mut groups: Vec<_> = WORDS.iter().map(|words| trips(*words, options.extent)).collect();
    groups.extend(PACED.map(|words| paced(words, options.extent)));
    groups.push(asleep(options.extent));
    for outcome in round::run(groups, &options) {
        report.latencies(&outcome, 2);
    }
    report.finish(options.json.as_deref());
}

fn trips(words: usize, extent: Extent) -> Group<Histogram<u64>> {
    let count = match extent {
        Extent::Full => 100_000,
        Extent::Quick => 20_000,
        Extent::Test => 100,
    };
    let rows = vec![
        Row::new("two lines (limit)", move || two_lines::measure(count)),
        Row::new("rtrb", move || round_trip::rtrb(words, count)),
        Row::new("one process", move || round_trip::within(words, count)),
        Row::new("between processes", move || round_trip::between(words, count)),
    ];
    Group {
        name: format!("round trip of {} bytes", 8 * words),
        unit: "ns",
        rows,
    }
}

fn paced(words: usize, extent: Extent) -> Group<Histogram<u64>> {
    let count = match extent {
        Extent::Full => 25_000,
        Extent::Quick => 5_000,
        Extent::Test => 100,
    };
    let pace = Pace {
        words,
        interval: INTERVAL,
        parks: false,
    };
    let rows = vec![
        Row::new("one line (limit)", move || pace.line(count)),
        Row::new("rtrb", move || pace.rtrb(count)),
        Row::new("one process", move || pace.within(count)),
        Row::new("between processes", move || pace.between(count)),
    ];
    Group {
        name: format!("one way, {} bytes, 100 000 a second, since due", 8 * words),
        unit: "ns",
        rows,
    }
}

fn asleep(extent: Extent) -> Group<Histogram<u64>> {
    let count = match extent {
        Extent::Full => 3_000,
        Extent::Quick => 500,
        Extent::Test => 20,
    };
    let pace = Pace {
        words: 1,
        interval: REST,
        parks: true,
    };
    let rows = vec![
        Row::new("park/unpark (limit)", move || pace.unpark(count)),
        Row::new("crossbeam-channel send/recv", move || pace.crossbeam(count)),
        Row::new("one process", move || pace.within(count)),
        Row::new("between processes", move || pace.between(count)),
    ];
    Group {
        name: "wake-up of a consumer that parks, 8 bytes, every 100 us, since due".into(),
        unit: "ns",
        rows,
    }
}
