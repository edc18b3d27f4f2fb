//! What comes and goes leaves nothing: no threads, no descriptors, no names.

use std::fs;

use millstream::{Interest, Next, SpawnOptions};

use crate::support::{LONG, Strings, is_alone, mute, system, until};

/// Threads and descriptors of this process.
fn holdings() -> (usize, usize) {
    let count = |directory| fs::read_dir(directory).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

#[cfg(target_os = "linux")]
#[test]
fn a_thousand_systems_leave_nothing() {
    if !is_alone("cycles::a_thousand_systems_leave_nothing") {
        return;
    }
    let before = holdings();
    for cycle in 0..1000usize {
        let system = system(1 + cycle % 3);
        let actor = system.spawn("actor", mute()).unwrap();
        actor.get(|_, context| {
            context.spawn("child", mute()).unwrap();
            context.every("tick", LONG, crate::support::nothing);
        });
        // A question that is still open, an answer that nobody fetches, an actor that is told of its end by its worker.
        let question = |reply: millstream::ReplyTo<()>| {
            crate::support::order(move |_, _| {
                drop(reply);
                Next::Same
            })
        };
        drop(system.ask_later(&actor, question, LONG));
        if cycle % 2 == 0 {
            system.shutdown(LONG).unwrap();
        } else {
            drop(system);
        }
    }
    // A thread that was joined is listed for a moment.
    until(|| holdings() == before);
}

#[cfg(target_os = "linux")]
#[test]
fn systems_whose_actors_hang_leave_nothing_when_these_let_go() {
    if !is_alone("cycles::systems_whose_actors_hang_leave_nothing_when_these_let_go") {
        return;
    }
    let before = holdings();
    for _ in 0..100 {
        let system = system(2);
        let actor = system.spawn("actor", mute()).unwrap();
        let held = actor.hold();
        // What waits for the actor holds it, and its system.
        let own = actor.clone();
        actor.make(move |_, _| {
            drop(own);
            Next::Same
        });
        let neighbour = system
            .spawn_with("neighbour", mute(), SpawnOptions::new().on_worker(0))
            .unwrap();
        let own = neighbour.clone();
        neighbour.make(move |_, _| {
            drop(own);
            Next::Same
        });
        system.shutdown(std::time::Duration::ZERO).unwrap_err();
        drop(held);
    }
    until(|| holdings() == before);
}

#[cfg(target_os = "linux")]
#[test]
fn a_thousand_actors_leave_nothing() {
    if !is_alone("cycles::a_thousand_actors_leave_nothing") {
        return;
    }
    let system = system(2);
    let before = holdings();
    for cycle in 0..1000 {
        let options = SpawnOptions::new().on_worker(cycle % 2);
        let actor = system.spawn_with("actor", mute(), options).unwrap();
        actor.get(move |_, context| {
            let options = SpawnOptions::new().on_worker(1 - cycle % 2);
            context.spawn_with("child", mute(), options).unwrap();
            context.every("tick", LONG, crate::support::nothing);
            context.spawn_blocking(|| (), |_| crate::support::nothing());
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            context
                .watch_io(&socket, Interest::Readable, {
                    let socket = socket.try_clone().unwrap();
                    move |_| {
                        let _socket = &socket;
                        crate::support::nothing()
                    }
                })
                .unwrap();
        });
        match cycle % 3 {
            0 => actor.fail("broken"),
            1 => actor.make(|_, _| Next::Stop),
            _ => system.stop(&actor),
        }
        system.wait_stopped(&actor, LONG).unwrap();
    }
    assert_eq!(system.actors(), []);
    until(|| system.workers().iter().all(|worker| worker.actors == 0));
    until(|| holdings() == before);
}
