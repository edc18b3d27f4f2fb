//! iceoryx2's publish and subscribe.

use std::hint::{black_box, spin_loop};
use std::path::Path as StdPath;

use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

use crate::contender::{Contender, Figure, Job, Setting, Task, Way, single};
use crate::flow;
use crate::harness::element::expected;
use crate::harness::pinning::{CONSUMER, PRODUCER};
use crate::harness::process::{Ground, Role};
use crate::harness::round_trip::ask;
use crate::sides::pinned;

/// Between processes; both sides poll.
pub(crate) struct Iceoryx2;

const WRITTEN: &str = "iceoryx2 loan + send";
const UNTOUCHED: &str = "iceoryx2 loan + send, not touched";

type Elements = [u64];

/// One end of one service, in a place of its own.
struct Ends {
    to: Publisher<ipc::Service, Elements, ()>,
    from: Subscriber<ipc::Service, Elements, ()>,
    words: usize,
    // What the ends belong to.
    _node: Node<ipc::Service>,
}

impl Contender for Iceoryx2 {
    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match (setting, task) {
            (Setting::Between, Task::Flow { .. }) => const { &[single(WRITTEN)] },
            (Setting::Between, Task::Untouched { .. }) => const { &[single(UNTOUCHED)] },
            (Setting::Between, Task::Trip { .. }) => const { &[single("iceoryx2")] },
            _ => &[],
        }
    }

    fn run(&self, _way: &str, job: Job) -> Figure {
        let ground = Ground::new();
        let peer = job.start(&ground, &[]);
        let names = ["there", "back"];
        let figure = match job.task {
            Task::Trip { .. } => pinned(
                PRODUCER,
                || Ends::new(ground.dir(), names, job.task),
                |ends| Figure::Times(ends.ask_all(job.count)),
            ),
            task => pinned(
                CONSUMER,
                || Ends::new(ground.dir(), ["back", "there"], job.task),
                |ends| {
                    let touched = !matches!(task, Task::Untouched { .. });
                    let words = if touched { ends.words as u64 } else { 1 };
                    let taken = flow::consume(|| ends.take(touched), job.count);
                    assert_eq!(
                        taken.sum,
                        expected::<1>(job.count).wrapping_mul(words),
                        "what was taken is what was put"
                    );
                    Figure::Rate(taken.counted as f64 / taken.time.as_secs_f64() / 1e6)
                },
            ),
        };
        peer.finish();
        figure
    }

    fn play(&self, _way: &str, job: Job, role: &mut Role) {
        match job.task {
            Task::Trip { .. } => pinned(
                CONSUMER,
                || Ends::new(&role.dir, ["back", "there"], job.task),
                |ends| {
                    for index in 0..ask::total(job.count) {
                        let arrived = ends.receive();
                        assert_eq!(
                            arrived,
                            index.wrapping_mul(ends.words as u64),
                            "what arrives is what was sent"
                        );
                        ends.put(index, true);
                    }
                },
            ),
            task => pinned(
                PRODUCER,
                || Ends::new(&role.dir, ["there", "back"], job.task),
                |ends| {
                    let touched = !matches!(task, Task::Untouched { .. });
                    let put = |index| {
                        ends.put(index, touched);
                        index + 1
                    };
                    flow::produce(put, job.count);
                },
            ),
        }
        role.end();
    }
}

impl Ends {
    /// Opens a service to publish to and one to subscribe to. Both processes do, before either begins.
    fn new(dir: &StdPath, [to, from]: [&str; 2], task: Task) -> Self {
        set_log_level(LogLevel::Error);
        let (words, capacity) = (task.words(), task.capacity());
        let root = dir
            .parent()
            .expect("the runtime directory lies in a temporary one")
            .join("iceoryx2");
        let mut config = Config::default();
        let path = root.to_str().and_then(|root| Path::new(root.as_bytes()).ok());
        config
            .global
            .set_root_path(&path.expect("a temporary path is short"));
        let node = NodeBuilder::new().config(&config).create::<ipc::Service>();
        let node = node.expect("the temporary directory is ours");
        let service = |name: &str| {
            let name = format!("{}/{name}", root.display());
            let name = name.as_str().try_into().expect("a path is a name");
            node.service_builder(&name)
                .publish_subscribe::<Elements>()
                .subscriber_max_buffer_size(capacity)
                .enable_safe_overflow(false)
                .open_or_create()
                .expect("both processes want the same service")
        };
        let to = service(to)
            .publisher_builder()
            .initial_max_slice_len(words)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()
            .expect("there is one publisher");
        let from = service(from)
            .subscriber_builder()
            .buffer_size(capacity)
            .create()
            .expect("there is one subscriber");
        Self {
            to,
            from,
            words,
            _node: node,
        }
    }

    #[inline(always)]
    fn put(&self, index: u64, touched: bool) {
        let mut loan = self
            .to
            .loan_slice_uninit(self.words)
            .expect("one is loaned at a time");
        if touched {
            for word in loan.payload_mut() {
                word.write(index);
            }
        } else {
            loan.payload_mut()[0].write(index);
        }
        // SAFETY: written, or else memory that the kernel gave, with the values that older elements left there.
        unsafe { loan.assume_init() }
            .send()
            .expect("the subscriber is there");
    }

    #[inline(always)]
    fn take(&self, touched: bool) -> (u64, u64) {
        match self.from.receive().expect("the connection is whole") {
            Some(sample) if touched => (total(&sample), 1),
            Some(sample) => (sample[0], 1),
            None => (0, 0),
        }
    }

    #[inline(always)]
    fn receive(&self) -> u64 {
        loop {
            let (sum, count) = self.take(true);
            if count > 0 {
                break black_box(sum);
            }
            spin_loop();
        }
    }

    fn ask_all(&self, count: u64) -> hdrhistogram::Histogram<u64> {
        ask::each(count, |index| {
            self.put(index, true);
            let returned = self.receive();
            assert_eq!(
                returned,
                index.wrapping_mul(self.words as u64),
                "what comes back is what was sent"
            );
        })
    }
}

#[inline(always)]
fn total(elements: &[u64]) -> u64 {
    elements.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word))
}
