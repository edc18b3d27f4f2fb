//! The command as a child process, ended by a watchdog if it hangs.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long a child may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A runtime directory of its own.
#[derive(Debug)]
pub struct Place {
    dir: tempfile::TempDir,
}

/// A running command.
#[derive(Debug)]
pub struct Running {
    child: Guard,
    pid: Pid,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
    done: Sender<()>,
    watchdog: JoinHandle<bool>,
}

/// Leaves no child behind when a test fails.
#[derive(Debug)]
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Does nothing to a child that was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a command left.
#[derive(Debug)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// The runtime directory, which the command creates.
    pub fn run_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// Writes an input.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The command, with `line` as its arguments.
    pub fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millstream"));
        command.args(line);
        self.prepared(command)
    }

    fn prepared(&self, mut command: Command) -> Command {
        command
            .env("MILLSTREAM_DIR", self.run_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn start(&self, line: &[&str]) -> Running {
        Running::of(self.command(line).spawn().unwrap())
    }

    /// Starts the command with an input that stays open as long as what is returned with it.
    pub fn start_fed(&self, line: &[&str], input: &[u8]) -> (Running, std::process::ChildStdin) {
        let mut child = self.command(line).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input).unwrap();
        (Running::of(child), stdin)
    }

    pub fn run(&self, line: &[&str]) -> Outcome {
        self.start(line).wait()
    }

    /// Commands for a shell that ends with the first that fails; `millstream` is the command.
    pub fn shell(&self, commands: &str) -> Outcome {
        let binary = std::path::Path::new(env!("CARGO_BIN_EXE_millstream"));
        let mut path = binary.parent().unwrap().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell
            .args(["-ec", commands])
            .current_dir(self.dir.path())
            .env("PATH", path);
        Running::of(self.prepared(shell).spawn().unwrap()).wait()
    }

    /// What the runtime directory holds.
    pub fn left(&self) -> Vec<String> {
        files(&self.run_dir())
    }

    /// Waits until `seen` finds what it looks for in the description of a stream.
    pub fn await_described(
        &self,
        name: &str,
        seen: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        self.await_seen(&["describe", name], seen)
    }

    /// As `await_described`, by these arguments.
    pub fn await_seen(
        &self,
        describe: &[&str],
        seen: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let outcome = self.run(&[describe, &["--format", "json"]].concat());
            if outcome.status.success() {
                let value = serde_json::from_slice(&outcome.stdout).unwrap();
                if seen(&value) {
                    return value;
                }
            }
            assert!(
                std::time::Instant::now() < end,
                "{describe:?} never got there: {outcome:?}"
            );
            thread::yield_now();
        }
    }
}

fn files(path: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(path) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

impl Running {
    pub fn of(mut child: Child) -> Self {
        let pid = Pid::from_child(&child);
        let stdout = drain(child.stdout.take());
        let stderr = drain(child.stderr.take());
        let (done, waiting) = mpsc::channel();
        let watchdog = thread::spawn(move || {
            let hangs = waiting.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
            if hangs {
                // Not reaped yet: the number is still the child's.
                let _ = kill_process(pid, Signal::KILL);
            }
            hangs
        });
        Self {
            child: Guard(child),
            pid,
            stdout,
            stderr,
            done,
            watchdog,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.0.id()
    }

    pub fn interrupt(&self) {
        kill_process(self.pid, Signal::INT).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    pub fn kill(&self) {
        kill_process(self.pid, Signal::KILL).unwrap();
    }

    pub fn wait(self) -> Outcome {
        let Self {
            mut child,
            pid: _,
            stdout,
            stderr,
            done,
            watchdog,
        } = self;
        let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
        let status = child.0.wait().unwrap();
        drop(done);
        assert!(
            !watchdog.join().unwrap(),
            "the command hung: {}",
            String::from_utf8_lossy(&stderr)
        );
        Outcome {
            status,
            stdout,
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes).unwrap();
        }
        bytes
    })
}

impl Outcome {
    /// Asserts the exit code, and gives standard output.
    #[track_caller]
    pub fn code(&self, code: i32) -> &Self {
        assert_eq!(self.status.code(), Some(code), "{}", self.stderr);
        self
    }

    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(
            self.stderr.contains(text),
            "{:?} is not in {:?}",
            text,
            self.stderr
        );
        self
    }

    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}
