//! How many elements, and bytes, a stream carries a second: in one process, between processes, and against rtrb.
//!
//! `cargo bench --bench throughput`; options after `--` (`--help` lists them). The producer writes every byte of every
//! element and the consumer reads it; both are pinned and spin. The consumer takes the time, from the first element to
//! the last.

mod harness;

use harness::element_flow::{self, Flow, Put, Take};
use harness::frame_flow::{FrameFlow, PutFrame};
use harness::options::{Extent, Options};
use harness::pace::Pace;
use harness::process::Role;
use harness::report::Report;
use harness::round::{self, Group, Row};
use harness::stream::Trust;
use harness::verdict::{self, BARE, BETWEEN, Floor, WITHIN};
use harness::{bare_lines, round_trip, two_lines};

const WORDS: [usize; 6] = [1, 6, 7, 8, 32, 128];
const CAPACITIES: [usize; 2] = [1024, 64];
/// Bytes of a frame, and how many of them a ring holds.
const FRAMES: [(usize, usize); 3] = [(64, 1024), (1024, 1024), (65536, 16)];
const TRIPS: &str = "round trip";

fn main() {
    if let Some(mut role) = Role::played() {
        return match role.next::<String>().as_str() {
            Flow::ROLE => Flow::play(&mut role),
            FrameFlow::ROLE => FrameFlow::play(&mut role),
            other => panic!("there is no role {other:?}"),
        };
    }
    let options = Options::read();
    let mut report = Report::begin("Throughput", &options);
    let mut groups: Vec<_> = WORDS
        .iter()
        .flat_map(|words| CAPACITIES.map(|capacity| elements(*words, capacity, &options)))
        .collect();
    groups.extend(FRAMES.map(|(bytes, capacity)| frames(bytes, capacity, &options)));
    groups.push(trips(&options));
    let outcomes = round::run(groups, &options);
    for outcome in &outcomes {
        report.figures(outcome);
    }
    let floor = |words, capacity, ours, rtrb| Floor {
        group: name(words, capacity),
        ours,
        rtrb,
    };
    let floors = [
        floor(1, 1024, 889.0, 420.0),
        floor(1, 64, 200.0, 75.0),
        floor(7, 1024, 114.0, 20.0),
        floor(7, 64, 80.0, 21.0),
    ];
    verdict::floors(&outcomes, &floors);
    for outcome in outcomes.iter().filter(|outcome| outcome.name == TRIPS) {
        verdict::trips(outcome);
    }
    verdict::settings(&outcomes);
    report.finish(options.json.as_deref());
}

fn name(words: usize, capacity: usize) -> String {
    format!("elements of {} bytes, capacity {capacity}", 8 * words)
}

fn elements(words: usize, capacity: usize, options: &Options) -> Group<f64> {
    let flow = |put, take| Flow {
        words,
        capacity,
        put,
        take,
    };
    let ways = [
        (Put::One, Take::Next),
        (Put::One, Take::Drain),
        (Put::Slice, Take::Drain),
        (Put::Claim, Take::Peek),
    ];
    let pace = || Pace::new(options.extent, |rate| rate * 1e6);
    let mut rows = vec![
        pace().row("rtrb push/pop".into(), move |count| {
            element_flow::rtrb(words, capacity, count)
        }),
        pace().row("rtrb chunks of 64".into(), move |count| {
            element_flow::rtrb_chunks(words, capacity, count)
        }),
    ];
    if words <= bare_lines::ROOM {
        for take in [Take::Next, Take::Drain] {
            let name = format!("{BARE}{}/{take}", Put::One);
            let row = move |count| bare_lines::measure(words, capacity, take, count);
            rows.push(pace().row(name, row));
        }
    }
    for (put, take) in ways {
        let flow = flow(put, take);
        rows.push(pace().row(format!("{WITHIN}{put}/{take}"), move |count| flow.within(count)));
    }
    for (put, take) in ways {
        let flow = flow(put, take);
        let trusts: &[(Trust, &str)] = match take {
            Take::Peek => &[(Trust::Copied, " (copied)"), (Trust::InPlace, " (in place)")],
            Take::Next | Take::Drain => &[(Trust::Copied, "")],
        };
        for (trust, note) in trusts.iter().copied() {
            let name = format!("{BETWEEN}{put}/{take}{note}");
            rows.push(pace().row(name, move |count| flow.between(trust, count)));
        }
    }
    Group {
        name: name(words, capacity),
        unit: "million elements/s",
        rows,
    }
}

fn frames(bytes: usize, capacity: usize, options: &Options) -> Group<f64> {
    let flow = |put, take| FrameFlow {
        bytes,
        capacity,
        put,
        take,
    };
    let ways = [
        (PutFrame::Copy, Take::Next),
        (PutFrame::Copy, Take::Drain),
        (PutFrame::Claim, Take::Next),
    ];
    let pace = || Pace::new(options.extent, move |rate| rate * 1e9 / bytes as f64);
    let rival = flow(PutFrame::Copy, Take::Next);
    let mut rows = vec![pace().row("rtrb chunks of bytes".into(), move |count| rival.rtrb(count))];
    for (put, take) in ways {
        let flow = flow(put, take);
        rows.push(pace().row(format!("{WITHIN}{put}/{take}"), move |count| flow.within(count)));
    }
    for (put, take) in ways {
        for (trust, note) in [(Trust::Copied, "copied"), (Trust::InPlace, "in place")] {
            let flow = flow(put, take);
            let name = format!("{BETWEEN}{put}/{take} ({note})");
            rows.push(pace().row(name, move |count| flow.between(trust, count)));
        }
    }
    Group {
        name: format!("frames of {bytes} bytes, capacity {capacity}"),
        unit: "GB/s",
        rows,
    }
}

fn trips(options: &Options) -> Group<f64> {
    let count = match options.extent {
        Extent::Full => 100_000,
        Extent::Quick => 20_000,
        Extent::Test => 100,
    };
    let rows = vec![
        Row::new("two lines (limit)", move || {
            two_lines::measure(count).value_at_quantile(0.5) as f64
        }),
        Row::new("lines in turn (limit)", move || {
            two_lines::in_turn(count).value_at_quantile(0.5) as f64
        }),
        Row::new("8 bytes", move || {
            round_trip::within(1, count).value_at_quantile(0.5) as f64
        }),
        Row::new("56 bytes", move || {
            round_trip::within(7, count).value_at_quantile(0.5) as f64
        }),
    ];
    Group {
        name: TRIPS.into(),
        unit: "ns, p50, one process",
        rows,
    }
}
