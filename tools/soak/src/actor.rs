//! A place in a scene, and the process that has it now.

use std::fmt::Display;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ValueEnum;
use rustix::process::{Pid, Signal, kill_process};

use crate::part::{Part, Role};

/// One slot: a process, and who had it before.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) part: Part,
    child: Option<Child>,
    /// For each process that had the slot, whether it went without a word.
    pub(crate) gone: Vec<bool>,
    stopped: Option<Instant>,
    restart: Instant,
}

impl Actor {
    pub(crate) fn new(part: Part) -> Self {
        Self {
            part,
            child: None,
            gone: Vec::new(),
            stopped: None,
            restart: Instant::now(),
        }
    }

    pub(crate) fn role(&self) -> Role {
        self.part.role
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Alive, and not stopped.
    pub(crate) fn is_at_work(&self) -> bool {
        self.child.is_some() && self.stopped.is_none()
    }

    pub(crate) fn is_there(&self) -> bool {
        self.child.is_some()
    }

    /// Starts the next process when it is due.
    pub(crate) fn start_if_due(&mut self) -> anyhow::Result<()> {
        if self.child.is_some() || Instant::now() < self.restart {
            return Ok(());
        }
        self.part.run = self.gone.len() as u64;
        let child = command(&self.part)?
            .spawn()
            .with_context(|| format!("starting {}", self.part.who()))?;
        self.gone.push(false);
        self.child = Some(child);
        Ok(())
    }

    /// kill -9, and gone when this returns. The next one is due after `rest`. False if there is nobody.
    pub(crate) fn kill(&mut self, rest: Duration) -> anyhow::Result<bool> {
        let Some(mut child) = self.child.take() else {
            return Ok(false);
        };
        child.kill().context("kill")?;
        let status = child.wait().context("wait")?;
        // It may have ended by itself a moment before.
        self.note_end(status);
        self.restart = Instant::now() + rest;
        Ok(true)
    }

    /// SIGSTOP, until so long from now. False if there is nobody to stop.
    pub(crate) fn stop(&mut self, how_long: Duration) -> bool {
        if !self.is_at_work() || !self.signal(Signal::STOP) {
            return false;
        }
        self.stopped = Some(Instant::now() + how_long);
        true
    }

    pub(crate) fn go_on_if_due(&mut self) {
        if self.stopped.is_some_and(|until| Instant::now() >= until) {
            self.go_on();
        }
    }

    pub(crate) fn go_on(&mut self) {
        if self.stopped.take().is_some() {
            self.signal(Signal::CONT);
        }
    }

    fn signal(&self, signal: Signal) -> bool {
        // The process is not reaped yet, so its number is its own.
        let pid = self.pid().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
    }

    /// How its process ended, if it has.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else {
            return Ok(None);
        };
        let Some(status) = child.try_wait().context("wait")? else {
            return Ok(None);
        };
        self.child = None;
        self.note_end(status);
        self.restart = Instant::now();
        Ok(Some(status))
    }

    fn note_end(&mut self, status: ExitStatus) {
        self.stopped = None;
        let orderly = status.code() == Some(0);
        if let Some(gone) = self.gone.last_mut() {
            *gone = !orderly;
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // Nothing outlives its scene, however that ends.
        let _ = self.kill(Duration::ZERO);
    }
}

/// This binary once more, for a part.
fn command(part: &Part) -> anyhow::Result<Command> {
    let own = std::env::current_exe().context("the path of this program")?;
    let mut command = Command::new(own);
    command.arg("part").stdin(Stdio::null()).stdout(Stdio::null());
    let name = |value: Option<clap::builder::PossibleValue>| {
        value.map_or(String::new(), |value| value.get_name().into())
    };
    let mut say = |option: &str, value: &dyn Display| {
        command.arg(format!("--{option}={value}"));
    };
    say("role", &name(part.role.to_possible_value()));
    say("kind", &name(part.kind.to_possible_value()));
    say("stream", &part.stream);
    say("slot", &part.slot);
    say("run", &part.run);
    say("consumers", &part.consumers);
    say("seed", &part.seed);
    say("streams", &part.streams.display());
    say("ledger", &part.ledger.display());
    Ok(command)
}
