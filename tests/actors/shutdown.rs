//! Row K1: the end of a system, and what it says.

use std::sync::mpsc::channel as mpsc;
use std::thread;
use std::time::Duration;

use millstream::{
    ActorStopped, ActorSystem, Mailbox, Next, Overflow, SpawnError, SpawnOptions, StopReason, TryTellError,
    Workers,
};

use crate::support::{LONG, Strings, mute, nothing, probe, puppet, system, tests, until};

tests! {
    k1_roots_stop_in_the_order_in_which_they_were_made
    k1_the_report_counts
    k1_what_does_not_stop_is_named
    k1_one_that_hangs_does_not_keep_the_others_from_stopping
    k1_what_was_left_to_itself_is_closed_when_its_worker_ends
    k1_dropping_the_system_shuts_it_down
    k1_nothing_new_is_made
    k1_an_actor_that_asks_for_the_end_of_its_own_system
    k1_a_system_without_actors_ends
    k1_a_shutdown_under_load
}

fn k1_roots_stop_in_the_order_in_which_they_were_made() {
    let system = system(3);
    let stopped = system.events().subscribe::<ActorStopped>(100);
    let names: Vec<_> = (0..30).map(|number| number.to_string()).collect();
    for name in &names {
        system.spawn(name, mute()).unwrap();
    }
    system.shutdown(LONG).unwrap();
    let ends: Vec<_> = std::iter::from_fn(|| stopped.try_next()).collect();
    assert!(ends.iter().all(|end| end.reason == StopReason::Shutdown));
    let order: Vec<_> = ends.iter().map(|end| end.path.name()).collect();
    assert_eq!(order, names);
}

fn k1_the_report_counts() {
    let system = system(1);
    let (gone, _) = probe::<u32>(&system, "gone");
    system.stop_and_wait(&gone, LONG).unwrap();
    gone.tell(1u32);
    let actor = system.spawn("actor", mute()).unwrap();
    actor.make(|_, _| Next::Unhandled(nothing()));
    let held = actor.hold();
    let options = SpawnOptions::new().mailbox(Mailbox::bounded(1, Overflow::DropNew));
    let full = system.spawn_with("full", mute(), options).unwrap();
    for _ in 0..4 {
        full.tell(nothing());
    }
    drop(held);
    until(|| full.waiting() == 0);
    let report = system.shutdown(LONG).unwrap();
    assert_eq!(
        (
            report.dead_letters,
            report.unhandled,
            report.dropped,
            report.tasks
        ),
        (1, 1, 3, 0)
    );
}

fn k1_what_does_not_stop_is_named() {
    let system = system(2);
    let parent = system
        .spawn_with("parent", mute(), SpawnOptions::new().on_worker(0))
        .unwrap();
    let child = parent.get(|_, context| {
        context
            .spawn_with("child", mute(), SpawnOptions::new().on_worker(1))
            .unwrap()
    });
    let held = child.hold();
    let timeout = system.shutdown(Duration::from_millis(20)).unwrap_err();
    let actors: Vec<_> = timeout.actors.iter().map(|path| path.as_str()).collect();
    assert_eq!(actors, ["/parent", "/parent/child"]);
    // The other one may not have ended either, by the time that the deadline was over.
    let (_, at) = timeout.workers.iter().find(|(worker, _)| *worker == 1).unwrap();
    assert_eq!(at.as_ref().unwrap().as_str(), "/parent/child");
    let text = timeout.to_string();
    assert!(
        text.contains("/parent/child") && text.contains("worker 1"),
        "{text}"
    );
    drop(held);
}

fn k1_one_that_hangs_does_not_keep_the_others_from_stopping() {
    let system = system(2);
    let hangs = system
        .spawn_with("hangs", mute(), SpawnOptions::new().on_worker(0))
        .unwrap();
    let (told, heard) = mpsc();
    let other = system
        .spawn_with("other", puppet(told), SpawnOptions::new().on_worker(1))
        .unwrap();
    other.get(|_, _| ());
    let held = hangs.hold();
    let timeout = system.shutdown(Duration::from_millis(50)).unwrap_err();
    assert_eq!(timeout.actors.len(), 1);
    assert!(other.is_stopped());
    assert_eq!(heard.iter().last(), Some(crate::support::Life::Dropped));
    drop(held);
}

fn k1_what_was_left_to_itself_is_closed_when_its_worker_ends() {
    let system = system(1);
    let handle = system.handle();
    let (told, heard) = mpsc();
    let actor = system.spawn("actor", puppet(told)).unwrap();
    let held = actor.hold();
    let child_of = system.spawn("other", mute()).unwrap();
    actor.make(|_, _| Next::Same);
    system.shutdown(Duration::ZERO).unwrap_err();
    // Somebody waits for it without a deadline, and gets to hear of its end.
    let waits = {
        let (handle, actor) = (handle.clone(), actor.clone());
        thread::spawn(move || handle.wait_stopped(&actor, Duration::MAX).unwrap())
    };
    drop(held);
    assert_eq!(waits.join().unwrap().reason, StopReason::Shutdown);
    until(|| child_of.is_stopped());
    assert!(matches!(actor.try_tell(nothing()), Err(TryTellError::Stopped(_))));
    assert_eq!(handle.actors(), []);
    // Dropped with its worker, or stopped in time: gone either way.
    heard.iter().for_each(drop);
    until(|| handle.workers()[0].actors == 0);
}

fn k1_dropping_the_system_shuts_it_down() {
    let system = system(2);
    let (told, heard) = mpsc();
    let actor = system.spawn("actor", puppet(told)).unwrap();
    drop(system);
    assert!(actor.is_stopped());
    assert_eq!(heard.iter().last(), Some(crate::support::Life::Dropped));
    // One that hangs is waited for only so long.
    let builder = ActorSystem::builder("test").workers(Workers::unpinned(1));
    let system = builder.drop_deadline(Duration::from_millis(5)).build().unwrap();
    let actor = system.spawn("actor", mute()).unwrap();
    let held = actor.hold();
    drop(system);
    assert!(!actor.is_stopped());
    drop(held);
    until(|| actor.is_stopped());
}

fn k1_nothing_new_is_made() {
    let system = system(2);
    let handle = system.handle();
    let (told, heard) = mpsc();
    let actor = system.spawn("actor", mute()).unwrap();
    let held = actor.hold();
    actor.make(move |_, context| {
        told.send((
            context.system().spawn("root", mute()),
            context.spawn("child", mute()),
        ))
        .unwrap();
        Next::Same
    });
    let ends = thread::spawn(move || system.shutdown(LONG));
    until(|| matches!(handle.spawn("probe", mute()), Err(SpawnError::ShutDown { .. })));
    drop(held);
    ends.join().unwrap().unwrap();
    if let Ok((root, child)) = heard.recv() {
        assert!(matches!(root, Err(SpawnError::ShutDown { .. })));
        assert!(matches!(child, Err(SpawnError::ShutDown { .. })));
    }
    assert!(matches!(
        handle.spawn("late", mute()),
        Err(SpawnError::ShutDown { .. })
    ));
}

/// It does not wait for itself, whatever the deadline.
fn k1_an_actor_that_asks_for_the_end_of_its_own_system() {
    for deadline in [Duration::from_millis(5), Duration::MAX] {
        let system = system(1);
        let actor = system.spawn("actor", mute()).unwrap();
        let (told, heard) = mpsc();
        actor.make(move |_, _| {
            told.send(system.shutdown(deadline)).unwrap();
            Next::Same
        });
        let running = heard.recv().unwrap().unwrap_err();
        assert_eq!(running.actors.len(), 1);
        until(|| actor.is_stopped());
    }
    let builder = ActorSystem::builder("own").drop_deadline(Duration::MAX);
    let system = builder.build().unwrap();
    let [actor, other] = ["actor", "other"].map(|name| system.spawn(name, mute()).unwrap());
    actor.make(move |_, _| {
        drop(system);
        Next::Same
    });
    until(|| actor.is_stopped() && other.is_stopped());
}

fn k1_a_system_without_actors_ends() {
    for workers in 1..4 {
        let report = system(workers).shutdown(LONG).unwrap();
        assert_eq!(report.dead_letters, 0);
    }
}

fn k1_a_shutdown_under_load() {
    for _ in 0..5 {
        let system = system(2);
        let actors: Vec<_> = (0..50)
            .map(|number| system.spawn(&number.to_string(), mute()).unwrap())
            .collect();
        let tellers: Vec<_> = (0..2)
            .map(|_| {
                let actors = actors.clone();
                thread::spawn(move || {
                    while !actors.iter().all(|actor| actor.is_stopped()) {
                        for (from, actor) in actors.iter().enumerate() {
                            if actor.waiting() > 1000 {
                                continue;
                            }
                            let to = actors[(from + 7) % actors.len()].clone();
                            actor.make(move |_, _| {
                                to.make(|_, _| Next::Same);
                                Next::Same
                            });
                        }
                    }
                })
            })
            .collect();
        actors[49].get(|_, _| ());
        system.shutdown(LONG).unwrap();
        for teller in tellers {
            teller.join().unwrap();
        }
    }
}
