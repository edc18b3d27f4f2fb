//! The second process: the bench itself, executed again in a role.

use std::env;
use std::fmt::Debug;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::str::FromStr;

use rustix::process::{Signal, set_parent_process_death_signal};
use tempfile::TempDir;

use super::vigil;

const ROLE: &str = "MILLSTREAM_BENCH_ROLE";
const DIRECTORY: &str = "MILLSTREAM_BENCH_DIRECTORY";

/// A runtime directory of one bench process, removed at the end.
pub(crate) struct Ground {
    // Removes what it made.
    _temporary: TempDir,
    dir: PathBuf,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let temporary = tempfile::tempdir().expect("a temporary directory can be made");
        // The library makes it, closed to others.
        let dir = temporary.path().join("run");
        Self {
            _temporary: temporary,
            dir,
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts this program again in a role, which [`Role::played`] there reads.
    pub(crate) fn start(&self, role: &[&dyn ToString]) -> Peer {
        let words: Vec<_> = role.iter().map(|word| word.to_string()).collect();
        let mut child = Command::new(env::current_exe().expect("the bench knows its own path"))
            .env(ROLE, words.join(" "))
            .env(DIRECTORY, &self.dir)
            .stdin(Stdio::piped())
            .spawn()
            .expect("the bench can be executed again");
        let signal = child.stdin.take();
        Peer { child, signal }
    }
}

/// The second process as the first one sees it.
pub(crate) struct Peer {
    child: Child,
    signal: Option<ChildStdin>,
}

impl Peer {
    /// Lets the peer begin: it waits for that in [`Role::begin`]. From here on the calling thread has its core for itself, as
    /// the peer has the other.
    pub(crate) fn go(&mut self) {
        let signal = self.signal.as_mut().expect("it is closed at the end only");
        signal.write_all(b"g").expect("the peer waits to begin");
        vigil::leave();
        vigil::relieve();
    }

    /// Lets the peer end, and waits for it.
    pub(crate) fn finish(mut self) {
        vigil::keep();
        self.signal = None;
        let status = self.child.wait().expect("the peer is a child of this process");
        assert!(status.success(), "the peer failed: {status}");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // After a panic the peer might wait for ever. One that has ended is not affected.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What this process was started for, word by word.
pub(crate) struct Role {
    words: std::vec::IntoIter<String>,
    pub(crate) dir: PathBuf,
}

impl Role {
    /// The role in which another bench process started this one, if so.
    ///
    /// From here on a panic ends the process, for the other side of what is measured would spin for ever; and the end of
    /// the first process ends the second.
    pub(crate) fn played() -> Option<Self> {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            print(panic);
            std::process::exit(101);
        }));
        let words: Vec<_> = env::var(ROLE).ok()?.split(' ').map(str::to_owned).collect();
        set_parent_process_death_signal(Some(Signal::KILL)).expect("the kernel knows parents");
        Some(Self {
            words: words.into_iter(),
            dir: env::var_os(DIRECTORY)?.into(),
        })
    }

    /// The next word.
    pub(crate) fn next<T: FromStr<Err: Debug>>(&mut self) -> T {
        self.words
            .next()
            .and_then(|word| word.parse().ok())
            .expect("both processes are the same program")
    }

    /// Waits until the first process is ready.
    pub(crate) fn begin(&self) {
        let mut word = [0];
        std::io::stdin()
            .read_exact(&mut word)
            .expect("the first process says when to begin");
    }

    /// Waits until the first process has taken its time, so that the end of this one disturbs nothing.
    pub(crate) fn end(&self) {
        let _ = std::io::stdin().read(&mut [0]);
    }
}
