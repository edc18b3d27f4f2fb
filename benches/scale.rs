//! What many streams cost: bytes of one that is idle, the time to come to one, and what is left of a thousand visits.
//!
//! `cargo bench --bench scale`; options after `--` (`--help` lists them). Flows beside ten thousand idle streams are
//! the bench `actors`'.

mod harness;

use std::cell::RefCell;
use std::rc::Rc;

use harness::attach::{self, Cycles};
use harness::element::Words;
use harness::heap::{self, Counted};
use harness::holdings::Holdings;
use harness::options::{Extent, Options};
use harness::process::Role;
use harness::report::{Fact, Report};
use harness::round::{self, Group, Row};
use harness::spoken::Stage;
use harness::stream;
use hdrhistogram::Histogram;
use millstream::WaitStrategy;

#[global_allocator]
static HEAP: Counted = Counted;

const STREAMS: usize = 10_000;
const VISITS: u64 = 1_000;
/// Bytes of an idle stream beyond its ring.
const MOST_BYTES: f64 = 8192.0;
/// Nanoseconds of an attachment.
const LONGEST: f64 = 500_000.0;

const MEMORY: &str = "memory of an idle stream in one process, bytes";
const ATTACHING: &str = "attaching to a stream that another process publishes";

fn main() {
    if let Some(mut role) = Role::played() {
        return match role.next::<String>().as_str() {
            attach::ROLE => attach::play(&mut role),
            attach::LIMIT => attach::listen(&mut role),
            other => panic!("there is no role {other:?}"),
        };
    }
    let options = Options::read();
    let mut report = Report::begin("Scale", &options);
    if MEMORY.contains(&options.filter) {
        report.facts(MEMORY, &memory(options.extent));
    }
    let last = Rc::new(RefCell::new(None));
    for outcome in round::run(vec![attaching(options.extent, last.clone())], &options) {
        report.latencies(&outcome, 1);
    }
    if let Some(cycles) = last.take() {
        report.facts("what the visits of the last round leave behind", &left(&cycles));
    }
    report.finish(options.json.as_deref());
}

fn memory(extent: Extent) -> Vec<Fact> {
    let streams = match extent {
        Extent::Full | Extent::Quick => STREAMS,
        Extent::Test => 10,
    };
    let each = |make: &dyn Fn()| {
        let before = heap::live();
        make();
        heap::live().saturating_sub(before) as f64 / streams as f64
    };
    let channels = |capacity: usize| {
        let kept = RefCell::new(Vec::new());
        each(&|| {
            let make = || stream::channel::<Words<7>>(capacity, WaitStrategy::default()).build();
            let made = (0..streams).map(|_| make().expect("a ring of this size can be made"));
            *kept.borrow_mut() = made.collect();
        })
    };
    let [small, large] = [16, 64];
    let (few, many) = (channels(small), channels(large));
    // What grows with the capacity is the ring.
    let slot = (many - few) / (large - small) as f64;
    let stage = RefCell::new(None);
    let spoken = each(&|| *stage.borrow_mut() = Some(Stage::new(streams)));
    vec![
        Fact::new("each slot of 56 bytes, with its share of stamps", slot),
        Fact::new("a channel beyond its ring", few - slot * small as f64).below(MOST_BYTES),
        Fact::new("a stream of 8 slots with its two actors, all of it", spoken),
    ]
}

fn attaching(extent: Extent, last: Rc<RefCell<Option<Cycles>>>) -> Group<Histogram<u64>> {
    let visits = match extent {
        Extent::Full => VISITS,
        Extent::Quick => VISITS / 5,
        Extent::Test => 5,
    };
    Group {
        name: ATTACHING.into(),
        unit: "ns, from `subscribe` to its source",
        rows: vec![
            Row::new("a Unix socket (limit)", move || attach::socket(visits)),
            Row::new("subscribe, open", move || {
                let cycles = attach::measure(visits);
                let times = cycles.times.clone();
                *last.borrow_mut() = Some(cycles);
                times
            }),
        ],
    }
}

fn left(cycles: &Cycles) -> Vec<Fact> {
    let sides = [("consumer", cycles.consumer), ("publisher", cycles.publisher)];
    let visits = cycles.times.len();
    let mut facts = vec![
        Fact::new("visits", visits as f64),
        Fact::new(
            "p99 of their attachments, ns",
            cycles.times.value_at_quantile(0.99) as f64,
        )
        .below(LONGEST),
    ];
    for (side, [first, last]) in sides {
        for (place, name) in Holdings::NAMES.iter().enumerate() {
            let (before, after) = (first.0[place], last.0[place]);
            let name = format!("{side}: {name} after the last visit, {before} before the first");
            facts.push(Fact::new(name, after as f64));
        }
    }
    facts
}
