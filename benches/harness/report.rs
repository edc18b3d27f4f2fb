//! What is printed, and written as JSON.

use std::fs;
use std::path::Path;
use std::time::Instant;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::machine;
use super::options::{Extent, Options};
use super::round::Outcome;
use super::statistic::{extremes, median, ratio};

/// The report of one bench.
pub(crate) struct Report {
    began: Instant,
    machine: Value,
    groups: Vec<Value>,
}

impl Report {
    /// Begins a report by the machine and what is to be measured on it.
    pub(crate) fn begin(title: &str, options: &Options) -> Self {
        println!("{title}\n");
        let machine = machine::describe();
        let extent = match options.extent {
            Extent::Full => "",
            Extent::Quick => " (quick: a look, not a figure)",
            Extent::Test => " (test: FIGURES MEAN NOTHING)",
        };
        println!("{:26}{}{extent}", "rounds", options.rounds);
        Self {
            began: Instant::now(),
            machine,
            groups: Vec::new(),
        }
    }

    /// A table of figures: medians, extremes, and the ratio to the first row in the same round.
    pub(crate) fn figures(&mut self, outcome: &Outcome<f64>) {
        heading(outcome);
        let base: Vec<f64> = outcome.values(0).into_iter().copied().collect();
        println!(
            "  {:42}{:>10}{:>21}   ratio to {}",
            outcome.unit, "median", "min..max", outcome.rows[0]
        );
        let mut rows = Vec::new();
        for (row, name) in outcome.rows.iter().enumerate() {
            let values: Vec<f64> = outcome.values(row).into_iter().copied().collect();
            let (least, most) = extremes(&values);
            let (median, ratio) = (median(&values), ratio(&values, &base));
            let range = format!("{}..{}", short(least), short(most));
            println!("  {name:42}{:>10}{range:>21}   {ratio:.2}", short(median));
            let all: Vec<_> = outcome.rounds.iter().map(|round| round.values[row]).collect();
            rows.push(json!({"name": name, "median": median, "min": least, "max": most, "ratio": ratio, "rounds": all}));
        }
        self.keep(outcome, rows);
    }

    /// A table of latencies: percentiles over all rounds, and the ratio of medians to those of the first rows (as many as
    /// `bases`) in the same round.
    pub(crate) fn latencies(&mut self, outcome: &Outcome<Histogram<u64>>, bases: usize) {
        heading(outcome);
        let middle = |row: usize| -> Vec<f64> {
            outcome
                .values(row)
                .into_iter()
                .map(|histogram| histogram.value_at_quantile(0.5) as f64)
                .collect()
        };
        print!("  {:34}", outcome.unit);
        for (title, _) in PERCENTILES {
            print!("{title:>9}");
        }
        println!(
            "{:>10}{:>9}   p50 to {}",
            "max",
            "count",
            outcome.rows[..bases].join(", to ")
        );
        let mut rows = Vec::new();
        for (row, name) in outcome.rows.iter().enumerate() {
            let mut all = super::round_trip::histogram();
            for histogram in outcome.values(row) {
                all.add(histogram).expect("all have the same bounds");
            }
            let ratios: Vec<f64> = (0..bases)
                .map(|base| ratio(&middle(row), &middle(base)))
                .collect();
            let at = |quantile| all.value_at_quantile(quantile);
            print!("  {name:34}");
            for (_, quantile) in PERCENTILES {
                print!("{:>9}", at(quantile));
            }
            let printed: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
            println!("{:>10}{:>9}   {}", all.max(), all.len(), printed.join(", "));
            let mut kept = json!({"name": name, "max": all.max(), "count": all.len(), "p50_ratios": ratios});
            for (title, quantile) in PERCENTILES {
                kept[title] = json!(at(quantile));
            }
            let rounds = outcome
                .rounds
                .iter()
                .map(|round| round.values[row].value_at_quantile(0.5));
            kept["p50_rounds"] = rounds.collect::<Vec<_>>().into();
            rows.push(kept);
        }
        self.keep(outcome, rows);
    }

    fn keep<M>(&mut self, outcome: &Outcome<M>, rows: Vec<Value>) {
        let probes: Vec<_> = outcome.rounds.iter().map(|round| &round.probes).collect();
        let others: Vec<_> = outcome.rounds.iter().map(|round| round.others).collect();
        let shared: Vec<_> = outcome.rounds.iter().map(|round| round.is_shared()).collect();
        self.groups.push(json!({
            "name": outcome.name, "unit": outcome.unit, "rows": rows,
            "bounce_ns": probes, "others": others, "shared_core": shared, "repeated": outcome.repeated(),
        }));
    }

    /// Ends the report, and writes the file if one was asked for.
    pub(crate) fn finish(self, json: Option<&Path>) {
        println!("\n{:.0} s", self.began.elapsed().as_secs_f64());
        if let Some(path) = json {
            let text = format!("{:#}\n", json!({"machine": self.machine, "groups": self.groups}));
            if let Err(error) = fs::write(path, text) {
                eprintln!("{} cannot be written: {error}", path.display());
                std::process::exit(1);
            }
        }
    }
}

const PERCENTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
];

fn heading<M>(outcome: &Outcome<M>) {
    println!("\n{}", outcome.name);
    println!("  {}", outcome.state());
}

/// Three significant digits or more.
fn short(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
