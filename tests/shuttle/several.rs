//! Several consumers of one producer: who joins, leaves, and is overtaken.

use millstream::{End, Gap, JoinPosition, OnNoConsumer, Received, SinkRef, Subscribers, WaitStrategy};
use shuttle::thread;

use super::{WAITS, schedules};

/// Whose parts do not fit together if two of them are mixed.
type Wide = [u64; 17];

fn wide(i: u64) -> Wide {
    std::array::from_fn(|at| i.wrapping_mul(at as u64 + 1))
}

fn crowd(wait: WaitStrategy, history: u64, absence: OnNoConsumer) -> (SinkRef<Wide>, Subscribers<Wide>) {
    millstream::broadcast::<Wide>()
        .buffer_size(1)
        .max_demand(2)
        .history(history)
        .on_no_consumer(absence)
        .sink_wait(wait)
        .build()
        .unwrap()
}

fn join(
    subscribers: &Subscribers<Wide>,
    wait: WaitStrategy,
    from: JoinPosition,
) -> millstream::SourceRef<Wide> {
    let builder = subscribers
        .subscribe()
        .initial_demand(1)
        .idle_timeout(None)
        .source_wait(wait);
    builder.from(from).open().unwrap()
}

#[test]
fn all_get_all() {
    for wait in WAITS {
        schedules(move || {
            let (mut sink, subscribers) = crowd(wait, 0, OnNoConsumer::Wait);
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    let mut source = join(&subscribers, wait, JoinPosition::Live);
                    thread::spawn(move || {
                        assert!(source.by_ref().eq((0..6).map(wide)));
                        assert_eq!(source.end(), Some(End::Completed));
                    })
                })
                .collect();
            for i in 0..6 {
                sink.put(wide(i)).unwrap();
            }
            sink.complete().unwrap();
            readers.into_iter().for_each(|reader| reader.join().unwrap());
        });
    }
}

/// One joins while the producer runs, one leaves; neither is in the way of the one that stays.
#[test]
fn comings_and_goings() {
    for from in [JoinPosition::Live, JoinPosition::Oldest] {
        for wait in WAITS {
            schedules(move || {
                let (mut sink, subscribers) = crowd(wait, 2, OnNoConsumer::Wait);
                let mut stays = join(&subscribers, wait, JoinPosition::Live);
                let mut leaves = join(&subscribers, wait, JoinPosition::Live);
                let stays = thread::spawn(move || assert!(stays.by_ref().eq((0..8).map(wide))));
                let leaves = thread::spawn(move || assert!(leaves.by_ref().take(2).eq((0..2).map(wide))));
                let late = thread::spawn(move || {
                    // The producer may have completed before.
                    let builder = subscribers.subscribe().initial_demand(1).idle_timeout(None);
                    let Ok(mut source) = builder.source_wait(wait).from(from).open() else {
                        return;
                    };
                    let first = millstream::SourceRef::position(&source);
                    assert!(source.by_ref().eq((first..8).map(wide)));
                });
                for i in 0..8 {
                    sink.put(wide(i)).unwrap();
                }
                sink.complete().unwrap();
                for thread in [stays, leaves, late] {
                    thread.join().unwrap();
                }
            });
        }
    }
}

/// The last consumer goes while the producer waits for it, and another comes.
#[test]
fn the_last_one_goes_and_the_next_comes() {
    schedules(|| {
        let wait = WaitStrategy::park();
        let (mut sink, subscribers) = crowd(wait, 0, OnNoConsumer::Wait);
        let consumer = thread::spawn(move || {
            let mut next = 0;
            while next < 6 {
                let mut source = join(&subscribers, wait, JoinPosition::Live);
                for element in source.by_ref().take(2) {
                    assert_eq!(element, wide(next));
                    next += 1;
                }
            }
        });
        for i in 0..6 {
            sink.put(wide(i)).unwrap();
        }
        consumer.join().unwrap();
    });
}

#[test]
fn whoever_is_overtaken_is_told_of_each_element() {
    schedules(|| {
        let wait = WaitStrategy::park();
        let (mut sink, subscribers) = crowd(wait, 1, OnNoConsumer::Drop);
        let builder = subscribers.subscribe().idle_timeout(None).source_wait(wait);
        let source = builder.initial_demand(1).lossy().open().unwrap();
        let reader = thread::spawn(move || {
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
            assert_eq!(expected, 12);
        });
        for i in 0..12 {
            sink.put(wide(i)).unwrap();
        }
        sink.complete().unwrap();
        reader.join().unwrap();
    });
}
