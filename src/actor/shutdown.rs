//! The end of a system.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::address::AnyAddress;
use super::deadline::Deadline;
use super::failure::StopReason;
use super::lane::Note;
use super::path::ActorPath;
use super::system_core::{self, SystemCore};
use super::watch::Terminated;
use crate::primitive::atomic::Ordering;
use crate::primitive::channel::{Receiver, RecvTimeoutError, bounded};
use crate::primitive::thread::{self, JoinHandle};
use crate::primitive::time::now;

/// How a system ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Messages that reached nobody while it ran.
    pub dead_letters: u64,
    /// Messages that actors did not handle while it ran.
    pub unhandled: u64,
    /// Messages that full mailboxes dropped while it ran.
    pub dropped: u64,
    /// Blocking tasks that still run. What comes of them is a dead letter.
    pub tasks: u64,
}

/// What had not stopped when the deadline of a shutdown was over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownTimeout {
    /// The actors.
    pub actors: Vec<ActorPath>,
    /// Workers that had not ended, and the actor that each one runs.
    pub workers: Vec<(usize, Option<ActorPath>)>,
}

impl fmt::Display for ShutdownTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not stopped before the deadline: actors ")?;
        f.debug_list().entries(&self.actors).finish()?;
        for (worker, at) in &self.workers {
            match at {
                Some(path) => write!(f, "; worker {worker} runs {path}, whose method does not return")?,
                None => write!(f, "; worker {worker} has not ended")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ShutdownTimeout {}

/// Why [`wait_stopped`](crate::SystemRef::wait_stopped) did not see the actor stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotStopped {
    /// The deadline passed first.
    #[error(
        "{path} had not stopped before the deadline: it, or a child of it, does not return from what it does"
    )]
    TimedOut {
        /// The actor.
        path: ActorPath,
    },
    /// The one who waits is itself a worker of the system.
    #[error(
        "an actor cannot wait on its worker until {path} has stopped; use Context::watch, which makes a message of it"
    )]
    OnWorker {
        /// The actor.
        path: ActorPath,
    },
}

/// Waits until an actor has stopped.
pub(super) fn wait_stopped(actor: &Arc<dyn AnyAddress>, deadline: Deadline) -> Option<Terminated> {
    let (told, heard) = bounded(1);
    let watch = system_core::number();
    let notify = Box::new(move |terminated| {
        // Nobody listens any more when the deadline was over before.
        let _ = told.send(terminated);
    });
    actor.watch(watch, notify);
    let terminated = match deadline.instant() {
        Some(deadline) => heard.recv_deadline(deadline).ok(),
        None => heard.recv().ok(),
    };
    if terminated.is_none() {
        actor.unwatch(watch);
    }
    terminated
}

/// As [`shut_down`], on a thread of its own, for a worker of the system that would wait for itself. What runs now.
pub(super) fn hand_over(
    system: Arc<SystemCore>,
    threads: Vec<JoinHandle<()>>,
    leaving: Receiver<usize>,
    deadline: Deadline,
) -> ShutdownTimeout {
    let running = ShutdownTimeout {
        actors: system.registry.paths(),
        workers: (0..threads.len()).map(|worker| (worker, None)).collect(),
    };
    let run = move || {
        if let Err(timeout) = shut_down(&system, threads, &leaving, deadline) {
            log::error!("system {}: {timeout}", system.name);
        }
    };
    if let Err(refused) = thread::Builder::new().name("shutdown".into()).spawn(run) {
        log::error!("a system is not shut down, for there is no thread to do it: {refused}");
    }
    running
}

/// Stops all actors, then ends the workers.
pub(super) fn shut_down(
    system: &Arc<SystemCore>,
    threads: Vec<JoinHandle<()>>,
    leaving: &Receiver<usize>,
    deadline: Deadline,
) -> Result<ShutdownReport, ShutdownTimeout> {
    let began = now();
    let roots = system.registry.close();
    // One after another; but one that hangs does not keep the others from being told while there is time.
    let patience = deadline
        .instant()
        .map(|deadline| began + deadline.saturating_duration_since(began) / 2);
    let mut left = Vec::new();
    for root in &roots {
        root.stop(StopReason::Shutdown);
        let turn = patience.map_or(deadline, Deadline::from);
        if wait_stopped(root, turn).is_none() {
            left.push(root);
        }
    }
    for root in left {
        wait_stopped(root, deadline);
    }
    // Children whose parents had stopped before their time, and what the stop hooks made, end with the workers.
    let actors = system.registry.paths();
    for worker in 0..threads.len() {
        system.send(worker, Note::End);
    }
    let mut running: Vec<_> = (0..threads.len()).collect();
    while !running.is_empty() {
        match leaving.recv_timeout(deadline.left(Duration::from_secs(1))) {
            Ok(worker) => running.retain(|number| *number != worker),
            Err(RecvTimeoutError::Timeout) if deadline.has_passed() => break,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    for (number, thread) in threads.into_iter().enumerate() {
        if !running.contains(&number) {
            // It has said that it ends, and does nothing after that.
            let _ = thread.join();
        }
    }
    if actors.is_empty() && running.is_empty() {
        return Ok(ShutdownReport {
            dead_letters: system.events.dead_letters(),
            unhandled: system.events.unhandled(),
            dropped: system.dropped(),
            tasks: system.tasks.load(Ordering::Acquire),
        });
    }
    let path = |worker: usize| {
        let report = system.telemetry[worker].report(worker, |actor| system.registry.path_of(actor));
        report.at.map(|(path, _)| path)
    };
    Err(ShutdownTimeout {
        workers: running.into_iter().map(|worker| (worker, path(worker))).collect(),
        actors,
    })
}
