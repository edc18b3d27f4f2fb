//! casty's guide to reactive streams, line by line: `cargo run --release --example guide`, and with `-- --two` by two
//! processes. Both print what the guide prints.

#![allow(missing_docs, reason = "an example")]

use std::error::Error;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use millstream::{
    ActorSystem, End, GetSink, GetSource, SinkRef, SourceRef, stream_consumer, stream_producer,
};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Within one process any type would do, a `String` in it included. Between two it has to be an element.
#[millstream::element]
struct PriceUpdate {
    symbol: [u8; 4],
    price: f32,
}

const AAPL: [u8; 4] = *b"AAPL";
const PRICES: [f32; 5] = [142.50, 143.10, 141.80, 144.20, 145.00];
/// The guide's `timeout=5.0`.
const TIMEOUT: Duration = Duration::from_secs(5);

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => one_process(),
        ["--two"] => produce(),
        ["consume", dir] => consume(Path::new(dir)),
        _ => Err(format!("unexpected arguments {args:?}: this example takes none, or --two").into()),
    }
}

// One process -------------------------------------------------------------------------------------------------

fn one_process() -> Outcome {
    let system = ActorSystem::builder("guide").build()?;
    let producer = system.spawn("price-producer", stream_producer().buffer_size(16))?;
    let consumer = system.spawn("price-consumer", stream_consumer(&producer).initial_demand(2))?;
    // The guide sleeps here, for the consumer to subscribe. There is no need: a question waits for its answer.

    let mut sink: SinkRef<PriceUpdate> = system.ask(&producer, GetSink::new, TIMEOUT)?;
    let source: SourceRef<PriceUpdate> = system.ask(&consumer, GetSource::new, TIMEOUT)?;

    let consume_task = thread::spawn(move || print_prices(source));

    println!("── Pushing 5 prices into producer ──");
    println!("── Consuming via async for (initial_demand=2) ──");
    for price in PRICES {
        sink.put(PriceUpdate { symbol: AAPL, price })?;
    }
    sink.complete()?;

    let count = consume_task.join().map_err(|_| "the consumer panicked")??;
    println!("── Stream complete: {count} prices received ──");

    println!("\n── Early break: take 5 from 20 ──");
    let producer2 = system.spawn("num-producer", stream_producer().buffer_size(32))?;
    let consumer2 = system.spawn("num-consumer", stream_consumer(&producer2).initial_demand(4))?;

    let mut sink2: SinkRef<i64> = system.ask(&producer2, GetSink::new, TIMEOUT)?;
    let source2: SourceRef<i64> = system.ask(&consumer2, GetSource::new, TIMEOUT)?;

    let take_task = thread::spawn(move || take_five(source2));
    push_twenty(&mut sink2);

    let taken = take_task.join().map_err(|_| "the consumer panicked")?;
    println!("  Took: {taken:?}");
    // Not by itself: because the source was dropped. Where it does not stop, this is an error.
    system.wait_stopped(&producer2, TIMEOUT)?;
    println!("  Stream cancelled — producer stopped via StreamCancel");
    Ok(())
}

// Two processes -----------------------------------------------------------------------------------------------

/// The producers' half. What is new is `published`, and the directory, which is one of this run alone.
fn produce() -> Outcome {
    let private = tempfile::tempdir()?;
    let dir = private.path().join("run");
    let system = ActorSystem::builder("producers").build()?;
    let prices = stream_producer().buffer_size(16);
    let producer = system.spawn("price-producer", prices.published("prices").directory(&dir))?;
    let numbers = stream_producer().buffer_size(32);
    let producer2 = system.spawn("num-producer", numbers.published("numbers").directory(&dir))?;

    let mut sink: SinkRef<PriceUpdate> = system.ask(&producer, GetSink::new, TIMEOUT)?;
    let mut sink2: SinkRef<i64> = system.ask(&producer2, GetSink::new, TIMEOUT)?;

    println!("── Pushing 5 prices into producer ──");
    println!("── Consuming via async for (initial_demand=2) ──");
    let mut consumer = Consumer::start(&dir)?;
    for price in PRICES {
        sink.put(PriceUpdate { symbol: AAPL, price })?;
    }
    sink.complete()?;
    push_twenty(&mut sink2);

    consumer.join()?;
    // The first has stopped because its consumer has everything; until then it has to be kept.
    system.wait_stopped(&producer, TIMEOUT)?;
    system.wait_stopped(&producer2, TIMEOUT)?;
    println!("  Stream cancelled — producer stopped via StreamCancel");
    Ok(())
}

/// The consumers' half. What is new is `lookup_stream_in`: what it finds stands in the producer's place.
fn consume(dir: &Path) -> Outcome {
    let system = ActorSystem::builder("consumers").build()?;
    let producer = system.lookup_stream_in::<PriceUpdate>(dir, "prices", TIMEOUT)?;
    let consumer = system.spawn("price-consumer", stream_consumer(&producer).initial_demand(2))?;
    let source: SourceRef<PriceUpdate> = system.ask(&consumer, GetSource::new, TIMEOUT)?;
    let count = print_prices(source)?;
    println!("── Stream complete: {count} prices received ──");

    println!("\n── Early break: take 5 from 20 ──");
    let producer2 = system.lookup_stream_in::<i64>(dir, "numbers", TIMEOUT)?;
    let consumer2 = system.spawn("num-consumer", stream_consumer(&producer2).initial_demand(4))?;
    let source2: SourceRef<i64> = system.ask(&consumer2, GetSource::new, TIMEOUT)?;
    println!("  Took: {:?}", take_five(source2));
    Ok(())
}

/// The second process. Ended with this one, should anything go wrong here.
struct Consumer(Child);

impl Consumer {
    fn start(dir: &Path) -> Outcome<Self> {
        let own = std::env::current_exe()?;
        Ok(Self(Command::new(own).arg("consume").arg(dir).spawn()?))
    }

    fn join(&mut self) -> Outcome {
        let status = self.0.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the consumer ended with {status}").into())
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // Nothing happens to one that was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// Both --------------------------------------------------------------------------------------------------------

fn print_prices(mut source: SourceRef<PriceUpdate>) -> Result<u32, String> {
    let mut count = 0;
    for update in &mut source {
        count += 1;
        let symbol = String::from_utf8_lossy(&update.symbol);
        println!("  #{count} {symbol}: ${:.2}", update.price);
    }
    // Iteration stops at every end, so who cares asks which it was.
    match source.end() {
        Some(End::Completed) => Ok(count),
        end => Err(format!("the prices ended otherwise: {end:?}")),
    }
}

/// By its end the source is dropped: the producer is told.
fn take_five(source: SourceRef<i64>) -> Vec<i64> {
    let mut taken = Vec::new();
    for value in source {
        taken.push(value);
        if taken.len() >= 5 {
            break;
        }
    }
    taken
}

fn push_twenty(sink: &mut SinkRef<i64>) {
    for i in 0..20 {
        // The consumer may be gone by now. casty says nothing then; here the element comes back.
        if sink.put(i).is_err() {
            break;
        }
    }
}
