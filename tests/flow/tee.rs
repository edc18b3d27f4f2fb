//! Row L8: independent branches of one source, each with every element and with the end behind them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use millstream::{
    Branch, Buffer, End, Lossy, SinkRef, SourceRef, StreamFault, TeeError, TimedOut, TryNext, WaitStrategy,
    tee,
};
use proptest::prelude::*;

use crate::support::{Counted, joined, later, until, within};

fn stream() -> (SinkRef<u64>, SourceRef<u64>) {
    millstream::channel::<u64>().build().unwrap()
}

#[test]
fn every_branch_gets_every_element_in_order() {
    within(|| {
        for (wait, buffer) in [
            (WaitStrategy::default(), 16),
            (WaitStrategy::park(), 1),
            (WaitStrategy::SpinThenYield { spins: 2 }, 3),
        ] {
            let (mut sink, source) = millstream::channel::<String>()
                .source_wait(wait)
                .sink_wait(wait)
                .build()
                .unwrap();
            let branches = tee::<4, _>(source)
                .buffer_size(buffer)
                .wait(wait)
                .build()
                .unwrap();
            let readers = branches.map(|mut branch| {
                thread::spawn(move || {
                    let all: Vec<String> = branch.by_ref().collect();
                    assert_eq!(branch.end(), Some(End::Completed));
                    assert_eq!(branch.lost(), 0);
                    all
                })
            });
            let all: Vec<String> = (0..3_000).map(|i| format!("{i}")).collect();
            for line in &all {
                sink.put(line.clone()).unwrap();
            }
            sink.complete().unwrap();
            for reader in readers {
                assert_eq!(joined(reader), all);
            }
        }
    });
}

#[test]
fn a_fault_reaches_all_branches_behind_everything_before_it() {
    let (mut sink, source) = stream();
    let mut branches = tee::<3, _>(source).build().unwrap();
    sink.put_slice(&[1, 2]).unwrap();
    let fault = StreamFault::new(9, "the line is cut");
    sink.fail(fault.clone()).unwrap();
    // The first pulls it all, and the end with it.
    for branch in &mut branches {
        assert_eq!(branch.end(), None);
        assert_eq!(branch.by_ref().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(branch.end(), Some(End::Failed(fault.clone())));
        assert_eq!(branch.try_next(), TryNext::End(End::Failed(fault.clone())));
        assert_eq!(branch.next_deadline(Instant::now()), Ok(None));
    }
}

#[test]
fn the_fullest_branch_holds_the_others_back_exactly() {
    let (mut sink, source) = millstream::channel::<u64>().buffer_size(100).build().unwrap();
    let [mut fast, mut slow] = tee::<2, _>(source).buffer_size(3).build().unwrap();
    sink.put_slice(&(0..50).collect::<Vec<_>>()).unwrap();
    assert_eq!(
        fast.by_ref().map_while(Some).take(3).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    assert_eq!(fast.try_next(), TryNext::Empty);
    assert_eq!(fast.next_deadline(Instant::now()), Err(TimedOut));
    assert_eq!(slow.next(), Some(0));
    assert_eq!(fast.next(), Some(3));
    assert_eq!(fast.try_next(), TryNext::Empty);
    drop(slow);
    assert_eq!(
        fast.by_ref().take(46).collect::<Vec<_>>(),
        (4..50).collect::<Vec<_>>()
    );
}

#[test]
fn nothing_is_pulled_that_no_branch_looked_for() {
    let (mut sink, source) = millstream::channel::<u64>()
        .buffer_size(Buffer::Rendezvous)
        .initial_demand(1)
        .build()
        .unwrap();
    let [mut one, mut two] = tee::<2, _>(source).build().unwrap();
    sink.put(0).unwrap();
    assert!(sink.try_put(1).is_err(), "nobody has taken the first");
    assert_eq!(one.next(), Some(0));
    sink.try_put(1).unwrap();
    assert!(sink.try_put(2).is_err());
    assert_eq!(two.next(), Some(0), "which was there already");
    assert!(sink.try_put(2).is_err());
    assert_eq!(two.next(), Some(1));
    sink.try_put(2).unwrap();
}

#[test]
fn what_is_there_is_pulled_as_far_as_every_branch_has_room() {
    let (mut sink, source) = millstream::channel::<u64>()
        .buffer_size(Buffer::Rendezvous)
        .initial_demand(8)
        .replenish_each()
        .build()
        .unwrap();
    let [mut one, mut two] = tee::<2, _>(source).buffer_size(5).build().unwrap();
    for i in 0..8 {
        sink.try_put(i).unwrap();
    }
    assert_eq!(one.next(), Some(0));
    assert_eq!(sink.demand(), 5);
    assert_eq!(two.next(), Some(0));
    assert_eq!(sink.demand(), 5, "it had that already");
    assert_eq!(one.by_ref().take(5).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(sink.demand(), 6, "the other has room for one");
    assert_eq!(one.try_next(), TryNext::Empty);
}

#[cfg(target_os = "linux")]
#[test]
fn what_would_count_as_released_is_pulled_one_by_one() {
    within(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run");
        let mut sink = millstream::publish::<u64>("jobs")
            .directory(&path)
            .open()
            .unwrap();
        let jobs = millstream::subscribe::<u64>("jobs")
            .release_on_next()
            .directory(&path);
        let [mut one, mut two] = tee::<2, _>(jobs.open().unwrap()).build().unwrap();
        sink.put_slice(&[0, 1, 2, 3]).unwrap();
        for element in 0..3 {
            assert_eq!(one.next(), Some(element));
        }
        assert_eq!(two.by_ref().take(3).collect::<Vec<_>>(), [0, 1, 2]);
        drop((one, two));
        let left = sink.complete_and_drain(Instant::now()).unwrap_err().left;
        assert_eq!(left, 1, "which nobody has looked for");
    });
}

#[test]
fn a_branch_that_goes_wakes_those_that_it_held_back() {
    within(|| {
        for wait in [WaitStrategy::park(), WaitStrategy::default()] {
            let (mut sink, source) = stream();
            let [mut held, slow] = tee::<2, _>(source).buffer_size(1).wait(wait).build().unwrap();
            sink.put_slice(&[0, 1]).unwrap();
            assert_eq!(held.next(), Some(0));
            assert_eq!(held.try_next(), TryNext::Empty);
            let waits = Arc::new(AtomicU64::new(0));
            let told = waits.clone();
            let reader = thread::spawn(move || {
                told.store(1, Ordering::SeqCst);
                held.next()
            });
            until(|| waits.load(Ordering::SeqCst) == 1);
            drop(slow);
            assert_eq!(joined(reader), Some(1));
        }
    });
}

#[test]
fn with_the_last_branch_the_source_is_cancelled() {
    let alive = Arc::new(AtomicU64::new(0));
    let (mut sink, source) = millstream::channel::<Counted>().build().unwrap();
    let [mut one, two] = tee::<2, _>(source).build().unwrap();
    for i in 0..5 {
        sink.put(Counted::new(i, &alive)).unwrap();
    }
    assert_eq!(one.next().unwrap().number, 0);
    drop(one);
    assert!(!sink.is_closed());
    drop(two);
    assert!(sink.is_closed());
    drop(sink);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn a_lossy_branch_is_told_how_many_it_lost() {
    let (mut sink, source) = millstream::channel::<u64>().buffer_size(100).build().unwrap();
    let [mut all, mut newest, mut oldest] = tee::<3, _>(source)
        .buffer_size(4)
        .lossy(1, Lossy::Oldest)
        .lossy(2, Lossy::Newest)
        .build()
        .unwrap();
    sink.put_slice(&(0..20).collect::<Vec<_>>()).unwrap();
    sink.complete().unwrap();
    assert_eq!(all.by_ref().count(), 20);
    assert_eq!(newest.by_ref().collect::<Vec<_>>(), [16, 17, 18, 19]);
    assert_eq!(oldest.by_ref().collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!([all.lost(), newest.lost(), oldest.lost()], [0, 16, 16]);
    assert_eq!(
        [all.end(), newest.end(), oldest.end()],
        [const { Some(End::Completed) }; 3]
    );
}

#[test]
fn who_waits_takes_over_from_who_gives_up() {
    within(|| {
        let (mut sink, source) = stream();
        let [mut short, long] = tee::<2, _>(source).wait(WaitStrategy::park()).build().unwrap();
        let reader = thread::spawn(move || {
            let mut long = long;
            (long.next(), long)
        });
        assert_eq!(
            short.next_deadline(Instant::now() + Duration::from_millis(5)),
            Err(TimedOut)
        );
        sink.put(1).unwrap();
        let (first, mut long) = joined(reader);
        assert_eq!(first, Some(1));
        // While one pumps, the other one's deadline is its own.
        let reader = thread::spawn(move || (long.next(), long));
        assert_eq!(short.next_deadline(later()), Ok(Some(1)));
        assert_eq!(
            short.next_deadline(Instant::now() + Duration::from_millis(5)),
            Err(TimedOut)
        );
        sink.put(2).unwrap();
        assert_eq!(joined(reader).0, Some(2));
        assert_eq!(short.next(), Some(2));
    });
}

#[test]
fn the_idle_timeout_of_the_source_ends_all() {
    within(|| {
        let (_sink, source) = millstream::channel::<u64>()
            .idle_timeout(Some(Duration::from_millis(5)))
            .build()
            .unwrap();
        let readers = tee::<3, _>(source).build().unwrap().map(|mut branch| {
            thread::spawn(move || {
                assert_eq!(branch.next(), None);
                branch.end()
            })
        });
        for reader in readers {
            assert_eq!(joined(reader), Some(End::IdleTimeout));
        }
    });
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = tee::<2, _>(stream().1).buffer_size(0).build();
    assert_eq!(refused.err(), Some(TeeError::NoBuffer));
    let refused = tee::<2, _>(stream().1).lossy(2, Lossy::Oldest).build();
    let (branch, branches) = (2, 2);
    assert_eq!(refused.err(), Some(TeeError::NoSuchBranch { branch, branches }));
}

/// Panics when it is cloned, as long as it is told to.
struct Shy {
    number: u64,
    refuses: Arc<AtomicU64>,
}

impl Clone for Shy {
    fn clone(&self) -> Self {
        assert!(
            self.number != 1 || self.refuses.load(Ordering::SeqCst) == 0,
            "it does not want to be cloned, which is expected here"
        );
        Self {
            number: self.number,
            refuses: self.refuses.clone(),
        }
    }
}

fn numbers(branch: &mut Branch<Shy>) -> Vec<u64> {
    branch.by_ref().map(|shy| shy.number).collect()
}

#[test]
fn a_clone_that_panics_loses_nothing() {
    within(|| {
        for recovers in [true, false] {
            let refuses = Arc::new(AtomicU64::new(1));
            let (mut sink, source) = millstream::channel::<Shy>().build().unwrap();
            let [mut one, mut two, mut three] = tee::<3, _>(source).build().unwrap();
            for number in 0..3 {
                let refuses = refuses.clone();
                assert!(sink.put(Shy { number, refuses }).is_ok());
            }
            sink.complete().unwrap();
            assert_eq!(one.next().unwrap().number, 0);
            assert!(catch_unwind(AssertUnwindSafe(|| one.next().map(|shy| shy.number))).is_err());
            if recovers {
                refuses.store(0, Ordering::SeqCst);
                assert_eq!(numbers(&mut one), [1, 2]);
                assert_eq!(numbers(&mut two), [0, 1, 2]);
            } else {
                assert_eq!(two.next().unwrap().number, 0);
                assert!(catch_unwind(AssertUnwindSafe(|| two.next().map(|shy| shy.number))).is_err());
                // Whoever is left alone gets the element itself.
                drop((one, two));
            }
            assert_eq!(numbers(&mut three), [0, 1, 2]);
        }
    });
}

#[test]
fn branches_come_to_their_ends_in_a_storm() {
    within(|| {
        for round in 0..50usize {
            let alive = Arc::new(AtomicU64::new(0));
            let wait = [WaitStrategy::park(), WaitStrategy::default()][round % 2];
            let (mut sink, source) = millstream::channel::<Counted>().build().unwrap();
            let branches = tee::<4, _>(source)
                .buffer_size(1 + round % 5)
                .lossy(3, Lossy::Oldest)
                .wait(wait)
                .build()
                .unwrap();
            let mut number = 0;
            let readers = branches.map(|mut branch| {
                number += 1;
                // The first stays to the end, and so does the one that loses some.
                let most = if number == 2 || number == 3 {
                    round * number
                } else {
                    usize::MAX
                };
                thread::spawn(move || {
                    let taken: Vec<u64> = branch.by_ref().take(most).map(|element| element.number).collect();
                    assert!(taken.is_sorted_by(|one, next| one < next));
                    (taken.len() as u64, branch.lost())
                })
            });
            for number in 0..400 {
                sink.put(Counted::new(number, &alive)).unwrap();
            }
            sink.complete().unwrap();
            let [first, second, third, fourth] = readers.map(joined);
            assert_eq!(first, (400, 0));
            assert_eq!(second, ((round as u64 * 2).min(400), 0));
            assert_eq!(third, ((round as u64 * 3).min(400), 0));
            assert_eq!(fourth.0 + fourth.1, 400);
            drop(sink);
            assert_eq!(alive.load(Ordering::SeqCst), 0);
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_source_from_another_process_has_branches_too() {
    within(|| {
        let (mut sink, source) = crate::support::published();
        let readers = tee::<2, _>(source)
            .wait(WaitStrategy::park())
            .build()
            .unwrap()
            .map(|branch| thread::spawn(move || branch.sum::<u64>()));
        for i in 0..10_000 {
            sink.put(i).unwrap();
        }
        sink.complete().unwrap();
        for reader in readers {
            assert_eq!(joined(reader), 49_995_000);
        }
    });
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Put,
    Take(usize),
    Leave(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        20 => Just(Op::Put),
        30 => (0usize..3).prop_map(Op::Take),
        1 => (0usize..3).prop_map(Op::Leave),
    ];
    prop::collection::vec(op, 0..300)
}

/// What a branch is by the book.
struct Model {
    queue: VecDeque<u64>,
    lossy: Option<Lossy>,
    lost: u64,
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn whatever_happens_it_does_as_the_book_says(
        ops in ops(),
        buffer in 1usize..6,
        policies in prop::array::uniform3(prop::option::of(prop_oneof![Just(Lossy::Oldest), Just(Lossy::Newest)])),
    ) {
        let (mut sink, source) = millstream::channel::<u64>().buffer_size(400).build().unwrap();
        let mut builder = tee::<3, _>(source).buffer_size(buffer);
        for (number, policy) in policies.iter().enumerate() {
            if let Some(lossy) = policy {
                builder = builder.lossy(number, *lossy);
            }
        }
        let mut branches = builder.build().unwrap().map(Some);
        let mut models = policies.map(|lossy| Some(Model { queue: VecDeque::new(), lossy, lost: 0 }));
        let mut upstream = VecDeque::new();
        let mut put = 0;
        for op in ops {
            match op {
                Op::Put if branches.iter().any(Option::is_some) => {
                    sink.try_put(put).unwrap();
                    upstream.push_back(put);
                    put += 1;
                }
                Op::Put => prop_assert!(sink.is_closed()),
                Op::Take(number) => {
                    let Some(branch) = &mut branches[number] else { continue };
                    let held = models.iter().flatten().any(|model| {
                        model.lossy.is_none() && model.queue.len() >= buffer
                    });
                    let dry = models[number].as_ref().unwrap().queue.is_empty();
                    if dry && !held && let Some(element) = upstream.pop_front() {
                        for model in models.iter_mut().flatten() {
                            let full = model.queue.len() >= buffer;
                            model.lost += u64::from(full);
                            match model.lossy {
                                Some(Lossy::Newest) if full => continue,
                                Some(_) if full => drop(model.queue.pop_front()),
                                _ => {}
                            }
                            model.queue.push_back(element);
                        }
                    }
                    let model = models[number].as_mut().unwrap();
                    prop_assert_eq!(branch.try_next().item(), model.queue.pop_front());
                    prop_assert_eq!(branch.lost(), model.lost);
                }
                Op::Leave(number) => {
                    branches[number] = None;
                    models[number] = None;
                }
            }
        }
    }
}
