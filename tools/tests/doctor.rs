//! `doctor`: what it finds of the machine and of the runtime directory, and what it removes.

#![allow(missing_docs, unreachable_pub, reason = "a test")]

mod common;

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

use common::{Outcome, Place, Running};
use serde_json::{Value, json};

/// A publisher with one element, which goes on as long as its input is open.
fn publisher(place: &Place, name: &str) -> (Running, ChildStdin) {
    let line = ["pub", name, "--csv", "-", "--no-header", "--schema", "v:u64"];
    let publisher = place.start_fed(&line, b"1\n");
    place.await_described(name, |seen| seen["position"]["published"] == 1);
    publisher
}

fn json_of(outcome: &Outcome) -> Value {
    serde_json::from_slice(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {}", outcome.stderr))
}

/// What it finds, by a command that is given the arguments.
fn diagnosis_by(command: &mut Command) -> (Value, i32) {
    diagnosis_with(command, &[])
}

fn diagnosis_with(command: &mut Command, more: &[&str]) -> (Value, i32) {
    command.args(["doctor", "--format", "json"]).args(more);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let outcome = Running::of(command.spawn().unwrap()).wait();
    let code = outcome.status.code();
    (
        json_of(&outcome),
        code.unwrap_or_else(|| panic!("{}", outcome.status)),
    )
}

fn diagnosis(place: &Place, more: &[&str]) -> (Value, i32) {
    diagnosis_with(&mut place.command(&[]), more)
}

#[track_caller]
fn check<'a>(diagnosis: &'a Value, group: &str, name: &str) -> &'a Value {
    let checks = match group {
        "directory" => &diagnosis["directory"]["checks"],
        group => &diagnosis[group],
    };
    let found = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {checks}"))
}

const CALLS: [&str; 14] = [
    "memfd that is never executed",
    "memfd_create",
    "fallocate of a memfd",
    "seals of size",
    "seal of future writes",
    "descriptors by a socket",
    "credentials of a socket",
    "lock of a file",
    "epoll and eventfd",
    "/proc/self/fd",
    "membarrier, private",
    "membarrier, global",
    "futex_waitv",
    "pidfd",
];

#[test]
fn the_machine_is_looked_at_and_the_exit_code_tells() {
    let place = Place::new();
    let (seen, code) = diagnosis(&place, &[]);
    assert_eq!(code, i32::from(seen["attention"] != 0), "{seen}");
    for name in ["cores", "isolated", "smt", "governor", "kernel"] {
        assert!(check(&seen, "machine", name)["found"].is_string());
    }
    for name in [
        "control group",
        "descriptors",
        "file size",
        "address space",
        "locked memory",
        "huge pages",
    ] {
        assert!(check(&seen, "memory", name)["found"].is_string());
    }
    for name in CALLS {
        // Whoever gets so far in these tests has what streams need.
        let call = check(&seen, "kernel", name);
        assert!(
            call["state"] == "ok" || name.starts_with("membarrier") || call["state"] == "note",
            "{call}"
        );
    }
    for check in ["machine", "memory", "kernel"]
        .iter()
        .flat_map(|group| seen[group].as_array().unwrap())
    {
        assert_eq!(check["advice"].is_string(), check["state"] != "ok", "{check}");
    }
    assert_eq!(check(&seen, "directory", "access")["state"], "ok");
    assert!(!place.run_dir().exists(), "a look makes nothing");

    let text = place.run(&["doctor"]);
    text.code(code);
    for group in ["machine\n", "memory\n", "kernel\n", "directory\n"] {
        assert!(text.text().contains(group), "{}", text.text());
    }
}

#[test]
fn it_looks_where_streams_have_their_names_and_says_why_there() {
    let base = Place::new();
    let dir = |name: &str| {
        let path = base.run_dir().with_file_name(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let (session, temp) = (dir("session"), dir("temp"));
    let own = base.run_dir();
    let user = rustix::process::geteuid().as_raw();
    let set: &[(&str, &Path)] = &[
        ("MILLSTREAM_DIR", &own),
        ("XDG_RUNTIME_DIR", &session),
        ("TMPDIR", &temp),
    ];
    for (first, by, expected) in [
        (0, "MILLSTREAM_DIR", own.clone()),
        (1, "XDG_RUNTIME_DIR", session.join("millstream")),
        (
            2,
            "the temporary directory",
            temp.join(format!("millstream-{user}")),
        ),
    ] {
        let surrounded = |line: &[&str]| {
            let mut command = base.command(line);
            for (name, path) in set {
                command.env_remove(name);
                if set[first..].iter().any(|(kept, _)| kept == name) {
                    command.env(name, path);
                }
            }
            command
        };
        let line = ["pub", "s", "--csv", "-", "--no-header", "--schema", "v:u64"];
        let mut child = surrounded(&line).stdin(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let publisher = Running::of(child);
        let seen = loop {
            let (seen, _) = diagnosis_by(&mut surrounded(&[]));
            if seen["directory"]["names"][0]["life"] == "live" {
                break seen;
            }
        };
        let directory = &seen["directory"];
        assert_eq!(directory["path"], expected.to_str().unwrap());
        assert!(
            directory["chosen_by"].as_str().unwrap().starts_with(by),
            "{directory}"
        );
        assert_eq!(
            (&directory["owner"], &directory["mode"]),
            (&json!(user), &json!("0700"))
        );
        assert_eq!(directory["names"][0]["pid"], publisher.id());
        publisher.interrupt();
        publisher.wait().code(130);
        drop(input);
    }
    let other = base.run_dir().with_file_name("other");
    let (seen, _) = diagnosis(&base, &["--directory", other.to_str().unwrap()]);
    assert_eq!(seen["directory"]["chosen_by"], "--directory");
    assert_eq!(seen["directory"]["path"], other.to_str().unwrap());
}

#[test]
fn what_the_dead_left_is_named_and_swept_and_nothing_else() {
    let place = Place::new();
    let (living, input) = publisher(&place, "living");
    let (dead, unread) = publisher(&place, "dead");
    dead.kill();
    assert!(!dead.wait().status.success());
    drop(unread);
    let (seen, code) = diagnosis(&place, &[]);
    let stale = check(&seen, "directory", "stale");
    assert_eq!(
        (&stale["state"], code),
        (&json!("note"), i32::from(seen["attention"] != 0))
    );
    assert!(
        stale["advice"].as_str().unwrap().starts_with("harmless"),
        "{stale}"
    );
    let dir = place.run_dir();
    fs::write(dir.join("notes.txt"), "mine").unwrap();
    fs::create_dir(dir.join("folder.lock")).unwrap();
    let mut before = place.left();
    before.sort();

    let (seen, code) = diagnosis(&place, &[]);
    assert_eq!(code, 1);
    let names = seen["directory"]["names"].as_array().unwrap();
    assert_eq!(
        (names.len(), &names[0]["name"], &names[0]["life"]),
        (2, &json!("dead"), &json!("stale"))
    );
    assert_eq!(names[0]["files"], json!(["dead.lock", "dead.sock"]));
    assert_eq!(
        (&names[1]["life"], &names[1]["state"]),
        (&json!("live"), &json!("open"))
    );
    assert_eq!(names[1]["pid"], living.id());
    let stale = check(&seen, "directory", "stale");
    assert_eq!(stale["state"], "note");
    assert!(stale["advice"].as_str().unwrap().contains("--sweep"), "{stale}");
    let foreign = check(&seen, "directory", "foreign");
    assert_eq!(foreign["found"], "folder.lock (a directory), notes.txt (a file)");
    let mut after = place.left();
    after.sort();
    assert_eq!(after, before, "a look removes nothing");
    let text = place.run(&["doctor"]);
    text.code(1).says("need attention");
    assert!(
        text.text()
            .contains("its publisher is dead: dead.lock, dead.sock"),
        "{}",
        text.text()
    );

    let (seen, code) = diagnosis(&place, &["--sweep"]);
    assert_eq!((code, &seen["swept"]), (1, &json!(["dead"])));
    assert_eq!(check(&seen, "directory", "stale")["state"], "ok");
    assert_eq!(check(&seen, "directory", "foreign")["state"], "attention");
    let mut after = place.left();
    after.sort();
    before.retain(|file| !file.starts_with("dead"));
    assert_eq!(after, before);
    fs::remove_file(dir.join("notes.txt")).unwrap();
    fs::remove_dir(dir.join("folder.lock")).unwrap();
    assert_eq!(place.run(&["describe", "living"]).code(0).stderr, "");
    living.interrupt();
    living.wait().code(130);
    drop(input);
}

#[test]
fn a_stopped_publisher_is_silent_and_not_dead() {
    let place = Place::new();
    let (stopped, input) = publisher(&place, "stopped");
    stopped.signal(rustix::process::Signal::STOP);
    // The signal is on its way to the threads, which still answer until it is there.
    let tasks = format!("/proc/{}/task", stopped.id());
    let stands = |task: &Path| {
        let stat = fs::read_to_string(task.join("stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    };
    while !fs::read_dir(&tasks)
        .unwrap()
        .flatten()
        .all(|task| stands(&task.path()))
    {
        std::thread::yield_now();
    }
    let (seen, code) = diagnosis(&place, &["--sweep"]);
    assert_eq!((code, &seen["swept"]), (1, &json!([])));
    let name = &seen["directory"]["names"][0];
    assert_eq!(
        (&name["life"], &name["holders"]),
        (&json!("silent"), &json!([stopped.id()]))
    );
    let advice = check(&seen, "directory", "stopped")["advice"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(advice.contains("kill -CONT"), "{advice}");
    assert_eq!(place.left().len(), 2);
    stopped.signal(rustix::process::Signal::CONT);
    let (seen, _) = diagnosis(&place, &[]);
    assert_eq!(seen["directory"]["names"][0]["life"], "live");
    stopped.interrupt();
    stopped.wait().code(130);
    drop(input);
}

#[test]
fn a_directory_that_is_not_ours_alone_needs_attention() {
    let place = Place::new();
    let dir = place.run_dir();
    let refused = |words: &str| {
        let (seen, code) = diagnosis(&place, &[]);
        let access = check(&seen, "directory", "access");
        assert_eq!((code, &access["state"]), (1, &json!("attention")), "{access}");
        assert!(access["advice"].as_str().unwrap().contains(words), "{access}");
    };
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
    refused("chmod");
    fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
    let elsewhere = dir.with_file_name("elsewhere");
    fs::rename(&dir, &elsewhere).unwrap();
    symlink(&elsewhere, &dir).unwrap();
    refused("symbolic link");
    fs::remove_file(&dir).unwrap();
    fs::write(&dir, "").unwrap();
    refused("not a directory");
    let nowhere = dir.with_file_name("no").join("where");
    let (seen, code) = diagnosis(&place, &["--directory", nowhere.to_str().unwrap()]);
    assert_eq!(code, 1);
    let access = check(&seen, "directory", "access");
    assert!(
        access["found"]
            .as_str()
            .unwrap()
            .starts_with("not there, and cannot be made"),
        "{access}"
    );
}

#[test]
fn a_directory_for_a_group_is_looked_at_too() {
    let place = Place::new();
    let group = rustix::process::getegid().as_raw();
    let stream = millstream::publish::<u64>("shared").directory(place.run_dir());
    let sink = stream.group(group).open().unwrap();
    let socket = place.run_dir().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(socket).unwrap());
    let (seen, code) = diagnosis(&place, &[]);
    let directory = &seen["directory"];
    assert_eq!(
        (&directory["mode"], &directory["group"]),
        (&json!("0750"), &json!(group))
    );
    assert_eq!(check(&seen, "directory", "access")["state"], "ok");
    assert_eq!(directory["names"][0]["life"], "stale");
    assert_eq!(
        code,
        i32::from(seen["attention"] != 0),
        "what is stale is no fault"
    );
    assert_eq!(directory["names"][1]["life"], "live");
    let (seen, _) = diagnosis(&place, &["--sweep"]);
    assert_eq!(seen["swept"], json!(["dead"]));
    assert_eq!(seen["directory"]["names"][0]["name"], "shared");
    drop(sink);
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn tight_limits_need_attention_and_do_not_kill() {
    let place = Place::new();
    let exe = env!("CARGO_BIN_EXE_millstream");
    let limited = |limits: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limits} && exec \"$0\" \"$@\""), exe]);
        diagnosis_by(command.env("MILLSTREAM_DIR", place.run_dir()))
    };
    let (seen, code) = limited("ulimit -n 30");
    assert_eq!(
        (code, &check(&seen, "memory", "descriptors")["state"]),
        (1, &json!("attention"))
    );
    let (seen, code) = limited("ulimit -n 100");
    assert_eq!(
        (code, &check(&seen, "memory", "descriptors")["state"]),
        (i32::from(seen["attention"] != 0), &json!("note"))
    );
    let (seen, code) = limited("ulimit -f 8");
    assert_eq!(
        (code, &check(&seen, "memory", "file size")["state"]),
        (1, &json!("attention"))
    );
    for name in ["memfd_create", "fallocate of a memfd", "lock of a file"] {
        let refused = check(&seen, "kernel", name);
        assert_eq!(refused["state"], "attention");
        let advice = refused["advice"].as_str().unwrap();
        assert!(
            advice.contains("ulimit -f") && !advice.contains("sandbox"),
            "{refused}"
        );
    }
    let unexecutable = check(&seen, "kernel", "memfd that is never executed");
    assert!(
        unexecutable["advice"].as_str().unwrap().contains("ulimit -f"),
        "{unexecutable}"
    );
}

#[test]
fn calls_that_are_refused_are_named_with_what_they_cost() {
    let place = Place::new();
    let strace = |injection: &[&str]| {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null"]).args(injection);
        command.arg(env!("CARGO_BIN_EXE_millstream"));
        command.env("MILLSTREAM_DIR", place.run_dir());
        command
    };
    let works = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "true"])
        .status();
    if !works.is_ok_and(|status| status.success()) {
        // Past the harness, which keeps what a test prints to itself when it passes.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: calls_that_are_refused_are_named_with_what_they_cost: strace is missing, or may not trace here"
        );
        return;
    }
    for (call, errno, name, words) in [
        (
            "memfd_create",
            "ENOSYS",
            "memfd_create",
            "no stream between processes",
        ),
        ("membarrier", "EPERM", "membarrier, private", "order of magnitude"),
        ("membarrier", "EPERM", "membarrier, global", "order of magnitude"),
        (
            "socketpair",
            "EACCES",
            "descriptors by a socket",
            "no stream between processes",
        ),
        ("fallocate", "ENOSYS", "fallocate of a memfd", "sandbox"),
        ("eventfd2", "EPERM", "epoll and eventfd", "sandbox"),
        ("flock", "ENOSYS", "lock of a file", "sandbox"),
        ("memfd_create", "EMFILE", "memfd_create", "ulimit -n"),
        ("memfd_create", "ENFILE", "memfd_create", "fs.file-max"),
        ("memfd_create", "ENOMEM", "memfd_create", "control group"),
        ("fallocate", "ENOSPC", "fallocate of a memfd", "no room"),
    ] {
        let injection = format!("inject={call}:error={errno}");
        let (seen, code) = diagnosis_by(&mut strace(&["-e", &format!("trace={call}"), "-e", &injection]));
        let found = check(&seen, "kernel", name);
        assert_eq!((code, &found["state"]), (1, &json!("attention")), "{found}");
        let advice = found["advice"].as_str().unwrap();
        assert!(advice.contains(words), "{found}");
        let is_limit = ["EMFILE", "ENFILE", "ENOMEM", "ENOSPC"].contains(&errno);
        assert!(!is_limit || !advice.contains("sandbox"), "{found}");
    }
}
