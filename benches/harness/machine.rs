//! What the figures were measured on.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::pinning;

/// Prints machine, kernel, compiler, pinning and fences; the same as JSON.
pub(crate) fn describe() -> Value {
    let lines = [
        ("processor", format!("{}, {} usable", processor(), cores())),
        (
            "kernel",
            first_line("/proc/sys/kernel/osrelease").unwrap_or_else(unknown),
        ),
        ("governor", governor()),
        ("compiler", compiler()),
        (
            "profile",
            if cfg!(debug_assertions) {
                "debug: FIGURES MEAN NOTHING"
            } else {
                "optimised"
            }
            .into(),
        ),
        ("pinning", pinning::describe()),
        ("fence, one process", fence_within()),
        ("fence, between processes", fence_between()),
    ];
    for (name, value) in &lines {
        println!("{name:26}{value}");
    }
    lines
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn unknown() -> String {
    "unknown".into()
}

fn first_line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.lines().next()?.trim().to_owned())
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        info.lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| Some(line.split_once(':')?.1.trim()))
    };
    let name = field("model name").map_or_else(unknown, str::to_owned);
    match (field("cpu family"), field("model\t")) {
        (Some(family), Some(model)) => format!("{name} (family {family}, model {model})"),
        _ => name,
    }
}

fn cores() -> String {
    std::thread::available_parallelism().map_or_else(|_| unknown(), |cores| cores.to_string())
}

fn governor() -> String {
    first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
        .unwrap_or_else(|| "not readable".into())
}

fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(rustc).arg("--version").output().ok();
    said.and_then(|said| String::from_utf8(said.stdout).ok())
        .map_or_else(unknown, |said| said.trim().to_owned())
}

fn fence_within() -> String {
    millstream::channel::<u64>()
        .build()
        .map_or_else(|error| error.to_string(), |(sink, _)| sink.fence().to_string())
}

fn fence_between() -> String {
    let Ok(dir) = tempfile::tempdir() else {
        return unknown();
    };
    let sink = millstream::publish::<u64>("fence")
        .directory(dir.path().join("run"))
        .open();
    sink.map_or_else(|error| error.to_string(), |sink| sink.fence().to_string())
}
