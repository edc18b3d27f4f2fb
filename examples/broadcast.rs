//! streamx's example, a tenth as slow: `cargo run --release --example broadcast`. A producer makes a value every 100 ms; each of its
//! consumers works 200 ms on one. First within one process, as the seed has it, then with each consumer in a process of its own;
//! then a broadcast with a buffer, at full speed, to four processes, of which one is killed on the way.

#![allow(missing_docs, reason = "an example")]

use std::error::Error;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use millstream::{End, Publisher, Subscriber};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const PRODUCING: Duration = Duration::from_millis(100);
const CONSUMING: Duration = Duration::from_millis(200);
/// As long as a process may take to start.
const PATIENCE: Duration = Duration::from_secs(20);
const QUOTES: u64 = 1_000_000;
const VICTIM: usize = 3;

#[millstream::element]
struct Quote {
    number: u64,
    bid: f64,
    ask: f64,
}

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            one_process()?;
            many_processes()?;
            at_full_speed()
        }
        ["consume", dir, who] => {
            let stream = millstream::subscribe::<u64>("numbers").wait_for(PATIENCE);
            consumer(who, stream.directory(dir).subscriber()?)
        }
        ["read", dir] => read(Path::new(dir)),
        _ => Err(format!("unexpected arguments {args:?}: this example takes none").into()),
    }
}

// The seed's example ------------------------------------------------------------------------------------------

fn producer(mut publisher: Publisher<u64>) -> Outcome {
    for i in 0..5 {
        println!("Producing: {i}");
        // Waits until every consumer waits for the next value.
        publisher.put(i)?;
        thread::sleep(PRODUCING);
    }
    publisher.close()?;
    Ok(())
}

fn consumer(who: &str, stream: Subscriber<u64>) -> Outcome {
    for value in stream {
        println!("Consuming{who}: {value}");
        thread::sleep(CONSUMING);
    }
    Ok(())
}

fn one_process() -> Outcome {
    println!("── One process ──");
    let (publisher, stream) = millstream::rendezvous::<u64>().build()?;
    let consuming = stream.subscribe()?;
    let task = thread::spawn(move || consumer("", consuming).map_err(|error| error.to_string()));
    producer(publisher)?;
    task.join().map_err(|_| "the consumer panicked")??;
    Ok(())
}

/// What is new is the name, and the directory, which is one of this run alone.
fn many_processes() -> Outcome {
    println!("── A process for each consumer ──");
    let private = tempfile::tempdir()?;
    let dir = private.path().join("run");
    let publisher = millstream::publish::<u64>("numbers")
        .directory(&dir)
        .publisher()?;
    let mut consumers = Vec::new();
    for who in [" (first)", " (second)"] {
        consumers.push(Process::start(&["consume".as_ref(), dir.as_ref(), who.as_ref()])?);
    }
    while publisher.consumers() < consumers.len() {
        thread::yield_now();
    }
    producer(publisher)?;
    for consumer in &mut consumers {
        consumer.join()?;
    }
    Ok(())
}

// With a buffer -----------------------------------------------------------------------------------------------

fn at_full_speed() -> Outcome {
    println!("── A million quotes to four processes, of which one is killed ──");
    let private = tempfile::tempdir()?;
    let dir = private.path().join("run");
    let mut sink = millstream::publish::<Quote>("quotes")
        .consumers(4)
        .directory(&dir)
        .open()?;
    let mut readers = Vec::new();
    for _ in 0..4 {
        readers.push(Process::start(&["read".as_ref(), dir.as_ref()])?);
    }
    while sink.consumers() < readers.len() {
        thread::yield_now();
    }
    let begun = Instant::now();
    for number in 0..QUOTES {
        if number == QUOTES / 2 {
            // The producer would wait for it, were it not told of its death.
            readers[VICTIM].kill()?;
        }
        let bid = 100.0 + (number % 100) as f64 / 100.0;
        sink.put(Quote {
            number,
            bid,
            ask: bid + 0.01,
        })?;
    }
    sink.complete_and_drain(begun + PATIENCE)?;
    let time = begun.elapsed();
    for (number, reader) in readers.iter_mut().enumerate() {
        if number != VICTIM {
            reader.join()?;
        }
    }
    let rate = QUOTES as f64 / time.as_secs_f64() / 1e6;
    println!("  the other three have checked {QUOTES} quotes each");
    eprintln!("  {rate:.1} million quotes a second, each written once and read by all");
    Ok(())
}

fn read(dir: &Path) -> Outcome {
    let stream = millstream::subscribe::<Quote>("quotes").wait_for(PATIENCE);
    let mut source = stream.initial_demand(512).directory(dir).open()?;
    let mut expected = 0;
    for quote in &mut source {
        if quote.number != expected || quote.ask <= quote.bid {
            return Err(format!("quote {} came where {expected} was due", quote.number).into());
        }
        expected += 1;
    }
    match source.end() {
        Some(End::Completed) if expected == QUOTES => Ok(()),
        end => Err(format!("{expected} quotes, and then {end:?}").into()),
    }
}

/// Another process of this program. Ended with this one, should anything go wrong here.
struct Process(Child);

impl Process {
    fn start(args: &[&std::ffi::OsStr]) -> Outcome<Self> {
        Ok(Self(Command::new(std::env::current_exe()?).args(args).spawn()?))
    }

    fn kill(&mut self) -> Outcome {
        self.0.kill()?;
        Ok(())
    }

    fn join(&mut self) -> Outcome {
        let status = self.0.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("a consumer ended with {status}").into())
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing happens to one that was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
