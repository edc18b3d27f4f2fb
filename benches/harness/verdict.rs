//! What the design promises beside what was measured. For information: a busy machine is no failure.

use super::round::Outcome;
use super::sample::{SHARED, Sample};

/// A promise of the design (the table under "The ring: stamped lines"), as a ratio to rtrb one by one.
pub(crate) struct Floor {
    pub(crate) group: String,
    pub(crate) ours: f64,
    pub(crate) rtrb: f64,
}

/// How far below a floor counts as reached.
const NEAR: f64 = 0.85;
/// The most that a round trip may take, in round trips over two lines.
const TRIP: f64 = 1.16;
/// How far below one process the same flow between processes counts as the same.
const SAME: f64 = 0.9;

/// A setting before the way of putting and taking, in the name of a row.
pub(crate) const WITHIN: &str = "one process: ";
pub(crate) const BETWEEN: &str = "between processes: ";

/// The design's prototype, written by hand: a limit.
pub(crate) const BARE: &str = "bare lines: ";

/// Single puts against rtrb's, beside what the design's prototype reached then and reaches in this run: a machine whose
/// lines travel more slowly allows less.
pub(crate) fn floors(outcomes: &[Outcome<f64>], floors: &[Floor]) {
    println!("\nSingle puts over rtrb push/pop in one process, the better of next and drain");
    for floor in floors {
        let Some(outcome) = outcomes.iter().find(|outcome| outcome.name == floor.group) else {
            continue;
        };
        let best = |setting: &str| {
            let ways = ["put/next", "put/drain"]
                .map(|way| against(outcome, &format!("{setting}{way}"), &outcome.rows[0]));
            ways.into_iter().flatten().reduce(f64::max)
        };
        let (Some(measured), Some(bare)) = (best(WITHIN), best(BARE)) else {
            nothing(&floor.group);
            continue;
        };
        let promised = floor.ours / floor.rtrb;
        let figures = format!(
            "{measured:.2}; design {promised:.2}, its prototype here {bare:.2}: {:.2} of it",
            measured / bare
        );
        let least = promised.min(bare);
        say(
            &floor.group,
            &figures,
            "within 15 %",
            measured >= NEAR * least,
            measured / least,
        );
    }
}

/// Round trips against the limit.
pub(crate) fn trips(outcome: &Outcome<f64>) {
    println!("\nRound trip over that of two lines, p50");
    for name in outcome.rows.iter().filter(|name| !name.ends_with("(limit)")) {
        let Some(measured) = against(outcome, name, &outcome.rows[0]) else {
            nothing(name);
            continue;
        };
        let figures = format!("{measured:.2}, design 0.96 to {TRIP}");
        say(
            name,
            &figures,
            "within 15 %",
            measured * NEAR <= TRIP,
            measured / TRIP,
        );
    }
}

/// Between processes against one process.
pub(crate) fn settings(outcomes: &[Outcome<f64>]) {
    println!("\nBetween processes over one process, the same flow in the same round (! is not within 10 %)");
    for outcome in outcomes {
        let ways = outcome.rows.iter().filter_map(|name| {
            let way = name.strip_prefix(BETWEEN)?;
            let plain = way.split(" (").next().unwrap_or(way);
            let within = format!("{WITHIN}{plain}");
            outcome.row(&within)?;
            Some(match against(outcome, name, &within) {
                Some(measured) if measured < SAME => format!("{way} {measured:.2}!"),
                Some(measured) => format!("{way} {measured:.2}"),
                None => format!("{way} {SHARED}"),
            })
        });
        let ways: Vec<_> = ways.collect();
        if !ways.is_empty() {
            println!("  {:40}{}", outcome.name, ways.join(", "));
        }
    }
}

/// The ratio of two rows' figures, if there are rounds in which both count.
fn against(outcome: &Outcome<f64>, row: &str, base: &str) -> Option<f64> {
    let ratios = Sample::ratios(outcome, outcome.row(row)?, outcome.row(base)?);
    (ratios.counted > 0).then(|| ratios.median())
}

fn nothing(name: &str) {
    println!("  {name:40}{SHARED}: in no round do both count");
}

fn say(name: &str, figures: &str, within: &str, reached: bool, off: f64) {
    let verdict = if reached {
        within.to_owned()
    } else {
        format!("NOT {within} ({:+.0} %)", (off - 1.0) * 100.0)
    };
    println!("  {name:40}{figures:62}{verdict}");
}
