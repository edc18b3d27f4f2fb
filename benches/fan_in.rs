//! How many elements a second come from several producers to one consumer: by `merge`, and by one channel of crossbeam.
//!
//! `cargo bench --bench fan_in`; options after `--` (`--help` lists them). All rings together hold as many elements as the
//! rival's channel. The producers share one core and the consumer has the other.

mod harness;

use harness::fan_in::{FanIn, Order};
use harness::options::Options;
use harness::pace::Pace;
use harness::report::Report;
use harness::round::{self, Group};

const CAPACITY: usize = 1024;

fn main() {
    let options = Options::read();
    let mut report = Report::begin("Fan-in", &options);
    let groups = [2, 4].map(|producers| group(producers, &options)).into();
    for outcome in round::run(groups, &options) {
        report.figures(&outcome);
    }
    report.finish(options.json.as_deref());
}

fn group(producers: usize, options: &Options) -> Group<f64> {
    let flow = FanIn {
        producers,
        capacity: CAPACITY,
    };
    let pace = || Pace::new(options.extent, |rate| rate * 1e6);
    let mut rows = vec![pace().row("crossbeam send/recv".into(), move |count| flow.crossbeam(count))];
    for order in [Order::Fair, Order::Priority, Order::Arrival, Order::Key] {
        rows.push(pace().row(format!("merge, {order}"), move |count| flow.merge(order, count)));
    }
    Group {
        name: format!("{producers} producers to one consumer, 8 bytes, capacity {CAPACITY}"),
        unit: "million elements/s",
        rows,
    }
}
