//! Row F46, and invariant 8 as a work queue uses it: each element goes to exactly one worker.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use millstream::{
    Buffer, CloseReason, End, EndError, PutDeadlineError, SourceRef, StreamFault, TryNext, TryPutError,
    WaitStrategy, work_queue,
};
use proptest::prelude::*;

use crate::support::{Counted, joined, later, until, within};

#[test]
fn each_element_goes_to_one_worker() {
    within(|| {
        for (prefetch, wait) in [
            (1, WaitStrategy::default()),
            (1, WaitStrategy::park()),
            (4, WaitStrategy::SpinThenYield { spins: 3 }),
            (100, WaitStrategy::park()),
        ] {
            let (mut sink, workers) = work_queue::<String>()
                .workers(4)
                .prefetch(prefetch)
                .sink_wait(wait)
                .worker_wait(wait)
                .build()
                .unwrap();
            let workers: Vec<_> = workers
                .into_iter()
                .map(|mut worker| {
                    thread::spawn(move || {
                        let done: Vec<String> = worker.by_ref().collect();
                        assert_eq!(worker.end(), Some(End::Completed));
                        done
                    })
                })
                .collect();
            for i in 0..5_000 {
                sink.put(format!("{i:05}")).unwrap();
            }
            sink.complete().unwrap();
            let mut done: Vec<String> = workers.into_iter().flat_map(joined).collect();
            done.sort();
            let all: Vec<String> = (0..5_000).map(|i| format!("{i:05}")).collect();
            assert_eq!(done, all);
        }
    });
}

#[test]
fn a_worker_that_works_is_dealt_nothing() {
    within(|| {
        let (mut sink, mut workers) = work_queue::<u64>().workers(2).build().unwrap();
        let (mut fast, mut slow) = (workers.remove(1), workers.remove(0));
        assert_eq!(sink.demand(), 0, "nobody has looked");
        assert_eq!(slow.try_next(), TryNext::Empty);
        sink.put(0).unwrap();
        assert_eq!(slow.next(), Some(0));
        // It works on that from here on.
        let fast = thread::spawn(move || {
            let done: Vec<u64> = fast.by_ref().collect();
            assert_eq!(fast.end(), Some(End::Completed));
            done
        });
        for i in 1..=100 {
            sink.put_deadline(i, later()).unwrap();
        }
        sink.complete().unwrap();
        // Nor does the end wait for it.
        assert_eq!(joined(fast), (1..=100).collect::<Vec<_>>());
        assert_eq!(slow.next(), None);
    });
}

#[test]
fn the_worker_that_has_asked_for_most_is_first_and_equals_take_turns() {
    let (mut sink, mut workers) = work_queue::<u64>().workers(3).prefetch(2).build().unwrap();
    for worker in &mut workers {
        assert_eq!(worker.try_next(), TryNext::Empty);
    }
    assert_eq!(sink.demand(), 6);
    for i in 0..6 {
        sink.try_put(i).unwrap();
    }
    assert_eq!(sink.try_put(6), Err(TryPutError::Full(6)));
    for (i, worker) in workers.iter_mut().enumerate() {
        assert_eq!(worker.try_next(), TryNext::Item(i as u64));
        assert_eq!(worker.try_next(), TryNext::Item(i as u64 + 3));
    }
}

#[test]
fn what_a_worker_leaves_goes_to_another() {
    within(|| {
        let alive = Arc::new(AtomicU64::new(0));
        let (mut sink, mut workers) = work_queue::<Counted>().workers(3).prefetch(10).build().unwrap();
        let mut last = workers.remove(2);
        for worker in &mut workers {
            assert!(worker.try_next().item().is_none());
        }
        for i in 0..20 {
            sink.try_put(Counted::new(i, &alive)).unwrap();
        }
        let mut done = BTreeSet::new();
        done.insert(workers[0].next().unwrap().number);
        done.insert(workers[1].next().unwrap().number);
        let mut second = workers.remove(1);
        // One is dropped, one cancels, and nobody has asked for what they leave.
        drop(workers);
        second.cancel();
        assert!(second.next().is_none());
        assert_eq!(sink.consumers(), 1);
        assert_eq!(alive.load(Ordering::SeqCst), 18, "nothing was dropped");
        assert!(matches!(
            sink.try_put(Counted::new(100, &alive)),
            Err(TryPutError::Full(Counted { number: 100, .. }))
        ));
        // Nor is the sink needed for it.
        sink.complete().unwrap();
        drop(sink);
        done.extend(last.by_ref().map(|element| element.number));
        assert_eq!(last.end(), Some(End::Completed));
        assert_eq!(done, (0..20).collect());
        drop((last, second));
        assert_eq!(alive.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn what_the_last_worker_leaves_waits_for_the_next() {
    let (mut sink, mut workers) = work_queue::<u64>().workers(1).build().unwrap();
    assert_eq!(workers[0].try_next(), TryNext::Empty);
    sink.put(7).unwrap();
    workers.clear();
    sink.complete().unwrap();
    let queue = sink.queue();
    drop(sink);
    let mut late = queue.join().unwrap();
    assert_eq!(late.by_ref().collect::<Vec<_>>(), [7]);
    let mut later = queue.join().unwrap();
    assert_eq!(later.next(), None);
    assert_eq!(later.end(), Some(End::Completed));
}

#[test]
fn what_nobody_takes_is_dropped_once() {
    let alive = Arc::new(AtomicU64::new(0));
    let (mut sink, mut workers) = work_queue::<Counted>().workers(2).prefetch(3).build().unwrap();
    assert!(workers[0].try_next().item().is_none());
    for i in 0..3 {
        sink.try_put(Counted::new(i, &alive)).unwrap();
    }
    workers.remove(0);
    drop(sink);
    assert_eq!(alive.load(Ordering::SeqCst), 3);
    drop(workers);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn a_worker_that_panics_leaves() {
    within(|| {
        let (mut sink, workers) = work_queue::<u64>().workers(2).prefetch(4).build().unwrap();
        let [mut bad, mut good]: [SourceRef<u64>; 2] = workers.try_into().unwrap();
        assert_eq!(bad.try_next(), TryNext::Empty);
        for i in 0..4 {
            sink.try_put(i).unwrap();
        }
        let panicked = catch_unwind(AssertUnwindSafe(move || {
            assert_eq!(bad.next(), Some(0));
            panic!("the work fails, which is expected here");
        }));
        assert!(panicked.is_err());
        sink.complete().unwrap();
        // What it was working on was its own.
        assert_eq!(good.by_ref().collect::<BTreeSet<_>>(), BTreeSet::from([1, 2, 3]));
    });
}

#[test]
fn a_put_waits_for_a_worker_and_a_deadline_bounds_that() {
    within(|| {
        for wait in [WaitStrategy::park(), WaitStrategy::default()] {
            let (mut sink, _) = work_queue::<u64>().sink_wait(wait).build().unwrap();
            assert_eq!(
                sink.put_deadline(1, Instant::now()),
                Err(PutDeadlineError::TimedOut(1))
            );
            let queue = sink.queue();
            let (told, waits) = mpsc::channel();
            let putter = thread::spawn(move || {
                told.send(()).unwrap();
                sink.put(1).unwrap();
                sink.complete().unwrap();
            });
            waits.recv().unwrap();
            assert_eq!(queue.join().unwrap().collect::<Vec<_>>(), [1]);
            joined(putter);
        }
    });
}

#[test]
fn it_closes_when_it_is_told_to_and_not_before() {
    let (mut sink, workers) = work_queue::<u64>().workers(1).build().unwrap();
    drop(workers);
    assert_eq!(sink.try_put(1), Err(TryPutError::Full(1)));
    let fault = StreamFault::new(3, "no more");
    sink.fail(fault.clone()).unwrap();
    sink.fail(fault.clone()).unwrap();
    assert_eq!(
        sink.complete(),
        Err(EndError {
            reason: CloseReason::Failed
        })
    );
    assert_eq!(sink.try_put(1), Err(TryPutError::Closed(1, CloseReason::Failed)));
    assert_eq!(
        sink.put_deadline(1, later()),
        Err(PutDeadlineError::Closed(1, CloseReason::Failed))
    );
    let mut late = sink.queue().join().unwrap();
    assert_eq!(late.next(), None);
    assert_eq!(late.end(), Some(End::Failed(fault)));
}

#[test]
fn a_dropped_sink_fails_the_queue_behind_what_it_put() {
    let (mut sink, mut workers) = work_queue::<u64>().workers(1).build().unwrap();
    assert_eq!(workers[0].try_next(), TryNext::Empty);
    sink.put(1).unwrap();
    drop(sink);
    assert_eq!(workers[0].next(), Some(1));
    assert_eq!(workers[0].next(), None);
    let end = workers[0].end();
    assert!(matches!(end, Some(End::Failed(fault)) if fault.code() == StreamFault::SINK_DROPPED));
}

#[test]
fn draining_waits_for_what_is_not_taken() {
    within(|| {
        let (mut sink, mut workers) = work_queue::<u64>().workers(1).build().unwrap();
        assert_eq!(workers[0].try_next(), TryNext::Empty);
        sink.put(1).unwrap();
        let timed_out = sink.complete_and_drain(Instant::now()).unwrap_err();
        assert_eq!((timed_out.left, timed_out.reason), (1, None));
        let mut worker = workers.remove(0);
        let worker = thread::spawn(move || worker.by_ref().count());
        sink.complete_and_drain(later()).unwrap();
        assert_eq!(joined(worker), 1);
    });
}

#[test]
fn streams_made_by_others_are_dealt_to_and_buffers_are_refused() {
    within(|| {
        let (mut sink, mut workers) = work_queue::<u64>().workers(1).build().unwrap();
        let lane = || {
            millstream::channel::<u64>()
                .buffer_size(Buffer::Rendezvous)
                .initial_demand(2)
                .build()
                .unwrap()
        };
        let (other, mut source) = lane();
        sink.add(other).unwrap();
        let (buffered, _source) = millstream::channel::<u64>().buffer_size(3).build().unwrap();
        assert_eq!(sink.add(buffered).unwrap_err().buffer, 3);
        assert_eq!(sink.consumers(), 2);
        sink.put(1).unwrap();
        sink.put(2).unwrap();
        assert_eq!(source.next(), Some(1));
        drop(source);
        assert_eq!(workers[0].try_next(), TryNext::Empty);
        assert_eq!(sink.deal_again(), 1);
        assert_eq!(workers[0].next(), Some(2));
    });
}

/// Workers come, take a few and go, some of them in the midst of what they were dealt.
fn storm(prefetch: u64, wait: WaitStrategy, count: u64) {
    let alive = Arc::new(AtomicU64::new(0));
    let (mut sink, _) = work_queue::<Counted>()
        .prefetch(prefetch)
        .sink_wait(wait)
        .worker_wait(wait)
        .idle_timeout(None)
        .build()
        .unwrap();
    let threads: Vec<_> = (0..4u64)
        .map(|seed| {
            let queue = sink.queue();
            thread::spawn(move || {
                let mut done = Vec::new();
                let mut random = seed;
                loop {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let mut worker = queue.join().unwrap();
                    let few = (random >> 60) as usize;
                    if random & 1 == 0 {
                        done.extend(worker.by_ref().take(few).map(|element| element.number));
                    } else {
                        // Asks, and does not wait for what comes.
                        done.extend(
                            (0..=few)
                                .filter_map(|_| worker.try_next().item())
                                .map(|e| e.number),
                        );
                    }
                    if worker.end() == Some(End::Completed) {
                        return done;
                    }
                }
            })
        })
        .collect();
    for number in 0..count {
        sink.put(Counted::new(number, &alive)).unwrap();
    }
    sink.complete().unwrap();
    drop(sink);
    let mut done: Vec<u64> = threads.into_iter().flat_map(joined).collect();
    done.sort_unstable();
    assert_eq!(done, (0..count).collect::<Vec<_>>());
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn storms_of_joins_and_leaves_lose_nothing_and_do_nothing_twice() {
    within(|| {
        storm(1, WaitStrategy::default(), 10_000);
        storm(5, WaitStrategy::park(), 10_000);
        storm(64, WaitStrategy::SpinThenYield { spins: 10 }, 20_000);
    });
}

#[test]
fn workers_that_leave_after_the_end_leave_to_those_that_stay() {
    within(|| {
        for round in 0..200 {
            let alive = Arc::new(AtomicU64::new(0));
            let (mut sink, workers) = work_queue::<Counted>().workers(4).prefetch(3).build().unwrap();
            let threads: Vec<_> = workers
                .into_iter()
                .enumerate()
                .map(|(i, mut worker)| {
                    thread::spawn(move || {
                        // The first stays.
                        let most = if i == 0 { usize::MAX } else { round % 7 };
                        worker.by_ref().take(most).count()
                    })
                })
                .collect();
            for number in 0..40 {
                sink.put(Counted::new(number, &alive)).unwrap();
            }
            sink.complete().unwrap();
            drop(sink);
            assert_eq!(threads.into_iter().map(joined).sum::<usize>(), 40);
            assert_eq!(alive.load(Ordering::SeqCst), 0);
        }
    });
}

#[test]
fn an_idle_worker_leaves() {
    within(|| {
        let (sink, mut workers) = work_queue::<u64>()
            .workers(2)
            .idle_timeout(Some(std::time::Duration::from_millis(1)))
            .build()
            .unwrap();
        assert_eq!(workers[0].next(), None);
        until(|| sink.consumers() == 1);
    });
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Put,
    Join,
    Take(usize),
    Leave(usize),
    DealAgain,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => Just(Op::Put),
        1 => Just(Op::Join),
        8 => any::<usize>().prop_map(Op::Take),
        1 => any::<usize>().prop_map(Op::Leave),
        1 => Just(Op::DealAgain),
    ];
    prop::collection::vec(op, 0..400)
}

fn play<const N: usize>(prefetch: u64, ops: &[Op])
where
    [u64; N]: Debug + PartialEq,
{
    let element = |i: u64| -> [u64; N] { std::array::from_fn(|at| i + at as u64) };
    let (mut sink, _) = work_queue::<[u64; N]>().prefetch(prefetch).build().unwrap();
    let mut workers: Vec<SourceRef<[u64; N]>> = Vec::new();
    let mut done = BTreeSet::new();
    let mut put = 0;
    let mut take = |taken: [u64; N]| {
        assert_eq!(taken, element(taken[0]));
        assert!(done.insert(taken[0]), "{} twice", taken[0]);
    };
    for op in ops {
        match *op {
            Op::Put => {
                let demand = sink.demand();
                match sink.try_put(element(put)) {
                    Ok(()) => {
                        assert!(demand > 0);
                        put += 1;
                    }
                    Err(refused) => {
                        assert_eq!(demand, 0);
                        assert_eq!(refused, TryPutError::Full(element(put)));
                    }
                }
            }
            Op::Join => workers.push(sink.queue().join().unwrap()),
            Op::Take(at) if !workers.is_empty() => {
                let at = at % workers.len();
                if let TryNext::Item(taken) = workers[at].try_next() {
                    take(taken);
                }
            }
            Op::Leave(at) if !workers.is_empty() => {
                let at = at % workers.len();
                workers.swap_remove(at);
            }
            Op::DealAgain => {
                sink.deal_again();
            }
            Op::Take(_) | Op::Leave(_) => {}
        }
        assert_eq!(sink.consumers(), workers.len());
    }
    sink.complete().unwrap();
    workers.push(sink.queue().join().unwrap());
    drop(sink);
    while !workers.is_empty() {
        workers.retain_mut(|worker| match worker.try_next() {
            TryNext::Item(taken) => {
                take(taken);
                true
            }
            TryNext::Empty => true,
            TryNext::End(end) => {
                assert_eq!(end, End::Completed);
                false
            }
        });
    }
    assert_eq!(done, (0..put).collect());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 2, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_element_is_taken_once(ops in ops(), prefetch in 1u64..20) {
        play::<1>(prefetch, &ops);
        play::<3>(prefetch, &ops);
        play::<9>(prefetch, &ops);
    }
}

#[test]
fn a_broadcast_is_no_lane() {
    let (mut queue, _) = millstream::work_queue::<u64>().build().unwrap();
    let builder = millstream::broadcast().buffer_size(millstream::Buffer::Rendezvous);
    let (sink, _subscribers) = builder.build().unwrap();
    let refused = queue.add(sink).unwrap_err();
    assert!(refused.is_broadcast);
    assert!(refused.to_string().contains("broadcast"), "{refused}");
    assert_eq!(refused.sinks.len(), 1);
}
