//! A producer's part: one incarnation of the stream after another, until the scene is over or it is killed.

use std::ops::Range;
use std::time::{Duration, Instant};

use millstream::CloseReason;

use crate::element::Mark;
use crate::ledger::{Fate, Inc, Incarnation, Word};
use crate::line::Kind;
use crate::outlet::{How, Outlet, open};
use crate::part::{Fault, Scene, VANISHED, pause};
use crate::random::Random;

/// How long the last consumers, none of which is killed any more, may take to release everything.
const LAST: Duration = Duration::from_secs(25);

/// How an incarnation is to end.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Complete,
    Drain,
    Fail,
    Drop,
    /// The process goes, and leaves everything to the kernel.
    Vanish,
}

pub(crate) fn produce(scene: &Scene<'_>, random: &mut Random) -> Result<(), Fault> {
    // At least one, at the very end too: a name whose producer was killed is swept by whoever comes to it next.
    loop {
        let last = scene.ledger.is_finishing();
        let Some(number) = scene.ledger.incarnate(scene.part.run) else {
            // More cannot be noted; the driver ends the scene before.
            return Err(Fault::wrong("the ledger has no room for another incarnation"));
        };
        incarnation(scene, random, number)?;
        scene.slot.beat();
        // One that was told in its midst may have ended without waiting for its consumers.
        if last {
            scene.ledger.set(Word::Done, 1);
            return Ok(());
        }
    }
}

fn incarnation(scene: &Scene<'_>, random: &mut Random, number: u64) -> Result<(), Fault> {
    let note = scene.ledger.incarnation(number);
    let mut life = match random.below(4) {
        0 => random.between(1, 300),
        1 => random.between(300, 10_000),
        _ => random.between(10_000, 200_000),
    };
    if scene.part.kind == Kind::Work {
        life = life.min(20_000);
        let Some(base) = scene.ledger.reserve_handled(life) else {
            return Err(Fault::wrong("the ledger has no room to count more work"));
        };
        note.set(Inc::Base, base);
    }
    let mut outlet = open(scene, random).map_err(|error| Fault::wrong(format!("not published: {error}")))?;
    let start = outlet.position();
    if scene.part.kind.is_durable() {
        note.set(Inc::Published, start);
        note.set(Inc::Trying, start);
        note.set(Inc::Start, start + 1);
    }
    let closed = put_all(scene, random, &mut *outlet, number, start..start + life);
    let fate = match closed {
        Some(reason) => fate_of(reason)?,
        None => end(scene, random, &mut *outlet, note)?,
    };
    note.set(Inc::Fate, fate as u64);
    drop(outlet);
    Ok(())
}

/// Puts the elements of these positions, and returns why it cannot put more, if it cannot.
fn put_all(
    scene: &Scene<'_>,
    random: &mut Random,
    outlet: &mut dyn Outlet,
    number: u64,
    positions: Range<u64>,
) -> Option<CloseReason> {
    let note = scene.ledger.incarnation(number);
    let Range {
        start: mut position,
        end,
    } = positions;
    let (mut how, mut so_often) = (How::Put, 0);
    while position < end && !scene.ledger.is_finishing() {
        if so_often == 0 {
            (how, so_often) = (How::draw(random), random.between(1, 200));
            pause(random);
        }
        so_often -= 1;
        let from = Mark {
            stream: scene.part.stream,
            incarnation: number,
            position,
        };
        let how = match how {
            How::Slice(count) | How::Claim(count) if position + count > end => How::Put,
            how => how,
        };
        note.set(Inc::Trying, position + how.count());
        match outlet.put(how, from) {
            Ok(published) => {
                position += published;
                note.set(Inc::Published, position);
                if published > 0 {
                    scene.slot.beat();
                } else {
                    std::thread::yield_now();
                }
            }
            // What it tried stays noted: of a claim that was refused the consumer may have seen something.
            Err((published, reason)) => {
                note.set(Inc::Published, position + published);
                return Some(reason);
            }
        }
    }
    note.set(Inc::Trying, position);
    None
}

fn end(
    scene: &Scene<'_>,
    random: &mut Random,
    outlet: &mut dyn Outlet,
    note: Incarnation<'_>,
) -> Result<Fate, Fault> {
    let finishing = scene.ledger.is_finishing();
    let ending = match random.below(8) {
        _ if finishing => Ending::Drain,
        0..2 => Ending::Complete,
        2..5 => Ending::Drain,
        5 => Ending::Fail,
        6 => Ending::Drop,
        _ => Ending::Vanish,
    };
    let intent = match ending {
        Ending::Complete | Ending::Drain => Fate::Completed,
        Ending::Fail => Fate::Failed,
        // Dropping a rendezvous' publisher closes its stream.
        Ending::Drop if scene.part.kind == Kind::Rendezvous => Fate::Completed,
        Ending::Drop => Fate::Dropped,
        Ending::Vanish => std::process::exit(VANISHED.into()),
    };
    note.set(Inc::Intent, intent as u64);
    let patience = if finishing {
        LAST
    } else {
        Duration::from_millis(random.below(300))
    };
    let closed = match ending {
        Ending::Complete => outlet.complete().err(),
        Ending::Fail => outlet.fail(4).err(),
        Ending::Drain => match outlet.drain(Instant::now() + patience) {
            Ok(()) => {
                note.set(Inc::Drained, 1);
                None
            }
            Err(left) if left.reason.is_none() && finishing => {
                return Err(Fault::new(
                    "hung",
                    format!("with all consumers at work, after {LAST:?}: {left}"),
                ));
            }
            Err(left) => left.reason,
        },
        Ending::Drop | Ending::Vanish => None,
    };
    match closed {
        Some(reason) => fate_of(reason),
        None => Ok(intent),
    }
}

fn fate_of(reason: CloseReason) -> Result<Fate, Fault> {
    match reason {
        CloseReason::Cancelled => Ok(Fate::Cancelled),
        CloseReason::PeerGone => Ok(Fate::ConsumerGone),
        CloseReason::PeerCorrupt(corruption) => {
            Err(Fault::new("torn", format!("a consumer's words: {corruption}")))
        }
        reason => Err(Fault::wrong(format!("a put was refused: {reason}"))),
    }
}
