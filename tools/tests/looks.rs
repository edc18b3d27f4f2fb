//! `list`, `describe`, and what is refused.

#![allow(missing_docs, unreachable_pub, reason = "a test")]

mod common;

use common::Place;
use serde_json::{Value, json};

#[test]
fn a_stream_is_listed_and_described() {
    let place = Place::new();
    let file = place.file("fx.csv", "1,2\n3,4\n5,6\n");
    let publisher = place.start(&[
        "pub",
        "fx",
        "--csv",
        &file,
        "--no-header",
        "--schema",
        "ts:i64,bid:f64",
        "--max-demand",
        "9",
    ]);
    let seen = place.await_described("fx", |seen| seen["state"] == "completed");
    assert_eq!(seen["name"], "fx");
    assert_eq!(
        seen["position"],
        json!({"published": 3, "granted": null, "released": null})
    );
    assert_eq!(
        (&seen["buffered"], &seen["in_flight"], &seen["demand"]),
        (&json!(3), &json!(0), &json!(0))
    );
    assert_eq!(
        (&seen["buffer_size"], &seen["max_demand"]),
        (&json!(16), &json!(9))
    );
    assert_eq!(seen["producer"]["pid"], publisher.id());
    assert_eq!(
        (&seen["consumer"], &seen["durable"]),
        (&Value::Null, &json!(false))
    );
    assert_eq!(seen["epoch"].as_str().unwrap().len(), 16);
    assert!(seen["memory"].as_u64().unwrap() > 4096);
    let kind = &seen["type"];
    assert_eq!(
        (&kind["kind"], &kind["name"], &kind["size"]),
        (&json!("elements"), &json!("fx"), &json!(16))
    );
    assert_eq!(
        kind["fields"][1],
        json!({"name": "bid", "offset": 8, "type": "f64"})
    );

    let listed: Value = serde_json::from_slice(&place.run(&["list", "--format", "json"]).stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["name"], "fx");
    assert_eq!(listed[0]["epoch"], seen["epoch"]);

    let table = place.run(&["list"]);
    let rows: Vec<Vec<&str>> = table
        .code(0)
        .text()
        .lines()
        .map(|row| row.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0][..3], ["NAME", "PRODUCER", "CONSUMER"]);
    assert_eq!(
        rows[1],
        ["fx", &publisher.id().to_string(), "-", "3", "3", "0", "fx"]
    );

    let text = place.run(&["describe", "fx"]);
    let text = text.code(0).text();
    assert!(text.contains("buffered     3 of 16\n"), "{text}");
    assert!(text.contains("consumer     none\n"), "{text}");
    assert!(text.contains("durable      no\n"), "{text}");
    assert!(text.contains("fx { ts: i64 @0, bid: f64 @8 }"), "{text}");

    place.run(&["sub", "fx", "--initial-demand", "9"]).code(0);
    publisher.wait().code(0);
}

#[test]
fn a_stream_for_several_is_described_and_taken_from_where_one_likes() {
    let place = Place::new();
    let mut sink = millstream::publish::<u64>("many")
        .consumers(8)
        .on_no_consumer(millstream::OnNoConsumer::Drop)
        .history(10)
        .directory(place.run_dir())
        .open()
        .unwrap();
    for element in 0..20 {
        sink.put(element).unwrap();
    }
    let seen = place.await_described("many", |_| true);
    assert_eq!(
        (&seen["consumers"], &seen["most_consumers"], &seen["consumer"]),
        (&json!(0), &json!(8), &Value::Null)
    );
    assert_eq!((&seen["buffered"], &seen["in_flight"]), (&json!(0), &json!(0)));
    let takers: Vec<_> = ["18", "oldest"]
        .into_iter()
        .map(|from| place.start(&["sub", "many", "--from", from]))
        .collect();
    place.await_described("many", |seen| {
        seen["consumers"] == 2 && seen["position"]["released"] == 20 && seen["in_flight"] == 0
    });
    let text = place.run(&["describe", "many"]);
    let text = text.code(0).text();
    assert!(text.contains("consumers    2 of at most 8\n"), "{text}");
    assert!(text.contains("slowest      process "), "{text}");
    let listed = place.run(&["list"]);
    assert!(listed.code(0).text().contains(" 2 of 8 "), "{}", listed.text());
    place
        .run(&["sub", "many", "--from", "1000"])
        .code(1)
        .says("does not hold position 1000");
    sink.complete_and_drain(std::time::Instant::now() + std::time::Duration::from_secs(20))
        .unwrap();
    let taken: Vec<String> = takers
        .into_iter()
        .map(|taker| taker.wait().code(0).text().to_owned())
        .collect();
    assert!(
        taken[0].ends_with("18\n19\n") && !taken[0].contains("17"),
        "{}",
        taken[0]
    );
    assert!(
        taken[1].contains("\n10\n11\n") && taken[1].ends_with("19\n"),
        "{}",
        taken[1]
    );
}

#[test]
fn a_consumer_is_described() {
    let place = Place::new();
    let (publisher, input) = place.start_fed(&["pub", "lines"], b"1\n");
    let taker = place.start(&["sub", "lines", "--resume", "book", "--initial-demand", "4"]);
    let seen = place.await_described("lines", |seen| seen["position"]["released"] == 1);
    assert_eq!(seen["type"], json!({"kind": "frames", "max_frame": 65536}));
    assert_eq!(
        (&seen["position"]["granted"], &seen["demand"]),
        (&json!(5), &json!(4))
    );
    let consumer = &seen["consumer"];
    assert_eq!(consumer["pid"], taker.id());
    assert_eq!(
        (&consumer["connected"], &consumer["closed"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(
        (&consumer["subscription"], &consumer["window"]),
        (&json!("book"), &json!(4))
    );
    let text = place.run(&["describe", "lines"]);
    assert!(
        text.code(0).text().contains("subscription book (resumable)"),
        "{}",
        text.text()
    );
    drop(input);
    assert_eq!(taker.wait().code(0).text(), "1\n");
    publisher.wait().code(0);
}

#[test]
fn there_is_nothing() {
    let place = Place::new();
    assert_eq!(place.run(&["list"]).code(0).text().lines().count(), 1);
    assert_eq!(place.run(&["list", "--format", "json"]).code(0).text(), "[]\n");
    place
        .run(&["describe", "nobody"])
        .code(1)
        .says("millstream: nobody publishes \"nobody\"")
        .says(": start the producer\n");
    place
        .run(&["sub", "nobody", "--wait", "0"])
        .code(1)
        .says("millstream: nobody publishes \"nobody\"")
        .says("or give it time with `--wait`\n");
    place
        .run(&["sub", "nobody", "--wait", "0.01"])
        .code(1)
        .says("the deadline passed");
    place
        .run(&["pub", "lines", "--buffer-size", "0"])
        .code(1)
        .says("give a size with `--buffer-size`\n");
    place
        .run(&["pub", "lines", "--max-frame", "99999999999"])
        .code(1)
        .says("lower `--max-frame`\n");
}

#[test]
fn the_directory_is_what_the_option_says() {
    let place = Place::new();
    let elsewhere = place.file("unused", "") + ".run";
    let file = place.file("lines", "1\n");
    let publisher = place.start(&["--directory", &elsewhere, "pub", "lines", &file]);
    assert_eq!(
        place
            .run(&["sub", "lines", "--directory", &elsewhere])
            .code(0)
            .text(),
        "1\n"
    );
    publisher.wait().code(0);
    assert!(!place.run_dir().exists());
}

#[test]
fn a_name_is_taken_once() {
    let place = Place::new();
    let file = place.file("lines", "1\n");
    let publisher = place.start(&["pub", "lines", &file]);
    place.await_described("lines", |_| true);
    let second = place.run(&["pub", "lines", &file]);
    second
        .code(1)
        .says(&format!("published already by process {}", publisher.id()));
    place.run(&["sub", "lines"]).code(0);
    publisher.wait().code(0);
}

#[test]
fn wrong_usage() {
    let place = Place::new();
    let csv = place.file("a.csv", "a,b\n1,2\n");
    for (schema, message) in [
        ("a:i64,b", "\"b\" is not a field"),
        ("a:i64,a:i64", "a"),
        ("a:usize", "usize"),
        ("a:u32,b:f64", "padding"),
        ("a:u8[2]", "a cell holds one number"),
        ("", "nothing to carry"),
    ] {
        place
            .run(&["pub", "x", "--csv", &csv, "--schema", schema])
            .code(2)
            .says("--schema")
            .says(message);
    }
    for line in [
        &["pub", "x", "--csv", &csv][..],
        &["pub", "x", "--schema", "a:u8"],
        &["pub", "x", &csv, "--csv", &csv, "--schema", "a:u8"],
        &["pub", "x", &csv, "--rate", "0"],
        &["sub", "x", "--idle", "-1"],
        &["sub", "x", "--follow", "--idle", "1"],
        &["sub", "x", "-n", "0"],
        &["sub"],
        &["fetch", "x"],
        &[],
    ] {
        assert_eq!(place.run(line).status.code(), Some(2), "{line:?}");
    }
    place
        .run(&["pub", "x", "/no/such/file"])
        .code(1)
        .says("opening /no/such/file");
    place
        .run(&["pub", "../x", &csv])
        .code(1)
        .says("the name \"../x\"");
    assert!(place.run(&["--help"]).code(0).text().contains("130 interrupted"));
}
