//! `pub` and `sub` against each other.

#![allow(missing_docs, unreachable_pub, reason = "a test")]

mod common;

use std::io::{BufRead, BufReader};

use common::{Place, Running};

#[test]
fn lines_round_trip() {
    let place = Place::new();
    let mut input = Vec::new();
    for number in 0..2_000 {
        input.extend_from_slice(format!("line {number}, \"quoted\"\n").as_bytes());
    }
    input.extend_from_slice(b"\n\r\nbytes \xff\x00\nno newline at the end");
    let file = place.file("input", &input);
    let publisher = place.start(&["pub", "lines", &file]);
    let taken = place.run(&["sub", "lines"]);
    publisher.wait().code(0);
    input.push(b'\n');
    assert!(taken.code(0).stdout == input);
    assert_eq!(taken.stderr, "");
    assert!(place.left().is_empty(), "{:?}", place.left());
}

/// Pasted into one shell, in an empty folder.
#[test]
fn the_readme_s_commands() {
    let place = Place::new();
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let mut blocks = readme
        .split("```sh\n")
        .filter_map(|text| text.split("```").next());
    let block = blocks.find(|block| block.contains("millstream pub")).unwrap();
    let outcome = place.shell(block);
    let text = outcome.code(0).text();
    for line in [
        "1\n2\n3\n",
        "{\"ts\":2,\"bid\":142.52,\"ask\":142.53}\n",
        "whole        yes\n",
        "held         100 elements",
        "98\n99\n100\n",
    ] {
        assert!(text.contains(line), "{line:?} in:\n{text}");
    }
}

#[test]
fn for_a_group_and_from_a_user() {
    use std::os::unix::fs::MetadataExt;
    let place = Place::new();
    let file = place.file("input", b"one\ntwo\n");
    let own = std::fs::metadata(&file).unwrap();
    let (user, group) = (own.uid().to_string(), own.gid().to_string());
    let publisher = place.start(&["pub", "lines", &file, "--group", &group]);
    place.await_seen(&["describe", "lines", "--from-user", &user], |_| true);
    let directory = std::fs::metadata(place.run_dir()).unwrap();
    assert_eq!((directory.mode() & 0o7777, directory.gid()), (0o750, own.gid()));
    for look in [&["list"][..], &["describe", "lines"]] {
        let seen = place.run(&[look, &["--from-user", &user]].concat());
        assert!(seen.code(0).text().contains("lines"), "{look:?}");
        let refused = place.run(&[look, &["--from-user", "4000000"]].concat());
        refused.code(1).says("4000000");
    }
    let refused = place.run(&["sub", "lines", "--from-user", "4000000", "--wait", "0"]);
    refused.code(1).says("4000000");
    let taken = place.run(&["sub", "lines", "--from-user", &user]);
    assert_eq!(taken.code(0).stdout, b"one\ntwo\n");
    publisher.wait().code(0);
}

#[test]
fn frames_as_json_csv_and_raw() {
    let place = Place::new();
    let file = place.file("input", b"a\"b\n\nx,y\n\xff\n");
    for (format, expected) in [
        ("json", &b"\"a\\\"b\"\n\"\"\n\"x,y\"\n{\"hex\":\"ff\"}\n"[..]),
        ("csv", b"frame\n\"a\"\"b\"\n\"\"\n\"x,y\"\n\xff\n"),
        ("raw", b"a\"bx,y\xff"),
    ] {
        let publisher = place.start(&["pub", "lines", &file]);
        let taken = place.run(&["sub", "lines", "--format", format]);
        publisher.wait().code(0);
        assert_eq!(taken.code(0).stdout, expected, "{format}");
    }
}

const QUOTES: &str = "time,bid,ask\n\
    2013-01-01 22:00:00.295000+00:00,86.655,86.728\n\
    2013-01-01T22:02:35.907000001Z,0.1,1e300\n\
    -9223372036854775808,-0.0,5e-324\n\
    \n\
    9223372036854775807,NaN,-inf\n";

#[test]
fn csv_round_trips_exactly() {
    let place = Place::new();
    let file = place.file("quotes.csv", QUOTES);
    let publish = [
        "pub",
        "fx",
        "--csv",
        &file,
        "--schema",
        "ts:i64,bid:f64,ask:f64",
        "--type",
        "Quote",
    ];
    let rows = "1357077600295000000,86.655,86.728\n1357077755907000001,0.1,1e300\n\
        -9223372036854775808,-0.0,5e-324\n9223372036854775807,NaN,-inf\n";

    let publisher = place.start(&publish);
    let taken = place.run(&["sub", "fx", "--format", "csv"]);
    publisher.wait().code(0);
    assert_eq!(taken.code(0).text(), format!("ts,bid,ask\n{rows}"));

    let publisher = place.start(&publish);
    let taken = place.run(&["sub", "fx", "--format", "json"]);
    publisher.wait().code(0);
    let lines: Vec<&str> = taken.code(0).text().lines().collect();
    assert_eq!(
        lines[0],
        r#"{"ts":1357077600295000000,"bid":86.655,"ask":86.728}"#
    );
    assert_eq!(lines[2], r#"{"ts":-9223372036854775808,"bid":-0.0,"ask":5e-324}"#);
    assert_eq!(lines[3], r#"{"ts":9223372036854775807,"bid":"NaN","ask":"-inf"}"#);
    let second: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(
        (second["bid"].as_f64(), second["ask"].as_f64()),
        (Some(0.1), Some(1e300))
    );

    // What was written is what can be published again.
    let again = place.file("again.csv", rows);
    let publisher = place.start(&[
        "pub",
        "fx",
        "--csv",
        &again,
        "--no-header",
        "--schema",
        "ts:i64,bid:f64,ask:f64",
    ]);
    let taken = place.run(&["sub", "fx", "--format", "csv"]);
    publisher.wait().code(0);
    assert_eq!(taken.code(0).text(), format!("ts,bid,ask\n{rows}"));

    let publisher = place.start(&publish);
    let taken = place.run(&["sub", "fx", "--format", "raw"]);
    publisher.wait().code(0);
    assert_eq!(taken.code(0).stdout.len(), 4 * 24);
    assert_eq!(taken.stdout[..8], 1_357_077_600_295_000_000_i64.to_ne_bytes());

    let publisher = place.start(&publish);
    let taken = place.run(&["sub", "fx", "-n", "1"]);
    publisher.wait();
    assert_eq!(
        taken.code(0).text(),
        "{ ts: 1357077600295000000, bid: 86.655, ask: 86.728 }\n"
    );
}

#[test]
fn a_bad_cell_fails_the_stream() {
    let place = Place::new();
    let file = place.file("bad.csv", "a,b\n1,2\n\n3,many\n5,6\n");
    let taker = place.start(&["sub", "bad", "--format", "csv"]);
    let publisher = place.run(&["pub", "bad", "--csv", &file, "--schema", "a:i64,b:f64"]);
    publisher
        .code(1)
        .says("bad.csv, line 4: column 'b': \"many\" is not a number of type f64");
    let taken = taker.wait();
    taken
        .code(1)
        .says("failed by the producer")
        .says("line 4: column 'b': \"many\"");
    assert_eq!(taken.text(), "a,b\n1,2.0\n");
    // With nobody there it does not wait for ever.
    place
        .run(&[
            "pub",
            "bad",
            "--csv",
            &file,
            "--schema",
            "a:i64,b:f64",
            "--linger",
            "0",
        ])
        .code(1);
    assert!(place.left().is_empty());
}

#[test]
fn a_line_too_long_fails_the_stream() {
    let place = Place::new();
    let file = place.file("long", "short\nmuch longer\n");
    let publisher = place.run(&["pub", "long", &file, "--max-frame", "5", "--linger", "0"]);
    publisher.code(1).says("line 2 is longer than the 5 bytes");
}

#[test]
fn counting_cancels_the_producer() {
    let place = Place::new();
    let (publisher, input) = place.start_fed(&["pub", "lines"], b"1\n2\n3\n4\n5\n");
    let taken = place.run(&["sub", "lines", "-n", "3"]);
    assert_eq!(taken.code(0).text(), "1\n2\n3\n");
    // It notices also while it waits for more input.
    publisher
        .wait()
        .code(1)
        .says("the stream is closed")
        .says("consumer");
    drop(input);
}

#[test]
fn head_ends_quietly() {
    let place = Place::new();
    let (publisher, input) = place.start_fed(&["pub", "lines"], b"1\n2\n3\n");
    let mut child = place
        .command(&["sub", "lines", "--idle", "forever"])
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "1\n");
    drop(reader);
    let taken = Running::of(child).wait();
    taken.code(0);
    assert_eq!(taken.stderr, "");
    publisher.wait().code(1).says("consumer");
    drop(input);
}

#[test]
fn an_empty_stream_completes() {
    let place = Place::new();
    let publisher = place.start(&["pub", "empty"]);
    let taken = place.run(&["sub", "empty"]);
    assert_eq!(taken.code(0).text(), "");
    publisher.wait().code(0);
}

#[test]
fn ctrl_c_of_the_producer_fails_the_stream() {
    let place = Place::new();
    let (publisher, input) = place.start_fed(&["pub", "lines"], b"1\n2\n");
    let taker = place.start(&["sub", "lines"]);
    place.await_described("lines", |seen| seen["position"]["released"] == 2);
    publisher.interrupt();
    publisher.wait().code(130).says("interrupted");
    let taken = taker.wait();
    taken.code(1).says("interrupted (code 130)");
    assert_eq!(taken.text(), "1\n2\n");
    assert!(place.left().is_empty(), "{:?}", place.left());
    drop(input);
}

#[test]
fn ctrl_c_while_nobody_takes() {
    let place = Place::new();
    let lines = "line\n".repeat(100);
    let file = place.file("lines", lines);
    // Blocked in the middle, and waiting at the end.
    for (buffer, position) in [("8", 8), ("100", 100)] {
        let publisher = place.start(&["pub", "lines", &file, "--buffer-size", buffer]);
        place.await_described("lines", |seen| seen["position"]["published"] == position);
        publisher.interrupt();
        publisher.wait().code(130).says("interrupted");
        assert!(place.left().is_empty(), "{:?}", place.left());
    }
}

#[test]
fn ctrl_c_of_the_consumer_cancels() {
    let place = Place::new();
    let (publisher, input) = place.start_fed(&["pub", "lines"], b"1\n");
    let taker = place.start(&["sub", "lines", "--follow"]);
    place.await_described("lines", |seen| seen["position"]["released"] == 1);
    taker.interrupt();
    let taken = taker.wait();
    assert_eq!(taken.code(130).text(), "1\n");
    publisher.wait().code(1).says("consumer");
    drop(input);
}

#[test]
fn nobody_takes_within_the_linger() {
    let place = Place::new();
    let file = place.file("lines", "1\n2\n");
    place
        .run(&["pub", "lines", &file, "--linger", "0"])
        .code(1)
        .says("2 elements are not released");
    place
        .run(&["pub", "lines", "--linger", "0"])
        .code(1)
        .says("no elements");
}

#[test]
fn nothing_comes_within_the_idle_time() {
    let place = Place::new();
    let (publisher, input) = place.start_fed(&["pub", "lines"], b"1\n");
    let taken = place.run(&["sub", "lines", "--idle", "0.01"]);
    assert_eq!(taken.code(1).text(), "1\n");
    taken.says("nothing came within the idle timeout");
    publisher.wait().code(1);
    drop(input);
}

#[test]
fn following_goes_from_producer_to_producer() {
    let place = Place::new();
    let one = place.file("one", "1\n2\n");
    let two = place.file("two.csv", "a\n3\n");
    let taker = place.start(&["sub", "lines", "--follow", "-n", "5", "--format", "csv"]);
    place.run(&["pub", "lines", &one]).code(0);
    place.run(&["pub", "lines", &one]).code(0);
    place
        .run(&["pub", "lines", "--csv", &two, "--schema", "a:u8"])
        .code(0);
    let taken = taker.wait();
    assert_eq!(taken.code(0).text(), "frame\n1\n2\n1\n2\na\n3\n");
    taken.says("completed by the producer; waiting for the next producer");
}

#[test]
fn following_survives_the_death_of_the_producer() {
    let place = Place::new();
    let file = place.file("more", "3\n");
    let (publisher, input) = place.start_fed(&["pub", "lines"], b"1\n2\n");
    let taker = place.start(&["sub", "lines", "--follow", "-n", "3"]);
    place.await_described("lines", |seen| seen["position"]["released"] == 2);
    publisher.kill();
    publisher.wait();
    place.run(&["pub", "lines", &file]).code(0);
    let taken = taker.wait();
    assert_eq!(taken.code(0).text(), "1\n2\n3\n");
    taken.says("the producer is gone; waiting for the next producer");
    assert!(place.left().is_empty(), "{:?}", place.left());
    drop(input);
}

#[test]
fn a_resumed_subscription_goes_on() {
    let place = Place::new();
    let file = place.file("lines", "1\n2\n3\n4\n5\n");
    let publisher = place.start(&["pub", "lines", &file]);
    let first = place.run(&["sub", "lines", "--resume", "book", "-n", "2"]);
    assert_eq!(first.code(0).text(), "1\n2\n");
    place.await_described("lines", |seen| seen["consumer"]["connected"] == false);
    place.run(&["sub", "lines"]).code(1).says("consumer already");
    let second = place.run(&["sub", "lines", "--resume", "book"]);
    assert_eq!(second.code(0).text(), "3\n4\n5\n");
    publisher.wait().code(0);
}

#[test]
fn a_rate_paces() {
    let place = Place::new();
    let file = place.file("lines", "1\n2\n3\n");
    let begun = std::time::Instant::now();
    let publisher = place.start(&["pub", "lines", &file, "--rate", "20"]);
    assert_eq!(place.run(&["sub", "lines"]).code(0).text(), "1\n2\n3\n");
    publisher.wait().code(0);
    // The third is due two intervals after the first.
    assert!(begun.elapsed() >= std::time::Duration::from_millis(100));
}
