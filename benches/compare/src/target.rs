//! What is promised of ours against the others, and whether it was kept in this run.

use crate::catalogue::{
    APART, CAPACITIES, Entry, LARGE, ONE_PROCESS, TRIPS_APART, apart, flow, trip, untouched, wake,
};
use crate::contender::{Setting, Standing};
use crate::outcome::{Measure, Outcome};

/// With what ours is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Against {
    /// The best of those whose names begin so.
    Named(&'static str),
    /// The best batch of any rival.
    Batch,
    /// The best rival.
    Rival,
    /// The best limit.
    Limit,
    /// The same of ours in one process.
    OneProcess,
    /// Nobody: a figure as such.
    Nobody,
}

/// What the figure is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// A promise.
#[derive(Clone, Debug)]
struct Target {
    group: String,
    /// The names of ours; the best counts.
    ours: Vec<&'static str>,
    against: Against,
    measure: Measure,
    bound: Bound,
}

/// What came of a promise.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// What was promised.
    pub(crate) promise: String,
    /// The bound, in words.
    pub(crate) bound: String,
    /// What was measured, if it was.
    pub(crate) measured: Option<f64>,
    /// Whether it was kept; none if it was not measured.
    pub(crate) met: Option<bool>,
    /// Where the best limit stands that does the same by hand.
    pub(crate) limit: Option<f64>,
    /// Whether the limit would not have kept it either.
    pub(crate) is_refused: bool,
}

impl Bound {
    fn is_met(self, measured: f64) -> bool {
        match self {
            Self::AtLeast(least) => measured >= least,
            Self::AtMost(most) => measured <= most,
        }
    }

    fn describe(self) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {least}"),
            Self::AtMost(most) => format!("<= {most}"),
        }
    }
}

const MEDIAN: Measure = Measure::At(0.5);
const TAIL: Measure = Measure::At(0.99);
const PUTS: [&str; 2] = ["put/next", "put/drain"];
const BATCHES: [&str; 3] = ["put_slice/drain", "claim/peek", "claim/peek copied"];
const PUSH: &str = "rtrb push/pop";

fn targets() -> Vec<Target> {
    use Against::{Batch, Limit, Named, Nobody, OneProcess, Rival};
    use Bound::{AtLeast, AtMost};

    let mut targets = Vec::new();
    let mut add = |group: String, ours: &[&'static str], against, measure, bound| {
        let ours = ours.to_vec();
        targets.push(Target {
            group,
            ours,
            against,
            measure,
            bound,
        });
    };
    let value = Measure::Value;
    for (bytes, push, batch) in [(8, [2.0, 2.5], [1.1, 1.25]), (56, [4.0, 3.5], [1.3, 1.3])] {
        for (at, capacity) in CAPACITIES.into_iter().enumerate() {
            add(
                flow(bytes, capacity),
                &["put/drain"],
                Named(PUSH),
                value,
                AtLeast(push[at]),
            );
            add(
                flow(bytes, capacity),
                &["put/drain"],
                Batch,
                value,
                AtLeast(batch[at]),
            );
        }
    }
    for (bytes, push) in [(8, [0.9, 2.5]), (56, [3.5, 3.5])] {
        for (at, capacity) in CAPACITIES.into_iter().enumerate() {
            add(
                flow(bytes, capacity),
                &["put/next"],
                Named(PUSH),
                value,
                AtLeast(push[at]),
            );
        }
    }
    for bytes in [64, 256, 1024] {
        for capacity in CAPACITIES {
            add(flow(bytes, capacity), &PUTS, Batch, value, AtLeast(1.0));
        }
    }
    for bytes in [8, 56, 64, 256, 1024] {
        for capacity in CAPACITIES {
            add(flow(bytes, capacity), &BATCHES[..2], Batch, value, AtLeast(1.0));
        }
    }
    for setting in [Setting::Within, Setting::Between] {
        for bytes in [8, 56] {
            let ours = &["millstream"];
            add(trip(setting, bytes), ours, Limit, MEDIAN, AtMost(1.05));
            add(trip(setting, bytes), ours, Limit, TAIL, AtMost(1.15));
            add(trip(setting, bytes), ours, Named("rtrb"), MEDIAN, AtMost(0.75));
        }
        for (bytes, most) in [(64, 0.9), (1024, 1.0)] {
            add(trip(setting, bytes), &["millstream"], Rival, MEDIAN, AtMost(most));
        }
    }
    add(apart(8), &PUTS, Named("Aeron, 1 an offer"), value, AtLeast(5.0));
    add(apart(8), &PUTS, Named("iceoryx2"), value, AtLeast(100.0));
    add(apart(8), &BATCHES, Named("Aeron, 64"), value, AtLeast(15.0));
    add(apart(64), &BATCHES, Named("Aeron, 64"), value, AtLeast(4.0));
    add(apart(64), &BATCHES, Named("iceoryx2"), value, AtLeast(65.0));
    let large = ["claim/peek", "frames put/next copied", "frames claim/drain"];
    add(apart(LARGE), &large, Named("iceoryx2"), value, AtLeast(2.0));
    add(untouched(), &["claim/peek"], Nobody, value, AtLeast(15.0));
    for bytes in APART {
        for way in PUTS.iter().chain(&BATCHES[..2]) {
            add(apart(bytes), &[way], OneProcess, value, AtLeast(0.9));
        }
    }
    for way in ["claim/peek", "frames claim/drain"] {
        add(apart(LARGE), &[way], OneProcess, value, AtLeast(0.9));
    }
    for bytes in TRIPS_APART.into_iter().filter(|bytes| *bytes < LARGE) {
        add(
            trip(Setting::Between, bytes),
            &["millstream"],
            OneProcess,
            MEDIAN,
            AtMost(1.1),
        );
    }
    add(
        trip(Setting::Between, 8),
        &["millstream"],
        Named("Aeron"),
        MEDIAN,
        AtMost(1.0),
    );
    add(
        trip(Setting::Between, 8),
        &["millstream"],
        Named("iceoryx2"),
        MEDIAN,
        AtMost(0.25),
    );
    add(
        trip(Setting::Between, 8),
        &["millstream"],
        Named("Aeron"),
        TAIL,
        AtMost(0.2),
    );
    for setting in [Setting::Within, Setting::Between] {
        let ours = &["millstream, spins, then parks"];
        add(wake(setting), ours, Limit, MEDIAN, AtMost(1.05));
    }
    targets
}

/// The promises about the groups that were measured.
pub(crate) fn verdicts(outcomes: &[Outcome]) -> Vec<Verdict> {
    let judged = targets().into_iter().filter_map(|target| {
        let outcome = outcomes
            .iter()
            .find(|outcome| outcome.group.name == target.group)?;
        Some(judge(outcome, &target))
    });
    judged.collect()
}

fn judge(outcome: &Outcome, target: &Target) -> Verdict {
    let group = &outcome.group;
    let ours = group.places(|entry| entry.is_ours() && target.ours.contains(&entry.name.as_str()));
    let ours = outcome.best(&ours);
    let own = ours.map_or("", |ours| &group.entries[ours].name);
    let same = format!("{ONE_PROCESS}{own}");
    let is_named = |entry: &Entry, name: &str| {
        let name_of = entry.name.strip_prefix(ONE_PROCESS).unwrap_or(&entry.name);
        name_of.starts_with(name) && entry.standing == Standing::Rival
    };
    let bases = group.places(|entry| match target.against {
        Against::Named(name) => is_named(entry, name),
        Against::Batch => entry.is_rival() && entry.batch,
        Against::Rival => entry.is_rival(),
        Against::Limit => entry.standing == Standing::Limit,
        Against::OneProcess => entry.name == same,
        Against::Nobody => false,
    });
    let base = outcome.best(&bases);
    let measured = match target.against {
        Against::Nobody => ours
            .filter(|ours| outcome.has_counted(*ours))
            .map(|ours| outcome.median(ours, target.measure)),
        _ => ours
            .zip(base)
            .and_then(|(ours, base)| outcome.ratio(ours, base, target.measure)),
    };
    let is_batch = ours.is_some_and(|ours| group.entries[ours].batch);
    let by_hand = |place: usize| {
        let entry = &group.entries[place];
        entry.standing == Standing::Limit && (is_batch || !entry.batch) && Some(place) != base
    };
    let limits: Vec<_> = (0..group.entries.len()).filter(|place| by_hand(*place)).collect();
    let limit = outcome
        .best(&limits)
        .zip(base)
        .and_then(|(limit, base)| outcome.ratio(limit, base, target.measure));
    let met = measured.map(|measured| target.bound.is_met(measured));
    let unit = match target.against {
        Against::Nobody => group.unit.to_owned(),
        Against::Named(name) => format!("x {}", base.map_or(name, |base| &group.entries[base].name)),
        _ => format!(
            "x {}",
            base.map_or("what was not measured", |base| &group.entries[base].name)
        ),
    };
    let at = match target.measure {
        Measure::Value => String::new(),
        Measure::At(share) => format!("p{} ", share * 100.0),
    };
    let own = if own.is_empty() {
        target.ours.join(" or ")
    } else {
        own.to_owned()
    };
    Verdict {
        promise: format!("{}: {own}", group.name),
        bound: format!("{at}{} {unit}", target.bound.describe()),
        measured,
        met,
        limit,
        is_refused: met == Some(false) && limit.is_some_and(|limit| !target.bound.is_met(limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::groups;
    use crate::outcome::tests::outcome;

    #[test]
    fn every_target_is_about_a_group_and_entries_that_exist() {
        let groups = groups();
        for target in targets() {
            let group = groups.iter().find(|group| group.name == target.group);
            let group = group.unwrap_or_else(|| panic!("there is no group {}", target.group));
            let ours = group.places(|entry| target.ours.contains(&entry.name.as_str()));
            assert!(!ours.is_empty(), "{} has none of {:?}", target.group, target.ours);
        }
    }

    #[test]
    fn a_promise_is_refused_that_the_limit_does_not_keep() {
        let verdicts = |limit: f64| {
            let figures = [
                ("put/drain", &[15.0][..]),
                ("limit: bare lines put/drain", &[limit]),
                ("rtrb push/pop", &[10.0]),
            ];
            let all = verdicts(&[outcome(&figures)]);
            let of_ours = |verdict: &Verdict| verdict.promise.ends_with("put/drain") && verdict.met.is_some();
            all.into_iter().find(of_ours).unwrap()
        };
        let slow = verdicts(16.0);
        assert_eq!(
            (slow.met, slow.limit, slow.is_refused),
            (Some(false), Some(1.6), true)
        );
        assert!(!verdicts(30.0).is_refused, "the limit keeps it");
    }

    #[test]
    fn a_promise_is_kept_missed_or_not_measured() {
        let verdicts = verdicts(&[outcome(&[
            ("put/drain", &[22.0]),
            ("put/next", &[8.0]),
            ("rtrb push/pop", &[10.0]),
        ])]);
        let find = |own: &str, against: &str| {
            let found = verdicts
                .iter()
                .find(|verdict| verdict.promise.ends_with(own) && verdict.bound.ends_with(against));
            found
                .unwrap_or_else(|| panic!("{own} against {against} in {verdicts:?}"))
                .clone()
        };
        let kept = find("put/drain", "rtrb push/pop");
        assert_eq!((kept.measured, kept.met), (Some(2.2), Some(true)));
        assert_eq!(find("put/next", "rtrb push/pop").met, Some(false));
        assert_eq!(find("put/drain", "what was not measured").met, None);
    }
}
