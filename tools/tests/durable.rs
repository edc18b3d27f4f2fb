//! Streams in a file: published, taken later, verified.

#![allow(missing_docs, unreachable_pub, reason = "a test")]

mod common;

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::process::Command;

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
    let line = ["pub", "orders", &more, "--durable", &path];
    place
        .run(&[&line[..], &["--buffer-size", "100"]].concat())
        .code(1)
        .says("was made with --buffer-size 16, and 100 is asked for: say --buffer-size 16, or");
    let publisher = place.start(&[&line[..], &["--linger", "forever"]].concat());
    place.await_described("orders", |seen| seen["durable"] == true);
    let text = place.run(&["describe", "orders"]);
    assert!(
        text.code(0).text().contains("durable      yes\n"),
        "{}",
        text.text()
    );
    place
        .run(&["sub", "orders"])
        .code(1)
        .says("keeps its consumer's position under a name: say one with `--resume`");
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
    let refused = place.run(&line);
    refused.code(1).says("with `--recover-synced`");
    assert!(!refused.stderr.contains("recover_synced"), "{}", refused.stderr);
    place.run(&[&line[..], &["--recover-synced"]].concat()).code(0);
    assert_eq!(findings(&place, &path, 0)["stream"]["published"], 4);
}

#[test]
fn it_advises_to_go_back_only_where_that_can_be_done() {
    let (place, path) = published(&["--sync"]);
    let whole = fs::read(&path).unwrap();
    let more = place.file("more", "four\n");
    let line = ["pub", "orders", &more, "--durable", &path, "--recover-synced"];
    let advice = |words: &str| {
        let found = findings(&place, &path, 1);
        let advice = found["advice"].as_str().unwrap().to_owned();
        assert!(advice.contains(words), "{advice}");
        let error = found["errors"][0].as_str().unwrap();
        assert!(!error.contains("delete") && !error.contains("publish"), "{error}");
        found["synced"]["recovery"].as_str().unwrap().to_owned()
    };
    // Of this boot: whatever is the matter with it, a producer refuses it.
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(
        advice("only when the machine has been restarted"),
        "after a restart"
    );
    place.run(&line).code(1).says("it was truncated");
    fs::write(&path, &whole[..2000]).unwrap();
    assert!(advice("cannot go back to it: the stream's own file is too short").starts_with("never"));
    place.run(&line).code(1).says("it was truncated");
    fs::write(&path, &whole).unwrap();
    let (position, aside) = (format!("{path}.position"), format!("{path}.aside"));
    fs::rename(&position, &aside).unwrap();
    assert_eq!(
        advice("only when the machine has been restarted"),
        "after a restart"
    );
    fs::rename(&aside, &position).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(advice("cannot go back to it: the stream's own file is missing").starts_with("never"));
    place.run(&line).code(1).says("is there and the stream is not");
    // Of another boot: it is gone back from, damaged as it is.
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    write(&path, 2944, &[7; 16]);
    assert_eq!(
        advice("goes back to position 3: what was published after that is lost"),
        "now"
    );
    place.run(&line).code(0);
    assert_eq!(findings(&place, &path, 0)["stream"]["published"], 4);
    assert!(fs::exists(format!("{path}.before-recovery")).unwrap());
}

#[test]
fn what_is_no_stream_is_called_what_it_is() {
    let (place, path) = published(&["--sync"]);
    let said = |path: &str, words: &str, advice: Option<&str>| {
        let found = findings(&place, path, 1);
        let error = found["errors"][0].as_str().unwrap();
        assert!(error.contains(words), "{words:?} is not in {found}");
        assert!(!error.contains("chmod") && !error.contains("remove"), "{error}");
        match advice {
            None => assert_eq!(found["advice"], Value::Null),
            Some(words) => assert!(found["advice"].as_str().unwrap().contains(words), "{found}"),
        }
    };
    let empty = place.file("empty", "");
    said(&empty, "it is empty", None);
    let text = place.file("text", "a letter to a friend");
    fs::set_permissions(&text, fs::Permissions::from_mode(0o644)).unwrap();
    said(&text, "is no stream of millstream: it begins with", None);
    for (suffix, what) in [
        ("position", "the position of the consumer of"),
        ("synced", "what was synced last of"),
    ] {
        let verify = format!("millstream verify {path}, ");
        said(&format!("{path}.{suffix}"), what, Some(&verify));
    }
    let folder = place.run_dir();
    said(folder.to_str().unwrap(), "is a directory", Some("pub --durable"));
    let link = place.run_dir().join("link");
    symlink(&path, &link).unwrap();
    let verify = format!("millstream verify {path}");
    said(link.to_str().unwrap(), "is a link", Some(&verify));
    let pipe = place.run_dir().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    said(pipe.to_str().unwrap(), "is a pipe", Some("pub --durable"));
    // A stream that others may write is one, and says what to do.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    place.run(&["verify", &path]).code(1).says("chmod 0600");
}

#[test]
fn what_is_damaged_is_named_with_the_exit_code_1() {
    let (place, path) = published(&["--sync"]);
    let whole = fs::read(&path).unwrap();
    write(&path, 90, &[0xff]);
    let found = findings(&place, &path, 1);
    assert_eq!((&found["whole"], &found["stream"]), (&json!(false), &Value::Null));
    assert_eq!(found["synced"]["recovery"], "after a restart");
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

#[test]
fn a_place_without_a_directory_is_told_once() {
    let (place, path) = published(&[]);
    let more = place.file("more", "four\n");
    let nowhere = format!("{path}-no/such");
    let outcome = place.run(&["pub", "orders", &more, "--durable", &nowhere]);
    outcome.code(1).says("no file can be made in the directory");
    assert_eq!(
        outcome.stderr.matches("os error 2").count(),
        1,
        "{}",
        outcome.stderr
    );
}
