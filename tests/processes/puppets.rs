//! A producer and a consumer of `u64` that do what they are told, line by line.

use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use millstream::{
    Buffer, JoinPosition, OnNoConsumer, PutError, SinkRef, SourceRef, StreamFault, TryNext, TryPutError,
};

use crate::stage::{Role, Stage, say, strategy};

pub(crate) const ROLES: &[(&str, Role)] = &[("producer", producer), ("consumer", consumer)];

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(words: &[&str], key: &str) -> Option<T> {
    let value = words
        .iter()
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    value.map(|value| value.parse().unwrap())
}

fn open_sink(stage: &Stage, words: &[&str]) -> Result<SinkRef<u64>, millstream::PublishError> {
    let mut builder = stage.ground.publish::<u64>(words[0]);
    if let Some(elements) = number(words, "buffer") {
        builder = builder.buffer_size(Buffer::Bounded(elements));
    }
    if let Some(wait) = number::<String>(words, "wait") {
        builder = builder.sink_wait(strategy(&wait));
    }
    if let Some(most) = number(words, "consumers") {
        builder = builder.consumers(most);
    }
    if let Some(elements) = number(words, "history") {
        builder = builder.history(elements);
    }
    if words.contains(&"drop") {
        builder = builder.on_no_consumer(OnNoConsumer::Drop);
    }
    if words.contains(&"complete_on_drop") {
        builder = builder.complete_on_drop();
    }
    builder.open()
}

fn producer(stage: &Stage) {
    let mut held = None::<SinkRef<u64>>;
    loop {
        let line = stage.hear();
        let words: Vec<&str> = line.split_whitespace().collect();
        let [verb, words @ ..] = &words[..] else { continue };
        if *verb == "open" {
            match open_sink(stage, words) {
                Ok(sink) => {
                    held = Some(sink);
                    say("ok");
                }
                Err(error) => say(format_args!("error {error:?} {error}")),
            }
            continue;
        }
        if *verb == "drop" {
            drop(held.take());
            say("ok");
            continue;
        }
        let sink = held.as_mut().expect("an open sink");
        match *verb {
            "try" => say(match sink.try_put(words[0].parse().unwrap()) {
                Ok(()) => "ok".to_string(),
                Err(TryPutError::Full(element)) => format!("full {element}"),
                Err(TryPutError::Closed(element, reason)) => format!("closed {element} {reason:?}"),
                Err(_) => unreachable!(),
            }),
            "put" => {
                let (from, to) = (words[0].parse().unwrap(), words[1].parse::<u64>().unwrap());
                let refused = (from..to).find_map(|element| sink.put(element).err());
                say(match refused {
                    None => "ok".to_string(),
                    Some(PutError::Closed(element, reason)) => format!("closed {element} {reason:?}"),
                    Some(_) => unreachable!(),
                });
            }
            "complete" => say(format_args!("{:?}", sink.complete())),
            "drain" => say(format_args!(
                "{:?}",
                sink.complete_and_drain(Instant::now() + Duration::from_secs(20))
            )),
            "fail" => {
                let fault = StreamFault::new(words[0].parse().unwrap(), words[1..].join(" "));
                say(format_args!("{:?}", sink.fail(fault)));
            }
            "demand" => say(sink.demand()),
            "consumers" => say(sink.consumers()),
            "position" => say(sink.position()),
            "closed" => say(sink.is_closed()),
            _ => panic!("a producer does not know how to {verb}"),
        }
    }
}

fn open_source(stage: &Stage, words: &[&str]) -> Result<SourceRef<u64>, millstream::SubscribeError> {
    let mut builder = stage.ground.subscribe::<u64>(words[0]);
    if let Some(window) = number(words, "window") {
        builder = builder.initial_demand(window);
    }
    if let Some(wait) = number::<String>(words, "wait") {
        builder = builder.source_wait(strategy(&wait));
    }
    if let Some(millis) = number(words, "idle") {
        builder = builder.idle_timeout(Some(Duration::from_millis(millis)));
    }
    if let Some(position) = number::<String>(words, "from") {
        builder = builder.from(match position.as_str() {
            "live" => JoinPosition::Live,
            "oldest" => JoinPosition::Oldest,
            position => JoinPosition::At(position.parse().unwrap()),
        });
    }
    if let Some(name) = number::<String>(words, "resumable") {
        builder = builder.resumable(name);
    }
    for word in words {
        builder = match *word {
            "manual" => builder.manual_demand(),
            "each" => builder.replenish_each(),
            "reconnect" => builder.reconnect(),
            _ => builder,
        };
    }
    builder.open()
}

fn consumer(stage: &Stage) {
    let mut held = None::<SourceRef<u64>>;
    loop {
        let line = stage.hear();
        let words: Vec<&str> = line.split_whitespace().collect();
        let [verb, words @ ..] = &words[..] else { continue };
        if matches!(*verb, "open" | "another") {
            match open_source(stage, words) {
                Ok(source) => {
                    held = Some(source);
                    say("ok");
                }
                Err(error) => say(format_args!("error {error:?} {error}")),
            }
            continue;
        }
        if *verb == "drop" {
            drop(held.take());
            say("ok");
            continue;
        }
        if *verb == "panic" {
            let mut source = held.take().unwrap();
            let caught = catch_unwind(AssertUnwindSafe(move || {
                let last: u64 = words[0].parse().unwrap();
                if source.any(|element| element == last) {
                    // Without a message, which nobody needs here.
                    std::panic::resume_unwind(Box::new(()));
                }
            }));
            say(caught.is_err());
            continue;
        }
        let source = held.as_mut().expect("an open source");
        match *verb {
            "try" => say(match source.try_next() {
                TryNext::Item(element) => format!("item {element}"),
                TryNext::Empty => "empty".to_string(),
                TryNext::End(end) => format!("end {end:?}"),
            }),
            "next" => say(match source.next() {
                Some(element) => format!("item {element}"),
                None => format!("none {:?}", source.end()),
            }),
            // Takes so many elements, each of which must be one more than the one before.
            "take" => {
                let count: usize = words[0].parse().unwrap();
                let mut taken = source.take(count);
                let first = taken.next();
                let mut last = first;
                let mut in_order = true;
                for element in taken {
                    in_order &= last.is_some_and(|last| last + 1 == element);
                    last = Some(element);
                }
                say(format_args!("{first:?} {last:?} {in_order}"));
            }
            "request" => {
                say(format_args!(
                    "{:?}",
                    source.request(NonZeroU64::new(words[0].parse().unwrap()).unwrap())
                ));
            }
            "cancel" => {
                source.cancel();
                say("ok");
            }
            "end" => say(format_args!("{:?}", source.end())),
            "granted" => say(source.granted()),
            "position" => say(SourceRef::position(source)),
            "epoch" => say(source.epoch()),
            _ => panic!("a consumer does not know how to {verb}"),
        }
    }
}
