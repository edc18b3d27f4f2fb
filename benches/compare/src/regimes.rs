//! Whether a flow has a second regime: the same measured again and again, and the slowest run beside the fastest.

use std::process::ExitCode;

use crate::catalogue::{CAPACITIES, Group, SIZES, size};
use crate::command::Command;
use crate::contender::{Pace, Setting, Standing, Task};
use crate::harness::options::Extent;
use crate::harness::statistic::{extremes, median};
use crate::measured::Measured;
use crate::rounds::Conductor;
use crate::table::short;

const RUNS: usize = 20;
/// The slowest run is to reach this share of the fastest.
const WITHIN: f64 = 0.75;

/// Runs each flow in one process many times.
pub(crate) fn run(conductor: &mut Conductor, command: &Command) -> ExitCode {
    let runs = if command.extent() == Extent::Test { 1 } else { RUNS };
    println!("\n{runs} runs of each, those on separate cores; * is not within 25 %");
    let (mut met, mut missed) = (0, 0);
    for bytes in SIZES {
        for capacity in CAPACITIES {
            for pace in [Pace::Slow, Pace::Equal, Pace::Fast] {
                let consumer = match pace {
                    Pace::Slow => "slow",
                    Pace::Equal => "equal",
                    Pace::Fast => "fast",
                };
                let name = format!("{}, capacity {capacity}, {consumer} consumer", size(bytes));
                let task = Task::Regime {
                    bytes,
                    capacity,
                    pace,
                };
                let group = Group::new(name, "million elements/s", Setting::Within, task);
                if !group.name.contains(&command.filter) {
                    continue;
                }
                println!(
                    "\n{:38}{:>10}{:>10}{:>10}{:>10}",
                    group.name, "fastest", "median", "slowest", "ratio"
                );
                let mut values = vec![Vec::new(); group.entries.len()];
                for _ in 0..runs {
                    for (entry, values) in group.entries.iter().zip(&mut values) {
                        let (measured, _) = conductor.measure(&group.name, entry);
                        values.extend(measured.filter(Measured::counts).map(|one| one.value));
                    }
                }
                for (entry, values) in group.entries.iter().zip(&values) {
                    let (slowest, fastest) = extremes(values);
                    let ratio = slowest / fastest;
                    let kept = ratio >= WITHIN;
                    if entry.standing == Standing::Ours && !values.is_empty() {
                        met += usize::from(kept);
                        missed += usize::from(!kept);
                    }
                    println!(
                        "  {:36}{:>10}{:>10}{:>10}{ratio:>10.2}{}  of {}",
                        entry.name,
                        short(fastest),
                        short(median(values)),
                        short(slowest),
                        if kept { ' ' } else { '*' },
                        values.len()
                    );
                }
            }
        }
    }
    println!("\nOurs: {met} met, {missed} missed");
    crate::table::end(conductor);
    conductor.code()
}
