//! What is printed, and written as JSON.

use std::fs;
use std::path::Path;
use std::time::Instant;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::machine;
use super::options::{Extent, Options};
use super::round::Outcome;
use super::sample::{Figure, SHARED, Sample};
use super::statistic::median;

/// A value of latencies, and what else was counted meanwhile.
pub(crate) trait Latency: Figure {
    /// What else there is.
    const COLUMNS: &'static [&'static str];

    fn histogram(&self) -> &Histogram<u64>;

    /// The figure of one of the columns.
    fn column(&self, column: usize) -> f64;
}

impl Latency for Histogram<u64> {
    const COLUMNS: &'static [&'static str] = &[];

    fn histogram(&self) -> &Histogram<u64> {
        self
    }

    fn column(&self, _: usize) -> f64 {
        f64::NAN
    }
}

/// A figure that is counted.
pub(crate) struct Fact {
    name: String,
    value: f64,
    below: Option<f64>,
}

impl Fact {
    pub(crate) fn new(name: impl Into<String>, value: f64) -> Self {
        Self {
            name: name.into(),
            value,
            below: None,
        }
    }

    /// The design's promise: less than `most`.
    pub(crate) fn below(self, most: f64) -> Self {
        Self {
            below: Some(most),
            ..self
        }
    }
}

/// The report of one bench.
pub(crate) struct Report {
    began: Instant,
    machine: Value,
    filter: String,
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
            filter: options.filter.clone(),
            groups: Vec::new(),
        }
    }

    /// A table of figures: medians, extremes, and the ratio to the first row in the same round. `n` values of a row count,
    /// and as many pairs as stand behind a ratio.
    pub(crate) fn figures(&mut self, outcome: &Outcome<f64>) {
        heading(outcome);
        println!(
            "  {:42}{:>10}{:>21}{:>4}   ratio to {} (n)",
            outcome.unit, "median", "min..max", "n", outcome.rows[0]
        );
        let mut rows = Vec::new();
        for (row, name) in outcome.rows.iter().enumerate() {
            let figures = Sample::of(outcome, &[row], |round| round.values[row]);
            let ratios = Sample::ratios(outcome, row, 0);
            let (least, most) = figures.extremes();
            let (median, n) = (figures.median(), figures.counted);
            let range = format!("{}..{}", short(least), short(most));
            println!(
                "  {name:42}{:>10}{range:>21}{n:>4}   {} {}",
                short(median),
                said(&ratios),
                figures.mark()
            );
            let all: Vec<_> = outcome.rounds.iter().map(|round| round.values[row]).collect();
            rows.push(json!({
                "name": name, "median": median, "min": least, "max": most, "n": n,
                "ratio": ratios.median(), "ratio_n": ratios.counted, "rounds": all, "counts": counts(outcome, row),
            }));
        }
        self.keep(outcome, rows);
    }

    /// A table of latencies: percentiles over all values that count, and the ratio of medians to those of the first rows (as
    /// many as `bases`) in the same round.
    pub(crate) fn latencies<M: Latency>(&mut self, outcome: &Outcome<M>, bases: usize) {
        heading(outcome);
        print!("  {:34}", outcome.unit);
        for (title, _) in PERCENTILES {
            print!(" {title:>8}");
        }
        let columns: String = M::COLUMNS.iter().map(|title| format!("{title:>11}")).collect();
        println!(
            "{:>10}{:>9}{columns}{:>4}   p50 to {} (n)",
            "max",
            "count",
            "n",
            outcome.rows[..bases].join(", to ")
        );
        let mut rows = Vec::new();
        for (row, name) in outcome.rows.iter().enumerate() {
            let sample = outcome.sample(row);
            let mut all = super::round_trip::histogram();
            for value in &sample.values {
                all.add(value.histogram()).expect("all have the same bounds");
            }
            let ratios: Vec<_> = (0..bases)
                .map(|base| Sample::ratios(outcome, row, base))
                .collect();
            let at = |quantile| all.value_at_quantile(quantile);
            print!("  {name:34}");
            for (_, quantile) in PERCENTILES {
                print!(" {:>8}", at(quantile));
            }
            print!(" {:>9} {:>8}", all.max(), all.len());
            let mut kept = json!({
                "name": name, "max": all.max(), "count": all.len(), "n": sample.counted,
                "p50_ratios": ratios.iter().map(Sample::median).collect::<Vec<_>>(),
                "p50_ratios_n": ratios.iter().map(|ratios| ratios.counted).collect::<Vec<_>>(),
                "counts": counts(outcome, row),
            });
            for (column, title) in M::COLUMNS.iter().enumerate() {
                let values: Vec<_> = sample.values.iter().map(|value| value.column(column)).collect();
                print!(" {:>10}", short(median(&values)));
                kept[*title] = json!(median(&values));
            }
            let printed: Vec<_> = ratios.iter().map(said).collect();
            println!("{:>4}   {} {}", sample.counted, printed.join(", "), sample.mark());
            for (title, quantile) in PERCENTILES {
                kept[title] = json!(at(quantile));
            }
            let rounds = outcome.rounds.iter().map(|round| round.values[row].figure());
            kept["p50_rounds"] = rounds.collect::<Vec<_>>().into();
            rows.push(kept);
        }
        self.keep(outcome, rows);
    }

    /// Figures that are counted, not timed.
    pub(crate) fn facts(&mut self, title: &str, facts: &[Fact]) {
        println!("\n{title}");
        let mut rows = Vec::new();
        for fact in facts {
            let target = fact.below.map_or_else(String::new, |most| {
                let verdict = if fact.value < most { "below" } else { "NOT below" };
                format!("{verdict} {most:.0}")
            });
            println!("  {:60}{:>12.0}   {target}", fact.name, fact.value);
            rows.push(
                json!({"name": fact.name, "value": fact.value, "below": fact.below, "rounds": [fact.value]}),
            );
        }
        self.groups.push(json!({"name": title, "rows": rows}));
    }

    fn keep<M>(&mut self, outcome: &Outcome<M>, rows: Vec<Value>) {
        let probes: Vec<_> = outcome.rounds.iter().map(|round| &round.probes).collect();
        let others: Vec<_> = outcome.rounds.iter().map(|round| round.others).collect();
        let lost: Vec<_> = outcome.rounds.iter().map(|round| round.lost() > 0).collect();
        self.groups.push(json!({
            "name": outcome.name, "unit": outcome.unit, "rows": rows,
            "bounce_ns": probes, "others": others, "shared_core": lost, "repeated": outcome.repeated(),
        }));
    }

    /// Ends the report, and writes the file if one was asked for.
    pub(crate) fn finish(self, json: Option<&Path>) {
        if self.groups.is_empty() {
            let filter = &self.filter;
            println!(
                "\nno group's name contains {filter:?}; without it and with --test all are named within seconds"
            );
        }
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

/// In which rounds the value of a row counts.
fn counts<M>(outcome: &Outcome<M>, row: usize) -> Vec<bool> {
    outcome.rounds.iter().map(|round| round.counts(row)).collect()
}

/// A ratio, and how many pairs of values it is the median of.
fn said(ratios: &Sample<f64>) -> String {
    match ratios.counted {
        0 => format!("{:.2} {SHARED}", ratios.median()),
        pairs => format!("{:.2} ({pairs})", ratios.median()),
    }
}

/// Three significant digits or more.
fn short(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
