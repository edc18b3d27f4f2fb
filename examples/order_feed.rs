//! An exchange's order book, event by event, from one process to another.
//!
//! `cargo run --release --example order_feed -- FILE.dbn.zst [--every N]` reads a DBN file of order-by-order
//! records (Databento's `mbo` schema) and publishes each record as it is: 56 bytes, one cache line with its
//! stamp. A second process, which this one starts, rebuilds the book from them and prints the best bid and ask. At the
//! end it sends its book back, order by order, and this process compares it with the one that it built itself.

#![allow(missing_docs, reason = "an example")]

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use dbn::VersionUpgradePolicy;
use dbn::decode::{DbnMetadata, DecodeRecordRef, dbn::Decoder};
use millstream::zerocopy::FromBytes;
use millstream::{End, PublishBuilder, SubscribeBuilder, Travel};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const USAGE: &str = "usage: order_feed FILE.dbn.zst [--every N]

Publishes the order-by-order records of a DBN file; a second process rebuilds the book from them and prints
the best bid and ask after about every N events (default 1000) and at the end.";

/// How long either process waits for the other before it gives up.
const LIMIT: Duration = Duration::from_secs(30);
/// Flags of a record after which the book is worth a look: the last one of an event, or one of a snapshot.
const WHOLE: u8 = 1 << 7 | 1 << 5;

/// One record, in the layout in which it is stored: `dbn::MboMsg`.
#[millstream::element(name = "dbn.Mbo")]
#[derive(Debug)]
struct Mbo {
    /// In words of four bytes.
    length: u8,
    rtype: u8,
    publisher_id: u16,
    instrument_id: u32,
    ts_event: u64,
    order_id: u64,
    /// In units of 1e-9.
    price: i64,
    size: u32,
    flags: u8,
    channel_id: u8,
    action: u8,
    side: u8,
    ts_recv: u64,
    ts_in_delta: i32,
    sequence: u32,
}

const _: () = assert!(size_of::<Mbo>() == size_of::<dbn::MboMsg>());

/// An order that rests in a book.
#[millstream::element]
#[derive(Debug, PartialEq, Eq)]
struct Resting {
    instrument_id: u32,
    size: u32,
    order_id: u64,
    price: i64,
    /// `B` or `A`.
    side: [u8; 8],
}

// The book ----------------------------------------------------------------------------------------------------

/// What rests at one price.
#[derive(Debug, Default)]
struct Level {
    size: u64,
    orders: u32,
}

/// The orders of one instrument.
#[derive(Debug, Default)]
struct Book {
    orders: HashMap<u64, Resting>,
    bids: BTreeMap<i64, Level>,
    asks: BTreeMap<i64, Level>,
}

impl Book {
    fn apply(&mut self, event: &Mbo) {
        match event.action {
            b'A' => self.add(event),
            b'C' => self.reduce(event.order_id, event.size),
            // A change of an order that was there before the file began adds it.
            b'M' => {
                self.reduce(event.order_id, u32::MAX);
                self.add(event);
            }
            b'R' => *self = Self::default(),
            // Trades and fills tell what happened; what it did to the book, the cancels that follow say.
            _ => {}
        }
    }

    fn add(&mut self, event: &Mbo) {
        if event.price == dbn::UNDEF_PRICE || event.size == 0 {
            return;
        }
        let Some(levels) = self.levels(event.side) else {
            return;
        };
        let level = levels.entry(event.price).or_default();
        level.size += u64::from(event.size);
        level.orders += 1;
        let mut side = [0; 8];
        side[0] = event.side;
        let order = Resting {
            instrument_id: event.instrument_id,
            size: event.size,
            order_id: event.order_id,
            price: event.price,
            side,
        };
        self.orders.insert(event.order_id, order);
    }

    /// Takes `size` from an order, at most all of it.
    fn reduce(&mut self, order_id: u64, size: u32) {
        let Some(order) = self.orders.get_mut(&order_id) else {
            return;
        };
        let gone = size.min(order.size);
        order.size -= gone;
        let (price, side, empty) = (order.price, order.side[0], order.size == 0);
        if empty {
            self.orders.remove(&order_id);
        }
        let Some(levels) = self.levels(side) else { return };
        if let Some(level) = levels.get_mut(&price) {
            level.size -= u64::from(gone);
            level.orders -= u32::from(empty);
            if level.orders == 0 {
                levels.remove(&price);
            }
        }
    }

    fn levels(&mut self, side: u8) -> Option<&mut BTreeMap<i64, Level>> {
        match side {
            b'B' => Some(&mut self.bids),
            b'A' => Some(&mut self.asks),
            _ => None,
        }
    }
}

impl fmt::Display for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn side(f: &mut fmt::Formatter<'_>, name: &str, best: Option<(&i64, &Level)>) -> fmt::Result {
            match best {
                Some((price, level)) => {
                    let price = *price as f64 / 1e9;
                    write!(
                        f,
                        "{name} {price:>9.2} x {:<4} ({} orders)",
                        level.size, level.orders
                    )
                }
                None => write!(f, "{name}      none"),
            }
        }
        side(f, "bid", self.bids.last_key_value())?;
        f.write_str("   ")?;
        side(f, "ask", self.asks.first_key_value())
    }
}

/// The books of all instruments.
#[derive(Debug, Default)]
struct Books(BTreeMap<u32, Book>);

impl Books {
    fn apply(&mut self, event: &Mbo) -> &Book {
        let book = self.0.entry(event.instrument_id).or_default();
        book.apply(event);
        book
    }

    fn orders(&self) -> impl Iterator<Item = &Resting> {
        self.0.values().flat_map(|book| book.orders.values())
    }
}

// The producer ------------------------------------------------------------------------------------------------

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--consume", dir, every] => every
            .parse()
            .map_err(Into::into)
            .and_then(|every| consume(dir.as_ref(), every)),
        [file] if !file.starts_with('-') => produce(file.as_ref(), 1000),
        [file, "--every", every] | ["--every", every, file] => match every.parse() {
            Ok(every) if every > 0 => produce(file.as_ref(), every),
            _ => return usage(),
        },
        _ => return usage(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("order_feed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn produce(file: &Path, every: u64) -> Outcome {
    let in_file = |error: dbn::Error| format!("{}: {error}", file.display());
    std::fs::File::open(file).map_err(|error| {
        format!(
            "{}: {error}; give the path of a DBN file of schema mbo",
            file.display()
        )
    })?;
    let mut records = Decoder::from_zstd_file(file).map_err(in_file)?;
    records
        .set_upgrade_policy(VersionUpgradePolicy::AsIs)
        .map_err(in_file)?;
    let (version, symbols) = (records.metadata().version, records.metadata().symbols.join(", "));
    println!("{} (DBN version {version}): {symbols}", file.display());

    let private = tempfile::tempdir()?;
    let dir = match std::env::var_os("MILLSTREAM_DIR") {
        Some(named) => PathBuf::from(named),
        None => private.path().join("run"),
    };
    let mut sink = publish::<Mbo>("orders", &dir).buffer_size(1024).open()?;
    let mut consumer = Consumer::start(&dir, every)?;
    let mut returned = subscribe::<Resting>("book", &dir).open()?;

    let mut books = Books::default();
    let (mut count, begun) = (0_u64, Instant::now());
    while let Some(record) = records.decode_record_ref().map_err(in_file)? {
        if record.get::<dbn::MboMsg>().is_none() {
            return Err(format!("{}: record {count} is no order-by-order record", file.display()).into());
        }
        // The bytes of the file, as they are.
        let record = Mbo::read_from_bytes(record.as_ref()).map_err(|error| error.to_string())?;
        books.apply(&record);
        sink.put(record)?;
        count += 1;
    }
    sink.complete_and_drain(Instant::now() + LIMIT)?;
    let took = begun.elapsed();

    let theirs: HashMap<u64, Resting> = returned.by_ref().map(|order| (order.order_id, order)).collect();
    if returned.end() != Some(End::Completed) {
        return Err(format!("the consumer's book: {:?}", returned.end()).into());
    }
    consumer.join()?;
    println!(
        "{count} records of {} bytes in {:.1} ms, file read included",
        size_of::<Mbo>(),
        took.as_secs_f64() * 1e3
    );
    let ours = books.orders().count();
    if ours != theirs.len()
        || books
            .orders()
            .any(|order| theirs.get(&order.order_id) != Some(order))
    {
        return Err(format!(
            "the consumer's book differs: {} orders, and {ours} here",
            theirs.len()
        )
        .into());
    }
    println!("checked: both processes have the same book of {ours} orders");
    Ok(())
}

/// The second process. Ended with this one, should anything go wrong here.
struct Consumer(Child);

impl Consumer {
    fn start(dir: &Path, every: u64) -> Outcome<Self> {
        let own = std::env::current_exe()?;
        Ok(Self(
            Command::new(own)
                .arg("--consume")
                .arg(dir)
                .arg(every.to_string())
                .spawn()?,
        ))
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

fn consume(dir: &Path, every: u64) -> Outcome {
    let mut back = publish::<Resting>("book", dir).open()?;
    let mut orders = subscribe::<Mbo>("orders", dir).initial_demand(1024).open()?;
    let mut books = Books::default();
    let (mut count, mut due) = (0_u64, every);
    for event in &mut orders {
        let book = books.apply(&event);
        count += 1;
        if count >= due && event.flags & WHOLE != 0 {
            println!("{count:>8}  {book}");
            due += every;
        }
    }
    if orders.end() != Some(End::Completed) {
        return Err(format!("the orders: {:?}", orders.end()).into());
    }
    println!("at the end, after {count} records:");
    for (instrument, book) in &books.0 {
        println!("{instrument:>8}  {book}");
    }
    for order in books.orders() {
        back.put(*order)?;
    }
    back.complete_and_drain(Instant::now() + LIMIT)?;
    Ok(())
}

// Both --------------------------------------------------------------------------------------------------------

fn publish<T: Travel>(name: &str, dir: &Path) -> PublishBuilder<T> {
    millstream::publish(name).directory(dir)
}

fn subscribe<T: Travel>(name: &str, dir: &Path) -> SubscribeBuilder<T> {
    millstream::subscribe(name).directory(dir).wait_for(LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: u8, order_id: u64, side: u8, price: i64, size: u32) -> Mbo {
        let price = price * 1_000_000_000;
        Mbo {
            action,
            order_id,
            side,
            price,
            size,
            ..FromBytes::read_from_bytes(&[0; 56]).unwrap()
        }
    }

    #[test]
    fn what_rests_after_each_action() {
        let mut book = Book::default();
        let mut after = |action, order_id, side, price, size| {
            book.apply(&event(action, order_id, side, price, size));
            book.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(after(b'A', 1, b'B', 99, 5), "bid 99.00 x 5 (1 orders) ask none");
        assert_eq!(after(b'A', 2, b'B', 99, 7), "bid 99.00 x 12 (2 orders) ask none");
        assert_eq!(
            after(b'A', 3, b'A', 101, 4),
            "bid 99.00 x 12 (2 orders) ask 101.00 x 4 (1 orders)"
        );
        assert_eq!(
            after(b'C', 2, b'B', 99, 3),
            "bid 99.00 x 9 (2 orders) ask 101.00 x 4 (1 orders)"
        );
        assert_eq!(
            after(b'C', 2, b'B', 99, 4),
            "bid 99.00 x 5 (1 orders) ask 101.00 x 4 (1 orders)"
        );
        for told in [b'T', b'F', b'N'] {
            assert_eq!(
                after(told, 1, b'B', 99, 5),
                "bid 99.00 x 5 (1 orders) ask 101.00 x 4 (1 orders)"
            );
        }
        assert_eq!(
            after(b'M', 1, b'B', 98, 6),
            "bid 98.00 x 6 (1 orders) ask 101.00 x 4 (1 orders)"
        );
        assert_eq!(
            after(b'M', 9, b'A', 100, 1),
            "bid 98.00 x 6 (1 orders) ask 100.00 x 1 (1 orders)"
        );
        assert_eq!(
            after(b'C', 77, b'A', 100, 1),
            "bid 98.00 x 6 (1 orders) ask 100.00 x 1 (1 orders)"
        );
        assert_eq!(after(b'R', 0, b'N', 0, 0), "bid none ask none");
    }
}
