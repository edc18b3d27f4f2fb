//! What is compared with what.

use crate::contender::{Contender, Job, Pace, Setting, Standing, Task, Way};
use crate::rivals;

/// Sizes of elements in one process, in bytes.
pub(crate) const SIZES: [usize; 5] = [8, 56, 64, 256, 1024];
/// Capacities in one process, in elements.
pub(crate) const CAPACITIES: [usize; 2] = [1024, 64];
/// Sizes of small elements between processes.
pub(crate) const APART: [usize; 3] = [8, 64, 1024];
/// Sizes of round trips between processes.
pub(crate) const TRIPS_APART: [usize; 5] = [8, 56, 64, 1024, LARGE];
/// A large element, and how many of them a ring holds.
pub(crate) const LARGE: usize = 65536;
const FEW: usize = 16;

/// Before the name of what runs in one process beside groups of two.
pub(crate) const ONE_PROCESS: &str = "one process: ";

/// One contender's way in a group.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) standing: Standing,
    pub(crate) batch: bool,
    /// In one process, in a group of two: what ours and others are compared with, and not in the running.
    pub(crate) aside: bool,
    /// All but the count.
    pub(crate) job: Job,
}

/// A comparison within a group: some of ours with some of the rivals.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) name: String,
    /// Places of entries; the best of ours is compared.
    pub(crate) ours: Vec<usize>,
    pub(crate) rivals: Vec<usize>,
}

/// Entries that are measured one after the other in each round.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) task: Task,
    pub(crate) setting: Setting,
    pub(crate) entries: Vec<Entry>,
    pub(crate) cells: Vec<Cell>,
}

const RATE: &str = "million elements/s";
const TIMES: &str = "round trips/us";

/// 8 B, 64 KiB.
pub(crate) fn size(bytes: usize) -> String {
    if bytes >= 4096 {
        format!("{} KiB", bytes / 1024)
    } else {
        format!("{bytes} B")
    }
}

/// The name of a group of flows in one process.
pub(crate) fn flow(bytes: usize, capacity: usize) -> String {
    format!("flow, one process, {}, capacity {capacity}", size(bytes))
}

/// The name of a group of flows between processes.
pub(crate) fn apart(bytes: usize) -> String {
    format!("flow, two processes, {}", size(bytes))
}

/// The name of the group of large elements of which next to nothing is touched.
pub(crate) fn untouched() -> String {
    format!("flow, two processes, {}, not touched", size(LARGE))
}

/// The name of a group of round trips.
pub(crate) fn trip(setting: Setting, bytes: usize) -> String {
    format!("round trip, {setting}, {}", size(bytes))
}

/// The name of a group of consumers that sleep.
pub(crate) fn wake(setting: Setting) -> String {
    format!("waking a parked consumer, {setting}")
}

/// All groups.
pub(crate) fn groups() -> Vec<Group> {
    let mut groups = Vec::new();
    for bytes in SIZES {
        for capacity in CAPACITIES {
            let task = Task::Flow { bytes, capacity };
            groups.push(Group::new(flow(bytes, capacity), RATE, Setting::Within, task));
        }
    }
    for bytes in APART {
        let task = Task::Flow {
            bytes,
            capacity: 1024,
        };
        groups.push(Group::new(apart(bytes), RATE, Setting::Between, task));
    }
    let (bytes, capacity) = (LARGE, FEW);
    let task = Task::Flow { bytes, capacity };
    groups.push(Group::new(apart(bytes), RATE, Setting::Between, task));
    let task = Task::Untouched { bytes, capacity };
    groups.push(Group::new(untouched(), RATE, Setting::Between, task));
    for bytes in SIZES {
        let task = Task::Trip { bytes };
        groups.push(Group::new(
            trip(Setting::Within, bytes),
            TIMES,
            Setting::Within,
            task,
        ));
    }
    for bytes in TRIPS_APART {
        let task = Task::Trip { bytes };
        groups.push(Group::new(
            trip(Setting::Between, bytes),
            TIMES,
            Setting::Between,
            task,
        ));
    }
    for setting in [Setting::Within, Setting::Between] {
        groups.push(Group::new(wake(setting), TIMES, setting, Task::Wake));
    }
    groups
}

/// All groups of flows that are measured again and again, to see whether they have a second regime.
pub(crate) fn regimes() -> Vec<Group> {
    let mut groups = Vec::new();
    for setting in [Setting::Within, Setting::Between] {
        for (bytes, capacity) in SIZES
            .into_iter()
            .flat_map(|bytes| CAPACITIES.map(|capacity| (bytes, capacity)))
        {
            for pace in [Pace::Slow, Pace::Equal, Pace::Fast] {
                let size = size(bytes);
                let name = format!("regimes, {setting}, {size}, capacity {capacity}, {pace} consumer");
                let task = Task::Regime {
                    bytes,
                    capacity,
                    pace,
                };
                groups.push(Group::new(name, RATE, setting, task));
            }
        }
    }
    groups
}

impl Group {
    /// Everybody who can do the task.
    pub(crate) fn new(name: String, unit: &'static str, setting: Setting, task: Task) -> Self {
        let mut entries = Vec::new();
        for (contender, who) in rivals::all().iter().enumerate() {
            for (way, means) in who.ways(setting, task).iter().enumerate() {
                entries.push(Entry::new(
                    *who,
                    means,
                    Job::of(contender, way, setting, task),
                    false,
                ));
            }
        }
        if setting == Setting::Between && !matches!(task, Task::Regime { .. }) {
            // The same in one process: ours, and what promises between processes refer to.
            for (contender, who) in rivals::all().iter().enumerate() {
                for (way, means) in who.ways(Setting::Within, task).iter().enumerate() {
                    let small =
                        matches!(task, Task::Trip { bytes } | Task::Flow { bytes, .. } if bytes <= 1024);
                    let trip = matches!(task, Task::Trip { .. });
                    let reference =
                        small && (who.standing() == Standing::Limit || trip && means.name == "rtrb");
                    let large_trip = matches!(task, Task::Trip { bytes } if bytes > 1024);
                    if (who.standing() == Standing::Ours && !large_trip) || reference {
                        let job = Job::of(contender, way, Setting::Within, task);
                        entries.push(Entry::new(*who, means, job, true));
                    }
                }
            }
        }
        let cells = cells(&name, setting, task, &entries);
        Self {
            name,
            unit,
            task,
            setting,
            entries,
            cells,
        }
    }

    /// The place of an entry.
    #[cfg(test)]
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.name == name)
    }

    /// The places of the entries that a rule takes.
    pub(crate) fn places(&self, rule: impl Fn(&Entry) -> bool) -> Vec<usize> {
        places(&self.entries, rule)
    }
}

impl Entry {
    fn new(who: &dyn Contender, way: &Way, job: Job, aside: bool) -> Self {
        let name = if aside {
            format!("{ONE_PROCESS}{}", way.name)
        } else {
            way.name.to_owned()
        };
        Self {
            name,
            standing: who.standing(),
            batch: way.batch,
            aside,
            job,
        }
    }

    /// Whether it is ours and in the running.
    pub(crate) fn is_ours(&self) -> bool {
        self.standing == Standing::Ours && !self.aside
    }

    /// Whether it is a rival in the running.
    pub(crate) fn is_rival(&self) -> bool {
        self.standing == Standing::Rival && !self.aside
    }
}

impl Job {
    fn of(contender: usize, way: usize, setting: Setting, task: Task) -> Self {
        Self {
            contender,
            way,
            setting,
            task,
            count: 0,
        }
    }
}

fn places(entries: &[Entry], rule: impl Fn(&Entry) -> bool) -> Vec<usize> {
    let taken = entries.iter().enumerate().filter(|(_, entry)| rule(entry));
    taken.map(|(place, _)| place).collect()
}

fn cells(group: &str, setting: Setting, task: Task, entries: &[Entry]) -> Vec<Cell> {
    let cell = |name: &str, ours: &dyn Fn(&Entry) -> bool, rivals: &dyn Fn(&Entry) -> bool| Cell {
        name: if name.is_empty() {
            group.to_owned()
        } else {
            format!("{group}: {name}")
        },
        ours: places(entries, |entry| entry.is_ours() && ours(entry)),
        rivals: places(entries, |entry| entry.is_rival() && rivals(entry)),
    };
    let all = |_: &Entry| true;
    let small = matches!(task, Task::Flow { bytes, .. } if bytes < LARGE);
    match setting {
        Setting::Within if small => vec![
            cell("put/next", &|entry| entry.name == "put/next", &all),
            cell("put/drain", &|entry| entry.name == "put/drain", &all),
            cell("batches", &|entry| entry.batch, &all),
        ],
        Setting::Between if small => vec![
            cell("one by one", &|entry| !entry.batch, &|entry| !entry.batch),
            cell("batches", &|entry| entry.batch, &all),
        ],
        _ => vec![cell("", &all, &all)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_ours_and_rivals() {
        for group in groups() {
            for cell in &group.cells {
                assert!(!cell.ours.is_empty(), "{} has none of ours", cell.name);
                let alone = group.name == wake(Setting::Between);
                assert!(alone || !cell.rivals.is_empty(), "{} has no rivals", cell.name);
            }
        }
    }

    #[test]
    fn names_are_unique_in_a_group() {
        for group in groups() {
            for (place, entry) in group.entries.iter().enumerate() {
                assert_eq!(
                    group.place(&entry.name),
                    Some(place),
                    "{} in {}",
                    entry.name,
                    group.name
                );
            }
        }
    }
}
