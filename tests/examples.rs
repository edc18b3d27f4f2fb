//! What the examples print that are to print the same in every run.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

/// The output in the guide of casty's streams, word for word.
const GUIDE: &str = "\
── Pushing 5 prices into producer ──
── Consuming via async for (initial_demand=2) ──
  #1 AAPL: $142.50
  #2 AAPL: $143.10
  #3 AAPL: $141.80
  #4 AAPL: $144.20
  #5 AAPL: $145.00
── Stream complete: 5 prices received ──

── Early break: take 5 from 20 ──
  Took: [0, 1, 2, 3, 4]
  Stream cancelled — producer stopped via StreamCancel
";

#[test]
fn the_guide_by_one_process() {
    assert_eq!(run("guide", &[]), GUIDE);
}

#[test]
fn the_guide_by_two_processes() {
    assert_eq!(run("guide", &["--two"]), GUIDE);
}

#[test]
fn three_producers_and_one_reader() {
    let output = run("two_systems", &[]);
    let (alerts, summary) = output.split_at(output.find("── All").expect("a summary"));
    assert_eq!(
        summary,
        "── All 3 producers have ended ──
  AAPL: 100000 quotes read, 5 alerts sent and received
  MSFT: 100000 quotes read, 5 alerts sent and received
  NVDA: 100000 quotes read, 5 alerts sent and received
"
    );
    // Three processes print these, so only the order of each one's is certain.
    let of = |symbol| alerts.lines().filter(|line| line.starts_with(symbol)).count();
    assert_eq!(["  AAPL", "  MSFT", "  NVDA"].map(of), [5, 5, 5]);
    assert_eq!(
        alerts.lines().find(|line| line.starts_with("  MSFT")),
        Some("  MSFT jumped from 143.50 to 142.50 (quote 9158)")
    );
}

#[test]
fn streamx_s_example_by_one_process_and_by_many() {
    let output = run("broadcast", &[]);
    let (one, rest) = output.split_at(output.find("── A process").expect("a second part"));
    let alternating: String = (0..5)
        .map(|i| format!("Producing: {i}\nConsuming: {i}\n"))
        .collect();
    assert_eq!(one, format!("── One process ──\n{alternating}"));
    let (many, last) = rest.split_at(rest.find("── A million").expect("a third part"));
    // Three processes print these. Nobody gets ahead: a value is consumed by both before the next one is.
    let consumed: Vec<char> = many
        .lines()
        .filter(|line| line.starts_with("Consuming"))
        .filter_map(|line| line.chars().last())
        .collect();
    assert!(
        consumed
            .iter()
            .eq("0011223344".chars().collect::<Vec<_>>().iter()),
        "{many}"
    );
    for who in ["Producing: ", "Consuming (first): ", "Consuming (second): "] {
        let theirs: Vec<_> = many.lines().filter_map(|line| line.strip_prefix(who)).collect();
        assert_eq!(theirs, ["0", "1", "2", "3", "4"], "{who}");
    }
    assert_eq!(
        last.lines().nth(1),
        Some("  the other three have checked 1000000 quotes each")
    );
}

/// Its figures are of the moment; the order feed wants a file of the exchange's.
#[test]
fn a_price_feed() {
    let output = run("price_feed", &[]);
    for line in [
        "── Stream complete: 5 prices received ──",
        "  Took: [0, 1, 2, 3, 4]",
        "  all of them arrived, in order and unchanged",
    ] {
        assert!(
            output.lines().any(|printed| printed == line),
            "{line:?} in:\n{output}"
        );
    }
}

/// What an example prints. Cargo builds it, so that it is there and of now, whichever tests were asked for; and as it builds it for the
/// README's test command, for which nothing is built anew then.
fn run(example: &str, args: &[&str]) -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "build",
            "--quiet",
            "--workspace",
            "--exclude",
            "millstream-compare",
            "--all-features",
        ])
        .args(["--example", example, "--target-dir"])
        .arg(target);
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        cargo.arg("--release");
        "release"
    };
    output(&mut cargo);
    output(Command::new(target.join(profile).join("examples").join(example)).args(args))
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{complaints}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}
