//! The ways of putting and taking many at once do what single puts and takes do.

use millstream::{ClaimError, CloseReason, PutSliceError, TryNext};

use crate::support::{Config, SIZES, Setting, protocol, taken};

protocol! {
    a_peek_of_any_length_shows_everything
    all_ways_carry_the_same_elements
    a_slice_fills_to_the_last_slot
    a_slice_longer_than_the_ring_waits
    a_claim_is_exact
    a_claim_publishes_together
    a_claim_commits_what_was_pushed
    a_dropped_claim_publishes_nothing
    a_claim_after_a_close_fails_to_commit
    slots_are_written_in_place
    a_drain_takes_at_most_what_it_says
    a_peek_takes_nothing
    a_release_takes_the_first
    a_batch_replenishes_the_demand
}

/// Puts `elements` in one of the ways; how many were taken.
fn put(way: usize, sink: &mut crate::support::Sink, elements: &[u64]) -> usize {
    match way {
        0 => elements
            .iter()
            .take_while(|&&element| sink.try_put(element).is_ok())
            .count(),
        1 => sink.try_put_slice(elements).unwrap(),
        2 => {
            let count = match sink.claim(elements.len()) {
                Err(ClaimError::Full { free, .. }) => free,
                Err(ClaimError::TooLarge { .. }) => 1,
                Err(error) => panic!("{error}"),
                Ok(claim) => claim.len(),
            };
            let Ok(mut claim) = sink.claim(count) else {
                return 0;
            };
            for &element in &elements[..count] {
                claim.push(element).unwrap();
            }
            claim.commit().unwrap()
        }
        _ => {
            let count = match sink.claim(elements.len()) {
                Err(ClaimError::Full { free, .. }) => free,
                Err(_) => 1,
                Ok(claim) => claim.len(),
            };
            let Ok(mut claim) = sink.claim(count) else {
                return 0;
            };
            for (slot, &element) in claim.slots().zip(elements) {
                *slot = element;
            }
            claim.commit().unwrap()
        }
    }
}

/// Takes at most `max` in one of the ways.
fn take(way: usize, source: &mut crate::support::Source, max: usize, into: &mut Vec<u64>) -> usize {
    match way {
        0 => {
            let before = into.len();
            while into.len() - before < max
                && let Some(element) = source.try_next().item()
            {
                into.push(element);
            }
            into.len() - before
        }
        1 => source.drain(max, |element| into.push(element)),
        2 => {
            let peek = source.peek(max);
            into.extend(peek.iter());
            peek.release_all()
        }
        _ => {
            let before = into.len();
            while into.len() - before < max {
                let peek = source.peek(max);
                let Some(&first) = peek.iter().next() else { break };
                into.push(first);
                assert_eq!(peek.release(1), 1);
            }
            into.len() - before
        }
    }
}

fn all_ways_carry_the_same_elements<S: Setting>() {
    const COUNT: u64 = 500;
    for put_way in 0..4 {
        for take_way in 0..4 {
            for (buffer, demand) in SIZES {
                for batch in [1, 3, 7, 8, 64] {
                    let (mut sink, mut source) = S::pair(Config::new(buffer, demand));
                    let elements: Vec<u64> = (0..COUNT).collect();
                    let (mut sent, mut got) = (0, vec![]);
                    while got.len() < elements.len() {
                        let end = (sent + batch).min(elements.len());
                        sent += put(put_way, &mut sink, &elements[sent..end]);
                        take(take_way, &mut source, batch + sent % 3, &mut got);
                    }
                    assert_eq!(
                        got, elements,
                        "put {put_way}, take {take_way}, {buffer} + {demand} by {batch}"
                    );
                    assert_eq!((sink.position(), source.position()), (COUNT, COUNT));
                }
            }
        }
    }
}

fn a_slice_fills_to_the_last_slot<S: Setting>() {
    for (buffer, demand) in SIZES {
        let room = buffer + usize::try_from(demand).unwrap();
        for put in 0..room {
            let (mut sink, mut source) = S::pair(Config::new(buffer, demand));
            assert_eq!(sink.try_put_slice(&vec![1; put]), Ok(put));
            assert_eq!(sink.try_put_slice(&[2; 300]), Ok(room - put));
            assert_eq!(sink.try_put_slice(&[3; 300]), Ok(0));
            assert_eq!(sink.try_put_slice(&[]), Ok(0));
            let got = taken(&mut source);
            assert_eq!(got.iter().filter(|&&element| element == 1).count(), put);
            assert_eq!(got.len(), room);
        }
    }
}

fn a_slice_longer_than_the_ring_waits<S: Setting>() {
    for (buffer, demand) in SIZES {
        S::apart(
            Config::new(buffer, demand),
            |mut sink| {
                sink.put_slice(&(0..3000).collect::<Vec<_>>()).unwrap();
                sink.put_slice(&[]).unwrap();
                sink.complete().unwrap();
            },
            |source| assert_eq!(source.collect::<Vec<_>>(), (0..3000).collect::<Vec<_>>()),
        );
    }
}

fn a_claim_is_exact<S: Setting>() {
    for (buffer, demand) in SIZES {
        let room = buffer + usize::try_from(demand).unwrap();
        let (mut sink, _source) = S::pair(Config::new(buffer, demand));
        let too_large = Some(ClaimError::TooLarge {
            asked: room + 1,
            max: room,
        });
        assert_eq!(sink.claim(room + 1).err(), too_large);
        assert_eq!(sink.claim(room).unwrap().len(), room);
        sink.try_put(1).unwrap();
        assert_eq!(
            sink.claim(room).err(),
            Some(ClaimError::Full {
                asked: room,
                free: room - 1
            })
        );
        assert_eq!(sink.claim(room + 1).err(), too_large);
        assert_eq!(sink.claim(room - 1).unwrap().len(), room - 1);
        assert!(sink.claim(0).unwrap().is_empty());
        assert_eq!(sink.claim(0).unwrap().commit(), Ok(0));
    }
}

fn a_claim_publishes_together<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(30, 30));
    for round in 0..50 {
        let mut claim = sink.claim(20).unwrap();
        for i in 0..20 {
            claim.push(round * 20 + i).unwrap();
            assert_eq!(source.try_next(), TryNext::Empty);
        }
        assert_eq!(claim.push(0), Err(0), "it comes back");
        assert_eq!(claim.commit(), Ok(20));
        assert_eq!(
            taken(&mut source),
            (round * 20..round * 20 + 20).collect::<Vec<_>>()
        );
    }
}

fn a_claim_commits_what_was_pushed<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(10, 10));
    let mut claim = sink.claim(20).unwrap();
    claim.push(1).unwrap();
    claim.push(2).unwrap();
    assert_eq!(claim.commit(), Ok(2));
    assert_eq!(sink.claim(5).unwrap().commit(), Ok(0));
    sink.put(3).unwrap();
    assert_eq!(taken(&mut source), [1, 2, 3]);
}

fn a_dropped_claim_publishes_nothing<S: Setting>() {
    for before in 0..16 {
        let (mut sink, mut source) = S::pair(Config::new(10, 10));
        for i in 0..before {
            sink.put(i).unwrap();
        }
        for abort in [false, true] {
            let mut claim = sink.claim(4).unwrap();
            claim.push(100).unwrap();
            claim.push(101).unwrap();
            if abort {
                claim.abort();
            }
        }
        assert_eq!(sink.position(), before);
        for i in before..20 {
            sink.try_put(i).unwrap();
        }
        assert!(sink.try_put(0).is_err(), "no slot was lost or gained");
        assert_eq!(taken(&mut source), (0..20).collect::<Vec<_>>());
    }
}

fn a_claim_after_a_close_fails_to_commit<S: Setting>() {
    let (mut sink, source) = S::pair(Config::new(10, 10));
    let mut claim = sink.claim(4).unwrap();
    claim.push(1).unwrap();
    drop(source);
    assert_eq!(claim.commit().unwrap_err().reason, CloseReason::Cancelled);
    assert_eq!(
        sink.claim(1).err(),
        Some(ClaimError::Closed(CloseReason::Cancelled))
    );
    assert_eq!(
        sink.put_slice(&[1]),
        Err(PutSliceError {
            written: 0,
            reason: CloseReason::Cancelled
        })
    );
}

fn slots_are_written_in_place<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(10, 10));
    let mut claim = sink.claim(4).unwrap();
    claim.push(1).unwrap();
    let mut slots = 0;
    for slot in claim.slots() {
        assert_eq!(*slot, 0, "fresh memory");
        slots += 1;
        *slot = 10 + slots;
    }
    assert_eq!(slots, 3);
    assert_eq!(claim.push(9), Err(9), "they count as written");
    assert_eq!(claim.commit(), Ok(4));
    assert_eq!(taken(&mut source), [1, 11, 12, 13]);
}

fn a_drain_takes_at_most_what_it_says<S: Setting>() {
    for max in [0, 1, 3, 6, 7, 8, 14, 19, 20, 21, usize::MAX] {
        let (mut sink, mut source) = S::pair(Config::new(10, 10));
        sink.put_slice(&(0..20).collect::<Vec<_>>()).unwrap();
        let mut got = vec![];
        assert_eq!(source.drain(max, |element| got.push(element)), max.min(20));
        assert_eq!(got, (0..max.min(20) as u64).collect::<Vec<_>>());
        got.append(&mut taken(&mut source));
        assert_eq!(got, (0..20).collect::<Vec<_>>());
    }
}

fn a_peek_takes_nothing<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(10, 10));
    sink.put_slice(&(0..20).collect::<Vec<_>>()).unwrap();
    for _ in 0..3 {
        let peek = source.peek(15);
        assert_eq!((peek.len(), peek.is_empty()), (15, false));
        assert_eq!(peek.iter().len(), 15);
        assert_eq!(
            peek.into_iter().copied().collect::<Vec<_>>(),
            (0..15).collect::<Vec<_>>()
        );
        assert_eq!(sink.try_put_slice(&[0]), Ok(0), "no credit for looking");
    }
    assert!(source.peek(0).is_empty());
    assert_eq!(source.position(), 0);
    assert_eq!(taken(&mut source), (0..20).collect::<Vec<_>>());
}

fn a_release_takes_the_first<S: Setting>() {
    for release in 0..25 {
        let (mut sink, mut source) = S::pair(Config::new(10, 10));
        sink.put_slice(&(0..20).collect::<Vec<_>>()).unwrap();
        let taken_now = release.min(18);
        assert_eq!(source.peek(18).release(release), taken_now);
        assert_eq!(source.position(), taken_now as u64);
        assert_eq!(taken(&mut source), (taken_now as u64..20).collect::<Vec<_>>());
    }
}

fn a_batch_replenishes_the_demand<S: Setting>() {
    for way in 0..4 {
        let (mut sink, mut source) = S::pair(Config::new(5, 10).each());
        assert_eq!(sink.try_put_slice(&[1; 99]), Ok(15));
        for taken in [1, 2, 7, 8, 15, 3] {
            let mut got = vec![];
            assert_eq!(take(way, &mut source, taken, &mut got), taken);
            assert_eq!(sink.try_put_slice(&[1; 99]), Ok(taken), "way {way}");
        }
    }
}

fn a_peek_of_any_length_shows_everything<S: Setting>() {
    for (max, shown) in [(20, 20), (1000, 20), (usize::MAX / 2 + 1, 20), (usize::MAX, 20)] {
        let (mut sink, mut source) = S::pair(Config::new(16, 16));
        sink.put_slice(&(0..20).collect::<Vec<_>>()).unwrap();
        let peek = source.peek(max);
        assert_eq!(peek.len(), shown, "{max}");
        assert!(peek.iter().copied().eq(0..20));
        peek.release_all();
        assert_eq!(source.try_next(), TryNext::Empty);
    }
}
