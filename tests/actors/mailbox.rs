//! Rows K19, K20, K26 and C51: mailboxes, what a full one does, and what passes it by.

use millstream::{
    DeadLetter, Mailbox, Overflow, Recipient, SpawnError, SpawnOptions, StopReason, TryTellError, WatchId,
};

use crate::support::{Do, LONG, Strings, mute, order, probe_with, system, tests, until};

tests! {
    k19_without_a_bound_everything_waits
    k19_a_bound_is_1_to_2_to_the_24
    k20_drop_new_keeps_the_first
    k20_drop_oldest_keeps_the_last
    k20_reject_gives_back
    k26_tell_never_fails
    k26_a_recipient_takes_what_messages_are_made_of
    c51_what_an_actor_needs_passes_a_full_mailbox
}

/// An actor with such a mailbox, on a worker that is held up while `meanwhile` runs; what it was told then.
fn told_while_held(
    overflow: Overflow,
    capacity: usize,
    meanwhile: impl FnOnce(&millstream::ActorSystem, &millstream::ActorRef<u32>),
) -> Vec<u32> {
    let system = system(1);
    let busy = system.spawn("busy", mute()).unwrap();
    let held = busy.hold();
    let options = SpawnOptions::new().mailbox(Mailbox::bounded(capacity, overflow));
    let (actor, heard) = probe_with::<u32>(&system, "a", options);
    meanwhile(&system, &actor);
    drop(held);
    until(|| actor.waiting() == 0);
    system.stop_and_wait(&actor, LONG).unwrap();
    heard.iter().collect()
}

fn k19_without_a_bound_everything_waits() {
    let system = system(1);
    let busy = system.spawn("busy", mute()).unwrap();
    let held = busy.hold();
    let (actor, heard) = probe_with::<u32>(&system, "a", SpawnOptions::new());
    for number in 0..100_000u32 {
        actor.try_tell(number).unwrap();
    }
    assert_eq!(actor.waiting(), 100_000);
    drop(held);
    assert!(heard.iter().take(100_000).eq(0..100_000));
    assert_eq!((actor.dropped(), system.dropped()), (0, 0));
}

fn k19_a_bound_is_1_to_2_to_the_24() {
    let system = system(1);
    for asked in [0, (1 << 24) + 1, usize::MAX] {
        let options = SpawnOptions::new().mailbox(Mailbox::bounded(asked, Overflow::DropNew));
        let refused = system.spawn_with("a", mute(), options);
        assert_eq!(refused, Err(SpawnError::MailboxSize { asked }));
    }
    assert_eq!(system.actors(), []);
    for asked in [1, 2, 3, 1000] {
        let options = SpawnOptions::new().mailbox(Mailbox::bounded(asked, Overflow::DropNew));
        system.spawn_with(&asked.to_string(), mute(), options).unwrap();
    }
}

fn k20_drop_new_keeps_the_first() {
    let told = told_while_held(Overflow::DropNew, 3, |system, actor| {
        for number in 0..10u32 {
            actor.try_tell(number).unwrap();
        }
        assert_eq!((actor.dropped(), system.dropped(), actor.waiting()), (7, 7, 3));
        assert_eq!(system.events().dead_letters(), 0);
    });
    assert_eq!(told, [0, 1, 2]);
}

fn k20_drop_oldest_keeps_the_last() {
    let told = told_while_held(Overflow::DropOldest, 3, |system, actor| {
        for number in 0..10u32 {
            actor.try_tell(number).unwrap();
        }
        assert_eq!((actor.dropped(), system.dropped(), actor.waiting()), (7, 7, 3));
    });
    assert_eq!(told, [7, 8, 9]);
}

fn k20_reject_gives_back() {
    let told = told_while_held(Overflow::Reject, 3, |system, actor| {
        for number in 0..3u32 {
            actor.try_tell(number).unwrap();
        }
        assert_eq!(actor.try_tell(3u32), Err(TryTellError::Full(3)));
        assert_eq!(system.events().dead_letters(), 0, "it is not lost");
        let letters = system.events().subscribe::<DeadLetter>(4);
        actor.tell(4u32);
        assert_eq!(letters.try_next().unwrap().take::<u32>(), Some(4));
        assert_eq!((actor.dropped(), system.events().dead_letters()), (0, 1));
        let reply = |reply: millstream::ReplyTo<()>| {
            drop(reply);
            5u32
        };
        let full = system.ask(actor, reply, LONG).unwrap_err();
        // The question was dropped before it was refused.
        assert!(matches!(full, millstream::AskError::Unanswered), "{full}");
    });
    assert_eq!(told, [0, 1, 2]);
}

fn k26_tell_never_fails() {
    let system = system(1);
    let actor = system.spawn("a", mute()).unwrap();
    actor.get(|_, _| ());
    system.stop_and_wait(&actor, LONG).unwrap();
    for _ in 0..3 {
        actor.tell(order(|_, _| panic!("it is stopped")));
    }
    assert_eq!(system.events().dead_letters(), 3);
    let refused = actor.try_tell(crate::support::nothing());
    assert!(matches!(refused, Err(TryTellError::Stopped(_))));
    assert_eq!(
        system.events().dead_letters(),
        3,
        "what is given back is not lost"
    );
    drop(system);
    actor.tell(crate::support::nothing());
}

fn k26_a_recipient_takes_what_messages_are_made_of() {
    let system = system(1);
    let (actor, heard) = probe_with::<u64>(&system, "a", SpawnOptions::new());
    let from_u32: Recipient<u32> = actor.recipient();
    let from_bool = Recipient::<bool>::from(&actor);
    from_u32.tell(7);
    from_bool.clone().tell(true);
    assert_eq!([heard.recv().unwrap(), heard.recv().unwrap()], [7, 1]);
    assert_eq!(from_u32.path(), actor.path());
    system.stop_and_wait(&actor, LONG).unwrap();
    assert!(from_bool.is_stopped());
    from_u32.tell(9);
    assert_eq!(system.events().dead_letters(), 1);
}

/// What a full mailbox drops is what others tell. Timers, answers, results, ends and readiness come through.
fn c51_what_an_actor_needs_passes_a_full_mailbox() {
    let system = system(2);
    let options = SpawnOptions::new().on_worker(1);
    let watched = system.spawn_with("watched", mute(), options).unwrap();
    let echo = crate::support::echo(&system, "echo", SpawnOptions::new().on_worker(1));
    let (told, heard) = std::sync::mpsc::channel();
    let options = SpawnOptions::new()
        .on_worker(0)
        .mailbox(Mailbox::bounded(1, Overflow::DropNew));
    let actor = system.spawn_with("actor", mute(), options).unwrap();
    let say = move |what: &'static str| -> Do {
        let told = told.clone();
        order(move |_, _| {
            told.send(what).unwrap();
            millstream::Next::Same
        })
    };
    let end = watched.clone();
    let held = {
        let (a, b, c, d) = (say.clone(), say.clone(), say.clone(), say.clone());
        let waker = actor.get(move |_, context| {
            context.after("timer", std::time::Duration::from_millis(1), a("timer"));
            let _: WatchId = context.watch_with(&end, move |end| {
                assert_eq!(end.reason, StopReason::Stopped);
                b("end")
            });
            context.ask(
                &echo,
                |reply| (1, reply),
                LONG,
                move |answer| {
                    assert_eq!(answer.unwrap(), 1);
                    c("answer")
                },
            );
            context.spawn_blocking(|| (), move |_| d("result"));
            context.waker(move || say("woken"))
        });
        let held = actor.hold();
        // Full from here on.
        actor.make(|_, _| millstream::Next::Same);
        actor.make(|_, _| panic!("this one is dropped"));
        assert_eq!(actor.dropped(), 1);
        waker.wake();
        held
    };
    system.stop_and_wait(&watched, LONG).unwrap();
    drop(held);
    let mut heard: Vec<_> = heard.iter().take(5).collect();
    heard.sort_unstable();
    assert_eq!(heard, ["answer", "end", "result", "timer", "woken"]);
    assert_eq!(actor.dropped(), 1);
}
