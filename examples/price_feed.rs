//! A price feed between two processes: `cargo run --release --example price_feed`.
//!
//! This process produces. It starts itself a second time, as the consumer, which prints what it takes. What
//! the consumer has to say comes back as a stream, too, so nobody ever sleeps to let the other catch up.

#![allow(missing_docs, reason = "an example")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use millstream::{End, PublishBuilder, PutError, SinkRef, SourceRef, SubscribeBuilder, Travel, WaitStrategy};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// What the guide's feed carries.
#[millstream::element]
struct Price {
    symbol: [u8; 8],
    price: f64,
}

/// What a real one does: 48 bytes.
#[millstream::element]
#[derive(PartialEq)]
struct Quote {
    sequence: u64,
    ts: i64,
    symbol: [u8; 8],
    bid: f64,
    ask: f64,
    bid_size: u32,
    ask_size: u32,
}

const PRICES: [f64; 5] = [142.50, 143.10, 141.80, 144.20, 145.00];
const NUMBERS: u64 = 20;
const TAKEN: usize = 5;
const QUOTES: u64 = 2_000_000;
const WARM_UP: u64 = 10_000;
const ROUND_TRIPS: u64 = 200_000;
/// Round trips stop here on a machine that has no two cores for them.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long either process waits for the other before it gives up.
const LIMIT: Duration = Duration::from_secs(30);

impl Price {
    fn new(symbol: &str, price: f64) -> Self {
        let mut name = [0; 8];
        name[..symbol.len()].copy_from_slice(symbol.as_bytes());
        Self { symbol: name, price }
    }

    fn symbol(&self) -> &str {
        let len = self.symbol.iter().position(|byte| *byte == 0).unwrap_or(8);
        std::str::from_utf8(&self.symbol[..len]).unwrap_or("?")
    }
}

impl Quote {
    /// The quote with this number; the consumer knows what to expect.
    fn nth(sequence: u64) -> Self {
        let tick = (sequence % 1_000) as f64 / 100.0;
        Self {
            sequence,
            ts: 1_700_000_000_000_000_000 + sequence as i64,
            symbol: *b"AAPL\0\0\0\0",
            bid: 142.50 + tick,
            ask: 142.51 + tick,
            bid_size: (sequence % 97) as u32,
            ask_size: (sequence % 89) as u32,
        }
    }
}

fn main() -> Outcome {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        None => produce(),
        Some("consume") => consume(Path::new(&args.next().ok_or("consume which directory?")?)),
        Some(other) => Err(format!("unexpected argument {other:?}: this example takes none").into()),
    }
}

// The producer ------------------------------------------------------------------------------------------------

fn produce() -> Outcome {
    // A directory for this run alone, gone with it, unless the environment names one.
    let private = tempfile::tempdir()?;
    let dir = match std::env::var_os("MILLSTREAM_DIR") {
        Some(named) => PathBuf::from(named),
        None => private.path().join("run"),
    };

    // Put before the consumer is there, prices wait for it: `buffer_size` of them.
    let prices = publish::<Price>("prices", &dir).buffer_size(16).open()?;
    let mut consumer = Consumer::start(&dir)?;
    let mut reports = subscribe::<u64>("reports", &dir).open()?;

    push_prices(prices, &mut reports)?;
    early_break(publish::<u64>("numbers", &dir).buffer_size(4).open()?)?;
    let cores = pin(0);
    throughput(
        publish::<Quote>("quotes", &dir)
            .buffer_size(1024)
            .prefault()
            .sink_wait(wait())
            .open()?,
        &mut reports,
    )?;
    round_trips(
        publish::<Quote>("ping", &dir).sink_wait(wait()).open()?,
        subscribe::<Quote>("pong", &dir).source_wait(wait()).open()?,
        cores,
    )?;

    // Read to its end, so that the consumer knows that everything it said was heard.
    match (reports.next(), reports.end()) {
        (None, Some(End::Completed)) => consumer.join(),
        unexpected => Err(format!("the consumer's last words: {unexpected:?}").into()),
    }
}

fn push_prices(mut sink: SinkRef<Price>, reports: &mut SourceRef<u64>) -> Outcome {
    println!("── Pushing 5 prices into producer ──");
    println!("── Consuming via for (initial_demand=2) ──");
    for price in PRICES {
        sink.put(Price::new("AAPL", price))?;
    }
    sink.complete_and_drain(Instant::now() + LIMIT)?;
    println!("── Stream complete: {} prices received ──", report(reports)?);
    Ok(())
}

fn early_break(mut sink: SinkRef<u64>) -> Outcome {
    println!("\n── Early break: take {TAKEN} from {NUMBERS} ──");
    for number in 0..NUMBERS {
        if let Err(PutError::Closed(number, reason)) = sink.put(number) {
            println!("  put({number}) gave {number} back: {reason}");
            return Ok(());
        }
    }
    Err("the consumer broke off, and nobody told the producer".into())
}

fn throughput(mut sink: SinkRef<Quote>, reports: &mut SourceRef<u64>) -> Outcome {
    println!(
        "\n── Streaming {} quotes of {} bytes ──",
        grouped(QUOTES),
        size_of::<Quote>()
    );
    sink.put(Quote::nth(0))?;
    // The consumer says that it has the first; the clock starts with both sides ready.
    report(reports)?;
    let begun = Instant::now();
    for sequence in 1..QUOTES {
        sink.put(Quote::nth(sequence))?;
    }
    sink.complete_and_drain(Instant::now() + LIMIT)?;
    let took = begun.elapsed().as_secs_f64();
    let right = report(reports)?;
    if right != QUOTES {
        return Err(format!("{right} of {QUOTES} quotes arrived as they were sent").into());
    }
    let rate = QUOTES as f64 / took;
    let bytes = rate * size_of::<Quote>() as f64;
    println!("  all of them arrived, in order and unchanged");
    println!(
        "  {:.1} million quotes/s, {:.2} GB/s ({:.1} ms)",
        rate / 1e6,
        bytes / 1e9,
        took * 1e3
    );
    Ok(())
}

fn round_trips(mut ping: SinkRef<Quote>, mut pong: SourceRef<Quote>, cores: Option<usize>) -> Outcome {
    println!("\n── Round trips of {} bytes ──", size_of::<Quote>());
    let mut times = Histogram::<u64>::new_with_max(60_000_000_000, 3)?;
    let begun = Instant::now();
    let mut sequence = 0;
    while times.len() < ROUND_TRIPS && begun.elapsed() < PATIENCE {
        let sent = Instant::now();
        ping.put(Quote::nth(sequence))?;
        let Some(back) = pong.next() else {
            return Err(format!("the echo ended: {:?}", pong.end()).into());
        };
        let took = sent.elapsed();
        if back.sequence != sequence {
            return Err(format!("quote {sequence} came back as {}", back.sequence).into());
        }
        if sequence >= WARM_UP || begun.elapsed() > PATIENCE / 3 {
            times.record(took.as_nanos() as u64)?;
        }
        sequence += 1;
    }
    ping.complete()?;
    let at = |quantile| times.value_at_quantile(quantile);
    println!(
        "  p50 {} ns, p99 {} ns, p99.9 {} ns, max {} ns ({} round trips{})",
        grouped(at(0.5)),
        grouped(at(0.99)),
        grouped(at(0.999)),
        grouped(times.max()),
        grouped(times.len()),
        match cores {
            Some(_) => ", each process on a core of its own",
            None => ", both processes on one core",
        }
    );
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

// The consumer ------------------------------------------------------------------------------------------------

fn consume(dir: &Path) -> Outcome {
    let mut reports = publish::<u64>("reports", dir).open()?;

    let mut count = 0;
    for price in &mut subscribe::<Price>("prices", dir).initial_demand(2).open()? {
        count += 1;
        println!("  #{count} {}: ${:.2}", price.symbol(), price.price);
    }
    reports.put(count)?;

    let mut taken = Vec::new();
    for number in &mut subscribe::<u64>("numbers", dir).initial_demand(4).open()? {
        taken.push(number);
        if taken.len() == TAKEN {
            println!("  Took: {taken:?}");
            break;
        }
    }
    // The source went out of scope: the producer knows.

    pin(1);
    let mut quotes = subscribe::<Quote>("quotes", dir)
        .initial_demand(1024)
        .source_wait(wait())
        .open()?;
    let mut right = 0;
    for quote in &mut quotes {
        if quote.sequence == 0 {
            reports.put(1)?;
        }
        right += u64::from(quote == Quote::nth(right));
    }
    reports.put(right)?;

    let mut pong = publish::<Quote>("pong", dir).sink_wait(wait()).open()?;
    for quote in &mut subscribe::<Quote>("ping", dir).source_wait(wait()).open()? {
        pong.put(quote)?;
    }
    pong.complete_and_drain(Instant::now() + LIMIT)?;
    reports.complete_and_drain(Instant::now() + LIMIT)?;
    Ok(())
}

// Both --------------------------------------------------------------------------------------------------------

fn publish<T: Travel>(name: &str, dir: &Path) -> PublishBuilder<T> {
    millstream::publish(name).directory(dir)
}

/// Waits for the stream to be published: the two processes begin each part in any order.
fn subscribe<T: Travel>(name: &str, dir: &Path) -> SubscribeBuilder<T> {
    millstream::subscribe(name).directory(dir).wait_for(LIMIT)
}

fn report(reports: &mut SourceRef<u64>) -> Outcome<u64> {
    let word = reports.next();
    word.ok_or_else(|| format!("the consumer does not report: {:?}", reports.end()).into())
}

/// Spins for a while where the peer has a core of its own; lets it run at once where it has not.
fn wait() -> WaitStrategy {
    let alone = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    WaitStrategy::SpinThenYield {
        spins: if alone { 0 } else { 2_000 },
    }
}

/// Gives this thread one of the first two cores, if there are two.
fn pin(index: usize) -> Option<usize> {
    let cores = core_affinity::get_core_ids()?;
    let [first, second, ..] = cores[..] else {
        return None;
    };
    let core = [first, second][index];
    core_affinity::set_for_current(core).then_some(core.id)
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
