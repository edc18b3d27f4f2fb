//! The one background thread of this process: it runs while a stream is published or subscribed, and is gone,
//! joined, with the last.

#![forbid(unsafe_code)]

use std::io;
use std::sync::{PoisonError, Weak};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Sender, bounded, unbounded};
use mio::{Poll, Token, Waker};
use rustix::process::{Pid, getpid};

use super::error::SystemError;
use super::reactor::{Command, Reactor};
use crate::primitive::{Arc, Mutex, MutexGuard};

/// The token of the waker; connections have others.
pub(super) const WAKE: Token = Token(0);

static SERVICE: Mutex<Option<Running>> = Mutex::new(None);

#[derive(Debug)]
struct Running {
    /// A forked child has this value but not the thread.
    pid: Pid,
    users: usize,
    line: Line,
    /// Dead when the thread has ended or is about to, which only a panic makes it while there are users.
    alive: Weak<()>,
    thread: JoinHandle<()>,
}

/// The way to the thread.
#[derive(Clone, Debug)]
struct Line {
    commands: Sender<Command>,
    waker: Arc<Waker>,
}

/// Keeps the thread running. One for every published or subscribed stream.
#[derive(Debug)]
pub(super) struct Lease {
    line: Line,
    pid: Pid,
}

/// Tells the thread something without keeping it running, and without an answer.
#[derive(Clone, Debug)]
pub(super) struct Messenger {
    line: Line,
    pid: Pid,
}

impl Messenger {
    /// Does nothing once the thread is gone, and in a forked child.
    pub(super) fn tell(&self, command: Command) {
        if self.is_own() && self.line.commands.send(command).is_ok() {
            let _ = self.line.waker.wake();
        }
    }

    /// Whether it was made by the process that looks, and not by one that forked it.
    pub(super) fn is_own(&self) -> bool {
        self.pid == getpid()
    }
}

/// Why the thread does not run, or no longer.
#[derive(Debug)]
pub(super) enum Unavailable {
    /// It cannot answer.
    Ended(String),
    /// The system does not let it start.
    Refused(SystemError),
}

fn service() -> MutexGuard<'static, Option<Running>> {
    // Nothing panics while it holds the lock; if it did, the value would still be whole.
    SERVICE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lease {
    /// Starts the thread unless it runs.
    pub(super) fn take() -> Result<Self, Unavailable> {
        let mut service = service();
        let pid = getpid();
        match service.take() {
            Some(mut running) if running.pid == pid && running.alive.strong_count() > 0 => {
                running.users += 1;
                let line = running.line.clone();
                *service = Some(running);
                return Ok(Self { line, pid });
            }
            // The parent's, whose descriptors the child must not touch.
            Some(parents) if parents.pid != pid => std::mem::forget(parents),
            Some(dead) => join(dead.thread),
            None => {}
        }
        let running = start(pid).map_err(|error| {
            Unavailable::Refused(SystemError::of_process("starting the background thread", error))
        })?;
        let line = running.line.clone();
        *service = Some(running);
        Ok(Self { line, pid })
    }

    /// Has the thread carry out a command and waits for its answer.
    pub(super) fn call<T>(&self, command: impl FnOnce(Sender<T>) -> Command) -> Result<T, Unavailable> {
        let gone = || Unavailable::Ended("it has ended by a panic; look at the message of that".into());
        if self.pid != getpid() {
            return Err(Unavailable::Ended(
                "it runs in the process that this one was forked from".into(),
            ));
        }
        let (reply, answer) = bounded(1);
        self.line.commands.send(command(reply)).map_err(|_| gone())?;
        self.line
            .waker
            .wake()
            .map_err(|error| Unavailable::Ended(error.to_string()))?;
        // Answers or, when the thread ends, hangs up: the command dies with the queue.
        answer.recv().map_err(|_| gone())
    }

    /// A way to the thread for somebody who may outlive this lease.
    pub(super) fn messenger(&self) -> Messenger {
        Messenger {
            line: self.line.clone(),
            pid: self.pid,
        }
    }

    /// Whether this lease was taken by the process that looks, and not by one that forked it.
    pub(super) fn is_own(&self) -> bool {
        self.pid == getpid()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_own() {
            return;
        }
        // Held until the thread is joined, so that another cannot start meanwhile.
        let mut service = service();
        match service.take() {
            Some(running) if !Arc::ptr_eq(&running.line.waker, &self.line.waker) => *service = Some(running),
            Some(mut running) if running.users > 1 => {
                running.users -= 1;
                *service = Some(running);
            }
            Some(running) => {
                let sent = running.line.commands.send(Command::Stop).is_ok();
                // A logger may drop a stream on the thread itself.
                let own = running.thread.thread().id() == thread::current().id();
                if sent && running.line.waker.wake().is_ok() && !own {
                    join(running.thread);
                }
            }
            None => {}
        }
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        log::error!("millstream's background thread has panicked; its streams have ended");
    }
}

fn start(pid: Pid) -> io::Result<Running> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
    let (commands, inbox) = unbounded();
    let token = Arc::new(());
    let alive = Arc::downgrade(&token);
    let reactor = Reactor::new(poll, inbox, token)?;
    // Should it panic, the streams in the reactor are told while it unwinds.
    let thread = thread::Builder::new()
        .name("millstream".into())
        .spawn(move || reactor.run())?;
    Ok(Running {
        pid,
        users: 1,
        line: Line { commands, waker },
        alive,
        thread,
    })
}
