//! The stage of a test with several processes: this test binary, executed again for one role.
//!
//! A role is a function of this binary. It is told its directory and arguments by the environment, hears lines on its
//! standard input, and says lines on its standard output. Every process started here is killed after [`LONGEST`].

#![allow(dead_code, reason = "several test binaries share this file")]

use std::fmt::{Debug, Display};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::str::FromStr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use millstream::{PublishBuilder, SubscribeBuilder, Travel, WaitStrategy};
use tempfile::TempDir;

/// The watchdog's patience with a process, and with every line that it owes.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);
const ROLE: &str = "MILLSTREAM_TEST_ROLE";
const ARGS: &str = "MILLSTREAM_TEST_ARGS";
const DIR: &str = "MILLSTREAM_TEST_DIR";
const MARK: &str = "::";

/// A runtime directory of its own.
pub(crate) struct Ground {
    temp: Option<TempDir>,
    pub(crate) dir: PathBuf,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        Self {
            dir: temp.path().join("run"),
            temp: Some(temp),
        }
    }

    /// Beside the runtime directory.
    pub(crate) fn beside(&self, file: &str) -> PathBuf {
        self.dir.parent().unwrap().join(file)
    }

    pub(crate) fn publish<P: Travel + ?Sized>(&self, name: &str) -> PublishBuilder<P> {
        millstream::publish::<P>(name).directory(&self.dir)
    }

    pub(crate) fn subscribe<P: Travel + ?Sized>(&self, name: &str) -> SubscribeBuilder<P> {
        millstream::subscribe::<P>(name)
            .directory(&self.dir)
            .wait_for(LONGEST)
    }

    /// Files in the runtime directory.
    pub(crate) fn files(&self) -> Vec<String> {
        let Ok(files) = fs::read_dir(&self.dir) else {
            return Vec::new();
        };
        files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    /// Starts this binary again in a role.
    pub(crate) fn start(&self, role: &str, args: &[&dyn Display]) -> Actor {
        self.launch(Command::new(env::current_exe().unwrap()), role, args)
    }

    /// Starts this binary again in a role, by a command that ends in its path.
    pub(crate) fn launch(&self, mut command: Command, role: &str, args: &[&dyn Display]) -> Actor {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let mut child = command
            .args(["--exact", "role", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(ARGS, args.join(" "))
            .env(DIR, &self.dir)
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let (pid, child) = (child.id(), Arc::new(Mutex::new(child)));
        let (say, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let Some(line) = line.strip_prefix(MARK) else {
                    continue;
                };
                if say.send(line.to_string()).is_err() {
                    break;
                }
            }
        });
        let (leash, end) = channel::<()>();
        let watched = child.clone();
        thread::spawn(move || {
            if end.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
                eprintln!("the watchdog kills process {pid}");
                let _ = watched.lock().unwrap().kill();
            }
        });
        Actor {
            role: role.into(),
            pid,
            child,
            stdin,
            lines,
            _leash: leash,
        }
    }
}

/// Another process.
pub(crate) struct Actor {
    role: String,
    pub(crate) pid: u32,
    child: Arc<Mutex<Child>>,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    _leash: Sender<()>,
}

impl Actor {
    pub(crate) fn hear(&self) -> String {
        match self.lines.recv_timeout(LONGEST) {
            Ok(line) => line,
            Err(error) => panic!("{} (process {}) says nothing: {error}", self.role, self.pid),
        }
    }

    /// A line that it has said, if it has said one.
    pub(crate) fn said(&self) -> Option<String> {
        self.lines.try_recv().ok()
    }

    pub(crate) fn heard<T: FromStr<Err: Debug>>(&self) -> T {
        let line = self.hear();
        line.parse()
            .unwrap_or_else(|error| panic!("{} said {line:?}: {error:?}", self.role))
    }

    #[track_caller]
    pub(crate) fn expect(&self, line: &str) {
        assert_eq!(self.hear(), line, "{} said the former", self.role);
    }

    pub(crate) fn say(&mut self, line: impl Display) {
        let stdin = self.stdin.as_mut().expect("the process still listens");
        // It may be dead, which is then seen by what it does not say.
        let _ = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
    }

    /// Says a line and returns the answer.
    pub(crate) fn ask(&mut self, line: impl Display) -> String {
        self.say(line);
        self.hear()
    }

    /// Sends a signal; the process is not reaped yet, so its number is still its own.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// kill -9, and gone when this returns.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        child.wait().unwrap();
    }

    /// Sends kill -9 and does not wait for it.
    pub(crate) fn shoot(&self) {
        let _ = self.child.lock().unwrap().kill();
    }

    /// Waits for an end, whatever it is; the exit code, if there is one.
    pub(crate) fn code(&self) -> Option<i32> {
        let end = Instant::now() + LONGEST;
        loop {
            if let Some(status) = self.child.lock().unwrap().try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < end, "{} does not end", self.role);
            thread::yield_now();
        }
    }

    /// Waits for a good end.
    pub(crate) fn finish(mut self) {
        drop(self.stdin.take());
        let end = Instant::now() + LONGEST;
        loop {
            if let Some(status) = self.child.lock().unwrap().try_wait().unwrap() {
                assert!(status.success(), "{} ended with {status}", self.role);
                return;
            }
            assert!(Instant::now() < end, "{} does not end", self.role);
            thread::yield_now();
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A role, as the process that plays it sees it.
pub(crate) struct Stage {
    pub(crate) ground: Ground,
    args: Vec<String>,
}

pub(crate) type Role = fn(&Stage);

/// Plays the role for which this process was started, if it was.
pub(crate) fn play(roles: &[&[(&str, Role)]]) {
    let Ok(name) = env::var(ROLE) else { return };
    // So that nothing outlives a test that is killed.
    let kill = Some(rustix::process::Signal::KILL);
    rustix::process::set_parent_process_death_signal(kill).unwrap();
    let args = env::var(ARGS)
        .unwrap()
        .split_whitespace()
        .map(Into::into)
        .collect();
    let dir = env::var_os(DIR).unwrap().into();
    let stage = Stage {
        ground: Ground { temp: None, dir },
        args,
    };
    let role = roles.iter().copied().flatten().find(|role| role.0 == name);
    role.unwrap_or_else(|| panic!("no role {name}")).1(&stage);
}

impl Stage {
    pub(crate) fn arg<T: FromStr<Err: Debug>>(&self, index: usize) -> T {
        self.args[index].parse().unwrap()
    }

    /// The next line from the test; the process ends with its test.
    pub(crate) fn hear(&self) -> String {
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line).unwrap() == 0 {
            std::process::exit(0);
        }
        line.trim_end().into()
    }

    pub(crate) fn stay(&self) -> ! {
        loop {
            self.hear();
        }
    }
}

/// Says a line to the test.
pub(crate) fn say(line: impl Display) {
    let line = line.to_string().replace('\n', " ");
    let mut out = std::io::stdout().lock();
    // The first newline ends whatever the test harness has written.
    writeln!(out, "\n{MARK}{line}")
        .and_then(|()| out.flush())
        .unwrap();
}

/// Waits for a condition, within the watchdog's patience.
#[track_caller]
pub(crate) fn eventually(mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + LONGEST;
    while !condition() {
        assert!(Instant::now() < end, "the condition does not come true");
        thread::yield_now();
    }
}

/// The credit page that belongs to the stream with this epoch.
pub(crate) fn credit_page(epoch: u64) -> Mapping {
    let mut page = None;
    eventually(|| {
        page = Mapping::of_stream("millstream-credit", epoch).pop();
        page.is_some()
    });
    page.unwrap()
}

pub(crate) fn soon() -> Instant {
    Instant::now() + LONGEST
}

pub(crate) fn strategy(name: &str) -> WaitStrategy {
    match name {
        "park" => WaitStrategy::park(),
        "spin" => WaitStrategy::BusySpin,
        "yield" => WaitStrategy::SpinThenYield { spins: 10 },
        _ => WaitStrategy::default(),
    }
}

/// Numbers of a known seed (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A seed that is printed, or that of `MILLSTREAM_SEED`.
    pub(crate) fn new(test: &str) -> Self {
        use std::hash::{BuildHasher, RandomState};
        let given = env::var("MILLSTREAM_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0) >> 16);
        println!("{test}: MILLSTREAM_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn of<T: Copy>(&mut self, some: &[T]) -> T {
        some[self.below(some.len() as u64) as usize]
    }
}

/// A number in a file that outlives the process that writes it.
pub(crate) struct Shared(memmap2::MmapRaw);

impl Shared {
    pub(crate) fn open(path: &Path) -> Self {
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .unwrap();
        file.set_len(8).unwrap();
        Self(memmap2::MmapRaw::map_raw(&file).unwrap())
    }

    pub(crate) fn set(&self, value: u64) {
        // SAFETY: a mapping of a whole page, aligned.
        unsafe { self.0.as_mut_ptr().cast::<u64>().write_volatile(value) }
    }

    pub(crate) fn get(&self) -> u64 {
        // SAFETY: a mapping of a whole page, aligned.
        unsafe { self.0.as_ptr().cast::<u64>().read_volatile() }
    }
}

/// Mapped memory of this process.
#[derive(Clone, Copy)]
pub(crate) struct Mapping {
    begin: *mut u8,
    pub(crate) len: usize,
    pub(crate) writable: bool,
}

impl Mapping {
    /// The mappings of memfds with this name.
    pub(crate) fn of(name: &str) -> Vec<Self> {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let wanted = format!("/memfd:{name} (deleted)");
        let lines = maps.lines().filter(|line| line.ends_with(&wanted));
        lines
            .map(|line| {
                let (range, rest) = line.split_once(' ').unwrap();
                let (from, to) = range.split_once('-').unwrap();
                let number = |hex| usize::from_str_radix(hex, 16).unwrap();
                Self {
                    begin: std::ptr::with_exposed_provenance_mut(number(from)),
                    len: number(to) - number(from),
                    writable: rest.starts_with("rw-s"),
                }
            })
            .collect()
    }

    /// Those of them that say at offset 16 that they belong to the stream with this epoch. All memfds of one name are
    /// looked at, and other tests give theirs back meanwhile: a file tells what is no longer there, memory would not.
    pub(crate) fn of_stream(name: &str, epoch: u64) -> Vec<Self> {
        let memory = fs::File::open("/proc/self/mem").unwrap();
        let mut found = Self::of(name);
        found.retain(|mapping| {
            let mut word = [0; 8];
            let at = mapping.address() as u64 + 16;
            memory.read_exact_at(&mut word, at).is_ok() && u64::from_ne_bytes(word) == epoch
        });
        found
    }

    /// Where it begins, for another thread.
    pub(crate) fn address(&self) -> usize {
        self.begin.expose_provenance()
    }

    /// A page at that address, which can be written.
    pub(crate) fn at(address: usize) -> Self {
        Self {
            begin: std::ptr::with_exposed_provenance_mut(address),
            len: 4096,
            writable: true,
        }
    }

    pub(crate) fn load(&self, offset: usize) -> u64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len);
        // SAFETY: inside the mapping, aligned; the caller keeps the stream, and so the mapping, alive.
        unsafe { self.begin.add(offset).cast::<u64>().read_volatile() }
    }

    pub(crate) fn store(&self, offset: usize, value: u64) {
        assert!(self.writable && offset.is_multiple_of(8) && offset + 8 <= self.len);
        // SAFETY: as in `load`, and writable.
        unsafe { self.begin.add(offset).cast::<u64>().write_volatile(value) }
    }

    pub(crate) fn bytes(&self, offset: usize, len: usize) -> Vec<u8> {
        assert!(offset + len <= self.len);
        // SAFETY: as in `load`.
        (offset..offset + len)
            .map(|at| unsafe { self.begin.add(at).read_volatile() })
            .collect()
    }
}

/// What a process holds: descriptors, threads, memfds in its memory.
pub(crate) fn holdings() -> (usize, usize, usize) {
    let count = |path| fs::read_dir(path).unwrap().count();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    (
        count("/proc/self/fd"),
        count("/proc/self/task"),
        maps.matches("/memfd:").count(),
    )
}
