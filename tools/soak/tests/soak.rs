//! A few seconds of the soak, on streams of every kind.

use std::process::Command;

use serde_json::Value;

fn soak(dir: &std::path::Path, arguments: &[&str]) -> Value {
    let json = dir.join("counts.json");
    let status = Command::new(env!("CARGO_BIN_EXE_soak"))
        .args(arguments)
        .arg("--json")
        .arg(&json)
        .arg("--dir")
        .arg(dir.join("soak"))
        .status()
        .unwrap();
    let counts: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert!(status.success(), "{counts:#}");
    counts
}

#[test]
fn five_seconds_of_kills_lose_duplicate_tear_and_leak_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let counts = soak(dir.path(), &["--minutes", "0.0834", "--processes", "8"]);
    let count = |what: &str| counts[what].as_u64().unwrap();
    assert!(count("kills") > 0 && count("delivered") > 0 && count("scenes") > 0);
    for class in ["lost", "duplicated", "torn", "leaked", "hung", "wrong"] {
        assert_eq!(count(class), 0, "{counts:#}");
    }
}

#[test]
fn a_directory_with_something_in_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine"), "mine").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_soak"))
        .arg("--dir")
        .arg(dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(why.contains("give an empty directory"), "{why}");
}
