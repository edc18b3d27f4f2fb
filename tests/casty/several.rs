//! Several of them at once: sinks of one stream, streams side by side and in both directions; rows C18, C23, C48, C50.

use std::thread;

use millstream::{
    ActorSystem, CloseReason, CompleteStream, GetSink, GetSource, SourceRef, StreamFault, TryPutError,
    stream_consumer, stream_producer,
};

use crate::reader::{Desk, Reader};
use crate::scene::{Place, Scene, Sink, fill, rows};
use crate::stage::{LONGEST, eventually};

rows! {
    everywhere {
        c18_several_sinks_each_in_order
        c18_completed_when_all_have_completed
        c18_failed_when_one_has_failed
        c18_a_fault_outlives_the_completion_of_the_others
        c18_the_demand_holds_over_all_sinks
        c23_sinks_take_turns
        c18_sinks_come_while_the_stream_flows
        c50_ten_streams_one_after_another
        c50_five_streams_do_not_know_of_each_other
    }
    in_one_process {
        c48_streams_in_both_directions
        c18_a_drain_takes_what_is_there_and_ends
        c18_a_sink_comes_as_the_only_one_ends
    }
}

/// The number of a sink, and which of its elements.
fn tagged(sink: u64, element: u64) -> u64 {
    sink * 1_000_000 + element
}

/// What a reader takes up to the end, by sink.
fn sorted(rest: &str) -> (Vec<Vec<u64>>, String) {
    let (elements, end) = rest.rsplit_once(' ').unwrap_or(("", rest));
    let mut by_sink = vec![Vec::new(); 8];
    for element in elements.split_whitespace() {
        let element: u64 = element.parse().unwrap();
        by_sink[(element / 1_000_000) as usize].push(element % 1_000_000);
    }
    (by_sink, end.into())
}

fn c18_several_sinks_each_in_order(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().buffer_size(7));
    let mut reader = scene.source(&producer, "demand=5");
    let putting: Vec<_> = (0..4)
        .map(|number| {
            let mut sink = scene.sink(&producer);
            thread::spawn(move || {
                for element in 0..500 {
                    sink.put(tagged(number, element)).unwrap();
                }
                sink.complete().unwrap();
            })
        })
        .collect();
    let (by_sink, end) = sorted(&reader.ask("rest"));
    putting.into_iter().for_each(|putting| putting.join().unwrap());
    assert_eq!(end, "Completed");
    for elements in &by_sink[..4] {
        assert!(elements.iter().copied().eq(0..500), "{elements:?}");
    }
    scene.ends_well(&producer, &mut reader);
}

fn c18_completed_when_all_have_completed(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let mut sinks: Vec<_> = (0..3).map(|_| scene.sink(&producer)).collect();
    let mut reader = scene.source(&producer, "");
    for (number, sink) in sinks.iter_mut().enumerate() {
        sink.put(number as u64).unwrap();
        assert_eq!(reader.ask("next"), format!("item {number}"));
        sink.complete().unwrap();
    }
    assert_eq!(reader.ask("next"), "end Completed");
    scene.ends_well(&producer, &mut reader);
}

fn c18_failed_when_one_has_failed(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let (mut good, mut bad) = (scene.sink(&producer), scene.sink(&producer));
    let mut reader = scene.source(&producer, "");
    let fault = StreamFault::new(5, "one of two");
    good.put(1).unwrap();
    bad.fail(fault.clone()).unwrap();
    assert_eq!(reader.ask("next"), "item 1");
    assert_eq!(reader.ask("next"), format!("end Failed({fault:?})"));
    // The other one takes nothing more, whether it goes on or not.
    eventually(|| good.is_closed());
    assert_eq!(
        good.put(2),
        Err(millstream::PutError::Closed(2, millstream::CloseReason::Failed))
    );
    scene.ends_well(&producer, &mut reader);
}

/// Whoever completes the stream completes what has not ended yet.
fn c18_a_fault_outlives_the_completion_of_the_others(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let (mut good, mut bad) = (scene.sink(&producer), scene.sink(&producer));
    let mut reader = scene.source(&producer, "");
    let fault = StreamFault::new(5, "one of two");
    good.put(1).unwrap();
    bad.fail(fault.clone()).unwrap();
    producer.tell(CompleteStream);
    assert_eq!(reader.ask("next"), "item 1");
    assert_eq!(reader.ask("next"), format!("end Failed({fault:?})"));
    // Whichever came first closed it.
    let refused = good.try_put(2);
    assert!(
        matches!(
            refused,
            Err(TryPutError::Closed(
                2,
                CloseReason::Completed | CloseReason::Failed
            ))
        ),
        "{refused:?}"
    );
    // Not without a dead letter, where the word of completion came after the end.
    assert_eq!(reader.ask("stopped"), "Stopped");
    scene
        .system
        .wait_stopped(&producer, crate::stage::LONGEST)
        .unwrap();
}

fn c18_the_demand_holds_over_all_sinks(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().buffer_size(2));
    let mut sinks: Vec<_> = (0..3).map(|_| scene.sink(&producer)).collect();
    let mut reader = scene.source(&producer, "manual demand=4");
    assert_eq!(reader.ask("request 4"), "Ok(())");
    eventually(|| sinks.iter().map(Sink::demand).sum::<u64>() == 4);
    // Each has its buffer, and what is asked for is asked for once, of the first; another may give it in its place.
    let mut put = [0; 3];
    let mut last = 0;
    loop {
        for (number, sink) in sinks.iter_mut().enumerate() {
            put[number] += fill(sink, tagged(number as u64, put[number]));
        }
        let sum = put.iter().sum::<u64>();
        // Where the stream is published, what is asked for is passed on meanwhile.
        assert!(!scene.is_one_system() || sum <= 3 * 2 + 4, "{put:?}");
        if sum == last {
            break;
        }
        last = sum;
    }
    let mut given = [0; 3];
    for _ in 0..4 {
        let item = reader.ask("next");
        let element: u64 = item.strip_prefix("item ").unwrap().parse().unwrap();
        given[(element / 1_000_000) as usize] += 1;
    }
    assert_eq!(reader.ask("try"), "empty", "no more was asked for");
    assert_eq!(reader.ask("taken"), "4");
    assert!(put[0] <= 4 + 2, "{put:?}");
    for (put, given) in put.into_iter().zip(given).skip(1) {
        assert!(put <= given + 2, "{put} were put, and {given} given");
    }
}

fn c23_sinks_take_turns(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().buffer_size(100));
    let mut sinks: Vec<_> = (0..3).map(|_| scene.sink(&producer)).collect();
    for (number, sink) in sinks.iter_mut().enumerate() {
        for element in 0..100 {
            sink.put(tagged(number as u64, element)).unwrap();
        }
    }
    let mut reader = scene.source(&producer, "demand=4");
    let (by_sink, _) = sorted(&(reader.ask("take 150") + " -"));
    for (number, elements) in by_sink[..3].iter().enumerate() {
        assert!(elements.len() > 30, "sink {number} had {} of 150", elements.len());
    }
    for sink in &mut sinks {
        sink.complete().unwrap();
    }
    assert!(reader.ask("rest").ends_with("Completed"));
    scene.ends_well(&producer, &mut reader);
}

fn c18_sinks_come_while_the_stream_flows(scene: &Scene) {
    let (producer, mut first, mut reader) = scene.stream(4, "demand=4");
    reader.say("rest");
    let steady = thread::spawn(move || {
        for element in 0..20_000 {
            first.put(tagged(0, element)).unwrap();
        }
        first
    });
    for number in 1..6 {
        // The producer answers whatever flows.
        let mut sink = scene.sink(&producer);
        for element in 0..100 {
            sink.put(tagged(number, element)).unwrap();
        }
        sink.complete().unwrap();
    }
    steady.join().unwrap().complete().unwrap();
    let (by_sink, end) = sorted(&reader.hear());
    assert_eq!(end, "Completed");
    assert!(by_sink[0].iter().copied().eq(0..20_000));
    for elements in &by_sink[1..6] {
        assert!(elements.iter().copied().eq(0..100));
    }
    scene.ends_well(&producer, &mut reader);
}

fn c50_ten_streams_one_after_another(scene: &Scene) {
    for round in 0..10 {
        // Under one name, which is free again at once.
        let (producer, mut sink, mut reader) = scene.stream(4, "demand=2");
        for element in 0..10 {
            sink.put(element).unwrap();
            assert_eq!(reader.ask("next"), format!("item {element}"));
        }
        if round % 2 == 0 {
            sink.complete().unwrap();
            assert_eq!(reader.ask("next"), "end Completed");
        } else {
            assert_eq!(reader.ask("drop"), "ok");
        }
        scene.ends_well(&producer, &mut reader);
    }
    eventually(|| scene.ground.files().is_empty());
}

fn c50_five_streams_do_not_know_of_each_other(scene: &Scene) {
    let mut streams: Vec<_> = (0..5)
        .map(|n| {
            let producer = scene.producer(&format!("stream-{n}"), stream_producer().buffer_size(3));
            let sink = scene.sink(&producer);
            let reader = scene.source(&producer, "demand=2");
            (producer, sink, reader)
        })
        .collect();
    for (n, (_, sink, _)) in streams.iter_mut().enumerate() {
        sink.put(n as u64).unwrap();
    }
    assert_eq!(streams[1].2.ask("cancel"), "ok");
    scene.system.stop(&streams[3].0);
    for n in [0, 2, 4] {
        let (_, sink, reader) = &mut streams[n];
        for element in 0..100 {
            sink.put(element).unwrap();
            let expected = if element == 0 { n as u64 } else { element - 1 };
            assert_eq!(reader.ask("next"), format!("item {expected}"));
        }
        sink.complete().unwrap();
        assert_eq!(reader.ask("rest"), "99 Completed");
    }
    for (producer, _, reader) in &mut streams {
        let _ = reader.ask("rest");
        scene.ends_well(producer, reader);
    }
}

fn c48_streams_in_both_directions(scene: &Scene) {
    let other = ActorSystem::builder("other").build().unwrap();
    let back = if scene.place == Place::OneSystem {
        &scene.system
    } else {
        &other
    };
    let (producer, mut sink, mut reader) = scene.stream(4, "demand=3");
    let props = stream_producer::<u64>().buffer_size(4).published("back");
    let answers = back.spawn("back", props.directory(&scene.ground.dir)).unwrap();
    let mut answer = back.ask(&answers, GetSink::new, LONGEST).unwrap();
    let stream = scene
        .system
        .lookup_stream_in(&scene.ground.dir, "back", LONGEST)
        .unwrap();
    let consumer = scene.system.spawn("answers", stream_consumer(&stream)).unwrap();
    let mut source: SourceRef<u64> = scene.system.ask(&consumer, GetSource::new, LONGEST).unwrap();
    for element in 0..500 {
        sink.put(element).unwrap();
        assert_eq!(reader.ask("next"), format!("item {element}"));
        answer.put(element * 2).unwrap();
        assert_eq!(source.next(), Some(element * 2));
    }
    sink.complete().unwrap();
    answer.complete().unwrap();
    assert_eq!(source.next(), None);
    assert_eq!(reader.ask("next"), "end Completed");
    back.wait_stopped(&answers, LONGEST).unwrap();
    scene.system.wait_stopped(&consumer, LONGEST).unwrap();
    scene.ends_well(&producer, &mut reader);
    assert_eq!(other.events().dead_letters(), 0);
}

/// However fast the sinks are: of what comes meanwhile it takes no more than the rings hold.
fn c18_a_drain_takes_what_is_there_and_ends(scene: &Scene) {
    for sinks in [1, 3] {
        let producer = scene.producer("stream", stream_producer().buffer_size(50));
        let consumer = stream_consumer(&producer).initial_demand(50);
        let consumer = scene.system.spawn("consumer", consumer).unwrap();
        let mut source: SourceRef<u64> = scene.system.ask(&consumer, GetSource::new, LONGEST).unwrap();
        let mut sinks: Vec<_> = (0..sinks).map(|_| (scene.sink(&producer), 0)).collect();
        let mut put = |each: u64| {
            for (number, (sink, next)) in sinks.iter_mut().enumerate() {
                for _ in 0..each {
                    *next += u64::from(sink.try_put(tagged(number as u64, *next)).is_ok());
                }
            }
            sinks.iter().map(|(_, next)| *next).sum::<u64>()
        };
        let there = put(40);
        let mut taken = [0; 3];
        let some = source.drain(usize::MAX, |element| {
            assert!(
                element % 1_000_000 < 10_000,
                "it takes what comes meanwhile for ever"
            );
            let number = (element / 1_000_000) as usize;
            assert_eq!(element % 1_000_000, taken[number]);
            taken[number] += 1;
            put(2);
        });
        // Of a published stream they are still on their way.
        assert!(
            some as u64 >= there || !scene.is_one_system(),
            "{some} of {there}"
        );
        let all = put(0);
        for (sink, _) in &mut sinks {
            sink.complete().unwrap();
        }
        assert_eq!(some as u64 + source.by_ref().count() as u64, all);
        scene.system.wait_stopped(&producer, LONGEST).unwrap();
        scene.system.wait_stopped(&consumer, LONGEST).unwrap();
    }
}

/// The source goes from ring to ring while each, as long as it is alone, is read at a distance to its sink.
fn c18_a_sink_comes_as_the_only_one_ends(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().buffer_size(1000));
    let consumer = stream_consumer(&producer).initial_demand(1000);
    let consumer = scene.system.spawn("consumer", consumer).unwrap();
    let mut source: SourceRef<u64> = scene.system.ask(&consumer, GetSource::new, LONGEST).unwrap();
    let mut sink = scene.sink(&producer);
    let putting = {
        let (system, producer) = (scene.system.handle(), producer.clone());
        thread::spawn(move || {
            for number in 0..200 {
                for element in 0..2_000 {
                    sink.put(tagged(number, element)).unwrap();
                }
                let next = (number < 199).then(|| system.ask(&producer, GetSink::new, LONGEST).unwrap());
                sink.complete().unwrap();
                if let Some(next) = next {
                    sink = next;
                }
            }
        })
    };
    let mut taken = vec![0; 200];
    for element in source.by_ref() {
        let number = (element / 1_000_000) as usize;
        assert_eq!(element % 1_000_000, taken[number]);
        taken[number] += 1;
    }
    putting.join().unwrap();
    assert!(taken.iter().all(|taken| *taken == 2_000));
    scene.system.wait_stopped(&producer, LONGEST).unwrap();
    scene.system.wait_stopped(&consumer, LONGEST).unwrap();
}

/// A reader of a stream that another process publishes.
pub(crate) fn near_reader(scene: &Scene, name: &str) -> Reader {
    let system = ActorSystem::builder("near").build().unwrap();
    Reader::here(Desk::owning(system, &scene.ground.dir, name))
}
