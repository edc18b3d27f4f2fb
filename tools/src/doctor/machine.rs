//! The processors, as far as they say how well a thread that waits for another is served.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustix::thread::{CpuSet, sched_getaffinity};

use super::check::Check;

const CPUS: &str = "/sys/devices/system/cpu";

pub(crate) fn checks() -> Vec<Check> {
    vec![
        cores(),
        isolated(),
        siblings(),
        governor(Path::new(CPUS)),
        clock(),
        Check::ok(
            "kernel",
            rustix::system::uname().release().to_string_lossy().into_owned(),
        ),
    ]
}

/// What a file of the system says, in one line.
fn said(path: impl AsRef<Path>) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

fn cores() -> Check {
    let usable = sched_getaffinity(None).map_or(0, |set| {
        (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).count()
    });
    let online = said(format!("{CPUS}/online")).unwrap_or_else(|| "?".into());
    let found = format!("{usable} usable, online {online}");
    match usable {
        0 => Check::note("cores", "the system does not tell", "look at `nproc`"),
        1 => Check::note(
            "cores",
            found,
            "on one core a producer and a consumer take turns: let them park (the default), never busy-spin; or allow \
             more by `taskset` or the cpuset of the container",
        ),
        _ => Check::ok("cores", found),
    }
}

fn isolated() -> Check {
    match said(format!("{CPUS}/isolated")) {
        Some(cores) if !cores.is_empty() => Check::ok("isolated", format!("cores {cores}")),
        Some(_) => Check::note(
            "isolated",
            "none",
            "for steady latency boot with isolcpus=CORES nohz_full=CORES and pin the two sides there; not needed otherwise",
        ),
        None => Check::note(
            "isolated",
            "the system does not tell",
            "look at /proc/cmdline for isolcpus",
        ),
    }
}

fn siblings() -> Check {
    match said(format!("{CPUS}/smt/active")).as_deref() {
        Some("1") => Check::note(
            "smt",
            "active: two threads share a core",
            "pin the two sides to different cores (thread_siblings_list in /sys/devices/system/cpu/cpu*/topology tells \
             which threads share one), or switch SMT off: echo off > /sys/devices/system/cpu/smt/control",
        ),
        Some("0") => Check::ok("smt", "off, or there is none"),
        _ => Check::ok("smt", "the system does not tell"),
    }
}

fn governor(cpus: &Path) -> Check {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(cpus).into_iter().flatten().flatten() {
        found.extend(said(entry.path().join("cpufreq/scaling_governor")));
    }
    let names = found.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    match found.len() {
        0 => Check::ok(
            "governor",
            "none: the frequency is not this system's to set (a virtual machine?)",
        ),
        1 if found.contains("performance") => Check::ok("governor", names),
        _ => Check::note(
            "governor",
            names,
            "cores that slow down when they idle answer late: cpupower frequency-set -g performance",
        ),
    }
}

fn clock() -> Check {
    match said("/sys/devices/system/clocksource/clocksource0/current_clocksource") {
        Some(source) if matches!(source.as_str(), "hpet" | "acpi_pm" | "jiffies") => Check::note(
            "clock source",
            source,
            "reading the clock is a system call here, of a microsecond or more, which deadlines and idle timeouts pay \
             for: boot with clocksource=tsc if the processor's is reliable",
        ),
        Some(source) => Check::ok("clock source", source),
        None => Check::ok("clock source", "the system does not tell"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn a_governor_that_saves_power_is_noted() {
        let cpus = tempfile::tempdir().unwrap();
        assert_eq!(governor(cpus.path()).state, State::Ok);
        for (core, name) in [("cpu0", "performance\n"), ("cpu1", "powersave\n")] {
            let dir = cpus.path().join(core).join("cpufreq");
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("scaling_governor"), name).unwrap();
        }
        let check = governor(cpus.path());
        assert_eq!(
            (check.state, check.found.as_str()),
            (State::Note, "performance, powersave")
        );
        assert!(check.advice.unwrap().contains("cpupower"));
    }
}
