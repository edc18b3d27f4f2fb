//! Signals that interrupt every system call, of every thread, all the time.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use millstream::{Buffer, End};

use crate::alone;
use crate::stage::{Role, Stage, say, soon, strategy};

pub(crate) const ROLES: &[(&str, Role)] = &[
    ("interrupted", interrupted),
    ("takes_interrupted", takes_interrupted),
];

static CAUGHT: AtomicU64 = AtomicU64::new(0);

extern "C" fn caught(_: libc::c_int) {
    CAUGHT.fetch_add(1, Ordering::Relaxed);
}

/// A storm over all threads of this process, while it is kept.
struct Storm {
    over: Option<Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Storm {
    fn begin() -> Self {
        // SAFETY: an all-zero `sigaction` is one without flags, so that no call is begun again by the kernel; the handler does
        // nothing but add to an atomic.
        let done = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = caught as extern "C" fn(libc::c_int) as usize;
            libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut())
        };
        assert_eq!(done, 0);
        let (over, is_over) = channel();
        let thread = thread::spawn(move || {
            let own = rustix::thread::gettid().as_raw_nonzero().get();
            let process = std::process::id();
            // A pause, or nobody else would get to run on a machine with few cores.
            while is_over.recv_timeout(Duration::from_micros(200)) == Err(RecvTimeoutError::Timeout) {
                for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
                    let task: i32 = task.file_name().to_str().unwrap().parse().unwrap();
                    if task != own {
                        // SAFETY: no memory is passed. A thread that has ended meanwhile is not there, which is no matter.
                        unsafe { libc::syscall(libc::SYS_tgkill, process, task, libc::SIGUSR1) };
                    }
                }
            }
        });
        Self {
            over: Some(over),
            thread: Some(thread),
        }
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        drop(self.over.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

const EACH: u64 = 2000;

#[test]
fn no_call_fails_and_no_ring_is_lost_in_a_storm_of_signals() {
    alone("interrupted");
}

fn interrupted(stage: &Stage) {
    let ground = &stage.ground;
    let storm = Storm::begin();
    for round in 0..5 {
        let name = format!("s{round}");
        let consumer = ground.start("takes_interrupted", &[&name]);
        // Large enough that the kernel is interrupted while it reserves the memory.
        let builder = ground.publish::<u64>(&name).buffer_size(Buffer::Bounded(4 << 20));
        drop(builder.open().unwrap());
        let builder = ground.publish::<u64>(&name).buffer_size(1).max_demand(1);
        let mut sink = builder.sink_wait(strategy("park")).open().unwrap();
        for element in 0..EACH {
            if element % 2 == 0 {
                sink.put(element).unwrap();
            } else {
                sink.put_deadline(element, soon()).unwrap();
            }
        }
        assert_eq!(
            millstream::list(Some(ground.dir.clone())).unwrap(),
            [name.as_str()]
        );
        sink.complete_and_drain(soon()).unwrap();
        consumer.expect("DONE");
        consumer.finish();
    }
    drop(storm);
    eprintln!("{} signals caught", CAUGHT.load(Ordering::Relaxed));
    assert!(CAUGHT.load(Ordering::Relaxed) > 100);
    say("done");
}

fn takes_interrupted(stage: &Stage) {
    let name: String = stage.arg(0);
    let _storm = Storm::begin();
    // The first publication of the name may be found, and its end.
    loop {
        let builder = stage.ground.subscribe::<u64>(&name).initial_demand(1);
        let Ok(mut source) = builder.source_wait(strategy("park")).open() else {
            continue;
        };
        let mut expected = 0;
        for element in source.by_ref() {
            assert_eq!(element, expected);
            expected += 1;
        }
        if expected == EACH {
            assert_eq!(source.end(), Some(End::Completed));
            return say("DONE");
        }
        assert_eq!(expected, 0, "{:?}", source.end());
    }
}
