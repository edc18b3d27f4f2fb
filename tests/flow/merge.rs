//! Many sources, one stream: rows F37 and L17.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use millstream::{
    ChannelBuilder, CloseReason, End, EndPolicy, Merge, MergeBuilder, SinkRef, SourceRef, StreamFault,
    TryNext, WaitStrategy, merge,
};
use proptest::prelude::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::stage::{Ground, LONGEST, Role, Shared, Stage, say, soon, strategy};
use crate::support::{joined, tests, until};

pub(crate) const ROLES: &[(&str, Role)] = &[("counts", counts), ("parched", parched)];

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
    no_input_at_all_ends_at_once
    it_ends_when_all_have_ended
    no_input_starves_where_the_order_is_fair
    the_most_urgent_input_goes_first
    the_smallest_stamp_of_those_that_are_there_goes_first
    a_key_waits_for_who_may_bring_a_smaller_one
    an_input_that_has_ended_holds_nobody_back
    equal_keys_come_by_input_and_need_not_wait
    a_silent_input_holds_the_others_back_no_longer_than_the_watermark
    an_idle_input_is_heard_again_and_counts_when_it_is_late
    a_wait_without_a_bound_ends_with_the_silent_inputs_alone
    a_failure_is_told_at_the_end_and_loses_nothing
    a_failure_that_is_told_at_once_comes_after_what_is_there
    a_failure_that_is_told_at_once_keeps_the_order_of_keys
    a_fast_producer_cannot_put_a_failure_off
    dropping_and_cancelling_tell_every_producer
    only_what_is_given_on_is_asked_for
    who_waits_for_an_input_to_be_drained_need_not_wait_for_the_others
    it_waits_until_the_deadline
    it_wakes_by_any_input_however_it_waits
    it_wakes_by_streams_of_both_kinds
    it_wakes_where_no_descriptor_is_left
    it_goes_on_with_the_next_producer_of_a_name
    sources_that_actors_give_out_are_inputs_too
    a_panic_of_the_key_leaves_the_rest_usable
    elements_that_are_held_back_are_dropped_once
    a_killed_process_loses_nothing_and_holds_nobody_back
}

fn no_input_at_all_ends_at_once() {
    for mut merged in [
        merge::<u64>([]).build(),
        merge([]).by_priority().build(),
        merge([]).ordered_by(|key| *key).build(),
    ] {
        assert_eq!(merged.end(), None);
        assert_eq!(merged.try_next(), TryNext::End(End::Completed));
        assert_eq!(merged.next(), None);
        assert_eq!(merged.end(), Some(End::Completed));
        assert!(merged.ends().is_empty());
    }
}

fn it_ends_when_all_have_ended() {
    let ([mut one, mut two, mut three], sources) = inputs();
    let mut merged = merge(sources).build();
    two.complete().unwrap();
    one.put(1).unwrap();
    one.complete().unwrap();
    three.put(3).unwrap();
    assert_eq!(given(&mut merged), [1, 3]);
    assert_eq!(merged.try_next(), TryNext::Empty);
    assert_eq!(merged.end(), None);
    assert_eq!(merged.ends(), [Some(End::Completed), Some(End::Completed), None]);
    three.complete().unwrap();
    assert_eq!(merged.try_next(), TryNext::End(End::Completed));
    assert_eq!((merged.next(), merged.next()), (None, None));
}

fn no_input_starves_where_the_order_is_fair() {
    let ([mut one, mut two, mut three], sources) = inputs();
    let mut merged = merge(sources).fair().build();
    for sink in [&mut one, &mut two, &mut three] {
        sink.put_slice(&[0; 200]).unwrap();
    }
    let order: Vec<usize> = merged.indexed().take(600).map(|(input, _)| input).collect();
    // Wherever it begins, in as many elements as three runs have each of them comes.
    for some in order.windows(96).take(400) {
        assert!((0..3).all(|input| some.contains(&input)), "{some:?}");
    }
    assert_eq!(merged.last_input(), order.last().copied());
}

fn the_most_urgent_input_goes_first() {
    let ([mut one, mut two, mut three], sources) = inputs();
    let mut merged = merge(sources).by_priority().build();
    three.put_slice(&[31, 32, 33]).unwrap();
    two.put_slice(&[21, 22]).unwrap();
    assert_eq!(merged.next(), Some(21));
    one.put(11).unwrap();
    assert_eq!(given(&mut merged), [11, 22, 31, 32, 33]);
}

fn the_smallest_stamp_of_those_that_are_there_goes_first() {
    let ([mut one, mut two, _silent], sources) = inputs();
    let mut merged = merge(sources).by_arrival(|stamp| *stamp).build();
    one.put_slice(&[2, 3, 9]).unwrap();
    two.put_slice(&[1, 4]).unwrap();
    assert_eq!(given(&mut merged), [1, 2, 3, 4, 9]);
    two.put(5).unwrap();
    assert_eq!(given(&mut merged), [5]);
}

fn a_key_waits_for_who_may_bring_a_smaller_one() {
    let ([mut one, mut two], sources) = inputs();
    let mut merged = merge(sources).ordered_by(|key| *key).build();
    one.put_slice(&[2, 3, 9]).unwrap();
    assert_eq!(merged.try_next(), TryNext::Empty);
    two.put_slice(&[1, 4]).unwrap();
    assert_eq!(given(&mut merged), [1, 2, 3, 4]);
    // The other's last key is 4, so it may still bring less than 9.
    assert_eq!(merged.try_next(), TryNext::Empty);
    two.put(9).unwrap();
    assert_eq!(given(&mut merged), [9, 9]);
    assert_eq!(merged.late(), 0);
}

fn an_input_that_has_ended_holds_nobody_back() {
    let ([mut one, mut two, three], sources) = inputs();
    let mut merged = merge(sources).ordered_by(|key| *key).build();
    one.put_slice(&[2, 3]).unwrap();
    two.put(1).unwrap();
    two.complete().unwrap();
    assert_eq!(merged.try_next(), TryNext::Empty);
    drop(three);
    assert_eq!(given(&mut merged), [1, 2, 3]);
}

fn equal_keys_come_by_input_and_need_not_wait() {
    let (one, other) = (
        millstream::channel::<(u64, u8)>(),
        millstream::channel::<(u64, u8)>(),
    );
    let ((mut one, first), (mut other, second)) = (one.build().unwrap(), other.build().unwrap());
    let mut merged = merge([first, second]).ordered_by(|(key, _)| *key).build();
    other.put((7, 2)).unwrap();
    one.put_slice(&[(7, 1), (7, 1)]).unwrap();
    let mut next = || merged.try_next().item();
    assert_eq!(
        [next(), next(), next(), next()],
        [Some((7, 1)), Some((7, 1)), Some((7, 2)), None]
    );
    // Its watermark is 7: less does not come.
    other.put((7, 2)).unwrap();
    assert_eq!(next(), Some((7, 2)));
}

fn a_silent_input_holds_the_others_back_no_longer_than_the_watermark() {
    for wait in [
        WaitStrategy::park(),
        WaitStrategy::default(),
        WaitStrategy::BusySpin,
    ] {
        let ([mut one, _silent], sources) = inputs();
        let interval = Duration::from_millis(20);
        let merged = merge(sources)
            .ordered_by(|key| *key)
            .watermark(interval)
            .wait(wait);
        let mut merged = merged.build();
        one.put_slice(&[1, 2]).unwrap();
        let began = Instant::now();
        assert_eq!(merged.next(), Some(1));
        assert!(began.elapsed() >= interval);
        // From now on it is left out.
        assert_eq!(merged.try_next(), TryNext::Item(2));
        one.put(3).unwrap();
        assert_eq!(merged.try_next(), TryNext::Item(3));
        assert_eq!(merged.ends(), [None, None]);
    }
}

fn an_idle_input_is_heard_again_and_counts_when_it_is_late() {
    let ([mut one, mut two], sources) = inputs();
    let merged = merge(sources)
        .ordered_by(|key| *key)
        .watermark(Duration::from_millis(1));
    let mut merged = merged.build();
    one.put_slice(&[5, 8]).unwrap();
    assert_eq!((merged.next(), merged.next()), (Some(5), Some(8)));
    assert_eq!(merged.late(), 0);
    two.put_slice(&[6, 7, 9]).unwrap();
    one.put(10).unwrap();
    assert_eq!(merged.by_ref().take(4).collect::<Vec<_>>(), [6, 7, 9, 10]);
    assert_eq!(merged.late(), 2);
}

fn a_wait_without_a_bound_ends_with_the_silent_inputs_alone() {
    let ([mut one, silent], sources) = inputs();
    let merged = merge(sources)
        .ordered_by(|key| *key)
        .idle_timeout(Some(Duration::from_millis(10)));
    let mut merged = merged.build();
    one.put_slice(&[1, 2]).unwrap();
    one.complete().unwrap();
    assert_eq!(merged.by_ref().collect::<Vec<_>>(), [1, 2]);
    assert!(silent.is_closed());
    assert_eq!(merged.ends(), [Some(End::Completed), Some(End::IdleTimeout)]);
    assert_eq!(
        (merged.end(), merged.failed_input()),
        (Some(End::IdleTimeout), Some(1))
    );
}

fn a_failure_is_told_at_the_end_and_loses_nothing() {
    for (order, expected) in [
        (0, [1, 2, 5, 3, 4, 6]),
        (1, [1, 2, 5, 3, 4, 6]),
        (2, [1, 2, 3, 4, 5, 6]),
        (3, [1, 2, 3, 4, 5, 6]),
    ] {
        let ([mut one, mut two], sources) = inputs();
        let merged = merge(sources);
        let mut merged = in_order(merged, order).build();
        one.put_slice(&[1, 2, 5]).unwrap();
        one.fail(fault()).unwrap();
        two.put_slice(&[3, 4]).unwrap();
        let mut all: Vec<u64> = merged.by_ref().take(4).collect();
        assert_eq!(merged.end(), None);
        two.put(6).unwrap();
        two.complete().unwrap();
        all.extend(merged.by_ref());
        assert_eq!(all, expected);
        assert_eq!(merged.end(), Some(End::Failed(fault())));
        assert_eq!(merged.failed_input(), Some(0));
        assert_eq!(merged.ends(), [Some(End::Failed(fault())), Some(End::Completed)]);
    }
}

fn a_failure_that_is_told_at_once_comes_after_what_is_there() {
    let ([mut one, mut two, mut three], sources) = inputs();
    let mut merged = merge(sources).end_policy(EndPolicy::FailFast).build();
    // Row L17: the failed input is empty, and the others hold something.
    one.fail(fault()).unwrap();
    two.put_slice(&[0; 100]).unwrap();
    three.put(1).unwrap();
    assert_eq!(merged.by_ref().count(), 101);
    assert_eq!(merged.end(), Some(End::Failed(fault())));
    let cancelled = Some(End::Cancelled);
    assert_eq!(
        merged.ends(),
        [Some(End::Failed(fault())), cancelled.clone(), cancelled]
    );
    assert!(two.is_closed() && three.is_closed());
}

fn a_failure_that_is_told_at_once_keeps_the_order_of_keys() {
    let ([mut one, mut two, _silent], sources) = inputs();
    let merged = merge(sources).ordered_by(|key| *key);
    let mut merged = merged.end_policy(EndPolicy::FailFast).build();
    one.put_slice(&[3, 5]).unwrap();
    two.put_slice(&[1, 4, 6, 7]).unwrap();
    one.fail(fault()).unwrap();
    // The third holds the others back, until the second's failure: the first two are given when it is known.
    assert_eq!(merged.try_next(), TryNext::Empty);
    two.fail(fault()).unwrap();
    drop(_silent);
    assert_eq!(merged.by_ref().collect::<Vec<_>>(), [1, 3, 4, 5, 6, 7]);
    assert!(matches!(merged.end(), Some(End::Failed(_))));
}

fn a_fast_producer_cannot_put_a_failure_off() {
    let ([failing, mut fast], sources) = inputs();
    let mut merged = merge(sources).end_policy(EndPolicy::FailFast).build();
    drop(failing);
    let producer = thread::spawn(move || (0..).find_map(|element| fast.put(element).err()));
    // More than the ring holds are not taken, however many are put meanwhile.
    let taken: Vec<u64> = merged.by_ref().collect();
    assert!((0..).zip(&taken).all(|(expected, element)| expected == *element));
    assert_eq!(merged.failed_input(), Some(0));
    drop(merged);
    joined(producer);
}

fn dropping_and_cancelling_tell_every_producer() {
    let (mut sinks, sources) = inputs::<3>();
    let merged = merge(sources).build();
    drop(merged);
    let closed = |sink: &mut SinkRef<u64>| {
        matches!(
            sink.try_put(1),
            Err(millstream::TryPutError::Closed(1, CloseReason::Cancelled))
        )
    };
    assert!(sinks.iter_mut().all(closed));

    let (mut sinks, sources) = inputs::<3>();
    let mut merged = merge(sources).ordered_by(|key| *key).build();
    sinks[0].put_slice(&[1, 2]).unwrap();
    assert_eq!(merged.try_next(), TryNext::Empty);
    merged.cancel();
    assert_eq!(merged.next(), None);
    assert_eq!(merged.end(), Some(End::Cancelled));
    assert!(sinks.iter_mut().all(closed));
    merged.cancel();
    assert_eq!(merged.try_next(), TryNext::End(End::Cancelled));
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

fn it_waits_until_the_deadline() {
    let ([mut one, _two], sources) = inputs();
    let mut merged = merge(sources).build();
    assert!(
        merged
            .next_deadline(Instant::now() + Duration::from_millis(5))
            .is_err()
    );
    one.put(1).unwrap();
    assert_eq!(merged.next_deadline(soon()), Ok(Some(1)));
    assert_eq!(merged.end(), None);
}

/// Puts `0..count` and completes, and gives way now and then, so that the consumer finds nothing.
fn produce(mut sink: SinkRef<u64>, count: u64) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for element in 0..count {
            sink.put(element).unwrap();
            if element % 50 == 0 {
                thread::yield_now();
            }
        }
        sink.complete().unwrap();
    })
}

/// Of each input everything, in its order.
fn check(merged: &mut Merge<u64>, inputs: usize, count: u64) {
    let mut next = vec![0; inputs];
    for (input, element) in merged.indexed() {
        assert_eq!(element, next[input], "of input {input}");
        next[input] += 1;
    }
    assert_eq!(next, vec![count; inputs]);
    assert_eq!(merged.end(), Some(End::Completed));
}

const MANY: u64 = 20_000;

fn it_wakes_by_any_input_however_it_waits() {
    for wait in ["park", "yield", "default"] {
        for order in 0..4 {
            let (sinks, sources) = inputs::<4>();
            let merged = merge(sources).wait(strategy(wait)).idle_timeout(None);
            let mut merged = in_order(merged, order).build();
            let producers = sinks.map(|sink| produce(sink, MANY));
            check(&mut merged, 4, MANY);
            producers.into_iter().for_each(joined);
        }
    }
}

fn it_wakes_by_streams_of_both_kinds() {
    for near in [0, 2] {
        let ground = Ground::new();
        let (mut sinks, mut sources) = (Vec::new(), Vec::new());
        for _ in 0..near {
            let (sink, source) = roomy().build().unwrap();
            sinks.push(sink);
            sources.push(source);
        }
        for name in ["one", "two"] {
            sinks.push(ground.publish::<u64>(name).open().unwrap());
            sources.push(ground.subscribe::<u64>(name).open().unwrap());
        }
        let count = sources.len();
        let mut merged = merge(sources).wait(WaitStrategy::park()).build();
        // One after the other, each of them wakes it while all others are silent. Were it woken by the bound of its sleep alone,
        // this would take longer than the watchdog waits.
        let (told, heard) = std::sync::mpsc::channel();
        let producer = thread::spawn(move || {
            for round in 0..1000_u64 {
                for sink in &mut sinks {
                    sink.put(round).unwrap();
                    heard.recv().unwrap();
                }
            }
            drop(heard);
            sinks.iter_mut().for_each(|sink| sink.complete().unwrap());
            sinks
        });
        for round in 0..1000 {
            for input in 0..count {
                assert_eq!(merged.indexed().next(), Some((input, round)));
                told.send(()).unwrap();
            }
        }
        assert_eq!(merged.next(), None);
        assert_eq!(merged.end(), Some(End::Completed));
        drop(joined(producer));
    }
}

fn it_wakes_where_no_descriptor_is_left() {
    let ground = Ground::new();
    let process = ground.start("parched", &[]);
    process.expect("DONE");
}

/// Sleeps at streams of both kinds while it may open no descriptor, and then while it may.
fn parched(stage: &Stage) {
    let mut far = stage.ground.publish::<u64>("far").open().unwrap();
    let source = stage.ground.subscribe::<u64>("far").open().unwrap();
    let ([mut near], [other]) = inputs();
    let mut merged = merge([source, other])
        .wait(WaitStrategy::park())
        .idle_timeout(None)
        .build();
    let usual = getrlimit(Resource::Nofile);
    let (wants, wanted) = mpsc::channel();
    let putter = thread::spawn(move || {
        for number in wanted {
            let sink = if number % 2 == 0 { &mut near } else { &mut far };
            sink.put(number).unwrap();
        }
    });
    // Fewer than are open, and as many as are polled.
    for current in [Some(4), usual.current] {
        setrlimit(Resource::Nofile, Rlimit { current, ..usual }).unwrap();
        for number in 0..20 {
            wants.send(number).unwrap();
            assert_eq!(merged.next_deadline(soon()), Ok(Some(number)));
        }
    }
    drop(wants);
    joined(putter);
    say("DONE");
}

fn it_goes_on_with_the_next_producer_of_a_name() {
    let ground = Ground::new();
    // A process that dies is followed by the next one of its name, and the merge sleeps in between.
    let (mut near, one) = roomy().build().unwrap();
    let mut child = ground.start("counts", &[&"again", &"5"]);
    let other = ground.subscribe::<u64>("again").reconnect().open().unwrap();
    let mut merged = merge([one, other]).wait(WaitStrategy::park()).build();
    child.expect("DONE");
    child.kill();
    assert_eq!(merged.by_ref().take(5).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    near.put(77).unwrap();
    assert_eq!(merged.next(), Some(77));
    let mut child = ground.start("counts", &[&"again", &"3"]);
    assert_eq!(merged.by_ref().take(3).collect::<Vec<_>>(), [0, 1, 2]);
    child.expect("DONE");
    child.kill();
    near.put(78).unwrap();
    assert_eq!(merged.next(), Some(78));
    assert_eq!(merged.ends(), [None, None]);
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

fn a_panic_of_the_key_leaves_the_rest_usable() {
    let ([mut one, mut two], sources) = inputs();
    let merged = merge(sources).ordered_by(|key| if *key == 13 { panic!("unlucky") } else { *key });
    let mut merged = merged.build();
    one.put_slice(&[1, 13, 14]).unwrap();
    two.put_slice(&[2, 15]).unwrap();
    one.complete().unwrap();
    two.complete().unwrap();
    assert_eq!(merged.next(), Some(1));
    assert!(catch_unwind(AssertUnwindSafe(|| merged.next())).is_err());
    assert_eq!(merged.by_ref().collect::<Vec<_>>(), [2, 14, 15]);
    assert_eq!(merged.end(), Some(End::Completed));
}

fn elements_that_are_held_back_are_dropped_once() {
    let all = Arc::new(());
    for cancels in [false, true] {
        let (mut sinks, mut sources) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let (sink, source) = millstream::channel::<(u64, Arc<()>)>().build().unwrap();
            sinks.push(sink);
            sources.push(source);
        }
        let mut merged = merge(sources).ordered_by(|(key, _)| *key).build();
        for sink in &mut sinks[..2] {
            for key in 0..4 {
                sink.put((key, Arc::clone(&all))).unwrap();
            }
        }
        assert!(merged.try_next().item().is_none());
        if cancels {
            merged.cancel();
        }
        drop((merged, sinks));
        assert_eq!(Arc::strong_count(&all), 1);
    }
}

/// Publishes `0..count` under a name, noting what was taken from it, then stays.
fn counts(stage: &Stage) {
    let (name, count): (String, u64) = (stage.arg(0), stage.arg(1));
    let published = Shared::open(&stage.ground.beside(&name));
    let mut sink = stage
        .ground
        .publish::<u64>(&name)
        .buffer_size(256)
        .open()
        .unwrap();
    for element in 0..count {
        sink.put(element).unwrap();
        published.set(element + 1);
    }
    say("DONE");
    let line = stage.hear();
    if line == "complete" {
        sink.complete().unwrap();
        say("COMPLETED");
    }
    stage.stay();
}

fn a_killed_process_loses_nothing_and_holds_nobody_back() {
    for order in 0..4 {
        let ground = Ground::new();
        let mut dying = ground.start("counts", &[&"dying", &u64::MAX]);
        let mut living = ground.start("counts", &[&"living", &50_000]);
        let sources = ["dying", "living"].map(|name| ground.subscribe::<u64>(name).open().unwrap());
        let merged = merge(sources);
        let mut merged = in_order(merged, order).build();
        let mut next = [0_u64, 0];
        for (input, element) in merged.indexed().take(10_000) {
            assert_eq!(element, next[input]);
            next[input] += 1;
        }
        dying.kill();
        let published = Shared::open(&ground.beside("dying"));
        living.say("complete");
        for (input, element) in merged.indexed() {
            assert_eq!(element, next[input]);
            next[input] += 1;
        }
        assert_eq!(next[1], 50_000);
        // It may have been killed between an element and its note.
        assert!((published.get()..=published.get() + 1).contains(&next[0]));
        assert_eq!(merged.ends(), [Some(End::PeerGone), Some(End::Completed)]);
        assert_eq!(
            (merged.end(), merged.failed_input()),
            (Some(End::PeerGone), Some(0))
        );
        living.expect("DONE");
        living.expect("COMPLETED");
        drop(merged);
        until(|| ground.files().iter().all(|file| !file.contains("dying")));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put { input: usize, by: u64 },
    Take,
    End { input: usize, fails: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => (0..4_usize, 0..5_u64).prop_map(|(input, by)| Step::Put { input, by }),
        20 => Just(Step::Take),
        1 => (0..4_usize, any::<bool>()).prop_map(|(input, fails)| Step::End { input, fails }),
    ];
    proptest::collection::vec(step, 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the order: of each input everything, in its order; and the order's own rule.
    #[test]
    fn every_element_comes_once_and_in_its_order(order in 0..4_usize, fail_fast: bool, steps in steps()) {
        let (mut sinks, sources) = inputs::<4>();
        let merged = merge(sources);
        let merged = match order {
            0 => merged.fair(),
            1 => merged.by_priority(),
            2 => merged.by_arrival(|key| *key / 4),
            _ => merged.ordered_by(|key| *key / 4),
        };
        let policy = if fail_fast { EndPolicy::FailFast } else { EndPolicy::Drain };
        let mut merged = merged.end_policy(policy).build();
        // What was put and not taken, of each input; elements carry their key and their input.
        let mut there = [const { std::collections::VecDeque::new() }; 4];
        let mut keys = [0; 4];
        let mut open = [true; 4];
        let mut failed = false;
        let mut given = Vec::new();
        let mut check = |merged: &mut Merge<u64>, there: &mut [std::collections::VecDeque<u64>; 4]| {
            let item = merged.try_next().item();
            if let Some(element) = item {
                let input = merged.last_input().unwrap();
                assert_eq!(there[input].pop_front(), Some(element));
                let urgent = there.iter().position(|input| !input.is_empty());
                let least = there.iter().filter_map(|input| input.front()).min();
                match order {
                    1 => assert!(urgent.is_none_or(|urgent| input <= urgent)),
                    2 => assert!(least.is_none_or(|least| element / 4 <= least / 4)),
                    3 => assert!(given.last().is_none_or(|last| last / 4 <= element / 4)),
                    _ => {}
                }
                given.push(element);
            }
            item
        };
        for step in steps {
            match step {
                Step::Put { input, by } => {
                    keys[input] += by;
                    let element = keys[input] * 4 + input as u64;
                    if sinks[input].try_put(element).is_ok() {
                        there[input].push_back(element);
                    }
                }
                Step::Take => {
                    let item = check(&mut merged, &mut there);
                    let blocked = order == 3 && (0..4).any(|input| open[input] && there[input].is_empty());
                    prop_assert!(item.is_some() || blocked || failed || there.iter().all(|input| input.is_empty()));
                }
                Step::End { input, fails } => {
                    failed |= fails && open[input];
                    open[input] = false;
                    let _ = if fails { sinks[input].fail(fault()) } else { sinks[input].complete() };
                }
            }
        }
        for sink in &mut sinks {
            let _ = sink.complete();
        }
        // A look that finds a failure may find nothing else.
        let mut looks = 0;
        while merged.end().is_none() && looks < 10_000 {
            looks += usize::from(check(&mut merged, &mut there).is_none());
        }
        // With the first failure told at once, too: what a sink took before it was told is given.
        prop_assert!(there.iter().all(|input| input.is_empty()), "{:?} are left", there);
        prop_assert_eq!(merged.failed_input().is_some(), failed);
        prop_assert!(merged.late() == 0 || order == 2);
    }
}

/// A merge can be sent to another thread.
#[test]
fn it_is_sent() {
    fn sent<T: Send>(_: &T) {}
    sent(&merge::<u64>([]).build());
}
