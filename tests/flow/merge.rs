//! Many sources, one stream: rows F37 and L17.

mod ending;
mod model;
mod order;
mod processes;
mod waiting;

use std::time::{Duration, Instant};

use millstream::{
    ChannelBuilder, End, Merge, MergeBuilder, SinkRef, SourceRef, StreamFault, WaitStrategy, merge,
};

use crate::stage::{LONGEST, Role};
use crate::support::tests;

pub(crate) const ROLES: &[(&str, Role)] = &[("counts", processes::counts), ("parched", waiting::parched)];

fn roomy() -> ChannelBuilder<u64> {
    millstream::channel::<u64>().buffer_size(256).idle_timeout(None)
}

fn inputs<const N: usize>() -> ([SinkRef<u64>; N], [SourceRef<u64>; N]) {
    let (mut sinks, mut sources) = (Vec::new(), Vec::new());
    for _ in 0..N {
        let (sink, source) = roomy().build().unwrap();
        sinks.push(sink);
        sources.push(source);
    }
    (sinks.try_into().ok().unwrap(), sources.try_into().ok().unwrap())
}

/// What is given without waiting.
fn given(merged: &mut Merge<u64>) -> Vec<u64> {
    std::iter::from_fn(|| merged.try_next().item()).collect()
}

/// Fair, by priority, by arrival, by key.
fn in_order(merged: MergeBuilder<u64>, order: usize) -> MergeBuilder<u64> {
    match order {
        0 => merged.fair(),
        1 => merged.by_priority(),
        2 => merged.by_arrival(|stamp| *stamp),
        _ => merged.ordered_by(|key| *key),
    }
}

fn fault() -> StreamFault {
    StreamFault::new(4, "no line")
}

tests! {
    only_what_is_given_on_is_asked_for
    who_waits_for_an_input_to_be_drained_need_not_wait_for_the_others
    sources_that_actors_give_out_are_inputs_too
}

fn only_what_is_given_on_is_asked_for() {
    let pair = || {
        let builder = millstream::channel::<u64>().buffer_size(2).initial_demand(4);
        builder.replenish_each().build().unwrap()
    };
    // What each order holds back of a source, at most.
    for (order, held) in [(0, 0), (1, 0), (2, 1), (3, 1)] {
        let ((mut one, first), (mut two, second)) = (pair(), pair());
        let merged = merge([first, second]);
        let mut merged = in_order(merged, order).build();
        let fill = |sink: &mut SinkRef<u64>| (0..).take_while(|key| sink.try_put(*key).is_ok()).count();
        assert_eq!((fill(&mut one), fill(&mut two)), (6, 6));
        let mut taken = [0, 0];
        for _ in 0..3 {
            taken[merged.indexed().next().unwrap().0] += 1;
        }
        let room = (fill(&mut one), fill(&mut two));
        assert!(
            (taken[0]..=taken[0] + held).contains(&room.0) && (taken[1]..=taken[1] + held).contains(&room.1),
            "order {order}: {taken:?} were taken, there was room for {room:?}"
        );
    }
}

fn who_waits_for_an_input_to_be_drained_need_not_wait_for_the_others() {
    for order in 0..4 {
        let ([mut one, mut two], sources) = inputs();
        let merged = in_order(merge(sources), order);
        let mut merged = merged.watermark(Duration::ZERO).build();
        one.put_slice(&[1, 2, 3]).unwrap();
        two.put_slice(&[5; 200]).unwrap();
        // Of the first everything, and of the second far from it.
        assert_eq!(
            merged.by_ref().take(100).filter(|element| *element < 5).count(),
            3
        );
        assert_eq!(one.complete_and_drain(Instant::now()), Ok(()));
        assert!(two.complete_and_drain(Instant::now()).is_err());
    }
}

fn sources_that_actors_give_out_are_inputs_too() {
    use millstream::{ActorSystem, GetSink, GetSource, stream_consumer, stream_producer};
    let system = ActorSystem::builder("flow").build().unwrap();
    let producer = system.spawn("producer", stream_producer::<u64>()).unwrap();
    let consumer = system.spawn("consumer", stream_consumer(&producer)).unwrap();
    let source: SourceRef<u64> = system.ask(&consumer, GetSource::new, LONGEST).unwrap();
    let mut sinks: Vec<SinkRef<u64>> = (0..3)
        .map(|_| system.ask(&producer, GetSink::new, LONGEST).unwrap())
        .collect();
    let (mut near, other) = roomy().build().unwrap();
    let mut merged = merge([source, other]).wait(WaitStrategy::park()).build();
    for round in 0..100 {
        for sink in &mut sinks {
            sink.put(round).unwrap();
            assert_eq!(merged.indexed().next(), Some((0, round)));
        }
        near.put(round).unwrap();
        assert_eq!(merged.indexed().next(), Some((1, round)));
    }
    sinks.iter_mut().for_each(|sink| sink.complete().unwrap());
    near.complete().unwrap();
    assert_eq!(merged.next(), None);
    assert_eq!(merged.end(), Some(End::Completed));
}

/// A merge can be sent to another thread.
#[test]
fn it_is_sent() {
    fn sent<T: Send>(_: &T) {}
    sent(&merge::<u64>([]).build());
}
