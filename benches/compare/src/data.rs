//! The figures as JSON.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::command::Command;
use crate::contender::Standing;
use crate::measured::NAMED;
use crate::outcome::{Measure, Outcome};
use crate::target::Verdict;

/// Everything: `cells` for comparisons, `groups` for every value of every round, `promises`.
pub(crate) fn collect(
    machine: &Value,
    command: &Command,
    outcomes: &[Outcome],
    verdicts: &[Verdict],
) -> Value {
    let cells: Vec<_> = outcomes.iter().flat_map(cells).collect();
    let groups: Vec<_> = outcomes.iter().map(group).collect();
    let promises: Vec<_> = verdicts
        .iter()
        .map(|verdict| {
            json!({
                "promise": verdict.promise, "bound": verdict.bound,
                "measured": verdict.measured, "met": verdict.met,
                "limit": verdict.limit, "missed_by_the_limit_too": verdict.is_refused,
            })
        })
        .collect();
    let options = json!({"rounds": command.rounds(), "regimes": command.regimes, "quick": command.quick, "patience": command.patience().as_secs(), "test": command.test, "filter": command.filter});
    json!({"machine": machine, "options": options, "cells": cells, "groups": groups, "promises": promises})
}

/// Writes it.
pub(crate) fn write(path: &Path, data: &Value) -> anyhow::Result<()> {
    Ok(std::fs::write(path, format!("{data:#}\n"))?)
}

fn cells(outcome: &Outcome) -> Vec<Value> {
    let name = |place: usize| outcome.group.entries[place].name.clone();
    let figures = |places: &[usize]| -> Map<String, Value> {
        let known = places
            .iter()
            .map(|place| (name(*place), json!(outcome.median(*place, Measure::Value))));
        known.filter(|(_, value)| !value.is_null()).collect()
    };
    let limits = outcome.group.places(|entry| entry.standing == Standing::Limit);
    let cells = outcome.group.cells.iter().map(|cell| {
        let (ours, rival, ratio) = outcome.compare(cell);
        json!({
            "name": cell.name,
            "unit": outcome.group.unit,
            "ours": ours.map(|ours| outcome.median(ours, Measure::Value)),
            "ours_is": ours.map(name),
            "all_ours": figures(&cell.ours),
            "rivals": figures(&cell.rivals),
            "limits": figures(&limits),
            "best_rival": rival.map(name),
            "ratio_to_best_rival": ratio,
            "ns": ours.map(|ours| times(outcome, ours)),
            "rivals_ns": rival.map(|rival| times(outcome, rival)),
        })
    });
    cells.collect()
}

/// The named percentiles of an entry; none for a flow.
fn times(outcome: &Outcome, place: usize) -> Map<String, Value> {
    let known =
        NAMED.map(|(name, share)| (name.to_owned(), json!(outcome.median(place, Measure::At(share)))));
    known.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

fn group(outcome: &Outcome) -> Value {
    let entries = outcome.group.entries.iter().enumerate().map(|(place, entry)| {
        let (least, most) = outcome.extremes(place);
        json!({
            "name": entry.name,
            "standing": format!("{:?}", entry.standing).to_lowercase(),
            "batch": entry.batch,
            "aside": entry.aside,
            "median": outcome.median(place, Measure::Value),
            "min": least,
            "max": most,
            "ns": times(outcome, place),
            "rounds": outcome.values[place],
            "counts": outcome.values[place].iter().map(|one| one.as_ref().is_some_and(|one| one.counts())).collect::<Vec<_>>(),
        })
    });
    json!({
        "name": outcome.group.name,
        "unit": outcome.group.unit,
        "setting": outcome.group.setting,
        "task": outcome.group.task,
        "entries": entries.collect::<Vec<_>>(),
        "others": outcome.others,
        "repeated": outcome.repeated,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::outcome::tests::outcome;

    #[test]
    fn a_cell_has_ours_the_rivals_and_the_ratio() {
        let outcomes = [outcome(&[
            ("put/next", &[10.0, 20.0]),
            ("rtrb push/pop", &[5.0, 10.0]),
            ("rtrb chunks of 64", &[1.0, 1.0]),
            ("limit: bare lines put/next", &[100.0, 100.0]),
        ])];
        let command = Command::parse_from(["compare"]);
        let data = collect(&json!({}), &command, &outcomes, &[]);
        let cell = &data["cells"][0];
        assert_eq!(cell["name"], "flow, one process, 8 B, capacity 1024: put/next");
        assert_eq!(cell["ours"], 15.0);
        assert_eq!(
            cell["rivals"],
            json!({"rtrb push/pop": 7.5, "rtrb chunks of 64": 1.0})
        );
        assert_eq!(cell["best_rival"], "rtrb push/pop");
        assert_eq!(cell["ratio_to_best_rival"], 2.0);
        assert_eq!(cell["limits"], json!({"limit: bare lines put/next": 100.0}));
        assert_eq!(data["groups"][0]["entries"][0]["name"], "put/next");
        assert_eq!(data["groups"][0]["entries"][0]["rounds"][1]["value"], 20.0);
    }
}
