//! The words that a consumer shares with its producer, watched by the debug registers of the processor: its thread stops after each
//! store to one of them, at its own speed in between.

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace;
use nix::unistd::Pid;

use crate::fault::Fault;

/// Code of the trap of a debug register.
const TRAP_HWBKPT: i32 = 4;
/// The beginning of a credit page, and of an attention page.
const CREDIT: [u8; 4] = *b"\x89MLC";
const ATTENTION: [u8; 4] = *b"\x89MLA";
/// Of a credit page: control, granted, released. Of an attention page: its one word.
const CREDIT_WORDS: &[usize] = &[128, 256, 264];
const ATTENTION_WORDS: &[usize] = &[128];
/// Of a credit page that is a file, which a producer lends: start, released, its bytes, and the length of the name.
const LENT_WORDS: &[usize] = &[24, 264, 272, 384];

/// What of a traced thread is watched.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    words: Vec<usize>,
}

impl Watched {
    /// Has the thread go on, to the next of its stores; as long as nothing is shared to the next system call, for one of them will be
    /// the mapping.
    pub(crate) fn lead_on(&self, pid: Pid) -> Result<(), Fault> {
        Ok(ptrace::syscall(pid, None)?)
    }

    /// Whether the thread has stopped after a store.
    pub(crate) fn is_stored_by(&mut self, pid: Pid) -> Result<bool, Fault> {
        let stored = is_store(pid);
        if !stored {
            self.look_again(pid)?;
        }
        Ok(stored)
    }

    /// Looks for what is shared by now.
    pub(crate) fn look_again(&mut self, pid: Pid) -> Result<(), Fault> {
        let words = shared_words(pid)?;
        if self.words != words {
            watch(pid, &words)?;
            self.words = words;
        }
        Ok(())
    }
}

/// Whether a thread that was stopped by a trap has just stored to a word that is watched.
pub(crate) fn is_store(pid: Pid) -> bool {
    ptrace::getsiginfo(pid).is_ok_and(|info| info.si_code == TRAP_HWBKPT)
}

/// Where the words are in the thread's memory.
fn shared_words(pid: Pid) -> Result<Vec<usize>, Fault> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let shared = maps.lines().filter(|line| line.contains(" rw-s "));
    let mut words = Vec::new();
    for line in shared {
        let Some(page) = line
            .split('-')
            .next()
            .and_then(|page| usize::from_str_radix(page, 16).ok())
        else {
            continue;
        };
        let head = ptrace::read(pid, std::ptr::without_provenance_mut(page))?.to_le_bytes();
        let offsets = match head.first_chunk() {
            Some(&CREDIT) if line.contains("/memfd:") => CREDIT_WORDS,
            Some(&CREDIT) => LENT_WORDS,
            Some(&ATTENTION) => ATTENTION_WORDS,
            _ => continue,
        };
        words.extend(offsets.iter().map(|offset| page + offset));
    }
    Ok(words)
}

/// Has the thread stop after each store to any of these words, which are four at most.
#[cfg(target_arch = "x86_64")]
pub(crate) fn watch(pid: Pid, words: &[usize]) -> Result<(), Fault> {
    let set = |register: usize, value: usize| {
        let offset = std::mem::offset_of!(libc::user, u_debugreg) + register * size_of::<usize>();
        ptrace::write_user(
            pid,
            std::ptr::without_provenance_mut(offset),
            value as libc::c_long,
        )
    };
    // Enabled for this thread, on stores, of eight bytes.
    let control = |index: usize| 1 << (2 * index) | 0b1001 << (16 + 4 * index);
    let arm = || -> Result<(), Errno> {
        set(7, 0)?;
        for (index, word) in words.iter().take(4).enumerate() {
            set(index, *word)?;
        }
        set(7, (0..words.len().min(4)).map(control).sum())
    };
    arm().map_err(|errno| Fault::broken(format!("the debug registers cannot be used: {errno}")))
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn watch(_: Pid, _: &[usize]) -> Result<(), Fault> {
    Err(Fault::broken(
        "stores are watched by the debug registers of x86-64",
    ))
}
