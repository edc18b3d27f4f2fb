//! Storms of failures, restarts and stops: they end, and nobody else starves.

use std::sync::mpsc::channel as mpsc;
use std::thread;

use millstream::{
    Actor, ActorPath, ActorRestarted, Context, Directive, Failure, Next, OneForOne, SpawnOptions, receive,
};

use crate::support::{LONG, Strings, mute, system, tests, until};

tests! {
    an_actor_that_is_never_made_and_always_made_again
    an_actor_that_never_starts_and_is_always_made_again
    restarts_without_end_let_others_run
    a_storm_of_stops
    stops_from_all_sides_while_actors_are_made
    a_restart_storm_ends_with_its_system
    an_actor_that_is_always_busy_lets_others_run
}

fn always(_: &ActorPath, _: &Failure) -> Directive {
    Directive::Restart
}

fn an_actor_that_is_never_made_and_always_made_again() {
    let system = system(1);
    let other = system.spawn("other", mute()).unwrap();
    let (told, heard) = mpsc();
    let create = move || -> millstream::Behaviour<u32> {
        told.send(()).unwrap();
        std::panic::resume_unwind(Box::new("never"))
    };
    let options = SpawnOptions::new().supervisor(always);
    let actor = system.spawn_with("actor", create, options).unwrap();
    // More often than the stack would bear if each attempt stood upon the one before.
    heard.iter().take(100_000).for_each(drop);
    for number in 0..100u32 {
        actor.tell(number);
        other.get(|_, _| ());
    }
    // It can be stopped all the same, and what waited for it is counted.
    system.stop_and_wait(&actor, LONG).unwrap();
    assert_eq!(system.events().dead_letters(), 100);
    assert_eq!(system.actors(), [other.path().clone()]);
}

/// Fails to start, with a child that it made.
struct NoStart;

impl Actor for NoStart {
    type Msg = ();

    fn on_start(&mut self, context: &mut Context<'_, ()>) {
        let _ = context.spawn("child", mute());
        std::panic::resume_unwind(Box::new("no start"))
    }

    fn receive(&mut self, _: &mut Context<'_, ()>, (): ()) -> Next<Self> {
        unreachable!("it has not started")
    }
}

fn an_actor_that_never_starts_and_is_always_made_again() {
    let system = system(1);
    let options = SpawnOptions::new().supervisor(always);
    let actor = system.spawn_with("actor", || NoStart, options).unwrap();
    until(|| system.actors().len() == 2);
    actor.tell(());
    let watched = actor.clone();
    let other = system.spawn("other", mute()).unwrap();
    let (told, heard) = mpsc();
    other.get(move |_, context| {
        context.watch_with(&watched, move |end| {
            told.send(end.path.to_string()).unwrap();
            crate::support::nothing()
        })
    });
    system.stop_and_wait(&actor, LONG).unwrap();
    assert_eq!(heard.recv().unwrap(), "/actor");
    assert_eq!(system.actors(), [other.path().clone()]);
    assert_eq!(system.events().dead_letters(), 1);
}

fn restarts_without_end_let_others_run() {
    let system = system(1);
    let restarts = system.events().subscribe::<ActorRestarted>(1);
    let storms: Vec<_> = (0..10)
        .map(|number| {
            let storm = || {
                receive(|context, ()| {
                    context.me().tell(());
                    Next::Restart
                })
            };
            system.spawn(&number.to_string(), storm).unwrap()
        })
        .collect();
    storms.iter().for_each(|storm| storm.tell(()));
    let other = system.spawn("other", mute()).unwrap();
    for _ in 0..1000 {
        other.get(|_, _| ());
    }
    until(|| restarts.missed() > 10_000);
    for storm in &storms {
        system.stop_and_wait(storm, LONG).unwrap();
    }
}

fn a_storm_of_stops() {
    let system = system(2);
    let actors: Vec<_> = (0..1000)
        .map(|number| system.spawn(&number.to_string(), mute()).unwrap())
        .collect();
    let stoppers: Vec<_> = (0..4)
        .map(|_| {
            let (handle, actors) = (system.handle(), actors.clone());
            thread::spawn(move || {
                for actor in &actors {
                    for _ in 0..10 {
                        handle.stop(actor);
                        actor.make(|_, context| {
                            context.stop();
                            Next::Stop
                        });
                    }
                }
            })
        })
        .collect();
    for actor in &actors {
        system.wait_stopped(actor, LONG).unwrap();
    }
    for stopper in stoppers {
        stopper.join().unwrap();
    }
    assert_eq!(system.actors(), []);
    until(|| system.workers().iter().all(|worker| worker.actors == 0));
}

fn stops_from_all_sides_while_actors_are_made() {
    let system = system(2);
    let parent = system.spawn("parent", mute()).unwrap();
    let makers: Vec<_> = (0..2)
        .map(|maker| {
            let (handle, parent) = (system.handle(), parent.clone());
            thread::spawn(move || {
                for number in 0..500 {
                    let options = move || SpawnOptions::new().on_worker(number % 2);
                    let child = parent.get(move |_, context| {
                        context
                            .spawn_with(&format!("{maker} {number}"), mute(), options())
                            .unwrap()
                    });
                    let root = handle
                        .spawn_with(&format!("{maker} {number}"), mute(), options())
                        .unwrap();
                    handle.stop(&child);
                    handle.stop_and_wait(&root, LONG).unwrap();
                }
            })
        })
        .collect();
    for maker in makers {
        maker.join().unwrap();
    }
    until(|| parent.get(|_, context| context.children().is_empty()));
    assert_eq!(system.actors(), [parent.path().clone()]);
}

fn a_restart_storm_ends_with_its_system() {
    let system = system(2);
    for number in 0..4 {
        let create = || -> millstream::Behaviour<u32> { std::panic::resume_unwind(Box::new("never")) };
        let options = SpawnOptions::new().supervisor(always);
        system.spawn_with(&number.to_string(), create, options).unwrap();
    }
    let options = SpawnOptions::new().supervisor(OneForOne::new(usize::MAX, LONG));
    system.spawn_with("hooks", || NoStart, options).unwrap();
    system.shutdown(LONG).unwrap();
}

fn an_actor_that_is_always_busy_lets_others_run() {
    let system = system(1);
    let busy = system
        .spawn("busy", || {
            receive(|context, ()| {
                context.me().tell(());
                context.me().tell(());
                if context.me().waiting() > 100_000 {
                    Next::Stop
                } else {
                    Next::Same
                }
            })
        })
        .unwrap();
    let other = system.spawn("other", mute()).unwrap();
    busy.tell(());
    for _ in 0..500 {
        other.get(|_, _| ());
    }
    system.shutdown(LONG).unwrap();
}
