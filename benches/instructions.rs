//! How many instructions an operation executes on its fast path: counted under callgrind, not timed, so that a loaded or
//! virtual machine says the same as a quiet one. Fails when one needs more than its budget.
//!
//! `cargo bench --bench instructions`; it needs `valgrind`, and where that is not installed it says so and counts nothing,
//! which is a failure with `-- --required`. The program runs itself under callgrind twice for each operation,
//! with fewer and with more elements, and divides what the second run took more: what starts and ends a loop does not
//! count. What counts beside the operation: the loop itself (three instructions where one element is put or taken at a
//! time), making every word of the element from its number, adding every word up, and a step from line to line where
//! several elements share one. The budgets of `put` and `next` are the 14 and 12 that they may take, and the loop.

use std::hint::black_box;
use std::process::{Command, ExitCode};

use millstream::{SinkRef, SourceRef};

/// An operation: what it is called, how many instructions an element may take, and the loop.
struct Operation {
    name: &'static str,
    budget: f64,
    run: fn(u64),
}

/// Elements of the two runs. Their difference fills whole lines of seven, and whole batches, and is so large that a consumer which looks
/// ahead for what never comes, at the end, weighs nothing.
const FEWER: u64 = 20 * 7 * BATCH as u64;
const MORE: u64 = 2 * FEWER;
/// Elements of a batch or a claim.
const BATCH: usize = 64;
/// Room for all of them, so that credit is counted where it is meant to be counted.
const ROOM: usize = 20 * 2048;
/// Elements of a small ring, in which credit is given and used up all the time.
const SMALL: usize = 64;
/// Elements put before they are taken there.
const TURN: u64 = SMALL as u64 / 2;

type Words<const W: usize> = [u64; W];

const OPERATIONS: [Operation; 19] = [
    Operation::new("put, 8 B", 17.0, |n| counted_put(ends::<1>(ROOM), n)),
    Operation::new("put, 56 B", 30.5, |n| counted_put(ends::<7>(ROOM), n)),
    Operation::new("put, 64 B", 32.0, |n| counted_put(ends::<8>(ROOM), n)),
    Operation::new("try_put, 8 B", 23.5, |n| counted_try_put(ends::<1>(ROOM), n)),
    Operation::new("next, 8 B", 11.0, |n| counted_next(filled::<1>(n), n)),
    Operation::new("next, 56 B", 39.5, |n| counted_next(filled::<7>(n), n)),
    Operation::new("next, 64 B", 21.0, |n| counted_next(filled::<8>(n), n)),
    Operation::new("try_next, 8 B", 16.0, |n| counted_try_next(filled::<1>(n), n)),
    Operation::new("drain, 8 B", 6.0, |n| counted_drain(filled::<1>(n), n)),
    Operation::new("drain, 56 B", 41.5, |n| counted_drain(filled::<7>(n), n)),
    Operation::new("put_slice of 64, 8 B", 7.5, |n| {
        counted_put_slice(ends::<1>(ROOM), n)
    }),
    Operation::new("put_slice of 64, 56 B", 22.0, |n| {
        counted_put_slice(ends::<7>(ROOM), n)
    }),
    Operation::new("claim of 64 and commit, 8 B", 12.0, |n| {
        counted_claim(ends::<1>(ROOM), n)
    }),
    Operation::new("claim of 64 and commit, 56 B", 27.5, |n| {
        counted_claim(ends::<7>(ROOM), n)
    }),
    Operation::new("peek of 64 and release, 8 B", 15.0, |n| {
        counted_peek(filled::<1>(n), n)
    }),
    Operation::new("peek of 64 and release, 56 B", 46.5, |n| {
        counted_peek(filled::<7>(n), n)
    }),
    Operation::new("put, next and credit, 8 B, ring of 64", 84.5, |n| {
        counted_turns(ends::<1>(SMALL), n)
    }),
    Operation::new("put, next and credit, 56 B, ring of 64", 87.0, |n| {
        counted_turns(ends::<7>(SMALL), n)
    }),
    Operation::new("put, drain and credit, 8 B, ring of 64", 66.0, |n| {
        counted_drains(ends::<1>(SMALL), n)
    }),
];

impl Operation {
    const fn new(name: &'static str, budget: f64, run: fn(u64)) -> Self {
        Self { name, budget, run }
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, place, count] = words.as_slice()
        && flag == "--operation"
    {
        let operation = place.parse().ok().and_then(|place: usize| OPERATIONS.get(place));
        let operation = operation.expect("the program that starts this one knows the operations");
        (operation.run)(count.parse().expect("a number is given"));
        return ExitCode::SUCCESS;
    }
    if !words.iter().any(|word| word == "--bench") {
        // As a test: everything runs, nothing is counted.
        for operation in &OPERATIONS {
            (operation.run)(FEWER);
        }
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("Instructions are NOT COUNTED: there is no valgrind here (apt-get install valgrind)");
        return if words.iter().any(|word| word == "--required") {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        };
    }
    println!("Instructions of an operation, on one thread, counted by callgrind\n");
    println!("  {:45} {:>8} {:>8}", "", "counted", "budget");
    let mut over = 0;
    for (place, operation) in OPERATIONS.iter().enumerate() {
        let counts = [FEWER, MORE].map(|count| counted(place, count));
        let [fewer, more] = match counts {
            [Ok(fewer), Ok(more)] => [fewer, more],
            [Err(wrong), _] | [_, Err(wrong)] => {
                eprintln!("{}: {wrong}", operation.name);
                return ExitCode::FAILURE;
            }
        };
        let each = more.saturating_sub(fewer) as f64 / (MORE - FEWER) as f64;
        let is_over = each > operation.budget;
        over += usize::from(is_over);
        let mark = if is_over { "  OVER" } else { "" };
        println!(
            "  {:45} {each:8.2} {:8.2}{mark}",
            operation.name, operation.budget
        );
    }
    if over > 0 {
        eprintln!(
            "\n{over} operations need more instructions than their budget; make them cheaper, or say in the commit that raises a budget what is bought by it"
        );
        return ExitCode::FAILURE;
    }
    println!("\nall within their budgets");
    ExitCode::SUCCESS
}

/// Instructions of one run, within the loops below.
fn counted(place: usize, count: u64) -> Result<u64, String> {
    let this = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--toggle-collect=*counted_*",
        ])
        .arg(this)
        .args(["--operation", &place.to_string(), &count.to_string()])
        .output()
        .map_err(|error| {
            format!("cannot run valgrind, which counts: {error}; install it (apt-get install valgrind)")
        })?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!(
            "the run under valgrind failed ({}):\n{said}",
            output.status
        ));
    }
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, number)| number.trim().parse().ok());
    match collected {
        Some(0) | None => Err(format!(
            "callgrind did not say how many instructions it counted:\n{said}"
        )),
        Some(number) => Ok(number),
    }
}

type Ends<const W: usize> = (SinkRef<Words<W>>, SourceRef<Words<W>>);

/// A stream with room for so many elements, half of them demanded at first.
fn ends<const W: usize>(room: usize) -> Ends<W> {
    let channel = millstream::channel::<Words<W>>()
        .buffer_size(room / 2)
        .initial_demand(room as u64 / 2);
    channel.build().expect("a ring of this size can be made")
}

/// A stream in which so many elements lie, and then its end. All of them were demanded, so that taking them gives no credit.
fn filled<const W: usize>(count: u64) -> Ends<W> {
    let channel = millstream::channel::<Words<W>>()
        .buffer_size(1)
        .initial_demand(2 * ROOM as u64);
    let (mut sink, source) = channel.build().expect("a ring of this size can be made");
    for index in 0..count {
        sink.put([index; W]).expect("there is room");
    }
    (sink, source)
}

#[inline(always)]
fn sum<const W: usize>(element: &Words<W>) -> u64 {
    element.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word))
}

// What callgrind counts: each by itself, named `counted_`, and with the handles by value, as a loop of a user has them.

#[inline(never)]
fn counted_put<const W: usize>((mut sink, _source): Ends<W>, count: u64) {
    for index in 0..count {
        sink.put([index; W]).expect("there is room");
    }
}

#[inline(never)]
fn counted_try_put<const W: usize>((mut sink, _source): Ends<W>, count: u64) {
    for index in 0..count {
        sink.try_put([index; W]).expect("there is room");
    }
}

#[inline(never)]
fn counted_put_slice<const W: usize>((mut sink, _source): Ends<W>, count: u64) {
    let batch = black_box([[7; W]; BATCH]);
    for _ in 0..count / BATCH as u64 {
        sink.put_slice(&batch).expect("there is room");
    }
}

#[inline(never)]
fn counted_claim<const W: usize>((mut sink, _source): Ends<W>, count: u64) {
    for batch in 0..count / BATCH as u64 {
        let mut claim = sink.claim(BATCH).expect("there is room");
        for index in 0..BATCH as u64 {
            claim.push([batch + index; W]).expect("as many were claimed");
        }
        claim.commit().expect("the consumer is there");
    }
}

#[inline(never)]
fn counted_next<const W: usize>((_sink, source): Ends<W>, count: u64) {
    let mut source = source;
    let mut total = 0;
    for _ in 0..count {
        total += sum(&source.next().expect("as many were put"));
    }
    black_box(total);
}

#[inline(never)]
fn counted_try_next<const W: usize>((_sink, source): Ends<W>, count: u64) {
    let mut source = source;
    let mut total = 0;
    for _ in 0..count {
        total += sum(&source.try_next().item().expect("as many were put"));
    }
    black_box(total);
}

#[inline(never)]
fn counted_drain<const W: usize>((_sink, source): Ends<W>, count: u64) {
    let mut source = source;
    let mut total = 0;
    let mut left = count as usize;
    while left > 0 {
        left -= source.drain(left, |element| total += sum(&element));
    }
    black_box(total);
}

#[inline(never)]
fn counted_peek<const W: usize>((_sink, source): Ends<W>, count: u64) {
    let mut source = source;
    let mut total = 0;
    for _ in 0..count / BATCH as u64 {
        let peek = source.peek(BATCH);
        for element in &peek {
            total += sum(element);
        }
        peek.release_all();
    }
    black_box(total);
}

#[inline(never)]
fn counted_turns<const W: usize>((sink, source): Ends<W>, count: u64) {
    let (mut sink, mut source) = (sink, source);
    let mut total = 0;
    for batch in 0..count / TURN {
        for index in 0..TURN {
            sink.put([batch + index; W]).expect("there is room");
        }
        for _ in 0..TURN {
            total += sum(&source.next().expect("as many were put"));
        }
    }
    black_box(total);
}

#[inline(never)]
fn counted_drains<const W: usize>((sink, source): Ends<W>, count: u64) {
    let (mut sink, mut source) = (sink, source);
    let mut total = 0;
    for batch in 0..count / TURN {
        for index in 0..TURN {
            sink.put([batch + index; W]).expect("there is room");
        }
        let mut left = TURN as usize;
        while left > 0 {
            left -= source.drain(left, |element| total += sum(&element));
        }
    }
    black_box(total);
}
