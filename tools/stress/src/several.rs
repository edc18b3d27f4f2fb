//! Several producers, several consumers, and what stands between.

use std::collections::BTreeMap;
use std::thread;

use millstream::{End, Gap, Lossy, Received, SinkRef, SourceRef, WaitStrategy};

use crate::{Stress, WAITS, joined};

pub(crate) const ALL: &[Stress] = &[
    ("broadcast", broadcast),
    ("lossy", lossy),
    ("comings", comings),
    ("rendezvous", rendezvous),
    ("tee", tee),
    ("merge", merge),
    ("work queue", work_queue),
    ("conflate", conflate),
];

/// Whose parts do not fit together if two of them are mixed.
type Wide = [u64; 17];

fn wide(i: u64) -> Wide {
    std::array::from_fn(|at| i.wrapping_mul(at as u64 + 1))
}

fn stream<T: Send + 'static>(wait: WaitStrategy) -> (SinkRef<T>, SourceRef<T>) {
    millstream::channel::<T>()
        .buffer_size(4)
        .initial_demand(4)
        .sink_wait(wait)
        .source_wait(wait)
        .build()
        .expect("a ring within the bounds")
}

/// All consumers get all.
fn broadcast(count: u64) -> u64 {
    let mut checked = 0;
    for wait in WAITS {
        let (mut sink, subscribers) = millstream::broadcast::<Wide>()
            .buffer_size(2)
            .max_demand(6)
            .sink_wait(wait)
            .build()
            .expect("a ring within the bounds");
        let readers: Vec<_> = (0..3)
            .map(|reader| {
                let builder = subscribers
                    .subscribe()
                    .source_wait(wait)
                    .initial_demand(reader * 2 + 1);
                let mut source = builder.open().expect("there is a place");
                thread::spawn(move || {
                    for i in 0..count {
                        assert_eq!(source.next(), Some(wide(i)));
                    }
                    assert_eq!(source.next(), None);
                    count
                })
            })
            .collect();
        for i in 0..count {
            sink.put(wide(i)).expect("somebody listens");
        }
        sink.complete().expect("it is still open");
        checked += readers.into_iter().map(joined).sum::<u64>();
    }
    checked
}

/// Some are overtaken, and told of it exactly.
fn lossy(count: u64) -> u64 {
    let (mut sink, subscribers) = millstream::broadcast::<Wide>()
        .buffer_size(4)
        .max_demand(8)
        .history(16)
        .build()
        .expect("a ring within the bounds");
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let source = subscribers.subscribe().lossy().open().expect("there is a place");
            thread::spawn(move || {
                let mut expected = 0;
                for received in source {
                    match received {
                        Received::Element(element) => {
                            assert_eq!(element, wide(expected));
                            expected += 1;
                        }
                        Received::Gap(Gap { from, count }) => {
                            assert_eq!(from, expected);
                            expected += count;
                        }
                    }
                }
                assert_eq!(expected, count);
                expected
            })
        })
        .collect();
    for i in 0..count {
        sink.put(wide(i)).expect("nobody is waited for");
    }
    sink.complete().expect("it is still open");
    readers.into_iter().map(joined).sum()
}

/// Consumers join and leave while the producer runs.
fn comings(count: u64) -> u64 {
    let (mut sink, subscribers) = millstream::broadcast::<Wide>()
        .buffer_size(2)
        .max_demand(4)
        .history(4)
        .sink_wait(WaitStrategy::park())
        .build()
        .expect("a ring within the bounds");
    let visitors: Vec<_> = (0..2)
        .map(|visitor: u64| {
            let subscribers = subscribers.clone();
            thread::spawn(move || {
                let mut taken = 0;
                for visit in 0..count / 20 {
                    let builder = subscribers.subscribe().source_wait(WaitStrategy::park());
                    let Ok(mut source) = builder.initial_demand(2).open() else {
                        break;
                    };
                    let first = SourceRef::position(&source);
                    let some = source.by_ref().take(((visit + visitor) % 7) as usize);
                    for (expected, element) in (first..).zip(some) {
                        assert_eq!(element, wide(expected));
                        taken += 1;
                    }
                }
                taken
            })
        })
        .collect();
    let mut next = 0;
    while !visitors.iter().all(thread::JoinHandle::is_finished) {
        if sink.try_put(wide(next)).is_ok() {
            next += 1;
        } else {
            thread::yield_now();
        }
    }
    visitors.into_iter().map(joined).sum()
}

fn rendezvous(count: u64) -> u64 {
    let count = count / 4;
    let (mut publisher, stream) = millstream::rendezvous::<u64>()
        .build()
        .expect("a ring within the bounds");
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let subscriber = stream.subscribe().expect("there is a place");
            thread::spawn(move || {
                subscriber
                    .zip(0..)
                    .filter(|(got, expected)| got == expected)
                    .count() as u64
            })
        })
        .collect();
    for i in 0..count {
        publisher.put(i).expect("they listen");
    }
    publisher.close().expect("it is still open");
    let checked = readers.into_iter().map(joined).sum();
    assert_eq!(checked, 2 * count);
    checked
}

fn tee(count: u64) -> u64 {
    let count = count / 4;
    let mut checked = 0;
    for wait in WAITS {
        let (mut sink, source) = stream::<String>(wait);
        let branches = millstream::tee::<3, _>(source)
            .buffer_size(3)
            .lossy(2, Lossy::Oldest)
            .wait(wait)
            .build()
            .expect("within the bounds");
        let readers: Vec<_> = branches
            .into_iter()
            .enumerate()
            .map(|(number, mut branch)| {
                thread::spawn(move || {
                    let mut taken = 0;
                    let mut last = None;
                    for line in branch.by_ref() {
                        let at: u64 = line.parse().expect("a number was sent");
                        assert!(last.is_none_or(|last| at > last));
                        last = Some(at);
                        taken += 1;
                    }
                    assert_eq!(taken + branch.lost(), count, "branch {number}");
                    assert!(number == 2 || branch.lost() == 0);
                    taken
                })
            })
            .collect();
        for i in 0..count {
            sink.put(format!("{i}")).expect("the branches stay");
        }
        sink.complete().expect("it is still open");
        checked += readers.into_iter().map(joined).sum::<u64>();
    }
    checked
}

fn merge(count: u64) -> u64 {
    let mut checked = 0;
    for wait in WAITS {
        let (sinks, sources): (Vec<_>, Vec<_>) = (0..3).map(|_| stream::<(u64, u64)>(wait)).unzip();
        let producers: Vec<_> = (0..)
            .zip(sinks)
            .map(|(number, mut sink)| {
                thread::spawn(move || {
                    for i in 0..count {
                        sink.put((number, i)).expect("they are read");
                    }
                    sink.complete().expect("it is still open");
                })
            })
            .collect();
        let mut merged = millstream::merge(sources).fair().build();
        let mut next = [0; 3];
        for (number, i) in merged.by_ref() {
            let expected = &mut next[number as usize];
            assert_eq!(i, *expected);
            *expected += 1;
        }
        assert_eq!(next, [count; 3]);
        assert_eq!(merged.end(), Some(End::Completed));
        checked += next.iter().sum::<u64>();
        producers.into_iter().for_each(joined);
    }
    checked
}

fn work_queue(count: u64) -> u64 {
    let mut checked = 0;
    for wait in WAITS {
        let (mut sink, workers) = millstream::work_queue::<Box<u64>>()
            .workers(3)
            .prefetch(2)
            .sink_wait(wait)
            .worker_wait(wait)
            .build()
            .expect("within the bounds");
        let workers: Vec<_> = (0..)
            .zip(workers)
            .map(|(number, mut worker)| {
                thread::spawn(move || {
                    // The first one leaves early, and what it had waiting goes to the others.
                    let most = if number == 0 { count / 9 } else { u64::MAX };
                    let mut done = Vec::new();
                    while (done.len() as u64) < most
                        && let Some(element) = worker.next()
                    {
                        done.push(*element);
                    }
                    done
                })
            })
            .collect();
        for i in 0..count {
            sink.put(Box::new(i)).expect("somebody works");
        }
        sink.complete().expect("it is still open");
        let mut done: Vec<u64> = workers.into_iter().flat_map(joined).collect();
        done.sort_unstable();
        assert!(done.iter().copied().eq(0..count));
        checked += count;
    }
    checked
}

fn conflate(count: u64) -> u64 {
    let (mut sink, source) = stream::<(u64, u64)>(WaitStrategy::park());
    let mut latest = millstream::conflate(source, |(key, _)| *key)
        .wait(WaitStrategy::park())
        .build::<u64>()
        .expect("there is a thread for it");
    let producer = thread::spawn(move || {
        for i in 0..count {
            sink.put((i % 5, i)).expect("it is read");
        }
        sink.complete().expect("it is still open");
    });
    let mut newest = BTreeMap::new();
    let mut all = 0;
    for one in latest.by_ref() {
        let (key, i) = one.element;
        assert!(newest.insert(key, i).is_none_or(|before| before < i));
        all += 1 + one.merged;
    }
    assert_eq!(all, count);
    joined(producer);
    all
}
