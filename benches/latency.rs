//! How long an element takes: there and back, one way at a fixed rate, and to a consumer that sleeps; and the processor
//! time that a consumer pays for it, by how it waits.
//!
//! `cargo bench --bench latency`; options after `--` (`--help` lists them). Both sides are pinned. Every figure has one
//! or two readings of the clock in it, of about 30 ns each; that of a limit or a rival too.

mod harness;

use harness::bare_records::{self, Mapped};
use harness::effort::Paid;
use harness::one_way::Pace;
use harness::options::{Extent, Options};
use harness::process::Role;
use harness::report::Report;
use harness::round::{self, Group, Outcome, Row};
use harness::sample::Sample;
use harness::statistic::median;
use harness::{round_trip, two_lines};
use hdrhistogram::Histogram;
use millstream::WaitStrategy;

const WORDS: [usize; 5] = [1, 7, 8, 32, 128];
/// Those of [`WORDS`] that have a stamp each, and more than a line.
const RECORDS: [usize; 2] = [32, 128];
const PACED: [usize; 3] = [1, 8, 128];
/// Nanoseconds between the elements of a flow at a fixed rate: 100 000 a second.
const INTERVAL: u64 = 10_000;
/// Nanoseconds between the elements for a consumer that sleeps meanwhile.
const REST: u64 = 100_000;
/// Elements a second for consumers that wait in different ways.
const RATES: [u64; 3] = [10_000, 100_000, 1_000_000];
/// The rate at which a consumer that may park should never have a reason to.
const HOT: u64 = 1_000_000;
/// 56 bytes, a line beside its stamp.
const RECORD: usize = 7;
const SPINS: &str = "spins";
const PARKS: &str = "spins, parks";
const SETTINGS: [&str; 2] = ["one process", "between processes"];

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
    let groups: Vec<_> = WORDS.iter().map(|words| trips(*words, options.extent)).collect();
    for outcome in round::run(groups, &options) {
        report.latencies(&outcome, 2);
    }
    let mut groups: Vec<_> = PACED.iter().map(|words| paced(*words, options.extent)).collect();
    groups.push(asleep(options.extent));
    for outcome in round::run(groups, &options) {
        report.latencies(&outcome, 2);
    }
    let groups = RATES.map(|rate| waiting(rate, options.extent));
    let outcomes = round::run(groups.into(), &options);
    for outcome in &outcomes {
        report.latencies(outcome, 1);
    }
    for outcome in outcomes.iter().filter(|outcome| outcome.name == at(HOT)) {
        hot(outcome);
    }
    report.finish(options.json.as_deref());
}

fn trips(words: usize, extent: Extent) -> Group<Histogram<u64>> {
    let count = match extent {
        Extent::Full => 100_000,
        Extent::Quick => 20_000,
        Extent::Test => 100,
    };
    let mut rows = vec![
        Row::new("two lines (limit)", move || two_lines::measure(count)),
        Row::new("rtrb", move || round_trip::rtrb(words, count)),
        Row::new("one process", move || round_trip::within(words, count)),
        Row::new("between processes", move || round_trip::between(words, count)),
    ];
    if RECORDS.contains(&words) {
        for (name, mapped) in [
            ("bare records (by hand)", Mapped::ToBeWritten),
            ("bare records, mapped to be read (by hand)", Mapped::ToBeRead),
        ] {
            rows.push(Row::new(name, move || {
                bare_records::measure(words, mapped, count)
            }));
        }
    }
    Group {
        name: format!("round trip of {} bytes", 8 * words),
        unit: "ns",
        rows,
    }
}

fn paced(words: usize, extent: Extent) -> Group<Paid> {
    let count = match extent {
        Extent::Full => 25_000,
        Extent::Quick => 5_000,
        Extent::Test => 100,
    };
    let pace = Pace {
        words,
        interval: INTERVAL,
        wait: WaitStrategy::BusySpin,
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

fn asleep(extent: Extent) -> Group<Paid> {
    let count = match extent {
        Extent::Full => 3_000,
        Extent::Quick => 500,
        Extent::Test => 20,
    };
    let pace = Pace {
        words: 1,
        interval: REST,
        wait: WaitStrategy::park(),
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

fn at(rate: u64) -> String {
    format!("one way, {} bytes, {rate} a second, since due", 8 * RECORD)
}

fn waiting(rate: u64, extent: Extent) -> Group<Paid> {
    // A fifth of a second, and no fewer than make a 99.9th percentile over all rounds.
    let count = match extent {
        Extent::Full => (rate / 5).max(2_000),
        Extent::Quick => (rate / 20).max(1_000),
        Extent::Test => 100,
    };
    let pace = move |wait| Pace {
        words: RECORD,
        interval: 1_000_000_000 / rate,
        wait,
    };
    let ways = [
        (SPINS, WaitStrategy::BusySpin),
        ("spins, yields", WaitStrategy::SpinThenYield { spins: 300 }),
        (PARKS, WaitStrategy::default()),
    ];
    let rival = pace(WaitStrategy::BusySpin);
    let mut rows = vec![Row::new("rtrb, spins", move || rival.rtrb(count))];
    let [within, between] = SETTINGS;
    for (way, wait) in ways {
        rows.push(Row::new(format!("{within}, {way}"), move || {
            pace(wait).within(count)
        }));
    }
    for (way, wait) in ways {
        rows.push(Row::new(format!("{between}, {way}"), move || {
            pace(wait).between(count)
        }));
    }
    Group {
        name: at(rate),
        unit: "ns; the consumer's CPU and sleeps",
        rows,
    }
}

/// What the mere possibility to park costs where elements follow each other too closely for it.
fn hot(outcome: &Outcome<Paid>) {
    println!("\nA consumer that may park on hot traffic, against one that only spins ({HOT} a second)");
    for setting in SETTINGS {
        let row = |way: &str| outcome.row(&format!("{setting}, {way}"));
        let (Some(parks), Some(spins)) = (row(PARKS), row(SPINS)) else {
            continue;
        };
        let ratios = Sample::ratios(outcome, parks, spins);
        let sleeps: Vec<_> = outcome
            .sample(parks)
            .values
            .iter()
            .map(|paid| paid.sleeps())
            .collect();
        println!(
            "  {setting:34}p50 {:.2} of it ({} of {} rounds count), {:.2} sleeps for each thousand elements {}",
            ratios.median(),
            ratios.counted,
            outcome.rounds.len(),
            median(&sleeps),
            ratios.mark()
        );
    }
}
