//! Plots: percentiles of exchanges, throughput over the size of elements, and every run of a flow beside its fastest.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::*;

use crate::contender::{Setting, Standing, Task};
use crate::measured::Measured;
use crate::outcome::{Measure, Outcome};
use crate::regimes::WITHIN;

const SIZE: (u32, u32) = (1100, 700);
const COLOURS: [RGBColor; 12] = [
    RGBColor(200, 30, 30),
    RGBColor(230, 110, 20),
    RGBColor(150, 20, 110),
    RGBColor(240, 80, 140),
    RGBColor(30, 90, 200),
    RGBColor(20, 150, 170),
    RGBColor(40, 140, 60),
    RGBColor(130, 160, 30),
    RGBColor(100, 80, 60),
    RGBColor(90, 90, 90),
    RGBColor(120, 100, 200),
    RGBColor(180, 150, 40),
];

/// A line of a plot.
#[derive(Clone, Debug, Default)]
struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Both axes are logarithmic.
struct Plot<'a> {
    title: &'a str,
    across: &'a str,
    up: &'a str,
    label: fn(f64) -> String,
}

/// Draws everything that was measured into a directory, which is made.
pub(crate) fn all(dir: &Path, outcomes: &[Outcome]) -> anyhow::Result<()> {
    fs::create_dir_all(dir)?;
    for outcome in outcomes
        .iter()
        .filter(|outcome| matches!(outcome.group.task, Task::Trip { .. } | Task::Wake))
    {
        let plot = Plot {
            title: &outcome.group.name,
            across: "percentile",
            up: "ns",
            label: percentile,
        };
        plot.draw(&dir.join(file(&outcome.group.name)), &percentiles(outcome))?;
    }
    let mut flows = BTreeMap::<String, Vec<&Outcome>>::new();
    for outcome in outcomes {
        if let Task::Flow { capacity, .. } = outcome.group.task {
            let name = match outcome.group.setting {
                Setting::Within => format!("flow, one process, capacity {capacity}"),
                Setting::Between => "flow, two processes".into(),
            };
            flows.entry(name).or_default().push(outcome);
        }
    }
    for (title, outcomes) in flows {
        let plot = Plot {
            title: &title,
            across: "bytes of an element",
            up: "million elements/s",
            label: |bytes| format!("{bytes:.0}"),
        };
        plot.draw(&dir.join(file(&title)), &throughputs(&outcomes))?;
    }
    let mut regimes = BTreeMap::<String, Vec<Column>>::new();
    for outcome in outcomes {
        if let Task::Regime { pace, .. } = outcome.group.task {
            let name = format!("regimes, {}, {pace} consumer", outcome.group.setting);
            regimes.entry(name).or_default().extend(columns(outcome));
        }
    }
    for (title, columns) in regimes {
        draw_runs(&dir.join(file(&title)), &title, &columns)?;
    }
    Ok(())
}

/// The runs of a flow of ours.
struct Column {
    name: String,
    /// Over the fastest.
    runs: Vec<f64>,
}

fn columns(outcome: &Outcome) -> Vec<Column> {
    let ours = outcome.group.places(|entry| entry.standing == Standing::Ours);
    ours.into_iter()
        .map(|place| {
            let task = outcome.group.task;
            let (_, fastest) = outcome.extremes(place);
            // Those on a shared core are none.
            let counts = outcome.has_counted(place);
            let runs = if counts {
                outcome.figures(place, Measure::Value)
            } else {
                Vec::new()
            };
            Column {
                name: format!(
                    "{} B, {}, {}",
                    8 * task.words(),
                    task.capacity(),
                    outcome.group.entries[place].name
                ),
                runs: runs.into_iter().map(|run| run / fastest).collect(),
            }
        })
        .collect()
}

/// Percentiles by the nines that they leave: 1 is the median of ten, 1000 is p99.9.
fn percentiles(outcome: &Outcome) -> Vec<Curve> {
    let curve = |place: usize| {
        let shares = outcome.values[place]
            .iter()
            .flatten()
            .find(|one: &&Measured| one.counts())?;
        let point = |(share, _): &(f64, u64)| {
            let time = outcome.median(place, Measure::At(*share));
            (*share < 1.0 && time > 0.0).then_some((1.0 / (1.0 - share), time))
        };
        Some(Curve {
            name: outcome.group.entries[place].name.clone(),
            points: shares.quantiles.iter().filter_map(point).collect(),
        })
    };
    (0..outcome.group.entries.len()).filter_map(curve).collect()
}

fn percentile(rest: f64) -> String {
    let text = format!("{:.4}", 100.0 - 100.0 / rest);
    format!("p{}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A line for each contender, through the groups that it is in.
fn throughputs(outcomes: &[&Outcome]) -> Vec<Curve> {
    let mut curves = Vec::<Curve>::new();
    for outcome in outcomes {
        for (place, entry) in outcome.group.entries.iter().enumerate() {
            let figure = outcome.median(place, Measure::Value);
            if figure.is_nan() || entry.aside {
                continue;
            }
            let point = (8.0 * outcome.group.task.words() as f64, figure);
            match curves.iter_mut().find(|curve| curve.name == entry.name) {
                Some(curve) => curve.points.push(point),
                None => curves.push(Curve {
                    name: entry.name.clone(),
                    points: vec![point],
                }),
            }
        }
    }
    curves
}

fn file(name: &str) -> String {
    let words: Vec<_> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    format!("{}.svg", words.join("-"))
}

impl Plot<'_> {
    fn draw(&self, path: &Path, curves: &[Curve]) -> anyhow::Result<()> {
        let points = || curves.iter().flat_map(|curve| curve.points.iter().copied());
        if points().count() == 0 {
            return Ok(());
        }
        let failed = |error: &dyn std::fmt::Display| anyhow!("{}: {error}", path.display());
        let area = SVGBackend::new(path, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(|error| failed(&error))?;
        // The names stand beside, for there are more of them than any corner has room for.
        let (left, right) = area.split_horizontally(SIZE.0 - 270);
        let mut chart = ChartBuilder::on(&left)
            .caption(self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(64)
            .build_cartesian_2d(
                range(points().map(|point| point.0)).log_scale(),
                range(points().map(|point| point.1)).log_scale(),
            )
            .map_err(|error| failed(&error))?;
        chart
            .configure_mesh()
            .x_desc(self.across)
            .y_desc(self.up)
            .x_label_formatter(&|x| (self.label)(*x))
            .y_label_formatter(&|y| crate::table::short(*y))
            .light_line_style(BLACK.mix(0.04))
            .draw()
            .map_err(|error| failed(&error))?;
        for (at, curve) in curves.iter().enumerate() {
            // The second time around thinner, so that no two look alike.
            let width = if at < COLOURS.len() { 3 } else { 1 };
            let style = COLOURS[at % COLOURS.len()].stroke_width(width);
            let line = LineSeries::new(curve.points.iter().copied(), style);
            chart.draw_series(line).map_err(|error| failed(&error))?;
            let y = 50 + 24 * at as i32;
            let sample = PathElement::new(vec![(4, y), (30, y)], style);
            right.draw(&sample).map_err(|error| failed(&error))?;
            let name = Text::new(curve.name.clone(), (36, y - 7), ("sans-serif", 14));
            right.draw(&name).map_err(|error| failed(&error))?;
        }
        area.present().map_err(|error| failed(&error))
    }
}

/// A dot for each run, in a column for each flow, and a line at the share of the fastest that the slowest is to reach.
fn draw_runs(path: &Path, title: &str, columns: &[Column]) -> anyhow::Result<()> {
    if columns.iter().all(|column| column.runs.is_empty()) {
        return Ok(());
    }
    let failed = |error: &dyn std::fmt::Display| anyhow!("{}: {error}", path.display());
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(|error| failed(&error))?;
    let across = columns.len() as f64;
    let names = 190;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(names)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..across, 0.0..1.05)
        .map_err(|error| failed(&error))?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_desc("a run over the fastest")
        .light_line_style(BLACK.mix(0.04))
        .draw()
        .map_err(|error| failed(&error))?;
    let bound = LineSeries::new([(0.0, WITHIN), (across, WITHIN)], BLACK.mix(0.5));
    chart.draw_series(bound).map_err(|error| failed(&error))?;
    let style = ("sans-serif", 13).into_font().transform(FontTransform::Rotate90);
    for (at, column) in columns.iter().enumerate() {
        // Four ways of each flow, in the same colours everywhere.
        let (x, colour) = (at as f64 + 0.5, COLOURS[[0, 4, 6, 10][at % 4]]);
        let dots = column
            .runs
            .iter()
            .map(|run| Circle::new((x, *run), 3, colour.mix(0.5)));
        chart
            .draw_series(dots.map(|dot| dot.into_dyn()))
            .map_err(|error| failed(&error))?;
        let (left, bottom) = chart.backend_coord(&(x, 0.0));
        let name = Text::new(column.name.clone(), (left + 6, bottom + 8), style.clone());
        area.draw(&name).map_err(|error| failed(&error))?;
    }
    area.present().map_err(|error| failed(&error))
}

/// A range that has room for all of them.
fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (least, most) = values.fold((f64::INFINITY, 0.0_f64), |(least, most), value| {
        (least.min(value), most.max(value))
    });
    least * 0.9..most * 1.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_have_their_names() {
        assert_eq!(percentile(2.0), "p50");
        assert_eq!(percentile(1000.0), "p99.9");
        assert_eq!(
            file("round trip, one process, 8 B"),
            "round-trip-one-process-8-B.svg"
        );
    }

    #[test]
    fn a_plot_is_an_svg_with_its_names() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let outcome = crate::outcome::tests::outcome(&[("put/next", &[10.0]), ("rtrb push/pop", &[5.0])]);
        all(dir.path(), &[outcome]).expect("it can be drawn");
        let text =
            fs::read_to_string(dir.path().join("flow-one-process-capacity-1024.svg")).expect("it was drawn");
        assert!(text.starts_with("<svg") && text.contains("rtrb push/pop"));
    }

    #[test]
    fn a_plot_of_runs_has_a_column_for_each_of_ours() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let group = crate::catalogue::regimes().swap_remove(0);
        let place = group.place("put/next").expect("it is there");
        let run = |value| {
            Some(Measured {
                value,
                quantiles: Vec::new(),
                around: [220.0; 2],
                preempted: 0,
            })
        };
        let mut outcome = Outcome::new(group);
        outcome.values[place] = vec![run(4.0), run(3.0)];
        assert_eq!(columns(&outcome)[0].runs, [1.0, 0.75]);
        all(dir.path(), &[outcome]).expect("it can be drawn");
        let text = fs::read_to_string(dir.path().join("regimes-one-process-slow-consumer.svg"))
            .expect("it was drawn");
        assert!(text.contains("8 B, 1024, put/next") && text.matches("<circle").count() == 2);
    }
}
