//! The table at the end.

use std::time::Duration;

use crate::fault::{Fault, Kind};
use crate::operation::Operation;
use crate::scene::Played;

/// What became of the points of one operation.
pub(crate) struct Row {
    name: &'static str,
    /// Points that the operation has.
    pub(crate) points: u64,
    kills: u64,
    heirs: u64,
    faults: [u64; Kind::ALL.len()],
    heard: Duration,
    opened: Duration,
}

impl Row {
    pub(crate) fn new(operation: &Operation) -> Self {
        Self {
            name: operation.name,
            points: 0,
            kills: 0,
            heirs: 0,
            faults: [0; Kind::ALL.len()],
            heard: Duration::ZERO,
            opened: Duration::ZERO,
        }
    }

    pub(crate) fn add(&mut self, played: &Result<Played, Fault>) {
        self.kills += 1;
        match played {
            Ok(played) => {
                self.heirs += 1;
                self.heard = self.heard.max(played.heard.unwrap_or_default());
                self.opened = self.opened.max(played.opened);
            }
            Err(fault) => self.faults[fault.kind as usize - 1] += 1,
        }
    }

    pub(crate) fn faults(&self) -> u64 {
        self.faults.iter().sum()
    }

    fn join(&mut self, other: &Self) {
        self.points += other.points;
        self.kills += other.kills;
        self.heirs += other.heirs;
        for (sum, more) in self.faults.iter_mut().zip(other.faults) {
            *sum += more;
        }
        self.heard = self.heard.max(other.heard);
        self.opened = self.opened.max(other.opened);
    }

    fn print(&self) {
        print!(
            "{:<18} {:>7} {:>7} {:>7}",
            self.name, self.points, self.kills, self.heirs
        );
        for count in self.faults {
            print!(" {count:>6}");
        }
        println!(
            " {:>9.1} {:>9.1}",
            self.heard.as_secs_f64() * 1e3,
            self.opened.as_secs_f64() * 1e3
        );
    }
}

/// Prints all rows and their sum; how many faults there were.
pub(crate) fn print(rows: &[Row]) -> u64 {
    let mut all = Row {
        name: "all",
        points: 0,
        kills: 0,
        heirs: 0,
        faults: [0; Kind::ALL.len()],
        heard: Duration::ZERO,
        opened: Duration::ZERO,
    };
    println!(
        "{:<18} {:>7} {:>7} {:>7} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>9} {:>9}",
        "operation",
        "points",
        "kills",
        "heirs",
        "lost",
        "dupl.",
        "torn",
        "hung",
        "leaked",
        "other",
        "told, ms",
        "next, ms"
    );
    for row in rows {
        row.print();
        all.join(row);
    }
    all.print();
    let faults = all.faults.iter().sum();
    println!(
        "{} kills at {} points of {} operations, {} successors checked: lost {}, duplicated {}, torn {}, hung {}, leaked {}, other {}; \
         told of the death after {:.1} ms at most, the name in use again after {:.1} ms at most",
        all.kills,
        all.points,
        rows.len(),
        all.heirs,
        all.faults[0],
        all.faults[1],
        all.faults[2],
        all.faults[3],
        all.faults[4],
        all.faults[5],
        all.heard.as_secs_f64() * 1e3,
        all.opened.as_secs_f64() * 1e3
    );
    faults
}
