//! What a producer keeps, and what a consumer asks for: rows C2, C3, C7 to C11, C20, C33, C36, C37.

use std::time::Instant;

use millstream::{
    AskError, Buffer, GetSink, GetSinkError, InputReady, Push, PutDeadlineError, StreamProducerMsg,
    TryPutError, stream_producer,
};

use crate::scene::{Producer, Scene, fill, rows};
use crate::stage::{LONGEST, eventually, soon};

rows! {
    everywhere {
        c2_unbounded_never_waits
        c3_c20_exactly_the_buffer_and_the_demand
        c3_without_a_buffer_demand_is_all_there_is
        c7_c8_put_before_subscribed
        c9_demand_adds_up
        c11_a_nudge_changes_nothing
        c13_completion_waits_for_the_buffer
        c20_a_put_waits_for_room
        c21_a_put_that_gives_up_has_put_nothing
        c33_c36_c37_taking_replenishes
        c10_a_push_is_delivered_and_completes
    }
    in_one_process {
        c10_a_push_on_a_full_buffer_comes_back
        c10_pushes_do_not_keep_the_stream_open
    }
}

fn c2_unbounded_never_waits(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let mut sink = scene.sink(&producer);
    for element in 0..5000 {
        sink.try_put(element).unwrap();
    }
    let mut reader = scene.source(&producer, "demand=3");
    assert_eq!(reader.ask("take 3"), "0 1 2");
    for element in 5000..10_000 {
        sink.try_put(element).unwrap();
    }
    sink.complete().unwrap();
    assert_eq!(reader.ask("count 3"), "10000 Completed");
    scene.ends_well(&producer, &mut reader);
}

fn c3_c20_exactly_the_buffer_and_the_demand(scene: &Scene) {
    for (buffer, demand) in [(1, 1), (5, 3), (1, 7), (16, 9), (100, 1)] {
        let name = format!("stream-{buffer}-{demand}");
        let producer = scene.producer(&name, stream_producer().buffer_size(buffer));
        let mut sink = scene.sink(&producer);
        assert_eq!(fill(&mut sink, 0), buffer as u64, "before anybody subscribed");
        let mut reader = scene.source(&producer, &format!("demand={demand} each"));
        let mut next = buffer as u64;
        for _ in 0..demand {
            sink.put_deadline(next, soon()).unwrap();
            next += 1;
        }
        let full = sink.put_deadline(next, Instant::now());
        assert_eq!(full, Err(PutDeadlineError::TimedOut(next)), "{buffer} {demand}");
        for taken in 0..20 {
            assert_eq!(fill(&mut sink, next), 0, "{buffer} {demand}, after {taken}");
            assert_eq!(reader.ask("next"), format!("item {taken}"));
            sink.put_deadline(next, soon()).unwrap();
            next += 1;
        }
    }
}

fn c3_without_a_buffer_demand_is_all_there_is(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().buffer_size(Buffer::Rendezvous));
    let mut sink = scene.sink(&producer);
    assert_eq!(fill(&mut sink, 0), 0);
    let refused = scene.system.ask(&producer, GetSink::new, LONGEST);
    let Err(AskError::Refused(why)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(why.downcast_ref(), Some(&GetSinkError::Taken));
    let mut reader = scene.source(&producer, "demand=2 each");
    for element in 0..2 {
        sink.put_deadline(element, soon()).unwrap();
    }
    assert_eq!(fill(&mut sink, 2), 0);
    for element in 2..50 {
        assert_eq!(reader.ask("next"), format!("item {}", element - 2));
        sink.put_deadline(element, soon()).unwrap();
    }
    sink.complete().unwrap();
    assert_eq!(reader.ask("rest"), "48 49 Completed");
    scene.ends_well(&producer, &mut reader);
}

fn c7_c8_put_before_subscribed(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().buffer_size(10));
    let mut sink = scene.sink(&producer);
    for element in 0..10 {
        sink.put(element).unwrap();
    }
    let mut reader = scene.source(&producer, "demand=4");
    assert_eq!(reader.ask("take 10"), "0 1 2 3 4 5 6 7 8 9");
    // Surplus demand is kept.
    sink.put(10).unwrap();
    assert_eq!(reader.ask("next"), "item 10");
    sink.complete().unwrap();
    assert_eq!(reader.ask("next"), "end Completed");
    scene.ends_well(&producer, &mut reader);
}

fn c9_demand_adds_up(scene: &Scene) {
    let (producer, mut sink, mut reader) = scene.stream(4, "manual demand=16");
    assert_eq!(sink.demand(), 0);
    for (count, sum) in [(2, 2), (3, 5), (1, 6), (u64::MAX, 16), (u64::MAX, 16)] {
        assert_eq!(reader.ask(format!("request {count}")), "Ok(())");
        eventually(|| sink.demand() == sum);
    }
    assert_eq!(reader.ask("open"), "16");
    for element in 0..16 {
        sink.put(element).unwrap();
    }
    sink.complete().unwrap();
    assert_eq!(reader.ask("count 0"), "16 Completed");
    assert_eq!(reader.ask("request 1"), "Err(Ended)");
    scene.ends_well(&producer, &mut reader);
}

fn c11_a_nudge_changes_nothing(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    producer.tell(InputReady);
    let mut sink = scene.sink(&producer);
    let mut reader = scene.source(&producer, "demand=2");
    for element in 0..100 {
        producer.tell(InputReady);
        sink.put(element).unwrap();
    }
    sink.complete().unwrap();
    producer.tell(InputReady);
    assert_eq!(reader.ask("count 0"), "100 Completed");
}

fn c13_completion_waits_for_the_buffer(scene: &Scene) {
    let (producer, mut sink, mut reader) = scene.stream(4, "manual demand=4");
    assert_eq!(reader.ask("request 1"), "Ok(())");
    for element in [10, 20, 30] {
        sink.put(element).unwrap();
    }
    sink.complete().unwrap();
    assert_eq!(reader.ask("next"), "item 10");
    assert_eq!(reader.ask("try"), "empty", "no more was asked for");
    assert_eq!(reader.ask("request 2"), "Ok(())");
    assert_eq!(reader.ask("next"), "item 20");
    assert_eq!(reader.ask("next"), "item 30");
    assert_eq!(reader.ask("next"), "end Completed");
    scene.ends_well(&producer, &mut reader);
}

fn c20_a_put_waits_for_room(scene: &Scene) {
    let (producer, mut sink, mut reader) = scene.stream(1, "demand=1");
    let putting = std::thread::spawn(move || {
        for element in 0..2000 {
            sink.put(element).unwrap();
        }
        sink.complete().unwrap();
    });
    assert_eq!(reader.ask("count 0"), "2000 Completed");
    putting.join().unwrap();
    scene.ends_well(&producer, &mut reader);
}

fn c21_a_put_that_gives_up_has_put_nothing(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().buffer_size(2));
    let mut sink = scene.sink(&producer);
    assert_eq!(fill(&mut sink, 0), 2);
    for element in 100..110 {
        let refused = sink.put_deadline(element, Instant::now());
        assert_eq!(refused, Err(PutDeadlineError::TimedOut(element)));
        assert_eq!(sink.try_put(element), Err(TryPutError::Full(element)));
        drop(sink.claim(1));
    }
    let mut reader = scene.source(&producer, "");
    assert_eq!(reader.ask("take 2"), "0 1");
    drop(sink.claim(1).unwrap());
    sink.complete().unwrap();
    assert_eq!(reader.ask("rest"), "Completed");
    scene.ends_well(&producer, &mut reader);
}

fn c33_c36_c37_taking_replenishes(scene: &Scene) {
    let (producer, mut sink, mut reader) = scene.stream(0, "demand=2 each");
    for element in 0..50 {
        assert_eq!(reader.ask("open"), "2", "initial and consumed, no more");
        assert_eq!(reader.ask("taken"), element.to_string());
        sink.put(element).unwrap();
        assert_eq!(reader.ask("next"), format!("item {element}"));
    }
    eventually(|| sink.demand() == 2);
    sink.complete().unwrap();
    assert_eq!(reader.ask("next"), "end Completed");
    scene.ends_well(&producer, &mut reader);
}

fn push(scene: &Scene, producer: &Producer, element: u64) -> Result<(), TryPutError<u64>> {
    let asking = |reply| StreamProducerMsg::from(Push::asking(element, reply));
    scene.system.ask(producer, asking, LONGEST).unwrap()
}

fn c10_a_push_is_delivered_and_completes(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    producer.tell(Push::new(0));
    push(scene, &producer, 1).unwrap();
    let mut reader = scene.source(&producer, "demand=2");
    assert_eq!(reader.ask("take 2"), "0 1");
    for element in 2..100 {
        producer.tell(Push::new(element));
    }
    producer.tell(millstream::CompleteStream);
    assert_eq!(reader.ask("count 2"), "100 Completed");
    scene.ends_well(&producer, &mut reader);
}

fn c10_a_push_on_a_full_buffer_comes_back(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer().buffer_size(2));
    let letters = scene.system.events().subscribe::<millstream::DeadLetter>(4);
    push(scene, &producer, 0).unwrap();
    push(scene, &producer, 1).unwrap();
    assert_eq!(push(scene, &producer, 2), Err(TryPutError::Full(2)));
    producer.tell(Push::new(3));
    let letter = letters.next_deadline(LONGEST).unwrap();
    let message = letter.take::<StreamProducerMsg<u64>>();
    let Some(StreamProducerMsg::Push(push)) = message else {
        panic!("{message:?}")
    };
    assert_eq!(push.element, 3);
    // Alive all the same.
    let mut reader = scene.source(&producer, "");
    producer.tell(millstream::CompleteStream);
    assert_eq!(reader.ask("rest"), "0 1 Completed");
}

fn c10_pushes_do_not_keep_the_stream_open(scene: &Scene) {
    let producer = scene.producer("stream", stream_producer());
    let mut sink = scene.sink(&producer);
    let mut reader = scene.source(&producer, "");
    for element in 0..10 {
        push(scene, &producer, element).unwrap();
        assert_eq!(reader.ask("next"), format!("item {element}"));
    }
    sink.put(10).unwrap();
    sink.complete().unwrap();
    assert_eq!(reader.ask("rest"), "10 Completed");
    scene.ends_well(&producer, &mut reader);
}
