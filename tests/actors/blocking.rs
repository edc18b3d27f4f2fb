//! Row K23: tasks that block, and what comes of them.

use std::sync::mpsc::channel as mpsc;
use std::thread;

use millstream::{Next, TaskPanicked};

use crate::support::{Do, LONG, Strings, mute, order, system, tests, until};

tests! {
    k23_the_result_becomes_a_message
    k23_a_panic_becomes_a_message
    k23_a_task_holds_nobody_up
    k23_a_result_for_an_actor_that_is_gone_is_a_dead_letter
    k23_a_shutdown_says_which_tasks_still_run
}

fn k23_the_result_becomes_a_message() {
    let system = system(1);
    let actor = system.spawn("actor", mute()).unwrap();
    let (told, heard) = mpsc();
    actor.make(move |_, context| {
        for number in 0..20 {
            let told = told.clone();
            context.spawn_blocking(
                move || (number, thread::current().id()),
                move |result: Result<_, TaskPanicked>| {
                    order(move |_, _| {
                        told.send((result.unwrap(), thread::current().id())).unwrap();
                        Next::Same
                    })
                },
            );
        }
        Next::Same
    });
    let mut results: Vec<_> = heard.iter().take(20).collect();
    results.sort_by_key(|((number, _), _)| *number);
    for (expected, ((number, ran_on), handled_on)) in results.into_iter().enumerate() {
        assert_eq!(number, expected);
        assert_ne!(ran_on, handled_on);
    }
}

fn k23_a_panic_becomes_a_message() {
    let system = system(1);
    let actor = system.spawn("actor", mute()).unwrap();
    let (told, heard) = mpsc();
    actor.make(move |_, context| {
        context.spawn_blocking(
            || panic!("no file"),
            move |result: Result<(), TaskPanicked>| {
                order(move |_, _| {
                    told.send(result.unwrap_err().to_string()).unwrap();
                    Next::Same
                })
            },
        );
        Next::Same
    });
    assert_eq!(heard.recv().unwrap(), "the task panicked: no file");
    crate::support::assert_lives(&actor);
}

fn k23_a_task_holds_nobody_up() {
    let system = system(1);
    let actor = system.spawn("actor", mute()).unwrap();
    let (release, released) = mpsc::<()>();
    let (told, heard) = mpsc();
    actor.make(move |_, context| {
        context.spawn_blocking(
            move || released.recv(),
            move |_| {
                told.send(()).unwrap();
                crate::support::nothing()
            },
        );
        Next::Same
    });
    for _ in 0..100 {
        actor.get(|_, _| ());
    }
    assert!(heard.try_recv().is_err());
    drop(release);
    heard.recv().unwrap();
}

fn k23_a_result_for_an_actor_that_is_gone_is_a_dead_letter() {
    let system = system(1);
    let actor = system.spawn("actor", mute()).unwrap();
    let (release, released) = mpsc::<()>();
    actor.get(move |_, context| {
        context.spawn_blocking(move || released.recv(), |_| -> Do { crate::support::nothing() });
    });
    system.stop_and_wait(&actor, LONG).unwrap();
    drop(release);
    until(|| system.events().dead_letters() == 1);
}

fn k23_a_shutdown_says_which_tasks_still_run() {
    let system = system(1);
    let actor = system.spawn("actor", mute()).unwrap();
    let (release, released) = mpsc::<()>();
    actor.get(move |_, context| {
        context.spawn_blocking(move || released.recv(), |_| -> Do { crate::support::nothing() });
    });
    let handle = system.handle();
    let report = system.shutdown(LONG).unwrap();
    assert_eq!((report.tasks, report.dead_letters), (1, 0));
    drop(release);
    until(|| handle.events().dead_letters() == 1);
}
