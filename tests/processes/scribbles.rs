//! The hostile peers again, with random words in random places.

use std::time::{Duration, Instant};

use millstream::{CloseReason, End, PutDeadlineError};

use crate::hostile::{
    AREA, CONSUMER_RINGS, CONTROL, END_KIND, END_POSITION, GRANTED, PRODUCER_RINGS, RELEASED, RELEASED_BYTES,
};
use crate::stage::{Actor, Ground, Random};

/// A number that a bug or an enemy would write.
fn garbage(random: &mut Random, near: u64) -> u64 {
    match random.below(6) {
        0 => random.next(),
        1 => near.wrapping_add(random.below(5)).wrapping_sub(2),
        2 => near.wrapping_add(random.below(200)),
        3 => random.of(&[
            0,
            1,
            2,
            3,
            u64::MAX,
            1 << 63,
            1 << 62,
            1 << 61,
            1 << 32,
            (1 << 32) - 1,
        ]),
        4 => (near.wrapping_add(1) << 32) | (1 << 31) | random.below(1 << 31),
        _ => 1 << random.below(64),
    }
}

#[test]
fn random_credit_hurts_nobody() {
    let mut random = Random::new("random credit");
    let ground = Ground::new();
    let mut hostile = ground.start("scribbling_consumer", &[]);
    let (mut corrupt, mut other) = (0, 0);
    for round in 0..120 {
        let frames = round % 3 == 0;
        let name = format!("credit{round}");
        let mut words = String::from("write");
        for _ in 0..1 + random.below(3) {
            let offset = random.of(&[
                CONTROL,
                GRANTED,
                GRANTED,
                RELEASED,
                RELEASED_BYTES,
                CONSUMER_RINGS,
                16,
                264,
            ]);
            words += &format!(" {offset} {}", garbage(&mut random, 16));
        }
        let reason = if frames {
            let mut sink = ground.publish::<[u8]>(&name).max_frame(40).open().unwrap();
            assert_eq!(hostile.ask(format!("frames {name}")), "ok");
            drive(&mut hostile, &words, || {
                sink.put_deadline(&[7; 40], Instant::now() + PAUSE)
                    .err()
                    .map(close_of_frame)
            })
        } else {
            let mut sink = ground.publish::<u64>(&name).open().unwrap();
            assert_eq!(hostile.ask(format!("elements {name}")), "ok");
            drive(&mut hostile, &words, || {
                sink.put_deadline(1, Instant::now() + PAUSE)
                    .err()
                    .map(|error| match error {
                        PutDeadlineError::Closed(_, reason) => Some(reason),
                        _ => None,
                    })
            })
        };
        match reason {
            Some(CloseReason::PeerCorrupt(_)) => corrupt += 1,
            Some(CloseReason::Cancelled) | None => other += 1,
            Some(reason) => panic!("round {round}, {words}: {reason:?}"),
        }
        assert_eq!(hostile.ask("drop"), "ok");
    }
    println!("{corrupt} of 120 streams ended as corrupt; {other} were cancelled or unhurt");
    assert!(corrupt > 10);
}

const PAUSE: Duration = Duration::from_millis(2);

fn close_of_frame(error: millstream::PutFrameDeadlineError) -> Option<CloseReason> {
    match error {
        millstream::PutFrameDeadlineError::Closed(reason) => Some(reason),
        _ => None,
    }
}

/// Puts before and after the words were written; why the sink is closed, if it is.
fn drive(
    hostile: &mut Actor,
    words: &str,
    mut put: impl FnMut() -> Option<Option<CloseReason>>,
) -> Option<CloseReason> {
    for _ in 0..20 {
        if let Some(reason) = put() {
            assert_eq!(reason, None, "before anything was written");
            break;
        }
    }
    assert_eq!(hostile.ask(words), "ok");
    // More than any credit lets through, unless it grows with every put.
    for _ in 0..500 {
        match put() {
            Some(Some(reason)) => return Some(reason),
            Some(None) => return None,
            None => {}
        }
    }
    None
}

#[test]
fn a_random_area_hurts_nobody() {
    let mut random = Random::new("a random area");
    let ground = Ground::new();
    let mut hostile = ground.start("scribbling_producer", &[]);
    let (mut corrupt, mut other) = (0, 0);
    for round in 0..200 {
        let kind = ["elements", "bundles", "records", "frames"][round % 4];
        let name = format!("area{round}");
        assert_eq!(hostile.ask(format!("{kind} {name}")), "ok");
        let len: u64 = hostile.ask("len").parse().unwrap();
        let area = if kind == "frames" { 4096 } else { AREA as u64 };
        assert_eq!(hostile.ask(format!("put {}", random.below(20))), "ok");
        let mut words = String::from("write");
        for _ in 0..1 + random.below(30) {
            let near = random.below(20);
            let offset = match random.below(8) {
                0 => random.of(&[
                    256,
                    END_KIND as u64,
                    END_POSITION as u64,
                    PRODUCER_RINGS as u64,
                    400,
                    408,
                    416,
                ]),
                // The headers of the frames that were put, and of the next.
                1..4 if kind == "frames" => area + 32 * near,
                // The stamps of bundles of 96 bytes each, and of lines.
                1..4 if kind == "bundles" => area + 1600 * random.below(6),
                1..4 => area + 64 * random.below(8),
                _ => area + 8 * random.below((len - area) / 8),
            };
            words += &format!(" {offset} {}", garbage(&mut random, near));
        }
        let end = if kind == "elements" {
            let source = ground.subscribe::<u64>(&name).open().unwrap();
            take_all(&mut hostile, &words, source, round)
        } else if kind == "bundles" {
            let builder = ground.subscribe::<[u64; 12]>(&name).initial_demand(64);
            take_all(&mut hostile, &words, builder.open().unwrap(), round)
        } else if kind == "records" {
            let source = ground.subscribe::<[u64; 20]>(&name).open().unwrap();
            take_all(&mut hostile, &words, source, round)
        } else {
            let mut source = ground.subscribe::<[u8]>(&name).open().unwrap();
            hostile.say(&words);
            hostile.say("put 30");
            let mut bytes = 0u64;
            for _ in 0..2000 {
                match source.next_deadline(Instant::now() + PAUSE) {
                    Ok(Some(frame)) => {
                        assert!(frame.len() <= 64, "{} bytes", frame.len());
                        bytes += frame.iter().map(|byte| u64::from(*byte)).sum::<u64>();
                    }
                    _ => break,
                }
            }
            assert!(bytes < u64::MAX);
            hostile.expect("ok");
            hostile.expect("ok");
            source.end()
        };
        match end {
            Some(End::PeerCorrupt(_)) => corrupt += 1,
            _ => other += 1,
        }
        assert_eq!(hostile.ask("drop"), "ok");
    }
    println!("{corrupt} of 150 streams ended as corrupt; {other} otherwise or not at all");
    assert!(corrupt > 10);
}

/// Takes in every way while the other process writes, until nothing comes any more; how it ended, if it did.
fn take_all<T: Copy>(
    hostile: &mut Actor,
    words: &str,
    mut source: millstream::SourceRef<T>,
    round: usize,
) -> Option<End> {
    hostile.say(words);
    hostile.say("put 30");
    for turn in 0..2000 {
        match (round + turn) % 3 {
            0 => drop(source.drain(7, |_| {})),
            1 => {
                let peek = source.peek(5);
                assert!(peek.iter().count() <= 5);
                peek.release(3);
            }
            _ => {
                if !matches!(source.next_deadline(Instant::now() + PAUSE), Ok(Some(_))) {
                    break;
                }
            }
        }
    }
    hostile.expect("ok");
    hostile.expect("ok");
    source.end()
}
