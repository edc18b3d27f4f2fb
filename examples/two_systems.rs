//! Streams between actor systems: `cargo run --release --example two_systems`.
//!
//! Three processes produce the quotes of one symbol each. This process reads all three, and streams an alert back to
//! the producer of a symbol whose price has jumped; the producer prints it. Each of the four is an `ActorSystem`.

#![allow(missing_docs, reason = "an example")]

use std::error::Error;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use millstream::{
    ActorRef, ActorSystem, End, GetSink, GetSource, SinkRef, SourceRef, StreamProducerMsg, stream_consumer,
    stream_producer,
};

/// Threads hand their errors on, so these can be sent.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// 48 bytes.
#[millstream::element]
struct Quote {
    sequence: u64,
    ts: i64,
    symbol: [u8; 8],
    bid: f64,
    ask: f64,
    bid_size: u32,
    ask_size: u32,
}

/// What the reader has to say about a quote.
#[millstream::element]
struct Alert {
    sequence: u64,
    before: f64,
    after: f64,
}

const SYMBOLS: [&str; 3] = ["AAPL", "MSFT", "NVDA"];
const QUOTES: u64 = 100_000;
/// A price that moves by more than this between two quotes is worth an alert.
const THRESHOLD: f64 = 0.50;
/// How long a process waits for another before it gives up.
const LIMIT: Duration = Duration::from_secs(10);

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => read_all(),
        ["produce", symbol, dir] => produce(symbol, Path::new(dir)),
        _ => Err(format!("unexpected arguments {args:?}: this example takes none").into()),
    }
}

// The reader --------------------------------------------------------------------------------------------------

fn read_all() -> Outcome {
    // A directory for this run alone, gone with it.
    let private = tempfile::tempdir()?;
    let dir = private.path().join("run");
    let system = ActorSystem::builder("reader").build()?;

    println!("── Alerts, as the producers receive them ──");
    let mut producers = Producers::default();
    for symbol in SYMBOLS {
        producers.start(symbol, &dir)?;
    }
    // A thread for each, because a source waits for its elements. The actors are on the system's workers all the same.
    let readings = thread::scope(|scope| {
        let threads = SYMBOLS.map(|symbol| scope.spawn(|| read(&system, symbol, &dir)));
        threads.map(|thread| thread.join().unwrap_or_else(|_| Err("a reader panicked".into())))
    });
    let readings = readings.into_iter().collect::<Outcome<Vec<_>>>()?;
    // They end well only if they got as many alerts as their prices jumped.
    producers.join()?;

    println!("── All {} producers have ended ──", SYMBOLS.len());
    for (symbol, (quotes, alerts)) in SYMBOLS.iter().zip(readings) {
        println!("  {symbol}: {quotes} quotes read, {alerts} alerts sent and received");
    }
    Ok(())
}

/// Reads the quotes of a symbol to their end. Returns how many came, and how many alerts went back.
fn read(system: &ActorSystem, symbol: &str, dir: &Path) -> Outcome<(u64, u64)> {
    let alerts = stream_producer().buffer_size(16).published(alerts_of(symbol));
    let alerts = system.spawn(&alerts_of(symbol), alerts.directory(dir))?;
    let mut sink: SinkRef<Alert> = system.ask(&alerts, GetSink::new, LIMIT)?;

    let mut quotes: SourceRef<Quote> = find(system, symbol, dir)?;
    let (mut count, mut sent, mut last) = (0, 0, None);
    for quote in &mut quotes {
        if quote.sequence != count {
            return Err(format!("{symbol}: quote {} came after {count} others", quote.sequence).into());
        }
        count += 1;
        if let Some(before) = jumped_from(&mut last, quote.bid) {
            sink.put(Alert {
                sequence: quote.sequence,
                before,
                after: quote.bid,
            })?;
            sent += 1;
        }
    }
    if quotes.end() != Some(End::Completed) {
        return Err(format!("{symbol}: the quotes ended: {:?}", quotes.end()).into());
    }
    finish(system, &alerts, sink)?;
    Ok((count, sent))
}

/// The other processes. Ended with this one, should anything go wrong here.
#[derive(Default)]
struct Producers(Vec<Child>);

impl Producers {
    fn start(&mut self, symbol: &str, dir: &Path) -> Outcome {
        let mut command = Command::new(std::env::current_exe()?);
        self.0.push(command.args(["produce", symbol]).arg(dir).spawn()?);
        Ok(())
    }

    fn join(&mut self) -> Outcome {
        for (child, symbol) in self.0.iter_mut().zip(SYMBOLS) {
            let status = child.wait()?;
            if !status.success() {
                return Err(format!("the producer of {symbol} ended with {status}").into());
            }
        }
        Ok(())
    }
}

impl Drop for Producers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Nothing happens to one that was waited for.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

// A producer --------------------------------------------------------------------------------------------------

fn produce(symbol: &str, dir: &Path) -> Outcome {
    let system = ActorSystem::builder(symbol).build()?;
    let quotes = stream_producer().buffer_size(256).published(symbol);
    let quotes = system.spawn("quotes", quotes.directory(dir))?;
    let mut sink: SinkRef<Quote> = system.ask(&quotes, GetSink::new, LIMIT)?;

    let alerts = find(&system, &alerts_of(symbol), dir)?;
    // Alerts are received while quotes are put: neither waits for the other.
    let (name, listener) = (symbol.to_owned(), thread::Builder::new().name("alerts".into()));
    let listener = listener.spawn(move || print_alerts(&name, alerts))?;

    let mut bytes = [0; 8];
    bytes[..symbol.len()].copy_from_slice(symbol.as_bytes());
    let (mut jumps, mut last) = (0, None);
    for (sequence, bid) in (0..QUOTES).zip(prices(symbol)) {
        jumps += u64::from(jumped_from(&mut last, bid).is_some());
        sink.put(Quote {
            sequence,
            ts: 1_700_000_000_000_000_000 + sequence as i64,
            symbol: bytes,
            bid,
            ask: bid + 0.01,
            bid_size: 100,
            ask_size: 100,
        })?;
    }
    finish(&system, &quotes, sink)?;

    let heard = listener.join().map_err(|_| "the listener panicked")??;
    if heard != jumps {
        return Err(format!("{symbol}: {heard} alerts came of {jumps} jumps").into());
    }
    Ok(())
}

fn print_alerts(symbol: &str, mut alerts: SourceRef<Alert>) -> Outcome<u64> {
    let mut count = 0;
    for Alert {
        sequence,
        before,
        after,
    } in &mut alerts
    {
        println!("  {symbol} jumped from {before:.2} to {after:.2} (quote {sequence})");
        count += 1;
    }
    match alerts.end() {
        Some(End::Completed) => Ok(count),
        end => Err(format!("{symbol}: the alerts ended: {end:?}").into()),
    }
}

/// Prices that move by a cent, and once in a while jump by a dollar; the same in every run.
fn prices(symbol: &str) -> impl Iterator<Item = f64> {
    let mut state = symbol
        .bytes()
        .fold(1, |state: u64, byte| (state << 8) | u64::from(byte));
    let mut cents = 14_250;
    std::iter::repeat_with(move || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let size = if state.is_multiple_of(25_000) { 100 } else { 1 };
        cents += if state >> 63 == 0 { size } else { -size };
        f64::from(cents) / 100.0
    })
}

// Both --------------------------------------------------------------------------------------------------------

fn alerts_of(symbol: &str) -> String {
    format!("alerts-{symbol}")
}

/// The price before, if it has jumped since.
fn jumped_from(last: &mut Option<f64>, price: f64) -> Option<f64> {
    let before = last.replace(price)?;
    ((price - before).abs() > THRESHOLD).then_some(before)
}

/// The source of a stream that another process publishes, or will in a moment.
fn find<T>(system: &ActorSystem, name: &str, dir: &Path) -> Outcome<SourceRef<T>>
where
    T: millstream::Element + Send + millstream::Travel<Source = SourceRef<T>>,
{
    let published = system.lookup_stream_in::<T>(dir, name, LIMIT)?;
    let consumer = stream_consumer(&published).initial_demand(256);
    let consumer = system.spawn(&format!("{name}-consumer"), consumer)?;
    Ok(system.ask(&consumer, GetSource::new, LIMIT)?)
}

/// Completes a published stream. Its producer stops when the reader has taken everything, and must live until then.
fn finish<T: Send + 'static>(
    system: &ActorSystem,
    producer: &ActorRef<StreamProducerMsg<T>>,
    mut sink: SinkRef<T>,
) -> Outcome {
    sink.complete()?;
    system.wait_stopped(producer, LIMIT)?;
    Ok(())
}
