//! Which points are played: all of them, a sample by its seed, or one.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::fault::Fault;
use crate::operation::{Operation, Side};
use crate::report::Row;
use crate::scene::{Ground, Played};
use crate::trace::{By, Killed};

/// Beyond the last point of any operation.
const END: u64 = u64::MAX;
/// Of an operation that fails, so many faults are printed and then the next one is tried.
const ENOUGH: u64 = 5;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Points {
    All,
    /// So many of each operation.
    Sample {
        seed: u64,
        each: u64,
    },
    One(u64),
    /// Only as many as it takes to count them.
    None,
}

pub(crate) struct Campaign {
    ground: Ground,
    points: Points,
    until: Option<Instant>,
    /// Until when the present operation may begin points.
    turn: Option<Instant>,
    /// Points that there was no time for.
    left_out: u64,
}

impl Campaign {
    pub(crate) fn new(ground: Ground, points: Points, within: Option<Duration>) -> Self {
        Self {
            ground,
            points,
            until: within.map(|within| Instant::now() + within),
            turn: None,
            left_out: 0,
        }
    }

    /// Points that there was no time for.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out
    }

    fn is_over(&self) -> bool {
        self.turn.is_some_and(|turn| Instant::now() > turn)
    }

    /// Plays an operation at its points; it is the first of so many, which share the time that there is.
    pub(crate) fn play(&mut self, operation: &'static Operation, of: usize) -> Result<Row, Fault> {
        let now = Instant::now();
        let share = |until: Instant| now + until.saturating_duration_since(now) / of.max(1) as u32;
        self.turn = self.until.map(share);
        let before = descriptors()?;
        let mut row = Row::new(operation);
        if let Points::One(point) = self.points {
            self.point(operation, point, &mut row);
        } else {
            // To its second mark, which counts the points, and is one.
            row.points = match self.point(operation, END, &mut row) {
                Some(killed) if killed.complete => killed.at + 1,
                _ => return Ok(row),
            };
            self.points(operation, &mut row);
        }
        let after = descriptors()?;
        if before != after {
            row.add(&Err(Fault::leaked("")));
            println!(
                "Leaked: the driver had {before} descriptors before {}, {after} after",
                operation.name
            );
        }
        Ok(row)
    }

    fn points(&mut self, operation: &'static Operation, row: &mut Row) {
        let last = row.points - 1;
        match self.points {
            // The way from mark to mark is not always of the same length: on to its end, wherever that is.
            Points::All => {
                for point in 0..END {
                    let killed = self.point(operation, point, row);
                    let complete = killed.is_some_and(|killed| killed.complete);
                    if self.is_enough(row) || complete && point >= last {
                        break;
                    }
                }
            }
            // One from each of as many parts of the same length, so that none of it is left out.
            Points::Sample { seed, each } => {
                let (mut random, each) = (Random::new(seed, operation.name), each.min(last));
                for part in 0..each {
                    let (from, to) = (part * last / each, (part + 1) * last / each);
                    self.point(operation, from + random.below(to - from), row);
                    if self.is_enough(row) {
                        self.left_out += each - part - 1;
                        break;
                    }
                }
            }
            Points::One(_) | Points::None => {}
        }
    }

    fn is_enough(&self, row: &Row) -> bool {
        row.faults() >= ENOUGH || self.is_over()
    }

    /// Plays one point; where the victim was killed, if all went well.
    fn point(&mut self, operation: &'static Operation, point: u64, row: &mut Row) -> Option<Killed> {
        let (killed, played) = self.ground.play(operation, point);
        row.add(&played);
        match played {
            Ok(Played { killed, .. }) => Some(killed),
            Err(fault) => {
                tell(operation, point, killed.as_ref(), &fault);
                None
            }
        }
    }
}

fn tell(operation: &Operation, point: u64, killed: Option<&Killed>, fault: &Fault) {
    let (side, unit) = (
        match operation.side {
            Side::Producer => "producer",
            Side::Consumer => "consumer",
        },
        match operation.by {
            By::Instruction => "instructions",
            By::Store | By::Lending => "stores to shared memory",
            By::SystemCall => "stops at system calls",
        },
    );
    let place = killed.map_or_else(
        || "a place that it did not come to".into(),
        |killed| symbol(&killed.place),
    );
    let at = killed.map_or(point, |killed| killed.at);
    println!(
        "FAILED {}: the {side} killed after {at} {unit}, at {place}",
        operation.name
    );
    println!("  {fault}");
    let program = std::env::current_exe().map_or_else(|_| "crash".into(), |path| path.display().to_string());
    match killed {
        Some(_) => println!("  again: {program} --only {} --point {at}", operation.name),
        None => println!("  again: {program} --only {} --list", operation.name),
    }
}

/// The name of the function at an address of this program, if the system has a tool that knows.
fn symbol(place: &str) -> String {
    let named = || -> Option<String> {
        let address = usize::from_str_radix(place.strip_prefix("0x")?, 16).ok()?;
        let program = fs::read_link("/proc/self/exe").ok()?;
        let maps = fs::read_to_string("/proc/self/maps").ok()?;
        let own = maps
            .lines()
            .find(|line| line.ends_with(&*program.to_string_lossy()))?;
        let base = usize::from_str_radix(own.split('-').next()?, 16).ok()?;
        let offset = format!("{:#x}", address.checked_sub(base)?);
        let known = Command::new("addr2line")
            .arg("-Cfse")
            .arg(program)
            .arg(offset)
            .output()
            .ok()?;
        let lines = String::from_utf8(known.stdout).ok()?;
        let function = lines.lines().next().filter(|name| !name.starts_with('?'))?;
        Some(format!("{place} ({function})"))
    };
    named().unwrap_or_else(|| place.into())
}

fn descriptors() -> Result<usize, Fault> {
    Ok(fs::read_dir("/proc/self/fd")?.count())
}

/// Numbers of a known seed (splitmix64), others for each operation.
struct Random(u64);

impl Random {
    fn new(seed: u64, name: &str) -> Self {
        Self(name.bytes().fold(seed, |sum, byte| {
            sum.wrapping_mul(0x0100_0000_01b3).wrapping_add(byte.into())
        }))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }
}
