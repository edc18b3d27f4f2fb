//! Many messages and many actors: order, nothing lost, nobody searched for.

use std::sync::mpsc::channel as mpsc;
use std::thread;

use millstream::{ActorRef, ActorSystem, Next, SpawnOptions, WaitStrategy, Workers, receive};

use crate::support::{LONG, Strings, mute, probe_with, system, tests, until};

tests! {
    messages_of_each_sender_keep_their_order
    more_ready_actors_than_a_lane_holds
    a_thousand_idle_actors_do_not_slow_a_busy_one
    two_workers_play_without_losing_the_ball
    senders_that_come_and_go_wake_a_worker_that_parks
    everybody_talks_to_everybody
}

/// 100 000 messages of each of four senders: two actors on two workers, two threads outside.
fn messages_of_each_sender_keep_their_order() {
    const EACH: u64 = 100_000;
    let system = system(3);
    let (receiver, heard) = probe_with::<(usize, u64)>(&system, "receiver", SpawnOptions::new().on_worker(0));
    for (sender, worker) in [(0, 0), (1, 1)] {
        let to = receiver.clone();
        let options = SpawnOptions::new().on_worker(worker);
        let actor = system
            .spawn_with(
                &format!("sender {sender}"),
                move || {
                    let to = to.clone();
                    receive(move |context, from: u64| {
                        // In parts, so that the others on the worker have their turns.
                        for number in from..from + 1000 {
                            to.tell((sender, number));
                        }
                        if from + 1000 == EACH {
                            return Next::Stop;
                        }
                        context.me().tell(from + 1000);
                        Next::Same
                    })
                },
                options,
            )
            .unwrap();
        actor.tell(0u64);
    }
    let threads: Vec<_> = [2, 3]
        .into_iter()
        .map(|sender| {
            let to = receiver.clone();
            thread::spawn(move || (0..EACH).for_each(|number| to.tell((sender, number))))
        })
        .collect();
    let mut next = [0; 4];
    for _ in 0..4 * EACH {
        let (sender, number) = heard.recv().unwrap();
        assert_eq!(number, next[sender]);
        next[sender] += 1;
    }
    assert_eq!(next, [EACH; 4]);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(system.events().dead_letters(), 0);
}

fn more_ready_actors_than_a_lane_holds() {
    const MANY: usize = 5000;
    let system = system(2);
    let (told, heard) = mpsc();
    let actors: Vec<_> = (0..MANY)
        .map(|number| {
            let told = told.clone();
            let actor = move || {
                let told = told.clone();
                receive(move |_, round: u32| {
                    told.send((number, round)).unwrap();
                    Next::Same
                })
            };
            let options = SpawnOptions::new().on_worker(1);
            system.spawn_with(&number.to_string(), actor, options).unwrap()
        })
        .collect();
    let busy = system
        .spawn_with("busy", mute(), SpawnOptions::new().on_worker(1))
        .unwrap();
    let sender = system
        .spawn_with("sender", mute(), SpawnOptions::new().on_worker(0))
        .unwrap();
    for round in 0..3u32 {
        // All are idle, and all become ready while nobody looks at the lane.
        until(|| actors.iter().all(|actor| actor.waiting() == 0));
        let held = busy.hold();
        let all = actors.clone();
        sender.get(move |_, _| all.iter().for_each(|actor| actor.tell(round)));
        drop(held);
        let mut seen: Vec<_> = heard.iter().take(MANY).collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq((0..MANY).map(|number| (number, round))));
    }
    system.shutdown(LONG).unwrap();
}

/// Ready work is signalled, not searched for: a worker runs as many actors as were told something, however many it owns.
fn a_thousand_idle_actors_do_not_slow_a_busy_one() {
    let system = system(1);
    let idle: Vec<_> = (0..1000)
        .map(|number| system.spawn(&number.to_string(), mute()).unwrap())
        .collect();
    idle.iter().for_each(|actor| actor.get(|_, _| ()));
    let messages = || system.workers()[0].messages;
    until(|| messages() >= 1000);
    let busy = system.spawn("busy", mute()).unwrap();
    for _ in 0..10_000 {
        busy.get(|_, _| ());
    }
    until(|| messages() >= 11_000);
    assert_eq!(messages(), 11_000);
    assert!(idle.iter().all(|actor| actor.waiting() == 0));
}

/// A ball between two actors.
fn rally(system: &ActorSystem, name: &str, workers: [usize; 2], strokes: u64) -> ActorRef<u64> {
    let (told, heard) = mpsc::<ActorRef<u64>>();
    let mut heard = Some(heard);
    let first = system
        .spawn_with(
            &format!("{name} first"),
            move || {
                let heard = heard.take().unwrap();
                let mut other = None;
                receive(move |_, ball: u64| {
                    let other = other.get_or_insert_with(|| heard.recv().unwrap());
                    other.tell(ball + 1);
                    if ball >= strokes { Next::Stop } else { Next::Same }
                })
            },
            SpawnOptions::new().on_worker(workers[0]),
        )
        .unwrap();
    let back = first.clone();
    let second = system
        .spawn_with(
            &format!("{name} second"),
            move || {
                let back = back.clone();
                receive(move |_, ball: u64| {
                    back.tell(ball + 1);
                    Next::Same
                })
            },
            SpawnOptions::new().on_worker(workers[1]),
        )
        .unwrap();
    told.send(second).unwrap();
    first.tell(0u64);
    first
}

/// Each message finds its receiver just about to settle, and its worker about to sleep: a wake-up that is lost hangs.
fn two_workers_play_without_losing_the_ball() {
    for strategy in [
        WaitStrategy::park(),
        WaitStrategy::SpinThenYield { spins: 10 },
        WaitStrategy::SpinThenPark { spins: 5, yields: 1 },
    ] {
        let builder = ActorSystem::builder("test").workers(Workers::unpinned(2));
        let system = builder.wait(strategy).build().unwrap();
        let strokes = if strategy == WaitStrategy::park() {
            20_000
        } else {
            50_000
        };
        let rallies: Vec<_> = [[0, 1], [1, 0], [0, 0]]
            .into_iter()
            .enumerate()
            .map(|(number, workers)| rally(&system, &number.to_string(), workers, strokes))
            .collect();
        for rally in rallies {
            system.wait_stopped(&rally, LONG).unwrap();
        }
    }
}

fn senders_that_come_and_go_wake_a_worker_that_parks() {
    let builder = ActorSystem::builder("test").wait(WaitStrategy::park());
    let system = builder.build().unwrap();
    let (actor, heard) = probe_with::<u32>(&system, "actor", SpawnOptions::new());
    let senders: Vec<_> = (0..3)
        .map(|_| {
            let actor = actor.clone();
            thread::spawn(move || {
                for number in 0..20_000u32 {
                    actor.tell(number);
                    if number % 16 == 0 {
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();
    assert_eq!(heard.iter().take(60_000).count(), 60_000);
    for sender in senders {
        sender.join().unwrap();
    }
}

fn everybody_talks_to_everybody() {
    const ACTORS: usize = 60;
    const ROUNDS: u64 = 200;
    let system = system(3);
    let (told, heard) = mpsc();
    let actors: Vec<_> = (0..ACTORS)
        .map(|number| {
            let (told, handle) = (told.clone(), system.handle());
            let actor = move || {
                let (told, handle) = (told.clone(), handle.clone());
                let mut others: Vec<ActorRef<u64>> = Vec::new();
                receive(move |_, round: u64| {
                    if others.is_empty() {
                        others = (0..ACTORS)
                            .map(|other| handle.lookup(&format!("/{other}")).unwrap())
                            .collect();
                    }
                    if round < ROUNDS {
                        others[(number * 31 + round as usize * 17) % ACTORS].tell(round + 1);
                    } else {
                        told.send(()).unwrap();
                    }
                    Next::Same
                })
            };
            system.spawn(&number.to_string(), actor).unwrap()
        })
        .collect();
    for actor in &actors {
        for _ in 0..10 {
            actor.tell(0u64);
        }
    }
    assert_eq!(heard.iter().take(10 * ACTORS).count(), 10 * ACTORS);
}
