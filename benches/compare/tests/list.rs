//! What the command does when asked for its groups.

use std::io;
use std::process::{Command, Stdio};

#[test]
fn who_reads_no_further_is_no_error() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_millstream-compare"))
        .arg("--list")
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && error.is_empty(),
        "{}: {error}",
        output.status
    );
}
