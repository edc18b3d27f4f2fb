//! The one process that is traced, and where it is killed: after so many instructions, or at a stop of a system call.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use crate::fault::Fault;
use crate::watched::{self, Watched};

/// Code of the trap of `int3`.
const SI_KERNEL: i32 = 0x80;
/// How often a wait for a child is interrupted, to look at the time.
const TICK_MICROS: i64 = 50_000;

/// What a victim is stopped at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Instruction,
    /// Stores to the words that a consumer shares with its producer: of long ways, on which few of them are.
    Store,
    /// The same by any of its threads, of the page that a producer lends the consumer of a durable stream.
    Lending,
    SystemCall,
}

/// How far a victim came.
#[derive(Clone, Debug)]
pub(crate) struct Killed {
    /// Instructions, stores, or stops at system calls, since its first mark.
    pub(crate) at: u64,
    /// It had come to its second mark.
    pub(crate) complete: bool,
    /// Where it stood.
    pub(crate) place: String,
}

/// The children of this process, and how those ended that have.
#[derive(Debug, Default)]
pub(crate) struct Children {
    ended: HashMap<Pid, Option<i32>>,
    living: Vec<Pid>,
}

/// Has waits for children look at the time now and then.
pub(crate) fn tick() -> Result<(), Fault> {
    extern "C" fn nothing(_: libc::c_int) {}
    let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::SIGALRM, &action) }?;
    let every = libc::timeval {
        tv_sec: 0,
        tv_usec: TICK_MICROS,
    };
    let timer = libc::itimerval {
        it_interval: every,
        it_value: every,
    };
    // SAFETY: a valid timer; what the former one was is not asked for.
    let set = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    Errno::result(set)?;
    Ok(())
}

/// Whether this process may trace its children; why not.
pub(crate) fn is_allowed() -> Result<(), String> {
    attempt(|pid| Ok(ptrace::step(pid, None)?))
}

/// Whether it may have them stop after a store; why not.
pub(crate) fn may_watch() -> Result<(), String> {
    let word = 0u64;
    attempt(|pid| watched::watch(pid, &[(&raw const word).addr()]))
}

/// Tries something on a child that has given itself up.
fn attempt(what: impl FnOnce(Pid) -> Result<(), Fault>) -> Result<(), String> {
    let mut children = Children::default();
    let said = |fault: Fault| fault.text;
    let pid = children.start(|| give_up().map_or(1, |()| 0)).map_err(said)?;
    let until = Instant::now() + Duration::from_secs(10);
    let tried = children
        .begin(pid, until, Options::PTRACE_O_EXITKILL)
        .and_then(|()| what(pid));
    children.kill(pid, until).map_err(said)?;
    tried.map_err(said)
}

impl Children {
    /// Forks a child that plays its part and exits with what that returns.
    pub(crate) fn start(&mut self, part: impl FnOnce() -> i32) -> Result<Pid, Fault> {
        // SAFETY: this process has one thread, so the child may do whatever this one may.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => {
                self.living.push(child);
                Ok(child)
            }
            ForkResult::Child => {
                let kill = Some(rustix::process::Signal::KILL);
                let bound = rustix::process::set_parent_process_death_signal(kill);
                std::process::exit(if bound.is_ok() { part() } else { 2 })
            }
        }
    }

    /// The next news of a child, or of any. They are noted where they are its end.
    fn news(&mut self, of: Option<Pid>, until: Instant) -> Result<WaitStatus, Fault> {
        loop {
            match waitpid(of, Some(WaitPidFlag::__WALL)) {
                Ok(status) => {
                    let ended = match status {
                        WaitStatus::Exited(pid, code) => Some((pid, Some(code))),
                        WaitStatus::Signaled(pid, ..) => Some((pid, None)),
                        _ => None,
                    };
                    if let Some((pid, code)) = ended
                        && self.living.contains(&pid)
                    {
                        self.living.retain(|living| *living != pid);
                        self.ended.insert(pid, code);
                    }
                    return Ok(status);
                }
                Err(Errno::EINTR) if Instant::now() < until => {}
                Err(Errno::EINTR) => return Err(Fault::hung("a process does nothing more")),
                Err(errno) => return Err(Fault::broken(format!("waiting for a child: {errno}"))),
            }
        }
    }

    pub(crate) fn wait_for(&mut self, pid: Pid, until: Instant) -> Result<WaitStatus, Fault> {
        self.news(Some(pid), until)
    }

    /// Waits for the end of a child; its code, and none if it was killed by a signal.
    pub(crate) fn finish(&mut self, pid: Pid, until: Instant) -> Result<Option<i32>, Fault> {
        while !self.ended.contains_key(&pid) {
            self.news(Some(pid), until)?;
        }
        Ok(self.ended.get(&pid).copied().flatten())
    }

    /// kill -9, and gone when this returns.
    pub(crate) fn kill(&mut self, pid: Pid, until: Instant) -> Result<(), Fault> {
        // It may have ended by itself.
        let _ = kill(pid, Signal::SIGKILL);
        // A leader is reported only when all of its threads that are traced were.
        while !self.ended.contains_key(&pid) {
            self.news(None, until)?;
        }
        Ok(())
    }

    /// Ends all that still live.
    pub(crate) fn kill_all(&mut self) -> Result<(), Fault> {
        let until = Instant::now() + Duration::from_secs(10);
        for pid in self.living.clone() {
            self.kill(pid, until)?;
        }
        self.ended.clear();
        Ok(())
    }

    /// Has a traced child run to its first mark and `at` steps further, or to its second mark, and kills it there.
    pub(crate) fn kill_at(&mut self, pid: Pid, by: By, at: u64, until: Instant) -> Result<Killed, Fault> {
        let killed = match by {
            By::Instruction => self.walk(pid, at, until, None),
            By::Store => self.walk(pid, at, until, Some(Watched::default())),
            By::Lending => self.call(pid, at, until, Some(HashMap::new())),
            By::SystemCall => self.call(pid, at, until, None),
        }?;
        self.kill(pid, until)?;
        Ok(killed)
    }

    /// By single instructions. Those count that change what is `watched`, if that is given; else all do.
    fn walk(
        &mut self,
        pid: Pid,
        at: u64,
        until: Instant,
        mut watched: Option<Watched>,
    ) -> Result<Killed, Fault> {
        let options = Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACESYSGOOD;
        self.begin(pid, until, options)?;
        ptrace::cont(pid, None)?;
        while !self.is_marked(pid, until)? {
            ptrace::cont(pid, None)?;
        }
        if let Some(watched) = &mut watched {
            watched.look_again(pid)?;
        }
        let mut done = 0;
        let mut complete = false;
        while done < at && !complete {
            match &watched {
                Some(watched) => watched.lead_on(pid)?,
                None => ptrace::step(pid, None)?,
            }
            complete = self.is_marked(pid, until)?;
            let counts = match &mut watched {
                None => !complete,
                Some(watched) => watched.is_stored_by(pid)?,
            };
            done += u64::from(counts);
        }
        Ok(Killed {
            at: done,
            complete,
            place: instruction(pid),
        })
    }

    /// By stops at system calls; or by the stores to what is `watched` in each thread, if that is given.
    fn call(
        &mut self,
        pid: Pid,
        at: u64,
        until: Instant,
        mut watched: Option<HashMap<Pid, Watched>>,
    ) -> Result<Killed, Fault> {
        let options =
            Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_TRACESYSGOOD;
        self.begin(pid, until, options)?;
        ptrace::syscall(pid, None)?;
        let (mut counting, mut done) = (false, 0);
        let mut place = "the mark".to_string();
        loop {
            let (thread, signal) = match self.news(None, until)? {
                WaitStatus::PtraceSyscall(thread) => {
                    if let Some(watched) = &mut watched {
                        watched.entry(thread).or_default().look_again(thread)?;
                    } else if counting {
                        done += 1;
                        place = system_call(thread, thread == pid);
                    }
                    (thread, None)
                }
                WaitStatus::Stopped(thread, Signal::SIGTRAP) if watched::is_store(thread) => {
                    if counting {
                        done += 1;
                        place = instruction(thread);
                    }
                    (thread, None)
                }
                WaitStatus::PtraceEvent(thread, ..) | WaitStatus::Stopped(thread, Signal::SIGSTOP) => {
                    (thread, None)
                }
                WaitStatus::Stopped(thread, Signal::SIGTRAP) if thread == pid && is_mark(thread) => {
                    if counting {
                        return Ok(Killed {
                            at: done,
                            complete: true,
                            place: "the mark".into(),
                        });
                    }
                    counting = true;
                    (thread, None)
                }
                WaitStatus::Stopped(thread, signal) => (thread, Some(signal)),
                _ if self.ended.contains_key(&pid) => {
                    return Err(Fault::broken("the victim ended by itself"));
                }
                _ => continue,
            };
            if counting && done >= at {
                return Ok(Killed {
                    at: done,
                    complete: false,
                    place,
                });
            }
            match ptrace::syscall(thread, signal) {
                // It may be on its way out.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Takes the child over where it stops for that.
    fn begin(&mut self, pid: Pid, until: Instant, options: Options) -> Result<(), Fault> {
        match self.wait_for(pid, until)? {
            WaitStatus::Stopped(_, Signal::SIGSTOP) => Ok(ptrace::setoptions(pid, options)?),
            other => Err(Fault::broken(format!("the victim did not begin: {other:?}"))),
        }
    }

    /// Whether a child that goes on stops at a mark.
    fn is_marked(&mut self, pid: Pid, until: Instant) -> Result<bool, Fault> {
        match self.wait_for(pid, until)? {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => Ok(is_mark(pid)),
            WaitStatus::Stopped(..) | WaitStatus::PtraceSyscall(_) => Ok(false),
            other => Err(Fault::broken(format!("the victim ended by itself: {other:?}"))),
        }
    }
}

/// What a child does that is to be traced: it gives itself up to its parent.
pub(crate) fn give_up() -> Result<(), Fault> {
    ptrace::traceme()?;
    nix::sys::signal::raise(Signal::SIGSTOP)?;
    Ok(())
}

/// Whether a stop by a trap is that of a mark, rather than of a step.
fn is_mark(pid: Pid) -> bool {
    ptrace::getsiginfo(pid).is_ok_and(|info| matches!(info.si_code, SI_KERNEL | libc::SI_TKILL))
}

/// Where the child stands, for people: this program has the same addresses.
#[cfg(target_arch = "x86_64")]
fn instruction(pid: Pid) -> String {
    match ptrace::getregs(pid) {
        Ok(registers) => format!("{:#x}", registers.rip),
        Err(errno) => format!("an unknown place ({errno})"),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn instruction(_: Pid) -> String {
    "an unknown place".into()
}

#[cfg(target_arch = "x86_64")]
fn system_call(thread: Pid, leader: bool) -> String {
    let of = if leader {
        "main thread"
    } else {
        "background thread"
    };
    match ptrace::getregs(thread) {
        Ok(registers) => {
            // At the entry the kernel has the answer preset.
            let entry = registers.rax as i64 == -i64::from(libc::ENOSYS);
            let side = if entry { "entry" } else { "exit" };
            format!("{side} of system call {} by the {of}", registers.orig_rax)
        }
        Err(errno) => format!("a system call by the {of} ({errno})"),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn system_call(_: Pid, leader: bool) -> String {
    let of = if leader {
        "main thread"
    } else {
        "background thread"
    };
    format!("a system call by the {of}")
}
