//! Actors, and the workers that own them: messages, questions, ends, and who hears of these.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream::{
    Actor, ActorRef, ActorSystem, AskError, Context, Failure, Mailbox, Next, OneForOne, Overflow, ReplyTo,
    SpawnError, SpawnOptions, StopReason, Terminated, TryTellError, WaitStrategy, Workers, receive, setup,
};
use shuttle::thread;

use super::{WAITS, schedules};

/// Shuttle lets no deadline pass.
pub(crate) const EVER: Duration = Duration::from_secs(3600);

pub(crate) fn system(workers: usize, wait: WaitStrategy) -> ActorSystem {
    let builder = ActorSystem::builder("model").workers(Workers::unpinned(workers));
    builder.wait(wait).drop_deadline(EVER).build().unwrap()
}

fn on<M: Send + 'static>(worker: usize) -> SpawnOptions<M> {
    SpawnOptions::new().on_worker(worker)
}

/// Counts, for whom no step is a chance for another thread.
#[derive(Clone, Default)]
struct Count(Arc<AtomicU64>);

impl Count {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

enum Log {
    Add(u64, u64),
    Read(ReplyTo<Vec<(u64, u64)>>),
}

/// Two threads by the injector, an actor of another worker by the lane, one of the same worker by neither.
#[test]
fn each_message_is_handled_once_and_in_order() {
    for wait in WAITS {
        schedules(move || {
            let system = system(2, wait);
            let log = system.spawn_with("log", logging, on(0)).unwrap();
            for worker in [0, 1] {
                let log = log.clone();
                let tell = move |_: &mut Context<'_, u64>, number| {
                    log.tell(Log::Add(worker as u64, number));
                    Next::Same
                };
                let name = format!("teller {worker}");
                let teller = system
                    .spawn_with(&name, move || receive(tell.clone()), on(worker))
                    .unwrap();
                (0..2u64).for_each(|number| teller.tell(number));
            }
            let threads = [2, 3].map(|thread| {
                let log = log.clone();
                thread::spawn(move || (0..2).for_each(|number| log.tell(Log::Add(thread, number))))
            });
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            let mut read = Vec::new();
            while read.len() < 8 {
                read = system.ask(&log, Log::Read, EVER).unwrap();
                thread::yield_now();
            }
            read.sort_by_key(|(teller, _)| *teller);
            let told = (0..4).flat_map(|teller| [(teller, 0), (teller, 1)]);
            assert!(read.iter().copied().eq(told), "{read:?}");
            let report = system.shutdown(EVER).unwrap();
            assert_eq!(report.dead_letters, 0);
        });
    }
}

fn logging() -> impl Actor<Msg = Log> {
    let mut log = Vec::new();
    receive(move |_, message| {
        match message {
            Log::Add(teller, number) => log.push((teller, number)),
            Log::Read(reply) => reply.send(log.clone()),
        }
        Next::Same
    })
}

struct Ball {
    hits: u64,
    back: ActorRef<Ball>,
    over: ReplyTo<u64>,
}

/// Each worker has nothing to do but what the other one sends: every wake-up is needed.
#[test]
fn two_that_talk_to_each_other() {
    for wait in WAITS {
        schedules(move || {
            let system = system(2, wait);
            let player = |context: &mut Context<'_, Ball>, mut ball: Ball| {
                if ball.hits == 6 {
                    ball.over.send(ball.hits);
                    return Next::Same;
                }
                ball.hits += 1;
                let next = std::mem::replace(&mut ball.back, context.me().clone());
                next.tell(ball);
                Next::Same
            };
            let [one, two] = [0, 1].map(|worker| {
                let name = format!("player {worker}");
                system
                    .spawn_with(&name, move || receive(player), on(worker))
                    .unwrap()
            });
            let serve = |over| Ball {
                hits: 0,
                back: two,
                over,
            };
            assert_eq!(system.ask(&one, serve, EVER).unwrap(), 6);
        });
    }
}

/// Whatever is told is handled or a dead letter, also when the actor is stopped meanwhile, or the whole system is.
#[test]
fn no_message_is_lost_at_an_end() {
    for stops_all in [false, true] {
        for wait in WAITS {
            schedules(move || {
                let system = system(1, wait);
                let (handled, counted) = (Count::default(), Count::default());
                let count = handled.clone();
                let actor = system
                    .spawn("actor", move || {
                        let count = count.clone();
                        receive(move |_, ()| {
                            count.add();
                            Next::Same
                        })
                    })
                    .unwrap();
                let tellers = [(); 2].map(|()| {
                    let (actor, counted) = (actor.clone(), counted.clone());
                    thread::spawn(move || {
                        for _ in 0..2 {
                            actor.tell(());
                            counted.add();
                        }
                    })
                });
                let handle = system.handle();
                let mut system = Some(system);
                if !stops_all {
                    let end = handle.stop_and_wait(&actor, EVER).unwrap();
                    assert_eq!(end.reason, StopReason::Stopped);
                } else if let Some(system) = system.take() {
                    system.shutdown(EVER).unwrap();
                }
                assert!(actor.is_stopped());
                tellers.into_iter().for_each(|teller| teller.join().unwrap());
                // With its end all are counted that were told before.
                drop(system);
                assert_eq!(
                    (counted.get(), handled.get() + handle.events().dead_letters()),
                    (4, 4)
                );
            });
        }
    }
}

/// Whoever asks is answered, or told that there will be no answer.
#[test]
fn a_question_to_one_that_stops() {
    for wait in WAITS {
        schedules(move || {
            let system = system(1, wait);
            let answered = Count::default();
            let count = answered.clone();
            let actor = system
                .spawn("actor", move || {
                    let count = count.clone();
                    receive(move |_, reply: ReplyTo<u64>| {
                        count.add();
                        reply.send(1);
                        Next::Same
                    })
                })
                .unwrap();
            let askers = [(); 2].map(|()| {
                let (system, actor) = (system.handle(), actor.clone());
                thread::spawn(move || match system.ask(&actor, |reply| reply, EVER) {
                    Ok(answer) => answer,
                    Err(AskError::Stopped | AskError::Unanswered) => 0,
                    Err(other) => panic!("{other}"),
                })
            });
            system.stop(&actor);
            let answers = askers.map(|asker| asker.join().unwrap());
            assert_eq!(answers.iter().sum::<u64>(), answered.get());
        });
    }
}

/// Each watch is told once, whether it began before the end or after; the name is free by then.
#[test]
fn whoever_watches_is_told_once() {
    for fails in [false, true] {
        for wait in WAITS {
            schedules(move || {
                let system = system(2, wait);
                let watched = system
                    .spawn_with(
                        "watched",
                        move || {
                            receive(move |_, ()| {
                                if fails {
                                    Next::Fail(Failure::new("broken"))
                                } else {
                                    Next::Stop
                                }
                            })
                        },
                        on(0),
                    )
                    .unwrap();
                let told = Count::default();
                let (count, whom, handle) = (told.clone(), watched.clone(), system.handle());
                let watcher = system
                    .spawn_with(
                        "watcher",
                        move || {
                            let (count, whom, handle) = (count.clone(), whom.clone(), handle.clone());
                            setup(move |context| {
                                context.watch(&whom);
                                receive(move |_, end: Terminated| {
                                    assert!(end.is(&whom));
                                    assert_eq!(matches!(end.reason, StopReason::Failed(_)), fails);
                                    assert!(handle.lookup::<()>("/watched").is_err());
                                    count.add();
                                    Next::Stop
                                })
                            })
                        },
                        on(1),
                    )
                    .unwrap();
                watched.tell(());
                let end = system.wait_stopped(&watcher, EVER).unwrap();
                assert_eq!(end.reason, StopReason::Stopped);
                system.wait_stopped(&watched, EVER).unwrap();
                assert_eq!(told.get(), 1);
            });
        }
    }
}

/// What an actor fails at is gone with it; what waited behind is not.
#[test]
fn a_restart_loses_nothing_that_waits() {
    for wait in WAITS {
        schedules(move || {
            let system = system(1, wait);
            let (made, handled) = (Count::default(), Count::default());
            let counts = (made.clone(), handled.clone());
            let supervisor = OneForOne::new(100, EVER);
            let actor = system
                .spawn_with(
                    "actor",
                    move || {
                        let (made, handled) = counts.clone();
                        made.add();
                        receive(move |_, fails: bool| {
                            if fails {
                                return Next::Fail(Failure::new("broken"));
                            }
                            handled.add();
                            Next::Same
                        })
                    },
                    SpawnOptions::new().supervisor(supervisor),
                )
                .unwrap();
            let tellers = [(); 2].map(|()| {
                let actor = actor.clone();
                thread::spawn(move || {
                    [false, true, false]
                        .into_iter()
                        .for_each(|fails| actor.tell(fails))
                })
            });
            tellers.into_iter().for_each(|teller| teller.join().unwrap());
            while handled.get() < 4 || made.get() < 3 {
                thread::yield_now();
            }
            system.shutdown(EVER).unwrap();
            assert_eq!((made.get(), handled.get()), (3, 4));
        });
    }
}

/// Each message is handled, dropped and counted, or given back.
#[test]
fn full_mailboxes() {
    for overflow in [Overflow::DropNew, Overflow::DropOldest, Overflow::Reject] {
        schedules(move || {
            let system = system(1, WaitStrategy::park());
            let handled = Count::default();
            let count = handled.clone();
            let actor = system
                .spawn_with(
                    "actor",
                    move || {
                        let count = count.clone();
                        receive(move |_, ()| {
                            count.add();
                            Next::Same
                        })
                    },
                    SpawnOptions::new().mailbox(Mailbox::bounded(1, overflow)),
                )
                .unwrap();
            let refused = Count::default();
            let tellers = [(); 2].map(|()| {
                let (actor, refused) = (actor.clone(), refused.clone());
                thread::spawn(move || {
                    for _ in 0..2 {
                        match actor.try_tell(()) {
                            Ok(()) => {}
                            Err(TryTellError::Full(())) => refused.add(),
                            Err(other) => panic!("{other}"),
                        }
                    }
                })
            });
            tellers.into_iter().for_each(|teller| teller.join().unwrap());
            while handled.get() + actor.dropped() + refused.get() < 4 {
                thread::yield_now();
            }
            system.shutdown(EVER).unwrap();
            assert_eq!(handled.get() + actor.dropped() + refused.get(), 4);
            assert!(refused.get() == 0 || overflow == Overflow::Reject);
        });
    }
}

/// Says as it stops who it is.
struct Member {
    name: &'static str,
    children: &'static [(&'static str, usize)],
    made: Count,
    stopped: Arc<Mutex<Vec<&'static str>>>,
}

impl Actor for Member {
    type Msg = ();

    fn on_start(&mut self, context: &mut Context<'_, ()>) {
        for &(name, worker) in self.children {
            let (made, stopped) = (Count::default(), self.stopped.clone());
            let child = move || Member {
                name,
                children: &[],
                made: made.clone(),
                stopped: stopped.clone(),
            };
            match context.spawn_with(name, child, on(worker)) {
                Ok(_) => self.made.add(),
                Err(SpawnError::ShutDown { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }

    fn receive(&mut self, _: &mut Context<'_, ()>, (): ()) -> Next<Self> {
        Next::Same
    }

    fn on_stop(&mut self, _: &mut Context<'_, ()>) {
        self.stopped.lock().unwrap().push(self.name);
    }
}

/// Also when the system ends before the parent has made them.
#[test]
fn children_stop_before_their_parent() {
    for wait in WAITS {
        schedules(move || {
            let system = system(2, wait);
            let stopped = Arc::<Mutex<Vec<_>>>::default();
            let made = Count::default();
            let (count, list) = (made.clone(), stopped.clone());
            let parent = move || Member {
                name: "parent",
                children: &[("near", 0), ("far", 1)],
                made: count.clone(),
                stopped: list.clone(),
            };
            system.spawn_with("parent", parent, on(0)).unwrap();
            system.shutdown(EVER).unwrap();
            let stopped = std::mem::take(&mut *stopped.lock().unwrap());
            assert_eq!(stopped.last(), Some(&"parent"));
            assert_eq!(stopped.len() as u64, made.get() + 1);
        });
    }
}

/// A timer, what another thread tells, and the result of a task on a thread of its own: each comes once.
#[test]
fn all_that_an_actor_gets() {
    for wait in WAITS {
        schedules(move || {
            let system = system(1, wait);
            let handled = Arc::<Mutex<Vec<_>>>::default();
            let list = handled.clone();
            let actor = system
                .spawn("actor", move || {
                    let list = list.clone();
                    setup(move |context: &mut Context<'_, &'static str>| {
                        context.after("late", Duration::from_nanos(50), "timer");
                        context.spawn_blocking(|| (), |_| "task");
                        receive(move |_, message| {
                            let mut list = list.lock().unwrap();
                            list.push(message);
                            if list.len() == 3 { Next::Stop } else { Next::Same }
                        })
                    })
                })
                .unwrap();
            actor.tell("told");
            system.wait_stopped(&actor, EVER).unwrap();
            let mut handled = std::mem::take(&mut *handled.lock().unwrap());
            handled.sort_unstable();
            assert_eq!(handled, ["task", "timer", "told"]);
        });
    }
}
