//! Rows K11, K12 and K14: dead letters, unhandled messages, and events of any type.

use std::sync::mpsc::channel as mpsc;
use std::thread;

use millstream::{DeadLetter, EventSubscription, Next, SystemRef, UnhandledMessage, receive};

use crate::support::{LONG, Strings, mute, probe, system, tests};

tests! {
    k11_dead_letters_are_counted_always_and_carried_when_somebody_listens
    k11_what_waits_for_a_stopped_actor_is_a_dead_letter
    k11_all_who_listen_share_the_payload
    k12_unhandled_messages_are_told
    k14_events_by_their_type
    k14_a_subscription_ends_when_it_is_dropped
    k14_what_does_not_fit_is_missed_and_counted
    k14_events_that_publish_as_they_are_cloned_or_dropped
    k14_an_event_whose_copy_fails_harms_nobody_else
    k14_a_subscription_ends_with_its_system
    k14_events_from_many_threads_each_in_order
}

fn k11_dead_letters_are_counted_always_and_carried_when_somebody_listens() {
    let system = system(1);
    let (actor, _heard) = probe::<u32>(&system, "actor");
    system.stop_and_wait(&actor, LONG).unwrap();
    actor.tell(1u32);
    assert_eq!(system.events().dead_letters(), 1);
    let letters = system.events().subscribe::<DeadLetter>(4);
    actor.tell(2u32);
    let letter = letters.try_next().unwrap();
    assert_eq!((letter.to().as_str(), letter.message_type()), ("/actor", "u32"));
    assert_eq!(letter.take::<u64>(), None);
    assert_eq!(letter.take::<u32>(), Some(2));
    assert_eq!(letter.take::<u32>(), None);
    drop(letters);
    actor.tell(3u32);
    assert_eq!(system.events().dead_letters(), 3);
}

fn k11_what_waits_for_a_stopped_actor_is_a_dead_letter() {
    let system = system(2);
    for _ in 0..50 {
        let before = system.events().dead_letters();
        let (actor, heard) = probe::<u32>(&system, "actor");
        let teller = {
            let actor = actor.clone();
            thread::spawn(move || (0..1000u32).for_each(|number| actor.tell(number)))
        };
        system.stop_and_wait(&actor, LONG).unwrap();
        teller.join().unwrap();
        let handled = heard.iter().count() as u64;
        assert_eq!(
            handled + system.events().dead_letters() - before,
            1000,
            "each is handled or a dead letter"
        );
    }
}

fn k11_all_who_listen_share_the_payload() {
    let system = system(1);
    let (actor, _heard) = probe::<String>(&system, "actor");
    system.stop_and_wait(&actor, LONG).unwrap();
    let (one, two) = (
        system.events().subscribe::<DeadLetter>(4),
        system.events().subscribe::<DeadLetter>(4),
    );
    actor.tell("once");
    let (one, two) = (one.try_next().unwrap(), two.try_next().unwrap());
    assert_eq!(two.take::<String>().as_deref(), Some("once"));
    assert_eq!(one.take::<String>(), None);
    assert_eq!(system.events().dead_letters(), 1);
}

fn k12_unhandled_messages_are_told() {
    let system = system(1);
    let letters = system.events().subscribe::<UnhandledMessage>(4);
    let actor = system
        .spawn("actor", || receive(|_, text: String| Next::Unhandled(text)))
        .unwrap();
    actor.tell("what?");
    let letter = letters.next_deadline(LONG).unwrap();
    assert_eq!(letter.to().as_str(), "/actor");
    assert_eq!(letter.take::<String>().as_deref(), Some("what?"));
    assert_eq!(system.events().unhandled(), 1);
    assert_eq!(system.events().dead_letters(), 0);
}

fn k14_events_by_their_type() {
    #[derive(Clone, Debug, PartialEq)]
    struct Close(u32);
    let system = system(1);
    let closes = system.events().subscribe::<Close>(4);
    let numbers = system.events().subscribe::<u32>(4);
    let actor = system.spawn("actor", mute()).unwrap();
    actor.get(|_, context| {
        context.system().events().publish(Close(1));
        context.system().events().publish(2u32);
        context.system().events().publish("nobody listens");
    });
    assert_eq!((closes.try_next(), closes.try_next()), (Some(Close(1)), None));
    assert_eq!((numbers.try_next(), numbers.try_next()), (Some(2), None));
}

fn k14_a_subscription_ends_when_it_is_dropped() {
    let system = system(1);
    let one = system.events().subscribe::<u32>(4);
    let two = system.events().subscribe::<u32>(4);
    drop(one);
    system.events().publish(1u32);
    let three = system.events().subscribe::<u32>(4);
    system.events().publish(2u32);
    assert_eq!((two.try_next(), two.try_next()), (Some(1), Some(2)));
    assert_eq!((three.try_next(), three.try_next()), (Some(2), None));
}

fn k14_what_does_not_fit_is_missed_and_counted() {
    let system = system(1);
    let small = system.events().subscribe::<u32>(0);
    let large = system.events().subscribe::<u32>(10);
    for number in 0..10u32 {
        system.events().publish(number);
    }
    assert_eq!(
        (small.missed(), small.try_next(), small.try_next()),
        (9, Some(0), None)
    );
    assert_eq!(large.missed(), 0);
    assert!(std::iter::from_fn(|| large.try_next()).eq(0..10));
}

/// Publishes a number when it is cloned, and another one when it is dropped.
struct Chatty(SystemRef);

impl Clone for Chatty {
    fn clone(&self) -> Self {
        self.0.events().publish(1u32);
        Self(self.0.clone())
    }
}

impl Drop for Chatty {
    fn drop(&mut self) {
        self.0.events().publish(2u32);
    }
}

fn k14_events_that_publish_as_they_are_cloned_or_dropped() {
    let system = system(1);
    let numbers = system.events().subscribe::<u32>(100);
    let one = system.events().subscribe::<Chatty>(1);
    let two = system.events().subscribe::<Chatty>(1);
    for _ in 0..3 {
        system.events().publish(Chatty(system.handle()));
    }
    drop(two);
    system.events().publish(Chatty(system.handle()));
    assert_eq!(one.missed(), 3);
    drop(one);
    let (clones, drops) =
        std::iter::from_fn(|| numbers.try_next()).fold((0, 0), |(clones, drops), number| {
            if number == 1 {
                (clones + 1, drops)
            } else {
                (clones, drops + 1)
            }
        });
    assert_eq!(drops, clones + 4, "each is dropped, and each copy");
}

/// Cannot be copied.
#[derive(Debug)]
struct Unique;

impl Clone for Unique {
    fn clone(&self) -> Self {
        panic!("there is one only")
    }
}

fn k14_an_event_whose_copy_fails_harms_nobody_else() {
    let system = system(1);
    let _uniques: EventSubscription<Unique> = system.events().subscribe(4);
    let _more: EventSubscription<Unique> = system.events().subscribe(4);
    let letters = system.events().subscribe::<DeadLetter>(4);
    let handle = system.handle();
    let publisher = thread::spawn(move || handle.events().publish(Unique));
    let _ = publisher.join();
    let (actor, _heard) = probe::<u32>(&system, "actor");
    system.stop_and_wait(&actor, LONG).unwrap();
    actor.tell(5u32);
    assert_eq!(letters.try_next().unwrap().take::<u32>(), Some(5));
}

fn k14_a_subscription_ends_with_its_system() {
    let system = system(1);
    let events = system.events().subscribe::<u32>(4);
    let (told, heard) = mpsc();
    let reader = thread::spawn(move || {
        while let Some(event) = events.next_deadline(LONG) {
            told.send(event).unwrap();
        }
    });
    system.events().publish(1u32);
    system.shutdown(LONG).unwrap();
    reader.join().unwrap();
    assert_eq!(heard.iter().collect::<Vec<_>>(), [1]);
}

fn k14_events_from_many_threads_each_in_order() {
    let system = system(1);
    let events = system.events().subscribe::<(u32, u32)>(4000);
    let publishers: Vec<_> = (0..4u32)
        .map(|publisher| {
            let handle = system.handle();
            thread::spawn(move || {
                for number in 0..1000u32 {
                    handle.events().publish((publisher, number));
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.join().unwrap();
    }
    let mut next = [0; 4];
    while let Some((publisher, number)) = events.try_next() {
        assert_eq!(number, next[publisher as usize]);
        next[publisher as usize] += 1;
    }
    assert_eq!(next, [1000; 4]);
}
