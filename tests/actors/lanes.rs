//! Messages between two workers: in order however many they are, for actors not yet made, for those that have stopped, and
//! past the end of either worker.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream::{
    ActorRef, ActorSystem, AskError, DeadLetter, Mailbox, Next, Overflow, ReplyTo, SpawnOptions, receive,
};

use crate::support::{Do, LONG, Strings, mute, nothing, probe_with, system, tests, until};

/// More than a lane holds, and not a multiple of it.
const MANY: u64 = 5_000;

fn on<M: Send + 'static>(worker: usize) -> SpawnOptions<M> {
    SpawnOptions::new().on_worker(worker)
}

/// A sender on worker 0, and somebody on worker 1 who can hold that up.
fn two(system: &ActorSystem) -> (ActorRef<Do>, ActorRef<Do>) {
    let sender = system.spawn_with("sender", mute(), on(0)).unwrap();
    let busy = system.spawn_with("busy", mute(), on(1)).unwrap();
    (sender, busy)
}

fn tell_many<M: Send + 'static>(sender: &ActorRef<Do>, to: &ActorRef<M>, make: fn(u64) -> M) {
    let to = to.clone();
    sender.get(move |_, _| (0..MANY).for_each(|number| to.tell(make(number))));
}

fn what_does_not_fit_waits_in_order() {
    let system = system(2);
    let (sender, busy) = two(&system);
    let (small, smalls) = probe_with::<u64>(&system, "small", on(1));
    let (large, larges) = probe_with::<[u64; 9]>(&system, "large", on(1));
    let (boxed, boxes) = probe_with::<Box<u64>>(&system, "boxed", on(1));
    for _ in 0..3 {
        let held = busy.hold();
        tell_many(&sender, &small, |number| number);
        tell_many(&sender, &large, |number| [number; 9]);
        tell_many(&sender, &boxed, Box::new);
        drop(held);
        assert!(smalls.iter().take(MANY as usize).eq(0..MANY));
        assert!(
            larges
                .iter()
                .take(MANY as usize)
                .eq((0..MANY).map(|number| [number; 9]))
        );
        assert!(boxes.iter().take(MANY as usize).map(|number| *number).eq(0..MANY));
    }
    until(|| small.waiting() == 0);
    assert_eq!(system.shutdown(LONG).unwrap().dead_letters, 0);
}

fn what_does_not_fit_comes_though_its_sender_sleeps() {
    let system = ActorSystem::builder("test")
        .workers(millstream::Workers::unpinned(2))
        .wait(millstream::WaitStrategy::park())
        .build()
        .unwrap();
    let (sender, busy) = two(&system);
    let (actor, heard) = probe_with::<u64>(&system, "a", on(1));
    let held = busy.hold();
    tell_many(&sender, &actor, |number| number);
    // The sender's worker has nothing else to do, and sleeps.
    let parks = system.workers()[0].parks;
    until(|| system.workers()[0].parks > parks + 3);
    drop(held);
    assert!(heard.iter().take(MANY as usize).eq(0..MANY));
}

fn what_waits_is_counted() {
    let system = system(2);
    let (sender, _) = two(&system);
    let counted = system.spawn_with("counted", mute(), on(1)).unwrap();
    let held = counted.hold();
    let to = counted.clone();
    sender.get(move |_, _| (0..10).for_each(|_| to.tell(nothing())));
    drop(held);
    counted.get(|_, _| ());
    until(|| counted.waiting() == 0);
    // Taken in, and not handled yet: the first of the messages finds the others.
    let to = counted.clone();
    let held = counted.hold();
    sender.get(move |_, _| {
        (0..10).for_each(|_| {
            to.make(|puppet, context| {
                if context.me().waiting() == 9 {
                    puppet.say("nine others");
                }
                Next::Same
            })
        })
    });
    drop(held);
    until(|| counted.waiting() == 0);
}

fn messages_for_an_actor_that_is_still_to_be_made_wait() {
    let system = system(3);
    let (sender, busy) = two(&system);
    let other = system.spawn_with("other", mute(), on(2)).unwrap();
    let held = busy.hold();
    // Made from one worker, told from another: these notes take different ways.
    let (told, heard) = channel();
    let late = other.get(move |_, context| {
        let late = move || {
            let told = told.clone();
            receive(move |_, number: u64| {
                let _ = told.send(number);
                Next::Same
            })
        };
        context.spawn_with("late", late, on(1)).unwrap()
    });
    tell_many(&sender, &late, |number| number);
    drop(held);
    assert!(heard.iter().take(MANY as usize).eq(0..MANY));
}

fn what_comes_for_the_dead_is_a_dead_letter() {
    let system = system(2);
    let letters = system.events().subscribe::<DeadLetter>(100_000);
    let (sender, busy) = two(&system);
    for round in 0..50u64 {
        let (actor, heard) = probe_with::<u64>(&system, &format!("a{round}"), on(1));
        let held = busy.hold();
        // They wait as it stops, some where the lane was full; its last reference goes before it does.
        let to = actor.clone();
        sender.get(move |_, _| (0..MANY).for_each(|number| to.tell(number)));
        if round % 2 == 0 {
            system.stop(&actor);
            drop(held);
        } else {
            drop(held);
            system.stop(&actor);
        }
        drop(actor);
        let taken = heard.iter().count() as u64;
        for number in taken..MANY {
            let letter = letters.next_deadline(LONG).unwrap();
            assert_eq!(letter.to().name(), format!("a{round}"));
            assert_eq!(letter.take::<u64>(), Some(number));
        }
    }
}

fn nothing_is_lost_however_an_actor_stops() {
    let system = system(2);
    let (sender, _) = two(&system);
    let counted = Arc::new(());
    let mut sent = 0;
    let mut handled = 0;
    for round in 0..200u64 {
        let (actor, heard) = probe_with::<Arc<()>>(&system, &format!("a{round}"), on(1));
        let (to, each) = (actor.clone(), counted.clone());
        sender.make(move |_, _| {
            (0..100).for_each(|_| to.tell(each.clone()));
            Next::Same
        });
        sent += 100;
        if round % 3 == 0 {
            sender.get(|_, _| ());
        }
        system.stop(&actor);
        drop(actor);
        handled += heard.iter().count();
    }
    sender.get(|_, _| ());
    drop(sender);
    until(|| Arc::strong_count(&counted) == 1);
    let report = system.shutdown(LONG).unwrap();
    assert_eq!(report.dead_letters as usize + handled, sent);
}

fn a_worker_that_ends_leaves_nothing_unsaid() {
    for _ in 0..20 {
        let system = system(2);
        let (sender, busy) = two(&system);
        let (actor, heard) = probe_with::<u64>(&system, "a", on(1));
        let letters = system.events().subscribe::<DeadLetter>(100_000);
        let held = busy.hold();
        tell_many(&sender, &actor, |number| number);
        // The sender's worker ends, with messages under way, while the other one hangs.
        let late = system.shutdown(Duration::from_millis(1));
        drop(held);
        assert!(late.is_err());
        let mut left = MANY as usize - heard.iter().count();
        while left > 0 {
            let letter = letters.next_deadline(LONG).unwrap();
            left -= usize::from(letter.take::<u64>().is_some());
        }
    }
}

/// What an actor is told of its question, by number.
type Told = (u64, Result<u64, String>);

/// An actor that asks `to` as often as it is told to, and says what it hears. It stays busy past the deadline of each question.
fn asker(
    system: &ActorSystem,
    to: &ActorRef<(u64, ReplyTo<u64>)>,
    answered: Receiver<()>,
    deadline: Duration,
) -> (ActorRef<Told>, Receiver<Told>) {
    let (told, heard) = channel();
    let (to, answered) = (to.clone(), Arc::new(Mutex::new(answered)));
    let asking = move || {
        let (told, to, answered) = (told.clone(), to.clone(), answered.clone());
        receive(move |context, (number, answer): Told| {
            if answer == Err("ask".into()) {
                let question = move |reply| (number, reply);
                context.ask(&to, question, deadline, move |answer| {
                    (number, answer.map_err(|error| error.to_string()))
                });
                let _ = answered.lock().unwrap().recv();
                std::thread::sleep(2 * deadline);
            } else {
                let _ = told.send((number, answer));
            }
            Next::Same
        })
    };
    (system.spawn_with("asker", asking, on(0)).unwrap(), heard)
}

fn an_answer_in_time_is_heard_however_late() {
    let system = system(2);
    let (told, answered) = channel();
    let echo = move || {
        let told = told.clone();
        receive(move |_, (number, reply): (u64, ReplyTo<u64>)| {
            reply.send(number);
            let _ = told.send(());
            Next::Same
        })
    };
    let echo = system.spawn_with("echo", echo, on(1)).unwrap();
    let (asking, heard) = asker(&system, &echo, answered, Duration::from_millis(20));
    for number in 0..10 {
        asking.tell((number, Err("ask".to_owned())));
        assert_eq!(heard.recv().unwrap(), (number, Ok(number)));
    }
}

fn a_question_that_was_dropped_is_unanswered_though_its_actor_stops() {
    for worker in [0, 1] {
        let system = system(2);
        let (told, answered) = channel();
        let drops = move || {
            let told = told.clone();
            receive(move |_, (_, reply): (u64, ReplyTo<u64>)| {
                drop(reply);
                let _ = told.send(());
                Next::Stop
            })
        };
        let drops = system.spawn_with("drops", drops, on(worker)).unwrap();
        let (unblocked, at_once) = channel();
        drop(unblocked);
        let answered = if worker == 0 { at_once } else { answered };
        let (asking, heard) = asker(&system, &drops, answered, LONG / 1000);
        asking.tell((7, Err("ask".to_owned())));
        let (number, answer) = heard.recv().unwrap();
        assert_eq!(number, 7);
        let why = answer.unwrap_err();
        assert!(
            why.contains("dropped without an answer") || worker == 0 && why.contains("deadline"),
            "{why}"
        );
    }
}

fn a_refusal_is_told_though_the_reply_is_kept() {
    let system = system(2);
    let keeper = system.spawn_with("keeper", mute(), on(0)).unwrap();
    let full = on(1).mailbox(Mailbox::bounded(1, Overflow::Reject));
    let full = system.spawn_with("full", mute(), full).unwrap();
    let held = full.hold();
    full.try_tell(nothing()).unwrap();
    let (told, heard) = channel();
    let kept = keeper.get(move |_, context| {
        let mut kept = None;
        let keep = |reply: ReplyTo<u64>| {
            kept = Some(reply);
            nothing()
        };
        context.ask(
            &full,
            keep,
            Duration::MAX,
            move |answer: Result<u64, AskError>| {
                let _ = told.send(answer.unwrap_err().to_string());
                nothing()
            },
        );
        kept
    });
    assert!(heard.recv().unwrap().contains("mailbox is full"));
    drop((kept, held));
    until(|| keeper.waiting() == 0);
    assert!(heard.recv().is_err(), "it is told once");
}

tests! {
    what_does_not_fit_waits_in_order
    what_does_not_fit_comes_though_its_sender_sleeps
    what_waits_is_counted
    messages_for_an_actor_that_is_still_to_be_made_wait
    what_comes_for_the_dead_is_a_dead_letter
    nothing_is_lost_however_an_actor_stops
    a_worker_that_ends_leaves_nothing_unsaid
    an_answer_in_time_is_heard_however_late
    a_question_that_was_dropped_is_unanswered_though_its_actor_stops
    a_refusal_is_told_though_the_reply_is_kept
}
