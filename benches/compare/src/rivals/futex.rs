//! The limit of waking: a bare futex.

#![allow(
    clippy::disallowed_types,
    reason = "a futex is a word of 32 bits; loom has no part here"
)]

use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::futex;

use crate::contender::{Contender, Figure, Job, Setting, Standing, Task, Way, single};
use crate::harness::pinning::{CONSUMER, PRODUCER};
use crate::harness::process::{Ground, Role};
use crate::seam::page;
use crate::sides::pinned;
use crate::wake;

/// A word that is both what is put and what is slept on; it lies in the page that both sides map.
pub(crate) struct Futex;

/// Its name, by which promises refer to it.
pub(crate) const NAME: &str = "limit: futex";

impl Contender for Futex {
    fn standing(&self) -> Standing {
        Standing::Limit
    }

    fn ways(&self, _setting: Setting, task: Task) -> &'static [Way] {
        match task {
            Task::Wake => const { &[single(NAME)] },
            _ => &[],
        }
    }

    fn run(&self, _way: &str, job: Job) -> Figure {
        match job.setting {
            Setting::Within => {
                let mut last = 0;
                let flags = futex::Flags::PRIVATE;
                wake::within(
                    job.count,
                    move |index| put(index, flags),
                    move || take(&mut last, flags),
                )
            }
            Setting::Between => {
                let ground = Ground::new();
                let peer = job.start(&ground, &[]);
                let put = |index| put(index, futex::Flags::empty());
                let times = pinned(PRODUCER, || (), |()| wake::put_all(put, job.count));
                peer.finish();
                Figure::Times(times)
            }
        }
    }

    fn play(&self, _way: &str, job: Job, role: &mut Role) {
        let mut last = 0;
        let take = || take(&mut last, futex::Flags::empty());
        pinned(CONSUMER, || (), |()| wake::take_all(take, job.count));
        role.end();
    }
}

/// The low half of a word of the page.
fn word() -> &'static AtomicU32 {
    // SAFETY: aligned and never unmapped; nobody uses this word otherwise.
    unsafe { AtomicU32::from_ptr(page().words[1].as_ptr().cast()) }
}

fn put(index: u64, flags: futex::Flags) {
    let word = word();
    word.store(index as u32, Ordering::Release);
    futex::wake(word, flags, 1).expect("the word is mapped");
}

fn take(last: &mut u32, flags: futex::Flags) -> u64 {
    let word = word();
    while word.load(Ordering::Acquire) == *last {
        // It returns at once, or by a signal, when there is something; either way the loop looks again.
        let _ = futex::wait(word, flags, *last, None);
    }
    *last += 1;
    u64::from(word.load(Ordering::Acquire))
}
