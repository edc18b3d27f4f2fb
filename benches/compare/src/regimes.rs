//! Whether a flow has a second regime: the same measured again and again, and the slowest run beside the fastest.

use crate::catalogue::Group;
use crate::contender::Standing;
use crate::harness::options::Extent;
use crate::measured::Measured;
use crate::outcome::{Measure, Outcome};
use crate::rounds::Conductor;
use crate::table::short;

const RUNS: usize = 20;
/// The slowest run is to reach this share of the fastest.
pub(crate) const WITHIN: f64 = 0.75;

/// Runs each of them many times, and tells of each when it is through.
pub(crate) fn run(conductor: &mut Conductor, groups: Vec<Group>, extent: Extent) -> Vec<Outcome> {
    let runs = runs(extent);
    println!("\n{runs} runs of each, those on separate cores; * is not within 25 %");
    let mut outcomes = Vec::new();
    for group in groups {
        let mut outcome = Outcome::new(group);
        for _ in 0..runs {
            conductor.round(&mut outcome);
        }
        tell(&outcome);
        outcomes.push(outcome);
    }
    if extent != Extent::Test {
        let ours = || outcomes.iter().flat_map(kept);
        let met = ours().filter(|kept| *kept).count();
        println!("\nOurs: {met} met, {} missed", ours().count() - met);
    }
    outcomes
}

/// Runs of each.
pub(crate) fn runs(extent: Extent) -> usize {
    if extent == Extent::Test { 1 } else { RUNS }
}

/// The slowest run over the fastest of those that count, if there are any.
pub(crate) fn ratio(outcome: &Outcome, place: usize) -> Option<f64> {
    let (slowest, fastest) = outcome.extremes(place);
    outcome.has_counted(place).then_some(slowest / fastest)
}

/// Of each of ours that has runs that count, whether they are of one regime.
fn kept(outcome: &Outcome) -> Vec<bool> {
    let ours = outcome.group.places(|entry| entry.standing == Standing::Ours);
    let ratios = ours.into_iter().filter_map(|place| ratio(outcome, place));
    ratios.map(|ratio| ratio >= WITHIN).collect()
}

fn tell(outcome: &Outcome) {
    println!(
        "\n{:58}{:>10}{:>10}{:>10}{:>10}",
        outcome.group.name, "fastest", "median", "slowest", "ratio"
    );
    for (place, entry) in outcome.group.entries.iter().enumerate() {
        let Some(ratio) = ratio(outcome, place) else {
            println!("  {:56}  no run counts", entry.name);
            continue;
        };
        let (slowest, fastest) = outcome.extremes(place);
        let counted = outcome.values[place].iter().flatten();
        println!(
            "  {:56}{:>10}{:>10}{:>10}{ratio:>10.2}{}  of {}",
            entry.name,
            short(fastest),
            short(outcome.median(place, Measure::Value)),
            short(slowest),
            if ratio >= WITHIN { ' ' } else { '*' },
            counted.filter(|one| Measured::counts(one)).count()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::outcome;

    #[test]
    fn the_slowest_run_that_counts_stands_over_the_fastest() {
        let outcome = outcome(&[
            ("put/next", &[10.0, 8.0, -1.0]),
            ("put/drain", &[10.0, 7.0]),
            ("claim/peek", &[-10.0]),
        ]);
        let place = |name| outcome.group.place(name).expect("it is there");
        assert_eq!(ratio(&outcome, place("put/next")), Some(0.8));
        assert_eq!(ratio(&outcome, place("claim/peek")), None);
        assert_eq!(kept(&outcome), [true, false]);
    }
}
