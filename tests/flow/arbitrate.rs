//! Two lines of one feed: every number once, in order, and what neither brought told.

mod model;

use std::thread;
use std::time::{Duration, Instant};

use millstream::Feed::{Element, Gap};
use millstream::{
    ArbitrateBuilder, Arbitrated, End, Feed, SinkRef, StreamFault, TryNext, WaitStrategy, arbitrate,
};

use crate::stage::{Ground, LONGEST, Role, Stage, say, soon};
use crate::support::{joined, tests};

pub(crate) const ROLES: &[(&str, Role)] = &[("line", line)];

const MINUTES: Duration = Duration::from_secs(600);

/// Both lines, and an arbitration that no time ends the waiting of.
fn lines() -> (SinkRef<u64>, SinkRef<u64>, ArbitrateBuilder<u64>) {
    let line = || {
        let builder = millstream::channel::<u64>().buffer_size(512);
        builder.build().unwrap()
    };
    let ((left, a), (right, b)) = (line(), line());
    (left, right, arbitrate(a, b, |number| *number).patience(MINUTES))
}

/// What is given without waiting.
fn given(feed: &mut Arbitrated<u64>) -> Vec<Feed<u64>> {
    std::iter::from_fn(|| feed.try_next().item()).collect()
}

fn elements(numbers: impl IntoIterator<Item = u64>) -> Vec<Feed<u64>> {
    numbers.into_iter().map(Element).collect()
}

tests! {
    each_number_comes_once_from_whoever_is_first
    a_gap_is_filled_by_the_other_line
    a_gap_that_both_have_passed_is_told_at_once
    patience_ends_the_waiting
    patience_does_not_give_up_what_has_come_meanwhile
    a_full_window_ends_the_waiting_for_the_first_gap_alone
    the_smaller_of_the_first_numbers_begins
    the_first_number_may_be_said
    one_line_goes_on_alone
    the_line_that_came_furthest_says_how_it_ended
    numbers_wrap
    numbers_may_leap_for_ever
    old_numbers_are_duplicates
    counts_say_what_each_line_was_good_for
    dropping_and_cancelling_tell_both_producers
    it_waits_for_both_however_it_waits
    silence_of_both_ends_them
    a_line_whose_process_is_killed_is_replaced_by_the_other
}

fn each_number_comes_once_from_whoever_is_first() {
    let (mut left, mut right, feed) = lines();
    let mut feed = feed.build();
    left.put_slice(&[1, 2, 3]).unwrap();
    assert_eq!(given(&mut feed), elements(1..4));
    right.put_slice(&[1, 2, 3, 4, 5]).unwrap();
    assert_eq!(given(&mut feed), elements(4..6));
    left.put_slice(&[4, 5, 5, 6]).unwrap();
    assert_eq!(given(&mut feed), elements([6]));
    right.put(6).unwrap();
    assert_eq!(given(&mut feed), []);
    assert_eq!((feed.line_a().first, feed.line_b().first), (4, 2));
    assert_eq!((feed.line_a().duplicates, feed.line_b().duplicates), (3, 4));
}

fn a_gap_is_filled_by_the_other_line() {
    let (mut left, mut right, feed) = lines();
    let mut feed = feed.build();
    left.put_slice(&[1, 2, 5, 6, 9]).unwrap();
    assert_eq!(given(&mut feed), elements([1, 2]));
    assert_eq!(feed.held_back(), 3);
    right.put_slice(&[1, 2, 3]).unwrap();
    assert_eq!(given(&mut feed), elements([3]));
    right.put(4).unwrap();
    assert_eq!(given(&mut feed), elements([4, 5, 6]));
    right.put_slice(&[7, 8]).unwrap();
    assert_eq!(given(&mut feed), elements([7, 8, 9]));
    assert_eq!((feed.line_b().filled, feed.line_a().missed), (4, 4));
}

fn a_gap_that_both_have_passed_is_told_at_once() {
    let (mut left, mut right, feed) = lines();
    let mut feed = feed.build();
    left.put_slice(&[1, 4, 7]).unwrap();
    right.put_slice(&[1, 3, 4]).unwrap();
    let gap = |from, count| Gap { from, count };
    assert_eq!(given(&mut feed), [Element(1), gap(2, 1), Element(3), Element(4)]);
    right.put(8).unwrap();
    assert_eq!(given(&mut feed), [gap(5, 2), Element(7), Element(8)]);
}

fn patience_ends_the_waiting() {
    for wait in [
        WaitStrategy::park(),
        WaitStrategy::default(),
        WaitStrategy::BusySpin,
    ] {
        let (mut left, mut right, feed) = lines();
        let patience = Duration::from_millis(20);
        let mut feed = feed.patience(patience).wait(wait).build();
        left.put_slice(&[1, 3, 4, 7]).unwrap();
        let began = Instant::now();
        assert_eq!(feed.next(), Some(Element(1)));
        assert_eq!(feed.next(), Some(Gap { from: 2, count: 1 }));
        assert!(began.elapsed() >= patience);
        let expected = [Element(3), Element(4), Gap { from: 5, count: 2 }, Element(7)];
        assert_eq!(feed.by_ref().take(4).collect::<Vec<_>>(), expected);
        // Too late, and old.
        right.put_slice(&[2, 3]).unwrap();
        assert_eq!(given(&mut feed), []);
        assert_eq!((feed.line_b().duplicates, feed.line_b().late), (1, 1));
    }
}

fn patience_does_not_give_up_what_has_come_meanwhile() {
    let (mut left, mut right, feed) = lines();
    let mut feed = feed.patience(Duration::ZERO).build();
    left.put_slice(&[1, 3]).unwrap();
    right.put_slice(&[1, 2]).unwrap();
    // Whatever has passed by then: 2 is there, though behind a duplicate.
    assert_eq!(given(&mut feed), elements([1, 2, 3]));
}

fn a_full_window_ends_the_waiting_for_the_first_gap_alone() {
    let (mut left, mut right, feed) = lines();
    let mut feed = feed.window(4).build();
    left.put_slice(&[1, 3, 4, 6]).unwrap();
    assert_eq!(given(&mut feed), elements([1]));
    left.put(8).unwrap();
    assert_eq!(
        given(&mut feed),
        [Gap { from: 2, count: 1 }, Element(3), Element(4)]
    );
    assert_eq!(feed.held_back(), 2);
    right.put_slice(&[2, 5]).unwrap();
    assert_eq!(given(&mut feed), elements([5, 6]));
}

fn the_smaller_of_the_first_numbers_begins() {
    let (mut left, mut right, feed) = lines();
    left.put_slice(&[12, 13]).unwrap();
    right.put_slice(&[10, 11, 12]).unwrap();
    let mut feed = feed.build();
    assert_eq!(given(&mut feed), elements(10..14));
}

fn the_first_number_may_be_said() {
    let (mut left, mut right, feed) = lines();
    let mut feed = feed.first(10).build();
    left.put_slice(&[8, 9, 12]).unwrap();
    assert_eq!(given(&mut feed), []);
    right.put_slice(&[11, 12]).unwrap();
    assert_eq!(
        given(&mut feed),
        [Gap { from: 10, count: 1 }, Element(11), Element(12)]
    );
    assert_eq!((feed.line_a().missed, feed.line_b().missed), (2, 1));
}

fn one_line_goes_on_alone() {
    let (mut left, right, feed) = lines();
    let mut feed = feed.build();
    left.put_slice(&[1, 3]).unwrap();
    assert_eq!(given(&mut feed), elements([1]));
    // Nobody is left who could bring it.
    drop(right);
    assert_eq!(given(&mut feed), [Gap { from: 2, count: 1 }, Element(3)]);
    left.put_slice(&[4, 6]).unwrap();
    assert_eq!(
        given(&mut feed),
        [Element(4), Gap { from: 5, count: 1 }, Element(6)]
    );
    assert_eq!(feed.end(), None);
    left.complete().unwrap();
    assert_eq!(feed.next(), None);
    assert_eq!(feed.end(), Some(End::Completed));
    let [Some(End::Completed), Some(End::Failed(_))] = feed.ends() else {
        panic!("{:?}", feed.ends());
    };
    assert_eq!(feed.try_next(), TryNext::End(End::Completed));
}

fn the_line_that_came_furthest_says_how_it_ended() {
    let failed = End::Failed(StreamFault::new(4, "no line"));
    for (a, b, expected) in [
        (3, 2, End::Completed),
        (2, 3, failed.clone()),
        (3, 3, End::Completed),
        (0, 0, End::Completed),
        (0, 1, failed),
    ] {
        for swapped in [false, true] {
            let (mut left, mut right, feed) = lines();
            let mut feed = feed.build();
            if swapped {
                std::mem::swap(&mut left, &mut right);
            }
            (1..=a).for_each(|number| left.put(number).unwrap());
            (1..=b).for_each(|number| right.put(number).unwrap());
            left.complete().unwrap();
            right.fail(StreamFault::new(4, "no line")).unwrap();
            assert_eq!(feed.by_ref().collect::<Vec<_>>(), elements(1..=a.max(b)));
            assert_eq!(feed.end(), Some(expected.clone()), "of {a} and {b}");
        }
    }
}

fn numbers_wrap() {
    let (mut left, mut right, feed) = lines();
    let mut feed = feed.build();
    left.put_slice(&[u64::MAX - 1, 1, 2]).unwrap();
    assert_eq!(given(&mut feed), elements([u64::MAX - 1]));
    right.put_slice(&[u64::MAX, 1]).unwrap();
    assert_eq!(
        given(&mut feed),
        [
            Element(u64::MAX),
            Gap { from: 0, count: 1 },
            Element(1),
            Element(2)
        ]
    );
    assert_eq!(feed.line_a().missed, 2);
}

fn numbers_may_leap_for_ever() {
    let (mut left, right, feed) = lines();
    let mut feed = feed.build();
    drop(right);
    let leap = (1 << 62) + (1 << 61);
    let mut number = 5_u64;
    left.put(number).unwrap();
    assert_eq!(given(&mut feed), elements([5]));
    for _ in 0..20 {
        let from = number.wrapping_add(1);
        number = number.wrapping_add(leap);
        left.put_slice(&[number, number.wrapping_add(1)]).unwrap();
        let count = leap - 1;
        number = number.wrapping_add(1);
        assert_eq!(
            given(&mut feed),
            [
                Gap { from, count },
                Element(number.wrapping_sub(1)),
                Element(number)
            ]
        );
    }

    // The same with elements held back across each leap.
    let (mut left, mut right, feed) = lines();
    let mut feed = feed.build();
    let (mut last, mut told) = (0_u64, Vec::new());
    left.put(0).unwrap();
    for _ in 0..20 {
        let (from, next) = (last.wrapping_add(1), last.wrapping_add(leap));
        left.put_slice(&[next, next.wrapping_add(2)]).unwrap();
        told.extend(given(&mut feed));
        right.put(next.wrapping_add(1)).unwrap();
        told.extend(given(&mut feed));
        let expected = [
            Gap {
                from,
                count: leap - 1,
            },
            Element(next),
            Element(next.wrapping_add(1)),
            Element(next.wrapping_add(2)),
        ];
        assert_eq!(told.split_off(told.len() - 4), expected);
        last = next.wrapping_add(2);
    }
    assert_eq!(told, elements([0]));
}

fn old_numbers_are_duplicates() {
    let (mut left, mut right, feed) = lines();
    let mut feed = feed.build();
    left.put_slice(&[100, 101]).unwrap();
    assert_eq!(given(&mut feed), elements([100, 101]));
    // The exchange begins anew.
    left.put_slice(&[1, 2, 3]).unwrap();
    right.put_slice(&[99, 100, 102]).unwrap();
    assert_eq!(given(&mut feed), elements([102]));
    assert_eq!((feed.line_a().duplicates, feed.line_b().duplicates), (3, 2));
}

fn counts_say_what_each_line_was_good_for() {
    let (mut left, mut right, feed) = lines();
    let mut feed = feed.build();
    left.put_slice(&[1, 2, 4, 4, 5, 8]).unwrap();
    right.put_slice(&[1, 3, 5, 8]).unwrap();
    assert_eq!(
        given(&mut feed),
        [elements(1..6), vec![Gap { from: 6, count: 2 }, Element(8)]].concat()
    );
    let (a, b) = (feed.line_a(), feed.line_b());
    assert_eq!(a.first + b.first, 6);
    assert_eq!((a.first + a.duplicates, b.first + b.duplicates), (6, 4));
    assert_eq!((a.missed, b.missed), (3, 4));
    assert_eq!(a.filled + b.filled, 1);
}

fn dropping_and_cancelling_tell_both_producers() {
    let (left, right, feed) = lines();
    drop(feed.build());
    assert!(left.is_closed() && right.is_closed());
    let (mut left, right, feed) = lines();
    let mut feed = feed.build();
    left.put_slice(&[1, 3]).unwrap();
    assert_eq!(given(&mut feed), elements([1]));
    feed.cancel();
    assert_eq!((feed.next(), feed.held_back()), (None, 0));
    assert_eq!(feed.end(), Some(End::Cancelled));
    assert!(left.is_closed() && right.is_closed());
}

fn it_waits_for_both_however_it_waits() {
    const MANY: u64 = 20_000;
    let strategies = [
        WaitStrategy::park(),
        WaitStrategy::default(),
        WaitStrategy::SpinThenYield { spins: 10 },
    ];
    for wait in strategies {
        let (left, right, feed) = lines();
        let mut feed = feed.wait(wait).window(usize::MAX).build();
        let send = |mut sink: SinkRef<u64>, lost: u64| {
            thread::spawn(move || {
                for number in (0..MANY).filter(|number| number % 8 != lost && number % 16 != 7) {
                    sink.put(number).unwrap();
                    if number % 64 == lost {
                        sink.put(number).unwrap();
                        thread::yield_now();
                    }
                }
                sink.complete().unwrap();
            })
        };
        let (left, right) = (send(left, 2), send(right, 5));
        let mut next = 0;
        // The lines need not begin together.
        for item in feed.by_ref() {
            match item {
                Element(number) if next == 0 => next = number + 1,
                Element(number) => {
                    assert_eq!(number, next);
                    next += 1;
                }
                Gap { from, count } => {
                    assert_eq!((from, count, from % 16), (next, 1, 7));
                    next += 1;
                }
            }
        }
        assert_eq!(next, MANY);
        assert_eq!(feed.end(), Some(End::Completed));
        joined(left);
        joined(right);
    }
}

fn silence_of_both_ends_them() {
    let (mut left, right, feed) = lines();
    let mut feed = feed.idle_timeout(Some(Duration::from_millis(5))).build();
    left.put_slice(&[1, 3]).unwrap();
    assert_eq!(feed.next(), Some(Element(1)));
    assert_eq!(
        feed.by_ref().collect::<Vec<_>>(),
        [Gap { from: 2, count: 1 }, Element(3)]
    );
    let idle = Some(End::IdleTimeout);
    assert_eq!((feed.end(), feed.ends()), (idle.clone(), [idle.clone(), idle]));
    assert!(left.is_closed() && right.is_closed());
    assert!(feed.next_deadline(soon()).unwrap().is_none());
}

/// Publishes `0..count` but for every number that leaves a rest, then waits to be told to complete.
fn line(stage: &Stage) {
    let (name, count, by, rest): (String, u64, u64, u64) =
        (stage.arg(0), stage.arg(1), stage.arg(2), stage.arg(3));
    let builder = stage.ground.publish::<u64>(&name).buffer_size(256);
    let mut sink = builder.open().unwrap();
    for number in (0..count).filter(|number| number % by != rest) {
        sink.put(number).unwrap();
    }
    stage.hear();
    sink.complete().unwrap();
    say("COMPLETED");
    stage.stay();
}

fn a_line_whose_process_is_killed_is_replaced_by_the_other() {
    const MANY: u64 = 50_000;
    let ground = Ground::new();
    let mut dying = ground.start("line", &[&"a", &u64::MAX, &10, &3]);
    let mut living = ground.start("line", &[&"b", &MANY, &7, &5]);
    let [a, b] = ["a", "b"].map(|name| ground.subscribe::<u64>(name).open().unwrap());
    let feed = arbitrate(a, b, |number| *number).first(0);
    let mut feed = feed.patience(LONGEST).window(usize::MAX).build();
    let mut next = 0;
    let mut check = |item: Feed<u64>| match item {
        Element(number) => {
            assert_eq!(number, next);
            next += 1;
            next
        }
        Gap { from, count } => {
            assert_eq!(from, next);
            next += count;
            // The one that lives brought all but these; the other may have been further when it was killed.
            let all = (from..next).filter(|number| *number < MANY);
            assert!(all.into_iter().all(|number| number % 7 == 5), "{item:?}");
            next
        }
    };
    while check(feed.next().unwrap()) < 10_000 {}
    dying.kill();
    living.say("complete");
    feed.by_ref().for_each(|item| {
        check(item);
    });
    assert!(next >= MANY - 1);
    assert_eq!(feed.ends(), [Some(End::PeerGone), Some(End::Completed)]);
    living.expect("COMPLETED");
}

/// An arbitration can be sent to another thread.
#[test]
fn it_is_sent() {
    fn sent<T: Send>(_: &T) {}
    sent(&lines().2.build());
}
