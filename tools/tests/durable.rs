//! Streams in a file: published, taken later, verified.

#![allow(missing_docs, unreachable_pub, reason = "a test")]

mod common;

use std::fs;
use std::os::unix::fs::FileExt;

use common::Place;
use serde_json::{Value, json};

/// A place with lines in a stream's file, and the file's path.
fn published(options: &[&str]) -> (Place, String) {
    let place = Place::new();
    let lines = place.file("lines", "one\ntwo\nthree\n");
    let path = place.file("orders", "");
    fs::remove_file(&path).unwrap();
    let line = [&["pub", "orders", &lines, "--durable", &path], options].concat();
    place.run(&line).code(0);
    (place, path)
}

fn write(path: &str, offset: u64, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

fn findings(place: &Place, path: &str, code: i32) -> Value {
    let outcome = place.run(&["verify", path, "--format", "json"]);
    serde_json::from_str(outcome.code(code).text()).unwrap()
}

#[test]
fn what_one_command_left_in_a_file_the_next_goes_on_with() {
    let (place, path) = published(&[]);
    let found = findings(&place, &path, 0);
    assert_eq!(
        (&found["whole"], &found["errors"], &found["synced"]),
        (&json!(true), &json!([]), &Value::Null)
    );
    let stream = &found["stream"];
    assert_eq!(
        (&stream["published"], &stream["released"], &stream["in_use"]),
        (&json!(3), &json!(0), &json!(false))
    );
    assert_eq!(stream["type"], json!({"kind": "frames", "max_frame": 65536}));

    let more = place.file("more", "four\n");
    let publisher = place.start(&["pub", "orders", &more, "--durable", &path, "--linger", "forever"]);
    place
        .run(&["sub", "orders"])
        .code(1)
        .says("keeps its consumer's position under a name");
    let taken = place.run(&["sub", "orders", "--resume", "book", "-n", "2"]);
    assert_eq!(taken.code(0).text(), "one\ntwo\n");
    let taken = place.run(&["sub", "orders", "--resume", "book"]);
    assert_eq!(taken.code(0).text(), "three\nfour\n");
    publisher.wait().code(0);
    let text = place.run(&["verify", &path]);
    let text = text.code(0).text();
    for line in [
        "whole        yes\n",
        "published    4\n",
        "released     4\n",
        "consumer     book\n",
        "synced       never\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
}

#[test]
fn after_a_restart_of_the_machine_it_says_what_to_do_and_that_helps() {
    let (place, path) = published(&["--sync"]);
    let found = findings(&place, &path, 0);
    assert_eq!(
        (&found["synced"]["published"], &found["synced"]["epoch"]),
        (&json!(3), &found["stream"]["epoch"])
    );
    // Another boot wrote it.
    write(&path, 2944, &[7; 16]);
    let found = findings(&place, &path, 1);
    assert_eq!(found["stream"]["other_boot"], true);
    assert!(found["advice"].as_str().unwrap().contains("--recover-synced"));
    let more = place.file("more", "four\n");
    let line = ["pub", "orders", &more, "--durable", &path];
    place.run(&line).code(1).says("recover_synced");
    place.run(&[&line[..], &["--recover-synced"]].concat()).code(0);
    assert_eq!(findings(&place, &path, 0)["stream"]["published"], 4);
}

#[test]
fn what_is_damaged_is_named_with_the_exit_code_1() {
    let (place, path) = published(&["--sync"]);
    let whole = fs::read(&path).unwrap();
    write(&path, 90, &[0xff]);
    let found = findings(&place, &path, 1);
    assert_eq!((&found["whole"], &found["stream"]), (&json!(false), &Value::Null));
    assert_eq!(found["synced"]["published"], 3, "what could be gone back to");
    let text = place.run(&["verify", &path]);
    text.code(1).says("is damaged");
    assert!(text.text().contains("whole        no\n"), "{}", text.text());
    write(&path, 0, &whole[..256]);
    let snapshot = format!("{path}.synced");
    let byte = fs::read(&snapshot).unwrap()[300];
    write(&snapshot, 300, &[byte ^ 1]);
    place
        .run(&["verify", &path])
        .code(1)
        .says("checksum of the snapshot");
    fs::remove_file(&snapshot).unwrap();
    findings(&place, &path, 0);
    let nowhere = format!("{path}.nowhere");
    place.run(&["verify", &nowhere]).code(1).says("there is no file");
    place.run(&["verify"]).code(2);
}
