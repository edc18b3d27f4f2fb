//! Row K10: watches, and what they tell.

use std::sync::mpsc::{Receiver, channel as mpsc};

use millstream::{
    ActorRef, ActorSystem, Next, OneForOne, SpawnOptions, StopReason, Terminated, receive, setup,
};

use crate::support::{Do, LONG, Strings, mute, order, system, tests};

tests! {
    k10_any_actor_can_be_watched
    k10_one_that_is_gone_already_is_told_at_once
    k10_unwatch_is_heard_even_if_the_end_was_before
    k10_each_watch_is_told_once
    k10_the_reason_is_told
    k10_a_restart_is_no_end
    k10_the_name_is_free_when_it_is_told
    k10_watchers_that_have_stopped_are_nobodys_trouble
    k10_messages_are_made_from_an_end
    k10_actors_of_another_system_can_be_watched
}

/// A puppet, and whose ends it was told of.
fn watcher(system: &ActorSystem, worker: usize) -> (ActorRef<Do>, Receiver<Terminated>, Watch) {
    let (told, heard) = mpsc();
    let options = SpawnOptions::new().on_worker(worker);
    let actor = system.spawn_with("watcher", mute(), options).unwrap();
    let watcher = actor.clone();
    let watch = Box::new(move |watched: &ActorRef<Do>| {
        let (told, watched) = (told.clone(), watched.clone());
        watcher.get(move |_, context| {
            context.watch_with(&watched, move |end| {
                order(move |_, _| {
                    told.send(end).unwrap();
                    Next::Same
                })
            })
        })
    });
    (actor, heard, watch)
}

type Watch = Box<dyn Fn(&ActorRef<Do>) -> millstream::WatchId>;

fn k10_any_actor_can_be_watched() {
    let system = system(2);
    let (_, ends, watch) = watcher(&system, 0);
    for worker in [0, 1] {
        let options = SpawnOptions::new().on_worker(worker);
        let root = system
            .spawn_with(&format!("root {worker}"), mute(), options)
            .unwrap();
        let child = root.get(|_, context| context.spawn("child", mute()).unwrap());
        watch(&root);
        watch(&child);
        child.get(|_, _| ());
        system.stop(&root);
        let (first, second) = (ends.recv().unwrap(), ends.recv().unwrap());
        // The child stops first; from another worker the two may be heard of in either order, from one they are not.
        assert!(first.is(&child) && second.is(&root), "{first:?} {second:?}");
    }
}

fn k10_one_that_is_gone_already_is_told_at_once() {
    let system = system(2);
    let (_, ends, watch) = watcher(&system, 0);
    let actor = system.spawn("actor", mute()).unwrap();
    actor.fail("broken");
    let end = system.wait_stopped(&actor, LONG).unwrap();
    watch(&actor);
    watch(&actor);
    assert_eq!([ends.recv().unwrap(), ends.recv().unwrap()], [end.clone(), end]);
}

fn k10_unwatch_is_heard_even_if_the_end_was_before() {
    let system = system(2);
    let (watcher, ends, watch) = watcher(&system, 0);
    let actor = system.spawn("actor", mute()).unwrap();
    let watched = watch(&actor);
    watcher.get(move |_, context| context.unwatch(watched));
    system.stop_and_wait(&actor, LONG).unwrap();
    let other = system.spawn("other", mute()).unwrap();
    let watched = watch(&other);
    let held = watcher.hold();
    system.stop_and_wait(&other, LONG).unwrap();
    watcher.make(move |_, context| {
        context.unwatch(watched);
        Next::Same
    });
    drop(held);
    watcher.get(|_, _| ());
    // The end lay before the watcher, ahead of the message that gave the watch up; so it may have been told, once.
    assert!(ends.try_iter().count() <= 1);
    // In the same message, it is certain.
    let (gone, told) = (other.clone(), mpsc::<()>());
    let told_sender = told.0;
    watcher.get(move |_, context| {
        let watched = context.watch_with(&gone, move |_| {
            order(move |_, _| {
                told_sender.send(()).unwrap();
                Next::Same
            })
        });
        context.unwatch(watched);
    });
    watcher.get(|_, _| ());
    assert!(told.1.recv().is_err());
}

fn k10_each_watch_is_told_once() {
    let system = system(2);
    let (watcher, ends, watch) = watcher(&system, 0);
    let actor = system.spawn("actor", mute()).unwrap();
    let kept = watch(&actor);
    let given_up = watch(&actor);
    assert_ne!(kept, given_up);
    watch(&actor);
    watcher.get(move |_, context| context.unwatch(given_up));
    system.stop_and_wait(&actor, LONG).unwrap();
    assert!(ends.recv().unwrap().is(&actor) && ends.recv().unwrap().is(&actor));
    watcher.get(|_, _| ());
    assert!(ends.try_recv().is_err());
}

fn k10_the_reason_is_told() {
    let system = system(1);
    let (_, ends, watch) = watcher(&system, 0);
    let broken = system.spawn("broken", mute()).unwrap();
    watch(&broken);
    broken.fail("broken");
    let StopReason::Failed(failure) = ends.recv().unwrap().reason else {
        panic!("it failed")
    };
    assert_eq!(failure.message(), "broken");
    let stopped = system.spawn("stopped", mute()).unwrap();
    watch(&stopped);
    system.stop(&stopped);
    assert_eq!(ends.recv().unwrap().reason, StopReason::Stopped);
    let first = system.spawn("first", mute()).unwrap();
    // The watcher was made before, so it is told to stop before; an actor outside is told all the same.
    let handle = system.handle();
    let waits = std::thread::spawn(move || handle.wait_stopped(&first, LONG).unwrap().reason);
    crate::support::until(|| system.lookup::<Do>("/first").is_ok());
    system.shutdown(LONG).unwrap();
    assert_eq!(waits.join().unwrap(), StopReason::Shutdown);
}

fn k10_a_restart_is_no_end() {
    let system = system(1);
    let (_, ends, watch) = watcher(&system, 0);
    let options = SpawnOptions::new().supervisor(OneForOne::default());
    let actor = system.spawn_with("actor", mute(), options).unwrap();
    watch(&actor);
    actor.fail("broken");
    actor.get(|_, _| ());
    assert!(ends.try_recv().is_err());
    actor.make(|_, _| Next::Stop);
    assert!(ends.recv().unwrap().is(&actor));
}

fn k10_the_name_is_free_when_it_is_told() {
    let system = system(1);
    let parent = system.spawn("parent", mute()).unwrap();
    let (told, heard) = mpsc();
    parent.make(move |_, context| {
        let child = context.spawn("child", mute()).unwrap();
        context.watch_with(&child, move |_| {
            order(move |_, context| {
                told.send(context.spawn("child", mute())).unwrap();
                Next::Same
            })
        });
        child.fail("broken");
        Next::Same
    });
    let again = heard.recv().unwrap().unwrap();
    again.get(|_, _| ());
    assert_eq!(
        parent.get(|_, context| context.children()),
        [again.path().clone()]
    );
}

fn k10_watchers_that_have_stopped_are_nobodys_trouble() {
    let system = system(2);
    let (watcher, ends, watch) = watcher(&system, 0);
    let actor = system
        .spawn_with("actor", mute(), SpawnOptions::new().on_worker(1))
        .unwrap();
    watch(&actor);
    system.stop_and_wait(&watcher, LONG).unwrap();
    system.stop_and_wait(&actor, LONG).unwrap();
    assert!(ends.try_recv().is_err());
    assert_eq!(system.events().dead_letters(), 0);
    // Somebody who gives up waiting leaves nothing behind either.
    let actor = system.spawn("patient", mute()).unwrap();
    assert!(system.wait_stopped(&actor, std::time::Duration::ZERO).is_err());
    system.stop_and_wait(&actor, LONG).unwrap();
}

fn k10_messages_are_made_from_an_end() {
    enum Message {
        End(Terminated),
    }
    impl From<Terminated> for Message {
        fn from(end: Terminated) -> Self {
            Self::End(end)
        }
    }
    let system = system(1);
    let actor = system.spawn("actor", mute()).unwrap();
    let (told, heard) = mpsc();
    let watched = actor.clone();
    let watcher = system
        .spawn("watcher", move || {
            let (told, watched) = (told.clone(), watched.clone());
            setup(move |context| {
                context.watch(&watched);
                receive(move |_, Message::End(end)| {
                    told.send(end.path.to_string()).unwrap();
                    Next::Same
                })
            })
        })
        .unwrap();
    system.stop(&actor);
    assert_eq!(heard.recv().unwrap(), "/actor");
    assert!(!watcher.is_stopped());
}

fn k10_actors_of_another_system_can_be_watched() {
    let (one, two, three) = (system(1), system(1), system(1));
    let target = three.spawn("target", mute()).unwrap();
    let (first, first_ends, first_watch) = watcher(&one, 0);
    let (_second, second_ends, second_watch) = watcher(&two, 0);
    let given_up = first_watch(&target);
    second_watch(&target);
    // The two watches are told apart, whatever their systems have numbered so far.
    first.get(move |_, context| context.unwatch(given_up));
    target.get(|_, _| ());
    three.stop_and_wait(&target, LONG).unwrap();
    assert!(second_ends.recv().unwrap().is(&target));
    first.get(|_, _| ());
    assert!(first_ends.try_recv().is_err());
}
