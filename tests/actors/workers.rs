//! Rows K1 and K6, and what the workers promise: where they run, how they wait, what they say of themselves.

use std::fs;
use std::sync::mpsc::channel as mpsc;
use std::thread::{self, ThreadId};

use millstream::{
    ActorSystem, BuildError, Downgrade, Next, Pinning, SpawnError, SpawnOptions, WaitStrategy, Workers,
};

use crate::support::{Strings, is_alone, mute, probe, system, tests, until};

tests! {
    k1_a_system_has_a_name_and_its_workers
    k1_names_of_systems_may_be_anything
    k6_an_actor_runs_on_one_thread_and_handles_one_message_at_a_time
    actors_are_placed_at_each_worker_in_turn_or_where_they_are_wanted
    a_worker_is_pinned_and_the_kernel_says_so
    a_refused_core_is_an_error
    a_refused_core_is_a_downgrade_where_that_is_preferred
    more_spinning_workers_than_cores_yield
    workers_that_could_not_be_pinned_do_not_spin_on_the_cores_of_others
    every_wait_strategy_hears_of_work
    figures_are_readable_while_a_worker_hangs
}

/// The cores on which a thread may run, as the kernel tells it.
fn affinity_of_this_thread() -> String {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("Cpus_allowed_list:"));
    line.unwrap().split_whitespace().nth(1).unwrap().to_owned()
}

fn a_core() -> usize {
    let list = affinity_of_this_thread();
    let first: String = list.chars().take_while(char::is_ascii_digit).collect();
    first.parse().unwrap()
}

fn k1_a_system_has_a_name_and_its_workers() {
    let system = ActorSystem::builder("prices")
        .workers(Workers::unpinned(3))
        .build()
        .unwrap();
    assert_eq!(system.name(), "prices");
    assert_eq!(system.workers().len(), 3);
    let actor = system.spawn("a", mute()).unwrap();
    let name = actor.get(|_, _| thread::current().name().map(str::to_owned));
    assert_eq!(name.as_deref(), Some("prices-0"));
    assert!(matches!(
        ActorSystem::builder("prices").workers(0).build(),
        Err(BuildError::NoWorkers)
    ));
}

fn k1_names_of_systems_may_be_anything() {
    for name in ["", "a\0b", "/", &"long".repeat(100)] {
        let system = ActorSystem::builder(name).build().unwrap();
        assert_eq!(system.name(), name);
        let actor = system.spawn("a", mute()).unwrap();
        actor.get(|_, _| ());
    }
}

fn k6_an_actor_runs_on_one_thread_and_handles_one_message_at_a_time() {
    let system = system(2);
    let actor = system.spawn("a", mute()).unwrap();
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let actor = actor.clone();
            thread::spawn(move || {
                let on: Vec<ThreadId> = (0..100)
                    .map(|_| actor.get(|_, _| thread::current().id()))
                    .collect();
                on
            })
        })
        .collect();
    let mut on: Vec<_> = senders
        .into_iter()
        .flat_map(|sender| sender.join().unwrap())
        .collect();
    on.dedup();
    assert_eq!(on.len(), 1);
    assert_eq!(actor.get(|puppet, _| puppet.handled), 401);
}

fn actors_are_placed_at_each_worker_in_turn_or_where_they_are_wanted() {
    let system = system(3);
    let placed: Vec<_> = (0..6)
        .map(|number| system.spawn(&number.to_string(), mute()).unwrap().worker())
        .collect();
    assert_eq!(placed, [0, 1, 2, 0, 1, 2]);
    for worker in [2, 0, 1] {
        let options = SpawnOptions::new().on_worker(worker);
        let actor = system
            .spawn_with(&format!("at {worker}"), mute(), options)
            .unwrap();
        assert_eq!(actor.worker(), worker);
        let name = actor.get(|_, _| thread::current().name().map(str::to_owned));
        assert_eq!(name, Some(format!("test-{worker}")));
        let child = actor.get(|_, context| context.spawn("child", mute()).unwrap().worker());
        assert_eq!(child, worker, "a child is with its parent");
    }
    let refused = system.spawn_with("none", mute(), SpawnOptions::new().on_worker(3));
    assert_eq!(refused, Err(SpawnError::NoSuchWorker { asked: 3, workers: 3 }));
}

fn a_worker_is_pinned_and_the_kernel_says_so() {
    let core = a_core();
    for system in [
        ActorSystem::builder("test")
            .workers([core, core])
            .build()
            .unwrap(),
        ActorSystem::builder("test").workers(vec![core]).build().unwrap(),
        ActorSystem::builder("test").workers(1).build().unwrap(),
    ] {
        for worker in system.workers() {
            assert_eq!(worker.core, Some(core));
            let options = SpawnOptions::new().on_worker(worker.worker);
            let actor = system
                .spawn_with(&format!("at {}", worker.worker), mute(), options)
                .unwrap();
            assert_eq!(actor.get(|_, _| affinity_of_this_thread()), core.to_string());
        }
        assert_eq!(system.downgrades(), []);
    }
    let system = system(1);
    let actor = system.spawn("a", mute()).unwrap();
    assert_eq!(system.workers()[0].core, None);
    assert_eq!(
        actor.get(|_, _| affinity_of_this_thread()),
        affinity_of_this_thread()
    );
}

fn a_refused_core_is_an_error() {
    for core in [1023, 1024, usize::MAX] {
        let error = ActorSystem::builder("test")
            .workers([a_core(), core])
            .build()
            .unwrap_err();
        let BuildError::Refused {
            worker,
            core: named,
            ref runs_on,
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!((worker, named), (1, core));
        assert!(runs_on.contains(&a_core()), "{error}");
    }
}

fn a_refused_core_is_a_downgrade_where_that_is_preferred() {
    let builder = ActorSystem::builder("test").workers([a_core(), 1023]);
    let system = builder.pinning(Pinning::Preferred).build().unwrap();
    let [
        Downgrade::Unpinned {
            worker: 1,
            core: 1023,
            runs_on,
        },
    ] = &system.downgrades()[..]
    else {
        panic!("{:?}", system.downgrades())
    };
    assert!(runs_on.contains(&a_core()));
    let cores: Vec<_> = system.workers().iter().map(|worker| worker.core).collect();
    assert_eq!(cores, [Some(a_core()), None]);
    let actor = system
        .spawn_with("a", mute(), SpawnOptions::new().on_worker(1))
        .unwrap();
    actor.get(|_, _| ());
}

fn more_spinning_workers_than_cores_yield() {
    let cores = thread::available_parallelism().unwrap().get();
    let spinning = |workers: Workers| {
        let builder = ActorSystem::builder("test").workers(workers);
        builder.wait(WaitStrategy::BusySpin).build().unwrap()
    };
    let many = Downgrade::Yields {
        workers: cores + 1,
        cores,
    };
    for workers in [Workers::unpinned(cores + 1), Workers::from(cores + 1)] {
        let system = spinning(workers);
        assert_eq!(system.downgrades(), std::slice::from_ref(&many));
        let (actor, heard) = probe::<u32>(&system, "a");
        actor.tell(3u32);
        assert_eq!(heard.recv(), Ok(3));
    }
    let on_one = spinning(Workers::from([a_core(), a_core()]));
    let two = Downgrade::Yields { workers: 2, cores: 1 };
    assert_eq!(on_one.downgrades(), [two]);
    assert_eq!(spinning(Workers::unpinned(1)).downgrades(), []);
    assert_eq!(spinning(Workers::from([a_core()])).downgrades(), []);
}

fn workers_that_could_not_be_pinned_do_not_spin_on_the_cores_of_others() {
    let cores = thread::available_parallelism().unwrap().get();
    let none: Vec<usize> = (0..=cores).map(|number| 1023 - number).collect();
    let system = ActorSystem::builder("test")
        .workers(none)
        .pinning(Pinning::Preferred)
        .wait(WaitStrategy::BusySpin)
        .build()
        .unwrap();
    let many = Downgrade::Yields {
        workers: cores + 1,
        cores,
    };
    assert!(system.downgrades().contains(&many), "{:?}", system.downgrades());
    assert_eq!(system.downgrades().len(), cores + 2);
}

fn every_wait_strategy_hears_of_work() {
    for strategy in [
        WaitStrategy::BusySpin,
        WaitStrategy::SpinThenYield { spins: 3 },
        WaitStrategy::SpinThenPark { spins: 3, yields: 2 },
        WaitStrategy::park(),
        WaitStrategy::default(),
    ] {
        let system = ActorSystem::builder("test").wait(strategy).build().unwrap();
        let (actor, heard) = probe::<u32>(&system, "a");
        for number in 0..500u32 {
            actor.tell(number);
            assert_eq!(heard.recv(), Ok(number));
        }
    }
}

fn figures_are_readable_while_a_worker_hangs() {
    let system = system(1);
    let actor = system.spawn("slow", mute()).unwrap();
    for _ in 0..100 {
        actor.get(|_, _| ());
    }
    // What was counted so far is published when the worker has nothing to do.
    until(|| system.workers()[0].messages >= 100 && system.workers()[0].parks > 0);
    let held = actor.hold();
    let report = &system.workers()[0];
    let (path, since) = report.at.clone().unwrap();
    assert_eq!(path.as_str(), "/slow");
    assert_eq!(report.actors, 1);
    assert!(report.turns > 0);
    assert_eq!(report.turn_times().unwrap().len(), report.turns);
    assert!(report.turn_times().unwrap().max() > 0);
    until(|| system.workers()[0].at.as_ref().unwrap().1 > since);
    drop(held);
    until(|| system.workers()[0].at.is_none());
    system.stop(&actor);
    until(|| system.workers()[0].actors == 0);
}

/// An idle system uses no processor time when it parks.
#[cfg(target_os = "linux")]
#[test]
fn an_idle_system_sleeps() {
    if !is_alone("workers::an_idle_system_sleeps") {
        return;
    }
    let system = system(3);
    let (told, heard) = mpsc();
    let actors: Vec<_> = (0..100)
        .map(|number| system.spawn(&number.to_string(), mute()).unwrap())
        .collect();
    actors[0].make(move |_, context| {
        context.spawn_blocking(
            || (),
            move |_| {
                told.send(()).unwrap();
                crate::support::nothing()
            },
        );
        Next::Same
    });
    heard.recv().unwrap();
    drop(actors);
    let parks =
        |system: &ActorSystem| -> Vec<u64> { system.workers().iter().map(|worker| worker.parks).collect() };
    // Asleep: each has gone to sleep once more after all that.
    let before = parks(&system);
    until(|| {
        parks(&system)
            .iter()
            .zip(&before)
            .all(|(now, before)| now > before)
    });
    let turns = |system: &ActorSystem| -> u64 { system.workers().iter().map(|worker| worker.turns).sum() };
    let cpu = || {
        let mut ticks = 0;
        for task in fs::read_dir("/proc/self/task").unwrap() {
            let path = task.unwrap().path();
            let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
            let Ok(spent) = fs::read_to_string(path.join("schedstat")) else {
                continue;
            };
            if name.starts_with("test-") {
                let spent: u64 = spent.split_whitespace().next().unwrap().parse().unwrap();
                ticks += spent;
            }
        }
        ticks
    };
    let (turns_before, cpu_before, parks_before) = (turns(&system), cpu(), parks(&system));
    // Workers look around once a second even so: two such looks each are the time that passes here.
    until(|| {
        parks(&system)
            .iter()
            .zip(&parks_before)
            .all(|(now, before)| *now >= before + 2)
    });
    assert_eq!(
        turns(&system),
        turns_before,
        "nothing happened, so there was nothing to do"
    );
    let spent = cpu() - cpu_before;
    // In nanoseconds: six looks, of some microseconds each. A worker that did not sleep would have used a second.
    assert!(spent < 100_000_000, "{spent} ns");
}
