//! A dozen points of every operation, by the program itself; `tools/prove/crash` has the others.

#![cfg(target_os = "linux")]

use std::process::Command;

/// Plays a sample of an operation, in which nothing is to be found wrong.
#[track_caller]
fn sample(operation: &str) {
    let run = Command::new(env!("CARGO_BIN_EXE_crash"))
        .args(["--only", operation, "--points", "4", "--seed", "7"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let complained = String::from_utf8_lossy(&run.stderr);
    print!("{said}");
    assert!(run.status.success(), "{said}{complained}");
    if said.starts_with("SKIPPED") {
        eprintln!("{said}");
        return;
    }
    let sum = said.lines().last().unwrap();
    assert!(
        sum.contains("lost 0, duplicated 0, torn 0, hung 0, leaked 0, other 0"),
        "{sum}"
    );
    let kills: u64 = sum.split(' ').next().unwrap().parse().unwrap();
    assert!(kills >= 3, "{sum}");
}

/// A test for each line of the program's own table; `every_operation_has_its_test` sees to it.
macro_rules! operations {
    ($($test:ident: $($name:literal),+;)*) => {
        const NAMES: &[&str] = &[$($($name),+),*];

        $(#[test]
        fn $test() {
            for name in [$($name),+] {
                sample(name);
            }
        })*
    };
}

operations! {
    a_producer_killed_in_a_put_tears_and_loses_nothing: "put-8", "put-56", "put-64", "put-1024", "put-full", "put-wakes", "frame";
    a_producer_killed_in_a_batch_has_put_all_of_it_or_nothing: "slice-8", "slice-64", "slice-late", "slice-1024", "claim", "frame-claim";
    a_producer_killed_in_ending_a_stream_has_ended_it_or_is_gone: "complete", "fail", "close";
    a_producer_of_several_killed_in_a_put_has_put_it_for_all_or_none: "broadcast-put", "rendezvous-put";
    a_producer_killed_in_an_eviction_loses_nothing_for_the_others: "broadcast-evict";
    a_consumer_killed_in_next_or_drain_is_resumed_without_a_gap: "next-8", "next-56", "next-64", "next-frame", "drain-8", "drain-56", "drain-64", "find-end";
    a_consumer_that_releases_each_is_resumed_at_the_one_in_work: "next-late";
    a_consumer_killed_in_leaving_frees_the_name: "cancel", "leave", "leave-stores", "drop";
    a_consumer_of_several_killed_anywhere_costs_the_others_nothing: "broadcast-next", "broadcast-lossy", "broadcast-cancel", "broadcast-join", "join-stores", "broadcast-leave";
    a_producer_killed_in_publishing_leaves_the_name_to_the_next: "open", "accept";
    a_consumer_killed_in_subscribing_leaves_the_stream_to_the_next: "subscribe", "subscribe-stores", "reconnect";
    a_producer_of_a_file_killed_in_a_put_is_followed_by_one_that_goes_on: "durable-put", "durable-slice", "durable-frame";
    a_producer_killed_in_opening_a_file_leaves_it_whole: "durable-open", "durable-reopen";
    a_consumer_of_a_file_killed_with_its_producer_is_resumed: "durable-next", "durable-subscribe";
    a_consumer_killed_in_a_commit_stands_at_one_commit_or_the_next: "commit", "durable-commit";
    a_consumer_killed_in_resuming_is_resumed_all_the_same: "resume", "resume-stores", "broadcast-resume";
    a_producer_of_a_file_killed_in_lending_its_position_leaves_it_whole: "durable-accept", "durable-lend";
}

#[test]
fn every_operation_has_its_test() {
    let list = Command::new(env!("CARGO_BIN_EXE_crash"))
        .arg("--names")
        .output()
        .unwrap();
    let said = String::from_utf8(list.stdout).unwrap();
    let mut operations: Vec<&str> = said.lines().collect();
    let mut tested = NAMES.to_vec();
    operations.sort_unstable();
    tested.sort_unstable();
    assert_eq!(operations, tested);
}

#[test]
fn one_point_can_be_repeated() {
    let again = Command::new(env!("CARGO_BIN_EXE_crash"))
        .args(["--only", "put-8", "--point", "40"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success(), "{said}");
    if said.starts_with("SKIPPED") {
        eprintln!("{said}");
        return;
    }
    assert!(said.lines().last().unwrap().starts_with("1 kills"), "{said}");
}

#[test]
fn an_unknown_operation_is_refused_by_name() {
    let run = Command::new(env!("CARGO_BIN_EXE_crash"))
        .args(["--only", "fly"])
        .output()
        .unwrap();
    let (said, complained) = (
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
    );
    assert!(!run.status.success() || said.starts_with("SKIPPED"), "{said}");
    if !run.status.success() {
        assert!(
            complained.contains("\"fly\"") && complained.contains("--list"),
            "{complained}"
        );
    }
}
