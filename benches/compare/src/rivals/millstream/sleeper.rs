//! A consumer that sleeps between elements.

use millstream::WaitStrategy;

use crate::contender::{Figure, Job, Setting};
use crate::harness::pinning::{CONSUMER, PRODUCER};
use crate::harness::process::{Ground, Role};
use crate::harness::stream::{self, NAME, Trust};
use crate::sides::pinned;
use crate::wake;

fn strategy(way: &str) -> WaitStrategy {
    if way.ends_with("at once") {
        WaitStrategy::park()
    } else {
        // Spins for some microseconds, far less than it is left alone.
        WaitStrategy::default()
    }
}

/// The producer's part, and in one process both.
pub(super) fn run(way: &str, job: Job) -> Figure {
    let capacity = job.task.capacity();
    match job.setting {
        Setting::Within => {
            let ends = stream::channel::<u64>(capacity, strategy(way)).build();
            let (mut sink, mut source) = ends.expect("a ring of this size can be made");
            wake::within(
                job.count,
                move |index| sink.put(index).expect("the consumer takes everything"),
                move || source.next().expect("the producer puts as many"),
            )
        }
        Setting::Between => {
            let ground = Ground::new();
            let peer = job.start(&ground, &[]);
            let publish = || {
                stream::publish::<u64>(ground.dir(), NAME, capacity)
                    .open()
                    .expect("the directory is ours")
            };
            let times = pinned(PRODUCER, publish, |sink| {
                wake::put_all(
                    |index| sink.put(index).expect("the consumer takes everything"),
                    job.count,
                )
            });
            peer.finish();
            Figure::Times(times)
        }
    }
}

/// The consumer's part, in the second process.
pub(super) fn play(way: &str, job: Job, role: &mut Role) {
    let dir = role.dir.clone();
    let subscribe = || {
        let source = stream::subscribe::<u64>(&dir, NAME, job.task.capacity(), strategy(way), Trust::Copied);
        source.open().expect("the other process publishes")
    };
    pinned(CONSUMER, subscribe, |source| {
        wake::take_all(|| source.next().expect("the producer puts as many"), job.count);
    });
    role.end();
}
