//! A consumer and its source that do what they are told, line by line: in a thread, or in another process.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use millstream::{
    ActorRef, ActorSystem, AskError, GetSource, GetState, SourceRef, StreamCancel, StreamConsumer,
    StreamConsumerMsg, StreamProducerMsg, SystemRef, TryNext, stream_consumer,
};

use crate::stage::{Actor, LONGEST, Role, Stage, say};

pub(crate) const ROLES: &[(&str, Role)] = &[("reader", reader)];

/// Where the producer is found.
pub(crate) enum Upstream {
    Actor(ActorRef<StreamProducerMsg<u64>>),
    Published(PathBuf, String),
}

/// A consumer, and its source if it was asked for.
pub(crate) struct Desk {
    system: Option<ActorSystem>,
    handle: SystemRef,
    upstream: Upstream,
    consumer: Option<ActorRef<StreamConsumerMsg<u64>>>,
    source: Option<SourceRef<u64>>,
}

pub(crate) fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(words: &[&str], key: &str) -> Option<T> {
    let value = words
        .iter()
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    value.map(|value| value.parse().unwrap())
}

fn shaped(mut consumer: StreamConsumer<u64>, words: &[&str]) -> StreamConsumer<u64> {
    // The watchdog's patience is another.
    consumer = consumer.timeout(number(words, "timeout").map(Duration::from_millis));
    if let Some(demand) = number(words, "demand") {
        consumer = consumer.initial_demand(demand);
    }
    for word in words {
        consumer = match *word {
            "manual" => consumer.manual_demand(),
            "each" => consumer.replenish_each(),
            _ => consumer,
        };
    }
    consumer
}

impl Desk {
    pub(crate) fn new(handle: SystemRef, upstream: Upstream) -> Self {
        Self {
            system: None,
            handle,
            upstream,
            consumer: None,
            source: None,
        }
    }

    pub(crate) fn owning(system: ActorSystem, directory: &Path, name: &str) -> Self {
        let upstream = Upstream::Published(directory.into(), name.into());
        let desk = Self::new(system.handle(), upstream);
        Self {
            system: Some(system),
            ..desk
        }
    }

    fn spawn(&self, words: &[&str]) -> ActorRef<StreamConsumerMsg<u64>> {
        let consumer = match &self.upstream {
            Upstream::Actor(producer) => stream_consumer(producer),
            Upstream::Published(directory, name) => {
                let stream = self.handle.lookup_stream_in::<u64>(directory, name, LONGEST);
                stream_consumer(stream.unwrap())
            }
        };
        // A name of its own, for one scene may have several consumers.
        static CONSUMERS: AtomicU64 = AtomicU64::new(0);
        let name = format!("reader-{}", CONSUMERS.fetch_add(1, Ordering::Relaxed));
        self.handle.spawn(&name, shaped(consumer, words)).unwrap()
    }

    fn get_source(&mut self) -> String {
        let consumer = self.consumer.as_ref().unwrap();
        match self.handle.ask(consumer, GetSource::new, LONGEST) {
            Ok(source) => {
                self.source = Some(source);
                "ok".into()
            }
            Err(AskError::Refused(why)) => format!("refused: {why}"),
            Err(error) => format!("{error:?}"),
        }
    }

    /// Does what the line says.
    pub(crate) fn obey(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [verb, words @ ..] = &words[..] else {
            return String::new();
        };
        match (*verb, &self.consumer) {
            ("consume", _) => {
                self.consumer = Some(self.spawn(words));
                return "ok".into();
            }
            ("source", _) => return self.get_source(),
            ("state", Some(consumer)) => {
                let state = self.handle.ask(consumer, GetState::new, LONGEST);
                return state.map_or_else(|error| format!("{error:?}"), |state| format!("{state:?}"));
            }
            ("tell_cancel", Some(consumer)) => {
                consumer.tell(StreamCancel::new(consumer));
                return "ok".into();
            }
            ("stop", Some(consumer)) => {
                self.handle.stop_and_wait(consumer, LONGEST).unwrap();
                return "ok".into();
            }
            ("stopped", Some(consumer)) => {
                let terminated = self.handle.wait_stopped(consumer, LONGEST).unwrap();
                return format!("{:?}", terminated.reason);
            }
            ("letters", _) => {
                let events = self.handle.events();
                return format!("{} {}", events.dead_letters(), events.unhandled());
            }
            ("shutdown", _) => {
                let report = self.system.take().unwrap().shutdown(LONGEST).unwrap();
                return format!("{} {}", report.dead_letters, report.unhandled);
            }
            ("drop", _) => {
                drop(self.source.take());
                return "ok".into();
            }
            _ => {}
        }
        let Some(source) = &mut self.source else {
            return "no source".into();
        };
        let item = |item: Option<u64>, source: &SourceRef<u64>| match item {
            Some(element) => format!("item {element}"),
            None => format!("end {:?}", source.end().unwrap()),
        };
        match *verb {
            "try" => match source.try_next() {
                TryNext::Item(element) => format!("item {element}"),
                TryNext::Empty => "empty".into(),
                TryNext::End(end) => format!("end {end:?}"),
            },
            "next" => {
                let next = source.next();
                item(next, source)
            }
            // As many as are there, by waiting for each: all in a row.
            "take" => {
                let count = words[0].parse().unwrap();
                let taken: Vec<String> = source.take(count).map(|element| element.to_string()).collect();
                taken.join(" ")
            }
            "rest" => {
                let mut taken: Vec<String> = source.map(|element| element.to_string()).collect();
                taken.push(format!("{:?}", source.end().unwrap()));
                taken.join(" ")
            }
            // How many there were in order from the first on, and the end.
            "count" => {
                let mut next = words[0].parse::<u64>().unwrap();
                for element in source.by_ref() {
                    assert_eq!(element, next, "in order, without a gap");
                    next += 1;
                }
                format!("{next} {:?}", source.end().unwrap())
            }
            // By hand, one after another.
            "count_by_hand" => {
                let mut next = 0;
                while source.request(NonZeroU64::MIN).is_ok() {
                    let Some(element) = source.next() else { break };
                    assert_eq!(element, next);
                    next += 1;
                }
                let _ = source.next();
                format!("{next} {:?}", source.end().unwrap())
            }
            "request" => format!(
                "{:?}",
                source.request(NonZeroU64::new(words[0].parse().unwrap()).unwrap())
            ),
            "cancel" => {
                source.cancel();
                "ok".into()
            }
            "break" => {
                let mut source = self.source.take().unwrap();
                let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                    for element in source.by_ref() {
                        if element == words[0].parse::<u64>().unwrap() {
                            std::panic::resume_unwind(Box::new(()));
                        }
                    }
                }));
                if caught.is_err() { "ok" } else { "ended" }.into()
            }
            "end" => format!("{:?}", source.end()),
            "open" => (source.granted() - SourceRef::position(source)).to_string(),
            "taken" => SourceRef::position(source).to_string(),
            _ => panic!("a reader does not know how to {verb}"),
        }
    }
}

fn reader(stage: &Stage) {
    let name = stage.arg::<String>(0);
    let system = ActorSystem::builder("far").build().unwrap();
    let mut desk = Desk::owning(system, &stage.ground.dir, &name);
    loop {
        let line = stage.hear();
        say(desk.obey(&line));
    }
}

/// Who obeys.
pub(crate) enum Reader {
    Thread {
        lines: Option<Sender<String>>,
        answers: Receiver<String>,
        thread: Option<JoinHandle<()>>,
    },
    Process(Actor),
}

impl Reader {
    pub(crate) fn here(mut desk: Desk) -> Self {
        let (lines, heard) = channel::<String>();
        let (said, answers) = channel();
        let thread = std::thread::spawn(move || {
            for line in heard {
                if said.send(desk.obey(&line)).is_err() {
                    break;
                }
            }
        });
        Self::Thread {
            lines: Some(lines),
            answers,
            thread: Some(thread),
        }
    }

    pub(crate) fn say(&mut self, line: impl std::fmt::Display) {
        match self {
            Self::Thread { lines, .. } => {
                // Gone with a panic of its own, which is heard.
                let _ = lines.as_ref().unwrap().send(line.to_string());
            }
            Self::Process(process) => process.say(line),
        }
    }

    #[track_caller]
    pub(crate) fn hear(&mut self) -> String {
        match self {
            Self::Thread { answers, .. } => answers.recv_timeout(LONGEST).expect("an answer"),
            Self::Process(process) => process.hear(),
        }
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, line: impl std::fmt::Display) -> String {
        self.say(line);
        self.hear()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Self::Thread { lines, thread, .. } = self {
            drop(lines.take());
            // One that waits for an element ends with the test's process; one that panicked has said so.
            if let Some(thread) = thread.take()
                && (!std::thread::panicking() || thread.is_finished())
            {
                let _ = thread.join();
            }
        }
    }
}
