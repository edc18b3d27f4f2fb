//! A state and a position that change together.

use std::path::PathBuf;

use millstream::{End, SinkRef, SubscribeError, TryNext, TryPutError, Uncommitted};

use crate::stage::{Actor, Ground, Random, Role, Shared, Stage, eventually, say};

pub(crate) const ROLES: &[(&str, Role)] = &[("feeds", feeds), ("sums", sums)];

/// What a consumer knows that has processed each element once and in order.
#[millstream::element]
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Sums {
    pub(crate) count: u64,
    sum: u64,
    order: u64,
}

impl Sums {
    pub(crate) fn add(&mut self, element: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(element);
        self.order = self.order.wrapping_mul(31).wrapping_add(element);
    }

    pub(crate) fn of(count: u64) -> Self {
        let mut sums = Self::default();
        (0..count).for_each(|element| sums.add(element * element));
        sums
    }
}

fn file(ground: &Ground) -> PathBuf {
    ground.beside("trades")
}

fn feeds(stage: &Stage) {
    let (count, durable): (u64, bool) = (stage.arg(0), stage.arg(1));
    let mut builder = stage.ground.publish::<u64>("trades");
    if durable {
        builder = builder.durable(file(&stage.ground));
    }
    let mut sink = builder.open().unwrap();
    for next in sink.position()..count {
        sink.put(next * next).unwrap();
    }
    say("DONE");
    stage.stay();
}

/// Commits now and then, and notes how far, for the test to see that something moves.
fn sums(stage: &Stage) {
    let (count, every): (u64, u64) = (stage.arg(0), stage.arg(1));
    let progress = Shared::open(&stage.ground.beside("progress"));
    let builder = stage.ground.subscribe::<u64>("trades").resumable("sums");
    let mut source = builder.initial_demand(64).transactional::<Sums>().open().unwrap();
    let mut sums = source.state().unwrap_or_default();
    assert_eq!(sums.count, source.position());
    while sums.count < count {
        match source.next().unwrap() {
            Some(element) => sums.add(element),
            None => {
                assert_eq!(source.end(), Some(End::PeerGone));
                break;
            }
        }
        if sums.count.is_multiple_of(every) || sums.count == count {
            source.commit(&sums);
            progress.set(sums.count);
        }
    }
    if sums.count == count {
        source.commit(&sums);
        say(format!("{} {} {}", sums.count, sums.sum, sums.order));
    }
    stage.stay();
}

/// The state that a next consumer finds.
fn found(ground: &Ground) -> (Option<Sums>, u64) {
    let builder = ground.subscribe::<u64>("trades").resumable("sums");
    let source = builder.transactional::<Sums>().open().unwrap();
    (source.state(), source.position())
}

#[test]
fn each_element_counts_once_however_often_both_sides_are_killed() {
    let mut random = Random::new("transactional");
    for every in [1, 7, 64] {
        let ground = Ground::new();
        let count = 60_000;
        let start = || -> (Actor, Actor) {
            let producer = ground.start("feeds", &[&count, &true]);
            (producer, ground.start("sums", &[&count, &every]))
        };
        let progress = Shared::open(&ground.beside("progress"));
        let (mut producer, mut consumer) = start();
        for _ in 0..8 {
            let aim = (progress.get() + random.below(500)).min(count);
            eventually(|| progress.get() >= aim);
            let seen = progress.get();
            producer.kill();
            consumer.kill();
            {
                let _sink = ground
                    .publish::<u64>("trades")
                    .durable(file(&ground))
                    .open()
                    .unwrap();
                let (state, position) = found(&ground);
                let state = state.unwrap_or_default();
                assert_eq!(state.count, position);
                assert_eq!(state, Sums::of(position), "state and position agree");
                assert!(position >= seen, "a commit was lost: {position} < {seen}");
            }
            (producer, consumer) = start();
        }
        let Sums { count, sum, order } = Sums::of(count);
        consumer.expect(&format!("{count} {sum} {order}"));
    }
}

#[test]
fn a_state_outlives_its_process_while_the_producer_lives() {
    let mut random = Random::new("transactional in memory");
    let ground = Ground::new();
    let count = 60_000;
    let _producer = ground.start("feeds", &[&count, &false]);
    let progress = Shared::open(&ground.beside("progress"));
    for _ in 0..8 {
        let mut consumer = ground.start("sums", &[&count, &5]);
        let aim = (progress.get() + random.below(1000)).min(count);
        eventually(|| progress.get() >= aim);
        consumer.kill();
    }
    let consumer = ground.start("sums", &[&count, &5]);
    let Sums { count, sum, order } = Sums::of(count);
    consumer.expect(&format!("{count} {sum} {order}"));
}

#[test]
fn what_was_not_committed_comes_again_and_a_window_is_the_most() {
    let ground = Ground::new();
    let mut sink = ground.publish::<u64>("trades").buffer_size(1).open().unwrap();
    let open = || {
        let builder = ground.subscribe::<u64>("trades").resumable("sums");
        builder.initial_demand(3).transactional::<Sums>().open().unwrap()
    };
    // The producer may hear of a consumer a moment after that has opened.
    let put = |sink: &mut SinkRef<u64>, elements: &[u64]| {
        let mut put = 0;
        eventually(|| {
            put += sink.try_put_slice(&elements[put..]).unwrap();
            put == elements.len()
        });
    };
    let mut source = open();
    put(&mut sink, &[0, 1, 4, 9]);
    assert_eq!(sink.try_put(16), Err(TryPutError::Full(16)));
    assert_eq!(source.next(), Ok(Some(0)));
    let mut sums = Sums::default();
    sums.add(0);
    source.commit(&sums);
    assert_eq!(source.next(), Ok(Some(1)));
    assert_eq!(source.next(), Ok(Some(4)));
    assert_eq!(source.next(), Ok(Some(9)));
    assert_eq!(source.next(), Err(Uncommitted { elements: 3 }));
    assert_eq!(source.uncommitted(), 3);
    // Nothing was released but the one that was committed.
    assert_eq!(sink.try_put_slice(&[16, 25]).unwrap(), 1);
    drop(source);
    let mut source = open();
    assert_eq!((source.state(), source.position()), (Some(sums), 1));
    for element in [1, 4, 9] {
        assert_eq!(source.next(), Ok(Some(element)));
        sums.add(element);
    }
    // There is one more, put from the buffer.
    assert_eq!(source.try_next(), TryNext::Empty);
    assert_eq!(source.next(), Err(Uncommitted { elements: 3 }));
    source.commit(&sums);
    assert_eq!(source.try_next(), TryNext::Item(16));
    sums.add(16);
    put(&mut sink, &[25, 36]);
    for element in [25, 36] {
        assert_eq!(source.next(), Ok(Some(element)));
        sums.add(element);
    }
    assert_eq!(source.next(), Err(Uncommitted { elements: 3 }));
    sink.complete().unwrap();
    assert_eq!(source.next(), Ok(None), "the end is not kept back");
    source.commit(&sums);
    assert_eq!(source.committed(), 7);
    sink.complete_and_drain(crate::stage::soon()).unwrap();
}

#[test]
fn a_state_that_does_not_fit_is_refused() {
    let ground = Ground::new();
    let mut sink = ground.publish::<u64>("trades").open().unwrap();
    sink.put_slice(&[1, 2, 3]).unwrap();
    let subscribe = || ground.subscribe::<u64>("trades").resumable("sums");
    let mut source = subscribe().transactional::<Sums>().open().unwrap();
    source.next().unwrap();
    source.commit(&Sums::of(1));
    drop(source);
    let other = subscribe().transactional::<[u64; 3]>().open();
    assert!(
        matches!(other, Err(SubscribeError::StateType { .. })),
        "{other:?}"
    );
    // Somebody consumes without committing.
    let mut plain = subscribe().open().unwrap();
    assert_eq!((plain.next(), plain.next()), (Some(2), Some(3)));
    assert_eq!(plain.try_next(), TryNext::Empty);
    drop(plain);
    let late = subscribe().transactional::<Sums>().open();
    assert!(
        matches!(
            late,
            Err(SubscribeError::StatePosition {
                state: 1,
                position: 3,
                ..
            })
        ),
        "{late:?}"
    );
}

#[test]
fn one_of_several_commits_for_itself() {
    let ground = Ground::new();
    let mut sink = ground.publish::<u64>("trades").consumers(4).open().unwrap();
    let open = |name: &str| {
        let builder = ground.subscribe::<u64>("trades").resumable(name);
        builder.transactional::<Sums>().open().unwrap()
    };
    let (mut one, mut other) = (open("one"), open("other"));
    sink.put_slice(&[0, 1, 4]).unwrap();
    let mut sums = Sums::default();
    sums.add(one.next().unwrap().unwrap());
    one.commit(&sums);
    one.next().unwrap();
    for _ in 0..3 {
        other.next().unwrap();
    }
    other.commit(&Sums::of(3));
    drop((one, other));
    let (one, other) = (open("one"), open("other"));
    assert_eq!((one.state(), one.position()), (Some(Sums::of(1)), 1));
    assert_eq!((other.state(), other.position()), (Some(Sums::of(3)), 3));
}
