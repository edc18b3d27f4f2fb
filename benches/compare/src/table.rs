//! What is printed.

use std::io::{self, Write};

use crate::catalogue::Group;
use crate::command::Command;
use crate::contender::Standing;
use crate::harness::options::Extent;
use crate::harness::probe;
use crate::harness::statistic::{extremes, median};
use crate::measured::NAMED;
use crate::outcome::{Measure, Outcome};
use crate::rounds::Conductor;
use crate::target::Verdict;

/// The rest of the heading, after the machine.
pub(crate) fn begin(command: &Command, bounces: Vec<f64>) {
    let (least, most) = extremes(&bounces);
    let near = if probe::is_shared(median(&bounces)) {
        " (SHARED CORE)"
    } else {
        ""
    };
    println!(
        "{:26}{least:.0} to {most:.0} ns there and back{near}",
        "a line between the cores"
    );
    let note = match command.extent() {
        Extent::Full => "",
        Extent::Quick => " (quick: a look, not a figure)",
        Extent::Test => " (test: FIGURES MEAN NOTHING)",
    };
    println!("{:26}{}{note}", "rounds", command.rounds());
}

/// The groups, and who is in them.
pub(crate) fn list(groups: &[Group], to: &mut impl Write) -> io::Result<()> {
    for group in groups {
        writeln!(to, "{}", group.name)?;
        for entry in &group.entries {
            writeln!(to, "  {:34}{}", entry.name, standing(entry.standing))?;
        }
    }
    to.flush()
}

/// A group: each entry's median, extremes, percentiles, and ratio to the best rival.
pub(crate) fn outcome(outcome: &Outcome) {
    println!("\n{}", outcome.group.name);
    let bounces = outcome.bounces();
    let (least, most) = extremes(&bounces);
    let (calm, rough) = extremes(&outcome.others);
    let repeated = outcome.repeated;
    let measured = outcome.values.iter().flatten().count();
    println!(
        "  a line bounced in {least:.0} to {most:.0} ns; others took {:.0} to {:.0} % of the machine, and a core away during \
         {} of {measured} figures; {repeated} taken again",
        calm * 100.0,
        rough * 100.0,
        outcome.preempted()
    );
    let timed = outcome
        .values
        .iter()
        .flatten()
        .flatten()
        .any(|one| !one.quantiles.is_empty());
    print!("  {:36}{:>10}{:>19}", outcome.group.unit, "median", "min..max");
    if timed {
        for (name, _) in NAMED {
            print!("{:>9}", format!("{name} ns"));
        }
    }
    let rivals = outcome.group.places(|entry| entry.is_rival());
    let best = outcome.best(&rivals);
    println!("   counted  to the best rival");
    for (place, entry) in outcome.group.entries.iter().enumerate() {
        let (least, most) = outcome.extremes(place);
        let figure = short(outcome.median(place, Measure::Value));
        let shared = if outcome.has_counted(place) { ' ' } else { '*' };
        let range = format!("{}..{}", short(least), short(most));
        print!("  {:36}{figure:>10}{shared}{range:>18}", entry.name);
        if timed {
            for (_, share) in NAMED {
                print!("{:>9.0}", outcome.median(place, Measure::At(share)));
            }
        }
        let counted = outcome.values[place]
            .iter()
            .flatten()
            .filter(|one| one.counts())
            .count();
        let ratio = best.and_then(|best| outcome.ratio(place, best, Measure::Value));
        let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let leads = if best == Some(place) {
            " (the best rival)"
        } else {
            ""
        };
        println!("{counted:>7}/{}  {ratio}{leads}", outcome.values[place].len());
    }
    if !(0..outcome.values.len()).all(|place| outcome.has_counted(place)) {
        println!("  * on a shared core: not a figure, and without ratios");
    }
}

/// Every cell: ours against the best rival.
pub(crate) fn cells(outcomes: &[Outcome]) {
    println!("\nOurs to the best rival, the median of the ratios of rounds in which both count");
    for outcome in outcomes {
        for cell in &outcome.group.cells {
            let (ours, rival, ratio) = outcome.compare(cell);
            let name =
                |place: Option<usize>| place.map_or("none", |place| &outcome.group.entries[place].name);
            let ratio = ratio.map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}"));
            println!("  {:52}{ratio:>8}   {} to {}", cell.name, name(ours), name(rival));
        }
    }
}

/// Every promise, and what came of it.
pub(crate) fn verdicts(verdicts: &[Verdict]) {
    println!("\nPromises: measured, and where the limit stands");
    for verdict in verdicts {
        let measured = verdict
            .measured
            .map_or_else(|| "-".into(), |measured| format!("{measured:.2}"));
        let limit = verdict
            .limit
            .map_or_else(|| "-".into(), |limit| format!("{limit:.2}"));
        let met = match verdict.met {
            Some(true) => "met",
            Some(false) if verdict.is_refused => "MISSED, by the limit too",
            Some(false) => "MISSED",
            None => "not measured",
        };
        println!(
            "  {:71} {:46}{measured:>8}{limit:>8}  {met}",
            verdict.promise, verdict.bound
        );
    }
    let count = |met| verdicts.iter().filter(|verdict| verdict.met == met).count();
    println!(
        "  {} met, {} missed ({} of them by the limit too), {} not measured; that no run is slow: --regimes",
        count(Some(true)),
        count(Some(false)),
        verdicts.iter().filter(|verdict| verdict.is_refused).count(),
        count(None)
    );
}

/// How long it took, and what failed.
pub(crate) fn end(conductor: &Conductor) {
    let (processes, time, waited) = conductor.effort();
    let [time, waited] = [time, waited].map(|span| span.as_secs_f64());
    println!(
        "\n{processes} processes measured in {time:.0} s, of which {waited:.0} s were waiting for separate cores"
    );
    for failure in conductor.failures() {
        println!("FAILED {failure}");
    }
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Ours => "ours",
        Standing::Rival => "rival",
        Standing::Limit => "limit",
    }
}

/// Three significant digits or more.
pub(crate) fn short(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
