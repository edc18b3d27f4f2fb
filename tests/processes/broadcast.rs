//! One producer, many consumers, in several processes: each gets every element that is put after it joined, whoever else comes,
//! leaves or is killed.

mod crowding;
mod dying;
mod hostile;
mod joining;
mod lagging;

use millstream::{Buffer, End, JoinPosition, TryPutError};

use crate::stage::{Actor, Ground, Role, Stage, say, soon, strategy};

pub(crate) const ROLES: &[(&str, Role)] = &[
    ("follows", follows),
    ("publishes", dying::publishes),
    ("crowded", crowding::crowded),
    ("passes_by", dying::passes_by),
    ("lags", lagging::lags),
];

/// Takes everything from where it joined on, each element one more than the one before, and says where it ended, and how.
fn follows(stage: &Stage) {
    let (name, from, window, wait): (String, String, u64, String) =
        (stage.arg(0), stage.arg(1), stage.arg(2), stage.arg(3));
    let builder = stage.ground.subscribe::<u64>(&name).initial_demand(window);
    let from = match from.as_str() {
        "live" => JoinPosition::Live,
        "oldest" => JoinPosition::Oldest,
        position => JoinPosition::At(position.parse().unwrap()),
    };
    let mut source = builder.from(from).source_wait(strategy(&wait)).open().unwrap();
    let first = source.position();
    say(first);
    let mut next = first;
    for element in source.by_ref() {
        assert_eq!(element, next);
        next += 1;
    }
    say(format_args!("{next} {:?}", source.end()));
}

fn consumers(ground: &Ground, count: usize) -> Vec<Actor> {
    (0..count).map(|_| ground.start("consumer", &[])).collect()
}

#[test]
fn four_processes_get_every_element_in_order() {
    let ground = Ground::new();
    let builder = ground.publish::<u64>("all").consumers(64).buffer_size(32);
    let mut sink = builder.open().unwrap();
    let mut all = consumers(&ground, 4);
    for consumer in &mut all {
        assert_eq!(consumer.ask("open all"), "ok");
        consumer.say("take 200000");
    }
    for element in 0..200_000 {
        sink.put_deadline(element, soon()).unwrap();
    }
    for consumer in &mut all {
        consumer.expect("Some(0) Some(199999) true");
    }
    assert_eq!(sink.consumers(), 4);
    all.iter_mut().for_each(|consumer| consumer.say("next"));
    sink.complete_and_drain(soon()).unwrap();
    for consumer in &mut all {
        consumer.expect("none Some(Completed)");
    }
}

#[test]
fn the_last_one_paces_whatever_the_wait_and_the_buffer() {
    let ground = Ground::new();
    for (round, buffer) in [Buffer::Rendezvous, Buffer::Bounded(1), Buffer::Bounded(64)]
        .into_iter()
        .enumerate()
    {
        let name = format!("pace{round}");
        let builder = ground.publish::<u64>(&name).consumers(4).buffer_size(buffer);
        let mut sink = builder.sink_wait(strategy("park")).open().unwrap();
        let all: Vec<Actor> = [("park", 1), ("default", 7), ("yield", 64), ("park", 16)]
            .into_iter()
            .map(|(wait, window)| ground.start("follows", &[&name, &"live", &window, &wait]))
            .collect();
        for consumer in &all {
            consumer.expect("0");
        }
        for element in 0..3000 {
            sink.put_deadline(element, soon()).unwrap();
        }
        sink.complete_and_drain(soon()).unwrap();
        for consumer in all {
            consumer.expect("3000 Some(Completed)");
            consumer.finish();
        }
    }
}

#[test]
fn a_rendezvous_hands_over_to_everybody() {
    let ground = Ground::new();
    let builder = ground.publish::<u64>("hand").consumers(4);
    let mut sink = builder.buffer_size(Buffer::Rendezvous).open().unwrap();
    let mut all = consumers(&ground, 2);
    for consumer in &mut all {
        assert_eq!(consumer.ask("open hand window=1 manual"), "ok");
    }
    assert_eq!(sink.try_put(1), Err(TryPutError::Full(1)));
    assert_eq!(all[0].ask("request 1"), "Ok(())");
    assert_eq!(
        sink.try_put(1),
        Err(TryPutError::Full(1)),
        "the other has not asked"
    );
    all[1].say("request 1");
    sink.put_deadline(1, soon()).unwrap();
    all[1].expect("Ok(())");
    assert_eq!(all[0].ask("next"), "item 1");
    assert_eq!(all[1].ask("next"), "item 1");
    assert_eq!(sink.try_put(2), Err(TryPutError::Full(2)));
}

#[test]
fn records_are_read_by_their_schema_beside_typed_consumers() {
    let ground = Ground::new();
    let mut sink = ground.publish::<u64>("records").consumers(2).open().unwrap();
    let mut typed = ground.subscribe::<u64>("records").open().unwrap();
    let mut bytes = ground.subscribe::<[u8]>("records").open().unwrap();
    for element in 0..100u64 {
        sink.put_deadline(element, soon()).unwrap();
        assert_eq!(typed.next(), Some(element));
        assert_eq!(*bytes.next().unwrap(), element.to_le_bytes());
    }
    drop(sink);
    assert!(typed.next().is_none() && bytes.next().is_none());
    assert!(matches!(typed.end(), Some(End::Failed(_))), "{:?}", typed.end());
}
