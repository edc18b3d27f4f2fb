//! How a stream ends: rows C12, C14 to C16, C22, C24, C25, C32, C38 to C43, C45, C49.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use millstream::{
    ActorSystem, CloseReason, End, GetSink, GetSource, PutError, StreamFault, TryNext, TryPutError,
    stream_consumer, stream_producer,
};

use crate::scene::{Scene, rows, within};
use crate::stage::{LONGEST, eventually, soon};

rows! {
    everywhere {
        c12_completion_needs_no_demand
        c14_nothing_is_taken_after_completion
        c15_c39_cancel_drops_what_is_buffered
        c16_a_waiting_reader_learns_of_every_end
        c22_a_put_that_races_a_cancel_is_returned_or_delivered
        c24_complete_does_not_wait
        c24_complete_and_drain_waits
        c25_a_dropped_sink_is_a_failure
        c25_a_dropped_sink_can_complete
        c32_ends_leave_no_dead_letters
        c38_an_idle_reader_gives_up
        c39_a_panic_in_the_body_cancels
        c39_a_dropped_source_cancels_an_idle_stream
        c40_an_ended_source_stays_ended
        c43_a_failure_comes_after_its_elements
        c45_c49_in_order_and_all_of_them
        c49_one_after_another_by_hand
    }
}

fn c12_completion_needs_no_demand(scene: &Scene) {
    let (producer, mut sink, mut reader) = scene.stream(4, "manual");
    assert_eq!(reader.ask("try"), "empty");
    sink.complete().unwrap();
    sink.complete().unwrap();
    assert_eq!(reader.ask("next"), "end Completed");
    scene.ends_well(&producer, &mut reader);
}

fn c14_nothing_is_taken_after_completion(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().buffer_size(8));
    let mut sink = scene.sink(&producer);
    sink.put(1).unwrap();
    producer.tell(millstream::CompleteStream);
    eventually(|| sink.is_closed());
    let closed = |element| Err(TryPutError::Closed(element, CloseReason::Completed));
    // The first may have been on its way.
    let late = sink.try_put(2);
    assert!(late.is_ok() || late == closed(2), "{late:?}");
    assert_eq!(sink.try_put(3), closed(3));
    assert_eq!(sink.put(3), Err(PutError::Closed(3, CloseReason::Completed)));
    let mut reader = scene.source(&producer, "");
    let rest = reader.ask("rest");
    let all = if late.is_ok() {
        "1 2 Completed"
    } else {
        "1 Completed"
    };
    assert_eq!(rest, all);
    scene.ends_well(&producer, &mut reader);
}

fn c15_c39_cancel_drops_what_is_buffered(scene: &Scene) {
    let (producer, mut sink, mut reader) = scene.stream(2, "demand=2");
    let putting = thread::spawn(move || {
        let refused = (0..).find_map(|element| sink.put(element).err().map(|error| (element, error)));
        (refused.unwrap(), sink.is_closed())
    });
    assert_eq!(reader.ask("take 5"), "0 1 2 3 4");
    for _ in 0..2 {
        assert_eq!(reader.ask("cancel"), "ok");
        assert_eq!(reader.ask("next"), "end Cancelled");
    }
    let ((element, error), is_closed) = putting.join().unwrap();
    assert_eq!(error, PutError::Closed(element, CloseReason::Cancelled));
    assert!(is_closed);
    assert_eq!(reader.ask("taken"), "5");
    scene.ends_well(&producer, &mut reader);
}

fn c16_a_waiting_reader_learns_of_every_end(scene: &Scene) {
    for end in ["complete", "fail", "drop", "told", "stop"] {
        let (producer, mut sink, mut reader) = scene.stream(4, "");
        sink.put(1).unwrap();
        reader.say("rest");
        let expected = match end {
            "complete" => {
                sink.complete().unwrap();
                "1 Completed".to_string()
            }
            "fail" => {
                sink.fail(StreamFault::new(3, "why")).unwrap();
                format!("1 Failed({:?})", StreamFault::new(3, "why"))
            }
            "drop" => {
                drop(sink);
                "sink was dropped".to_string()
            }
            "told" => {
                producer.tell(millstream::CompleteStream);
                "1 Completed".to_string()
            }
            _ => {
                scene.system.stop(&producer);
                let stopped =
                    StreamFault::new(StreamFault::PRODUCER_STOPPED, "the producer stopped: stopped");
                format!("Failed({stopped:?})")
            }
        };
        let heard = reader.hear();
        assert!(heard.contains(&expected), "{end}: {heard}");
        scene.ends_well(&producer, &mut reader);
    }
}

fn c22_a_put_that_races_a_cancel_is_returned_or_delivered(scene: &Scene) {
    for round in 0..20 {
        let (producer, mut sink, mut reader) = scene.stream(1, "demand=1");
        let putting = thread::spawn(move || {
            let refused = (0..).find_map(|element| sink.put(element).err());
            refused.unwrap().into_inner()
        });
        let count = round % 7;
        assert_eq!(
            reader.ask(format!("take {count}")).split_whitespace().count(),
            count
        );
        assert_eq!(reader.ask("drop"), "ok");
        assert!(
            putting.join().unwrap() >= count as u64,
            "what was taken did not come back"
        );
        scene.ends_well(&producer, &mut reader);
    }
}

fn c24_complete_does_not_wait(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().buffer_size(4));
    let mut sink = scene.sink(&producer);
    sink.put(1).unwrap();
    sink.complete().unwrap();
    drop(sink);
    let mut reader = scene.source(&producer, "demand=1");
    assert_eq!(reader.ask("rest"), "1 Completed");
    scene.ends_well(&producer, &mut reader);
}

fn c24_complete_and_drain_waits(scene: &Scene) {
    let (producer, mut sink, mut reader) = scene.stream(64, "demand=4");
    for element in 0..50 {
        sink.put(element).unwrap();
    }
    reader.say("count 0");
    sink.complete_and_drain(soon()).unwrap();
    assert_eq!(reader.hear(), "50 Completed");
    scene.ends_well(&producer, &mut reader);
}

fn c25_a_dropped_sink_is_a_failure(scene: &Scene) {
    let (producer, mut sink, mut reader) = scene.stream(8, "demand=1");
    for element in 0..5 {
        sink.put(element).unwrap();
    }
    drop(sink);
    let rest = reader.ask("rest");
    let code = format!("code: {}", StreamFault::SINK_DROPPED);
    assert!(
        rest.starts_with("0 1 2 3 4 Failed") && rest.contains(&code),
        "{rest}"
    );
    scene.ends_well(&producer, &mut reader);
}

fn c25_a_dropped_sink_can_complete(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().complete_on_drop());
    let mut sink = scene.sink(&producer);
    let mut reader = scene.source(&producer, "demand=1");
    sink.put(1).unwrap();
    drop(sink);
    assert_eq!(reader.ask("rest"), "1 Completed");
    scene.ends_well(&producer, &mut reader);
}

fn c32_ends_leave_no_dead_letters(scene: &Scene) {
    for (name, end) in [("a", "complete"), ("b", "cancel"), ("c", "drop"), ("d", "idle")] {
        let producer = scene.producer(name, stream_producer().buffer_size(4));
        let mut sink = scene.sink(&producer);
        let settings = if end == "idle" {
            "demand=4 timeout=3"
        } else {
            "demand=4"
        };
        let mut reader = scene.source(&producer, settings);
        for element in (0..20).filter(|_| end != "idle") {
            sink.put(element).unwrap();
            assert_eq!(reader.ask("next"), format!("item {element}"));
        }
        match end {
            "complete" => {
                sink.complete().unwrap();
                assert_eq!(reader.ask("next"), "end Completed");
            }
            "idle" => assert_eq!(reader.ask("next"), "end IdleTimeout"),
            end => assert_eq!(reader.ask(end), "ok"),
        }
        scene.ends_well(&producer, &mut reader);
        drop(sink);
        let events = scene.system.events();
        assert_eq!((events.dead_letters(), events.unhandled()), (0, 0), "{end}");
    }
}

fn c38_an_idle_reader_gives_up(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().buffer_size(1));
    let mut sink = scene.sink(&producer);
    let mut reader = scene.consumer(&producer, "demand=1 timeout=20");
    assert_eq!(reader.ask("source"), "ok");
    let blocked = thread::spawn(move || {
        while !sink.is_closed() {
            thread::yield_now();
        }
        sink.put(0)
    });
    assert_eq!(reader.ask("next"), "end IdleTimeout");
    assert_eq!(
        blocked.join().unwrap(),
        Err(PutError::Closed(0, CloseReason::Cancelled))
    );
    scene.ends_well(&producer, &mut reader);
}

fn c39_a_panic_in_the_body_cancels(scene: &Scene) {
    let (producer, mut sink, mut reader) = scene.stream(4, "demand=4");
    let putting = thread::spawn(move || (0..).find_map(|element| sink.put(element).err()).unwrap());
    assert_eq!(reader.ask("break 9"), "ok");
    assert!(matches!(
        putting.join().unwrap(),
        PutError::Closed(_, CloseReason::Cancelled)
    ));
    scene.ends_well(&producer, &mut reader);
}

fn c39_a_dropped_source_cancels_an_idle_stream(scene: &Scene) {
    for how in ["drop", "cancel"] {
        let (producer, sink, mut reader) = scene.stream(4, "");
        // Nobody puts anything.
        assert_eq!(reader.ask(how), "ok");
        scene.system.wait_stopped(&producer, LONGEST).unwrap();
        assert!(sink.is_closed());
        scene.ends_well(&producer, &mut reader);
    }
}

fn c40_an_ended_source_stays_ended(scene: &Scene) {
    let (producer, mut sink, mut reader) = scene.stream(0, "");
    sink.put(1).unwrap();
    sink.complete().unwrap();
    assert_eq!(reader.ask("rest"), "1 Completed");
    for _ in 0..3 {
        assert_eq!(reader.ask("next"), "end Completed");
        assert_eq!(reader.ask("try"), "end Completed");
        assert_eq!(reader.ask("rest"), "Completed");
    }
    scene.ends_well(&producer, &mut reader);
}

fn c43_a_failure_comes_after_its_elements(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let mut sink = scene.sink(&producer);
    for element in 0..100 {
        sink.put(element).unwrap();
    }
    let fault = StreamFault::new(17, "the exchange hung up");
    sink.fail(fault.clone()).unwrap();
    let mut reader = scene.source(&producer, "demand=3");
    assert_eq!(reader.ask("count 0"), format!("100 Failed({fault:?})"));
    assert_eq!(reader.ask("next"), format!("end Failed({fault:?})"));
    scene.ends_well(&producer, &mut reader);
}

fn c45_c49_in_order_and_all_of_them(scene: &Scene) {
    for (buffer, demand) in [(0, 1), (1, 1), (16, 16), (1000, 3), (3, 1000)] {
        let (producer, mut sink, mut reader) = scene.stream(buffer, &format!("demand={demand}"));
        reader.say("count 0");
        for element in 0..5000 {
            sink.put(element).unwrap();
        }
        sink.complete().unwrap();
        assert_eq!(reader.hear(), "5000 Completed");
        scene.ends_well(&producer, &mut reader);
    }
}

fn c49_one_after_another_by_hand(scene: &Scene) {
    let (producer, mut sink, mut reader) = scene.stream(2, "manual demand=1");
    reader.say("count_by_hand");
    for element in 0..2000 {
        sink.put(element).unwrap();
    }
    sink.complete().unwrap();
    assert_eq!(reader.hear(), "2000 Completed");
    scene.ends_well(&producer, &mut reader);
}

/// Panics as it is dropped, if it is said to.
#[derive(Debug)]
struct Thorn(bool);

impl Drop for Thorn {
    fn drop(&mut self) {
        assert!(!self.0, "as the test asked for");
    }
}

/// The source is used on by whoever catches the panic: what was returned to a sink is not there for it.
#[test]
fn c40_a_source_stays_ended_when_an_element_panics_as_it_is_dropped() {
    within(|| {
        let system = ActorSystem::builder("test").build().unwrap();
        let producer = stream_producer::<Thorn>().buffer_size(4);
        let producer = system.spawn("producer", producer).unwrap();
        let mut first = system.ask(&producer, GetSink::new, LONGEST).unwrap();
        let mut second = system.ask(&producer, GetSink::new, LONGEST).unwrap();
        let consumer = system.spawn("consumer", stream_consumer(&producer)).unwrap();
        let mut source = system.ask(&consumer, GetSource::new, LONGEST).unwrap();
        // So that the first sink knows of room, and the source stands at its lane.
        first.put(Thorn(false)).unwrap();
        assert!(source.next().is_some());
        second.put(Thorn(true)).unwrap();
        system.stop_and_wait(&consumer, LONGEST).unwrap();
        let looked = catch_unwind(AssertUnwindSafe(|| {
            matches!(source.try_next(), TryNext::End(End::Cancelled))
        }));
        let refused = first.try_put(Thorn(false));
        assert!(matches!(
            refused,
            Err(TryPutError::Closed(_, CloseReason::Cancelled))
        ));
        assert!(matches!(source.try_next(), TryNext::End(End::Cancelled)));
        assert!(matches!(looked, Ok(true)));
    });
}
