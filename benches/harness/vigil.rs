//! Who keeps both cores awake while nothing is measured.
//!
//! A virtual processor that falls asleep is moved by the host when it is woken, and may then share a physical core with the
//! other one. So a thread of the least priority spins on each core between measurements, while threads and processes
//! start, and gives the core up to whoever measures on it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread::{self, Thread};

use rustix::process::setpriority_process;

use super::pinning::{self, CONSUMER, PRODUCER, pin};

/// The least that a thread can have without asking for more than its user may.
const LEAST: i32 = 19;

/// Who keeps one core awake.
struct Post {
    awake: AtomicBool,
    resting: AtomicBool,
    /// Who waits for the core to be given up.
    relief: Mutex<Option<Thread>>,
    guard: OnceLock<Thread>,
}

const CORES: [usize; 2] = [PRODUCER, CONSUMER];

/// One for each of the cores.
static POSTS: [Post; 2] = [const { Post::new() }; 2];

impl Post {
    const fn new() -> Self {
        Self {
            awake: AtomicBool::new(false),
            resting: AtomicBool::new(true),
            relief: Mutex::new(None),
            guard: OnceLock::new(),
        }
    }

    #[expect(
        clippy::missing_spin_loop,
        reason = "the host may take the processor of who pauses"
    )]
    fn watch(&self, core: usize) {
        pin(core);
        // At the usual priority it would take a share of what is measured; then it is better off asleep.
        if setpriority_process(None, LEAST).is_err() {
            return;
        }
        loop {
            while self.awake.load(Ordering::Acquire) {}
            // Said each time, also when the vigil had ended before it began.
            self.resting.store(true, Ordering::Release);
            if let Some(waiting) = self.relief.lock().expect("nobody panics with it").take() {
                waiting.unpark();
            }
            thread::park();
        }
    }

    fn begin(&self) {
        if let Some(guard) = self.guard.get()
            && !self.awake.load(Ordering::Relaxed)
        {
            self.resting.store(false, Ordering::Relaxed);
            self.awake.store(true, Ordering::Release);
            guard.unpark();
        }
    }

    fn end(&self) {
        self.awake.store(false, Ordering::Release);
    }
}

/// Begins the vigil, or goes on with it.
pub(crate) fn keep() {
    POSTS.iter().for_each(Post::begin);
}

/// Has threads for the vigil, which begins with [`keep`].
pub(crate) fn prepare() {
    for (post, core) in POSTS.iter().zip(CORES) {
        post.guard
            .get_or_init(|| thread::spawn(move || post.watch(core)).thread().clone());
    }
}

/// Ends the vigil on both cores, for what does its own waking.
pub(crate) fn leave() {
    POSTS.iter().for_each(Post::end);
}

/// Takes over the core to which the calling thread is pinned: returns when nobody else spins there. The thread sleeps
/// meanwhile, but the core does not.
pub(crate) fn relieve() {
    let here = pinning::here();
    let Some(at) = CORES.iter().position(|core| Some(*core) == here) else {
        return;
    };
    let post = &POSTS[at];
    *post.relief.lock().expect("nobody panics with it") = Some(thread::current());
    post.end();
    while !post.resting.load(Ordering::Acquire) {
        thread::park();
    }
}
