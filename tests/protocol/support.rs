//! How a pair is made, and what every test stands on.

use std::any::Any;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel as mpsc};
use std::thread;
use std::time::Duration;

use millstream::{Buffer, SinkRef, SourceRef, WaitStrategy};

pub(crate) type Sink = SinkRef<u64>;
pub(crate) type Source = SourceRef<u64>;

/// What the builders of every setting have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) buffer_size: usize,
    pub(crate) demand: u64,
    pub(crate) manual: bool,
    pub(crate) each: bool,
    pub(crate) idle: Option<Duration>,
    pub(crate) sink_wait: WaitStrategy,
    pub(crate) source_wait: WaitStrategy,
    pub(crate) complete_on_drop: bool,
    pub(crate) start: u64,
}

impl Config {
    pub(crate) fn new(buffer_size: usize, demand: u64) -> Self {
        Self {
            buffer_size,
            demand,
            manual: false,
            each: false,
            idle: None,
            sink_wait: WaitStrategy::default(),
            source_wait: WaitStrategy::default(),
            complete_on_drop: false,
            start: 0,
        }
    }

    pub(crate) fn manual(self) -> Self {
        Self { manual: true, ..self }
    }

    pub(crate) fn each(self) -> Self {
        Self { each: true, ..self }
    }

    pub(crate) fn idle(self, idle: Duration) -> Self {
        Self {
            idle: Some(idle),
            ..self
        }
    }

    pub(crate) fn waits(self, sink_wait: WaitStrategy, source_wait: WaitStrategy) -> Self {
        Self {
            sink_wait,
            source_wait,
            ..self
        }
    }

    pub(crate) fn complete_on_drop(self) -> Self {
        Self {
            complete_on_drop: true,
            ..self
        }
    }

    pub(crate) fn start(self, start: u64) -> Self {
        Self { start, ..self }
    }
}

/// A way to make a stream of `u64`.
pub(crate) trait Setting: 'static {
    /// Both ends, held by one thread.
    fn pair(config: Config) -> (Sink, Source);

    /// One end in the hands of each function, at the same time. Neither captures anything, so that a setting may run
    /// `produce` in another process.
    fn apart(config: Config, produce: fn(Sink), consume: fn(Source)) {
        let (sink, source) = Self::pair(config);
        let producer = thread::spawn(move || produce(sink));
        consume(source);
        joined(producer);
    }
}

/// By `millstream::channel`.
pub(crate) struct InOneProcess;

impl Setting for InOneProcess {
    fn pair(config: Config) -> (Sink, Source) {
        let mut builder = millstream::channel::<u64>()
            .buffer_size(Buffer::Bounded(config.buffer_size))
            .initial_demand(config.demand)
            .idle_timeout(config.idle)
            .sink_wait(config.sink_wait)
            .source_wait(config.source_wait)
            .start_position(config.start);
        if config.manual {
            builder = builder.manual_demand();
        }
        if config.each {
            builder = builder.replenish_each();
        }
        if config.complete_on_drop {
            builder = builder.complete_on_drop();
        }
        builder.build().unwrap()
    }
}

/// By `millstream::publish` and `millstream::subscribe`, both ends in this process.
#[cfg(target_os = "linux")]
pub(crate) struct Published;

#[cfg(target_os = "linux")]
impl Setting for Published {
    fn pair(config: Config) -> (Sink, Source) {
        // The directory may go when both ends are open: nothing but the connection holds them together.
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run");
        let mut publish = millstream::publish::<u64>("protocol")
            .directory(&path)
            .buffer_size(Buffer::Bounded(config.buffer_size))
            .max_demand(config.demand)
            .sink_wait(config.sink_wait)
            .start_position(config.start);
        if config.complete_on_drop {
            publish = publish.complete_on_drop();
        }
        let mut sink = publish.open().unwrap();
        let mut subscribe = millstream::subscribe::<u64>("protocol")
            .directory(&path)
            .initial_demand(config.demand)
            .idle_timeout(config.idle)
            .source_wait(config.source_wait);
        if config.manual {
            subscribe = subscribe.manual_demand();
        }
        if config.each {
            subscribe = subscribe.replenish_each();
        }
        let source = subscribe.open().unwrap();
        // The producer learns of its consumer a little later, from the background thread, and by a look of its own.
        while millstream::observe("protocol", Some(path.clone()))
            .unwrap()
            .consumer()
            .is_none()
        {
            thread::yield_now();
        }
        let _ = sink.claim(config.buffer_size + config.demand as usize).map(drop);
        (sink, source)
    }
}

/// Makes a test of each function `fn name<S: Setting>()` in every setting.
macro_rules! protocol {
    ($($name:ident)+) => {
        crate::support::protocol!(in_one_process InOneProcess: $($name)+);
        #[cfg(target_os = "linux")]
        crate::support::protocol!(published Published: $($name)+);
    };
    ($setting:ident $type:ident: $($name:ident)+) => {
        mod $setting {
            $(
                #[test]
                fn $name() {
                    crate::support::within(super::$name::<crate::support::$type>);
                }
            )+
        }
    };
}
pub(crate) use protocol;

/// Runs the body on a thread of its own and fails when it hangs.
pub(crate) fn within(body: impl FnOnce() + Send + 'static) {
    let (done, outcome) = mpsc();
    let body = thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    match outcome.recv_timeout(Duration::from_secs(20)) {
        // Disconnected: it panicked.
        Ok(()) | Err(RecvTimeoutError::Disconnected) => joined(body),
        Err(RecvTimeoutError::Timeout) => panic!("it hangs"),
    }
}

/// The result of a thread; its panic goes on here.
pub(crate) fn joined<R>(thread: thread::JoinHandle<R>) -> R {
    thread
        .join()
        .unwrap_or_else(|panic: Box<dyn Any + Send>| resume_unwind(panic))
}

/// Puts elements counting up from `next` until the sink says no; how many it took.
pub(crate) fn fill(sink: &mut Sink, next: &mut u64) -> u64 {
    let from = *next;
    loop {
        match sink.try_put(*next) {
            Ok(()) => *next += 1,
            Err(millstream::TryPutError::Full(back)) => {
                assert_eq!(back, *next, "the element comes back");
                return *next - from;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Everything that is there now.
pub(crate) fn taken(source: &mut Source) -> Vec<u64> {
    std::iter::from_fn(|| source.try_next().item()).collect()
}

/// Strategies that differ in how they wait.
pub(crate) const STRATEGIES: [WaitStrategy; 4] = [
    WaitStrategy::BusySpin,
    WaitStrategy::SpinThenYield { spins: 20 },
    WaitStrategy::park(),
    WaitStrategy::SpinThenPark {
        spins: 300,
        yields: 8,
    },
];

/// Pairs of a buffer size and a demand, most of them not whole lines.
pub(crate) const SIZES: [(usize, u64); 14] = [
    (0, 1),
    (0, 2),
    (1, 1),
    (1, 2),
    (2, 1),
    (0, 7),
    (3, 4),
    (5, 3),
    (7, 7),
    (0, 8),
    (16, 16),
    (17, 5),
    (100, 1),
    (1, 100),
];
