//! What was counted, and what was found wrong: of a scene, of a minute, of the whole.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

/// What is counted, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Count {
    Scenes,
    Incarnations,
    Sessions,
    Published,
    Delivered,
    Missed,
    Again,
    Resumes,
    Reconnects,
    Evictions,
    ProducersKilled,
    ConsumersKilled,
    BadPeersKilled,
    Restarts,
    Vanished,
    Stops,
    Leaves,
    Completed,
    Failed,
    Attacks,
    Quiets,
}

impl Count {
    const ALL: [(Self, &'static str, &'static str); 21] = [
        (Self::Scenes, "scenes", "streams begun and ended"),
        (Self::Incarnations, "incarnations", "times one was published"),
        (Self::Sessions, "sessions", "consumers' sessions with elements"),
        (Self::Published, "published", "elements put"),
        (Self::Delivered, "delivered", "elements delivered, each checked"),
        (
            Self::Missed,
            "missed",
            "counted exactly in gaps, by lossy consumers",
        ),
        (
            Self::Again,
            "again",
            "delivered again to a successor, as promised",
        ),
        (Self::Resumes, "resumes", "successors that went on"),
        (
            Self::Reconnects,
            "reconnects",
            "sources that went on with the next producer",
        ),
        (Self::Evictions, "evictions", "consumers waited for too long"),
        (Self::ProducersKilled, "producers_killed", "kill -9"),
        (Self::ConsumersKilled, "consumers_killed", "kill -9"),
        (Self::BadPeersKilled, "bad_peers_killed", "kill -9"),
        (
            Self::Restarts,
            "restarts",
            "times all of a stream's processes were killed at once",
        ),
        (Self::Vanished, "vanished", "producers that exited without a word"),
        (Self::Stops, "stops", "SIGSTOP, then SIGCONT"),
        (Self::Leaves, "leaves", "consumers that cancelled or left"),
        (Self::Completed, "completed", "streams completed"),
        (Self::Failed, "failed", "streams failed or dropped"),
        (
            Self::Attacks,
            "attacks",
            "of bad peers: silence, nonsense, floods, wrong types",
        ),
        (
            Self::Quiets,
            "quiets",
            "times everybody at work was waited for to get on",
        ),
    ];
}

/// The classes of what may be wrong, each of which must be 0.
pub(crate) const CLASSES: [&str; 6] = ["lost", "duplicated", "torn", "leaked", "hung", "wrong"];

/// Counts and faults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    counts: BTreeMap<Count, u64>,
    /// Each begins with its class.
    pub(crate) faults: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, what: Count, count: u64) {
        *self.counts.entry(what).or_default() += count;
    }

    pub(crate) fn get(&self, what: Count) -> u64 {
        self.counts.get(&what).copied().unwrap_or(0)
    }

    pub(crate) fn fault(&mut self, class: &str, text: impl fmt::Display) {
        self.faults.push(format!("{class} {text}"));
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (what, count) in other.counts {
            self.add(what, count);
        }
        self.faults.extend(other.faults);
    }

    pub(crate) fn kills(&self) -> u64 {
        [
            Count::ProducersKilled,
            Count::ConsumersKilled,
            Count::BadPeersKilled,
        ]
        .iter()
        .map(|what| self.get(*what))
        .sum()
    }

    /// How many faults of a class there are; what is of none counts as wrong.
    pub(crate) fn faults_of(&self, class: &str) -> usize {
        let of = |fault: &str| {
            let word = fault.split(' ').next().unwrap_or_default();
            CLASSES
                .into_iter()
                .find(|class| *class == word)
                .unwrap_or("wrong")
        };
        self.faults.iter().filter(|fault| of(fault) == class).count()
    }

    pub(crate) fn verdict(&self) -> String {
        let words = CLASSES.map(|class| format!("{class} {}", self.faults_of(class)));
        words.join(", ")
    }

    pub(crate) fn json(&self) -> Value {
        let mut all = serde_json::Map::new();
        for (what, name, _) in Count::ALL {
            all.insert(name.into(), self.get(what).into());
        }
        for class in CLASSES {
            all.insert(class.into(), self.faults_of(class).into());
        }
        all.insert("faults".into(), json!(self.faults));
        Value::Object(all)
    }
}

/// The table, as Markdown, so that it can be kept.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| What | Count | |")?;
        writeln!(f, "|---|---:|---|")?;
        for (what, name, meaning) in Count::ALL {
            let name = name.replace('_', " ");
            writeln!(f, "| {name} | {} | {meaning} |", grouped(self.get(what)))?;
        }
        for class in CLASSES {
            writeln!(f, "| **{class}** | **{}** | |", self.faults_of(class))?;
        }
        Ok(())
    }
}

/// 1234567 as 1,234,567.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_counts_in_its_class_and_everything_else_as_wrong() {
        let mut tally = Tally::default();
        tally.fault("lost", "one");
        tally.fault("nonsense", "other");
        assert_eq!(
            tally.verdict(),
            "lost 1, duplicated 0, torn 0, leaked 0, hung 0, wrong 1"
        );
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(12), "12");
    }
}
