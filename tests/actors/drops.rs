//! A value of a user's that panics as it is dropped, wherever that happens: as the panics of `panics.rs`.

use std::panic::panic_any;
use std::sync::mpsc::channel as mpsc;

use millstream::{Context, Next, OneForOne, SpawnOptions, StopReason, receive};

use crate::panics::{Grenade, at_0, failure, stage};
use crate::support::{Do, LONG, Strings, mute, nothing, order, probe, tests, until};

tests! {
    in_the_drop_of_an_actor
    in_the_drop_of_a_message
    in_the_drop_of_what_a_timer_holds
    in_the_drop_of_what_a_waker_made
    in_the_drop_of_the_payload_of_a_panic
}

fn in_the_drop_of_an_actor() {
    let (system, all_is_well) = stage();
    for message in ["same", "become", "restart", "stop", "fail"] {
        let options = SpawnOptions::new().on_worker(0).supervisor(OneForOne::default());
        let make = || {
            let grenade = Grenade;
            receive(move |_, message: &'static str| {
                let _held = &grenade;
                match message {
                    "become" => Next::Become(receive(|_, _| Next::Same)),
                    "restart" => Next::Restart,
                    "stop" => Next::Stop,
                    "fail" => panic!("broken"),
                    _ => Next::Same,
                }
            })
        };
        let broken = system.spawn_with("broken", make, options).unwrap();
        broken.tell(message);
        all_is_well();
        system.stop_and_wait(&broken, LONG).unwrap();
        all_is_well();
    }
    let (_, heard) = probe::<()>(&system, "probe");
    drop(heard);
    system.shutdown(LONG).unwrap();
}

fn in_the_drop_of_a_message() {
    let (system, all_is_well) = stage();
    let actor = system.spawn_with(
        "actor",
        || receive(|_, _: Grenade| Next::Same),
        SpawnOptions::new().on_worker(0),
    );
    let actor = actor.unwrap();
    actor.tell(Grenade);
    assert_eq!(failure(&system, &actor).message(), "dropped");
    // To one that is gone: the panic of who sends it, if anybody's.
    let sender = system.spawn_with("sender", mute(), at_0()).unwrap();
    let gone = actor.clone();
    sender.make(move |_, _| {
        gone.tell(Grenade);
        Next::Same
    });
    all_is_well();
    // In a burial.
    let buried = system.spawn_with(
        "buried",
        || receive(|_, _: Grenade| Next::Same),
        SpawnOptions::new().on_worker(0),
    );
    let buried = buried.unwrap();
    let busy = system.spawn_with("busy", mute(), at_0()).unwrap();
    let held = busy.hold();
    system.stop(&buried);
    for _ in 0..5 {
        buried.tell(Grenade);
    }
    let before = system.events().dead_letters();
    drop(held);
    system.wait_stopped(&buried, LONG).unwrap();
    until(|| system.events().dead_letters() == before + 5);
    all_is_well();
    // As a full mailbox drops it: that is not the sender's fault either.
    let mailbox = millstream::Mailbox::bounded(1, millstream::Overflow::DropOldest);
    let options = SpawnOptions::new().on_worker(0).mailbox(mailbox);
    let full = system
        .spawn_with("full", || receive(|_, _: Grenade| Next::Same), options)
        .unwrap();
    let held = busy.hold();
    for _ in 0..3 {
        full.tell(Grenade);
    }
    assert_eq!(full.dropped(), 2);
    drop(held);
    failure(&system, &full);
    all_is_well();
}

fn in_the_drop_of_what_a_timer_holds() {
    let (system, all_is_well) = stage();
    for end in ["stop", "restart", "fail"] {
        let options = at_0().supervisor(OneForOne::default());
        let actor = system.spawn_with("actor", mute(), options).unwrap();
        actor.get(|_, context| {
            for key in ["a", "b", "c"] {
                let grenade = Grenade;
                context.after(
                    key,
                    LONG,
                    order(move |_, _| {
                        drop(grenade);
                        Next::Same
                    }),
                );
            }
            let grenade = Grenade;
            context.watch_with(&context.me().clone(), move |_| {
                let _grenade = grenade;
                crate::support::nothing()
            });
        });
        match end {
            "stop" => actor.make(|_, _| Next::Stop),
            "restart" => actor.make(|_, _| Next::Restart),
            _ => actor.fail("broken"),
        }
        if end != "stop" {
            assert_eq!(actor.get(|puppet, _| puppet.handled), 1, "made anew, once");
        }
        system.stop_and_wait(&actor, LONG).unwrap();
        assert!(system.lookup::<Do>("/actor").is_err());
        all_is_well();
    }
}

/// It comes to an actor that stops, and to one that has stopped.
fn in_the_drop_of_what_a_waker_made() {
    let (system, bystanders_live) = stage();
    let (told, wakers) = mpsc();
    let (release, released) = mpsc::<()>();
    let mut ends = Some((told, released));
    let props = move || {
        let (told, released) = ends.take().unwrap();
        receive(move |context: &mut Context<'_, Option<Grenade>>, _| {
            told.send(context.waker(|| Some(Grenade))).unwrap();
            let _ = released.recv();
            Next::Same
        })
    };
    let options = SpawnOptions::new().on_worker(0);
    let actor = system.spawn_with("actor", props, options).unwrap();
    let watcher = system
        .spawn_with("watcher", mute(), SpawnOptions::new().on_worker(1))
        .unwrap();
    let (told, terminated) = mpsc();
    let watched = actor.clone();
    watcher.get(move |_, context| {
        context.watch_with(&watched, move |end| {
            told.send(end.reason).unwrap();
            nothing()
        });
    });
    actor.tell(None);
    let waker = wakers.recv().unwrap();
    system.stop(&actor);
    waker.wake_by_ref();
    drop(release);
    assert_eq!(terminated.recv_timeout(LONG), Ok(StopReason::Stopped));
    waker.wake();
    bystanders_live();
    system.shutdown(LONG).unwrap();
}

fn in_the_drop_of_the_payload_of_a_panic() {
    let (system, all_is_well) = stage();
    let actor = system.spawn_with("actor", mute(), at_0()).unwrap();
    actor.make(|_, _| panic_any(Grenade));
    assert!(failure(&system, &actor).is_panic());
    all_is_well();
}
