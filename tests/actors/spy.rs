//! Rows K18 and K24: spies, and what swallows messages.

use std::sync::mpsc::channel as mpsc;
use std::time::Instant;

use millstream::{Behaviour, Next, OneForOne, ReplyTo, SpawnOptions, SpyEvent, receive, setup};

use crate::support::{LONG, probe, system, tests, until};

tests! {
    k18_each_message_is_told_after_it_was_handled
    k18_a_message_at_which_the_actor_failed_is_not_told
    k18_a_spy_outlives_restarts_and_changes
    k18_children_are_spied_upon_too
    k18_answers_are_not_touched
    k18_an_observer_that_is_gone_harms_nobody
    k24_a_message_that_is_swallowed_is_not_handled
}

fn k18_each_message_is_told_after_it_was_handled() {
    let system = system(2);
    let (observer, events) = probe::<SpyEvent>(&system, "observer");
    let (told, heard) = mpsc();
    let began = Instant::now();
    let options = SpawnOptions::new().spy((&observer).into());
    let actor = system
        .spawn_with(
            "actor",
            move || {
                let told = told.clone();
                receive(move |_, number: u32| {
                    told.send(Instant::now()).unwrap();
                    if number == 2 {
                        Next::Unhandled(number)
                    } else {
                        Next::Same
                    }
                })
            },
            options,
        )
        .unwrap();
    for number in 0..3u32 {
        actor.tell(number);
    }
    for number in 0..3u32 {
        let event = events.recv().unwrap();
        assert_eq!((event.path().as_str(), event.message_type()), ("/actor", "u32"));
        assert_eq!(event.message::<u32>(), Some(&number));
        assert_eq!(event.message::<u64>(), None);
        let handled = heard.recv().unwrap();
        assert!(began <= handled && handled <= event.at());
    }
}

fn k18_a_message_at_which_the_actor_failed_is_not_told() {
    let system = system(1);
    let (observer, events) = probe::<SpyEvent>(&system, "observer");
    let options = SpawnOptions::new()
        .spy((&observer).into())
        .supervisor(OneForOne::default());
    let actor = system
        .spawn_with(
            "actor",
            || {
                receive(|_, number: u32| match number {
                    1 => panic!("broken"),
                    2 => Next::Fail(millstream::Failure::new("broken")),
                    3 => Next::Stop,
                    _ => Next::Same,
                })
            },
            options,
        )
        .unwrap();
    for number in 0..4u32 {
        actor.tell(number);
    }
    system.wait_stopped(&actor, LONG).unwrap();
    system.stop_and_wait(&observer, LONG).unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|event| *event.message::<u32>().unwrap())
        .collect();
    assert!(told == [0, 3] || told == [0], "{told:?}");
}

fn k18_a_spy_outlives_restarts_and_changes() {
    fn changes() -> Behaviour<u32> {
        receive(|_, number: u32| match number {
            1 => Next::Become(changes()),
            2 => Next::Restart,
            3 => Next::Become(setup(|_| changes())),
            _ => Next::Same,
        })
    }
    let system = system(1);
    let (observer, events) = probe::<SpyEvent>(&system, "observer");
    let options = SpawnOptions::new().spy((&observer).into());
    let actor = system.spawn_with("actor", changes, options).unwrap();
    for number in [0, 1, 2, 3, 4u32] {
        actor.tell(number);
    }
    let told: Vec<_> = events
        .iter()
        .take(5)
        .map(|event| *event.message::<u32>().unwrap())
        .collect();
    assert_eq!(told, [0, 1, 2, 3, 4]);
}

fn k18_children_are_spied_upon_too() {
    fn nest(depth: u32) -> Behaviour<u32> {
        setup(move |context| {
            let child = (depth > 0).then(|| context.spawn("child", move || nest(depth - 1)).unwrap());
            receive(move |_, number| {
                if let Some(child) = &child {
                    child.tell(number);
                }
                Next::Same
            })
        })
    }
    for (children, expected) in [
        (true, vec!["/actor", "/actor/child", "/actor/child/child"]),
        (false, vec!["/actor"]),
    ] {
        let system = system(1);
        let (observer, events) = probe::<SpyEvent>(&system, "observer");
        let options = SpawnOptions::new().spy((&observer).into());
        let options = if children { options.spy_children() } else { options };
        let actor = system.spawn_with("actor", || nest(2), options).unwrap();
        actor.tell(7u32);
        let told: Vec<_> = events.iter().take(expected.len()).collect();
        let paths: Vec<_> = told.iter().map(|event| event.path().as_str()).collect();
        assert_eq!(paths, expected);
        assert_eq!(told[0].message::<u32>(), Some(&7));
        assert!(
            told[1..]
                .iter()
                .all(|event| event.message::<u32>().is_none() && event.message_type() == "u32")
        );
        system.stop_and_wait(&actor, LONG).unwrap();
        system.stop_and_wait(&observer, LONG).unwrap();
        assert_eq!(events.iter().count(), 0);
    }
}

fn k18_answers_are_not_touched() {
    #[derive(Clone)]
    enum Question {
        Ask(u32, std::sync::Arc<std::sync::Mutex<Option<ReplyTo<u32>>>>),
    }
    let system = system(1);
    let (observer, events) = probe::<SpyEvent>(&system, "observer");
    let options = SpawnOptions::new().spy((&observer).into());
    let actor = system
        .spawn_with(
            "actor",
            || {
                receive(|_, Question::Ask(number, reply)| {
                    reply.lock().unwrap().take().unwrap().send(number);
                    Next::Same
                })
            },
            options,
        )
        .unwrap();
    let question = |reply| Question::Ask(5, std::sync::Arc::new(std::sync::Mutex::new(Some(reply))));
    assert_eq!(system.ask(&actor, question, LONG).unwrap(), 5);
    assert_eq!(events.recv().unwrap().path().as_str(), "/actor");
}

fn k18_an_observer_that_is_gone_harms_nobody() {
    let system = system(1);
    let (observer, _events) = probe::<SpyEvent>(&system, "observer");
    let options = SpawnOptions::new().spy((&observer).into());
    system.stop_and_wait(&observer, LONG).unwrap();
    let (actor, heard) = crate::support::probe_with::<u32>(&system, "actor", options);
    for number in 0..100u32 {
        actor.tell(number);
    }
    assert!(heard.iter().take(100).eq(0..100));
    until(|| system.events().dead_letters() == 100);
}

fn k24_a_message_that_is_swallowed_is_not_handled() {
    let system = system(1);
    let (observer, events) = probe::<SpyEvent>(&system, "observer");
    let options = SpawnOptions::new()
        .intercept(|number: &u32| number.is_multiple_of(2))
        .spy((&observer).into());
    let (actor, heard) = crate::support::probe_with::<u32>(&system, "actor", options);
    for number in 0..10u32 {
        actor.tell(number);
    }
    assert_eq!(heard.iter().take(5).collect::<Vec<_>>(), [1, 3, 5, 7, 9]);
    let told: Vec<_> = events
        .iter()
        .take(5)
        .map(|event| *event.message::<u32>().unwrap())
        .collect();
    assert_eq!(told, [1, 3, 5, 7, 9]);
    assert_eq!((system.events().dead_letters(), system.dropped()), (0, 0));
}
