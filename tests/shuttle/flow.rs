//! What stands between streams: tees, work queues, merges, conflation.

use millstream::{End, Latest, Lossy, WaitStrategy};
use shuttle::thread;

use super::{WAITS, pair, schedules};

#[test]
fn every_branch_gets_every_element() {
    for wait in WAITS {
        for buffer in [1, 3] {
            schedules(move || {
                let (mut sink, source) = pair::<String>(wait, 1, 2);
                let branches = millstream::tee::<3, _>(source)
                    .buffer_size(buffer)
                    .wait(wait)
                    .build()
                    .unwrap();
                let readers = branches.map(|mut branch| {
                    thread::spawn(move || {
                        assert!(branch.by_ref().eq((0..6).map(|i| format!("{i}"))));
                        assert_eq!(branch.end(), Some(End::Completed));
                    })
                });
                for i in 0..6 {
                    sink.put(format!("{i}")).unwrap();
                }
                sink.complete().unwrap();
                readers.into_iter().for_each(|reader| reader.join().unwrap());
            });
        }
    }
}

/// The branch that holds the others up goes, at any time; one that does without is told how much.
#[test]
fn a_branch_that_goes_holds_nobody_up() {
    schedules(|| {
        let wait = WaitStrategy::park();
        let (mut sink, source) = pair::<u64>(wait, 0, 2);
        let [mut stays, mut goes, mut loses] = millstream::tee::<3, _>(source)
            .buffer_size(2)
            .lossy(2, Lossy::Oldest)
            .wait(wait)
            .build()
            .unwrap();
        let stays = thread::spawn(move || assert!(stays.by_ref().eq(0..8)));
        let goes = thread::spawn(move || assert!(goes.by_ref().take(2).eq(0..2)));
        let loses = thread::spawn(move || {
            let taken = loses.by_ref().count() as u64;
            assert_eq!(taken + loses.lost(), 8);
        });
        for i in 0..8 {
            sink.put(i).unwrap();
        }
        sink.complete().unwrap();
        for thread in [stays, goes, loses] {
            thread.join().unwrap();
        }
    });
}

/// Each element is worked on once, also those that a worker leaves behind.
#[test]
fn a_worker_that_goes_leaves_its_work_to_the_others() {
    for wait in WAITS {
        schedules(move || {
            let (mut sink, workers) = millstream::work_queue::<Box<u64>>()
                .workers(3)
                .prefetch(2)
                .idle_timeout(None)
                .sink_wait(wait)
                .worker_wait(wait)
                .build()
                .unwrap();
            let workers: Vec<_> = workers
                .into_iter()
                .enumerate()
                .map(|(number, mut worker)| {
                    let most = if number == 0 { 1 } else { usize::MAX };
                    thread::spawn(move || {
                        worker
                            .by_ref()
                            .take(most)
                            .map(|element| *element)
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            for i in 0..8_u64 {
                sink.put(Box::new(i)).unwrap();
            }
            sink.complete().unwrap();
            let mut done: Vec<_> = workers
                .into_iter()
                .flat_map(|worker| worker.join().unwrap())
                .collect();
            done.sort_unstable();
            assert!(done.into_iter().eq(0..8));
        });
    }
}

#[test]
fn a_merge_brings_every_element_of_every_input() {
    for wait in WAITS {
        schedules(move || {
            let (sinks, sources): (Vec<_>, Vec<_>) = (0..3).map(|_| pair::<(usize, u64)>(wait, 0, 1)).unzip();
            let producers: Vec<_> = sinks
                .into_iter()
                .enumerate()
                .map(|(number, mut sink)| {
                    thread::spawn(move || {
                        for i in 0..4 {
                            sink.put((number, i)).unwrap();
                        }
                        sink.complete().unwrap();
                    })
                })
                .collect();
            let mut merged = millstream::merge(sources).fair().build();
            let mut next = [0; 3];
            for (number, i) in merged.by_ref() {
                assert_eq!(i, next[number]);
                next[number] += 1;
            }
            assert_eq!(next, [4; 3]);
            producers
                .into_iter()
                .for_each(|producer| producer.join().unwrap());
        });
    }
}

#[test]
fn each_key_comes_as_it_was_last() {
    for wait in WAITS {
        schedules(move || {
            let (mut sink, source) = pair::<usize>(wait, 1, 2);
            let mut parities = millstream::conflate(source, |i| i % 2)
                .wait(wait)
                .build()
                .unwrap();
            let reader = thread::spawn(move || {
                let (mut last, mut seen) = ([None; 2], 0);
                for Latest { element, merged } in parities.by_ref() {
                    assert!(last[element % 2] < Some(element));
                    last[element % 2] = Some(element);
                    seen += merged + 1;
                }
                assert_eq!((last, seen), ([Some(4), Some(5)], 6));
                assert_eq!(parities.end(), Some(End::Completed));
            });
            for i in 0..6 {
                sink.put(i).unwrap();
            }
            sink.complete().unwrap();
            reader.join().unwrap();
        });
    }
}

/// Dropping it waits for its thread, which may be waiting itself.
#[test]
fn a_conflation_that_goes_leaves_nobody_behind() {
    for wait in WAITS {
        schedules(move || {
            let (mut sink, source) = pair::<u64>(wait, 0, 1);
            let mut all = millstream::conflate(source, |_| ()).wait(wait).build().unwrap();
            let reader = thread::spawn(move || assert!(all.next().is_some()));
            (0..9).take_while(|i| sink.put(*i).is_ok()).for_each(drop);
            reader.join().unwrap();
        });
    }
}
