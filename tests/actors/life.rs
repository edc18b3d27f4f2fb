//! Rows K5, K7, K8, K9, K13 and K21: how actors start, what they do after a message, and how they end.

use std::sync::mpsc::channel as mpsc;

use millstream::{
    ActorRestarted, ActorStarted, ActorStopped, Behaviour, Failure, Next, OneForOne, SpawnOptions,
    StopReason, UnhandledMessage, receive, setup,
};

use crate::support::{LONG, Life, Strings, life, mute, puppet, system, tests};

tests! {
    k5_a_behaviour_becomes_another
    k5_setups_may_nest_and_run_again_when_they_are_become
    k5_unhandled_is_counted_and_ignore_is_not
    k5_stop_from_anywhere
    k7_a_panic_stops_the_actor_and_nobody_else
    k7_what_waited_for_a_failed_actor_is_a_dead_letter
    k8_a_restart_keeps_the_mailbox_and_the_children_and_loses_the_state
    k8_a_restart_carries_the_failure
    k9_children_stop_first
    k9_children_that_the_stop_hook_makes_stop_too
    k9_nothing_is_handled_while_the_children_stop
    k13_starts_stops_and_restarts_are_told
    k21_the_hooks_run_in_order
    k21_the_stop_hook_runs_once_however_it_ends
    k21_no_stop_hook_after_a_failed_start
    k21_a_stop_asked_for_in_a_hook_is_heard
}

fn k5_a_behaviour_becomes_another() {
    fn light(green: bool, told: std::sync::mpsc::Sender<bool>) -> Behaviour<()> {
        receive(move |_, ()| {
            told.send(green).unwrap();
            Next::Become(light(!green, told.clone()))
        })
    }
    let system = system(1);
    let (told, heard) = mpsc();
    let actor = system.spawn("light", move || light(false, told.clone())).unwrap();
    for _ in 0..1000 {
        actor.tell(());
    }
    let seen: Vec<_> = heard.iter().take(1000).collect();
    assert!(
        seen.iter()
            .enumerate()
            .all(|(turn, green)| *green == (turn % 2 == 1))
    );
}

fn k5_setups_may_nest_and_run_again_when_they_are_become() {
    fn nested(depth: u32, told: std::sync::mpsc::Sender<u32>) -> Behaviour<u32> {
        setup(move |_| {
            told.send(depth).unwrap();
            if depth > 0 {
                return nested(depth - 1, told);
            }
            receive(move |_, depth| {
                told.send(100).unwrap();
                Next::Become(nested(depth, told.clone()))
            })
        })
    }
    let system = system(1);
    let (told, heard) = mpsc();
    let actor = system.spawn("a", move || nested(3, told.clone())).unwrap();
    actor.tell(1u32);
    actor.tell(10_000u32);
    let expected = [3, 2, 1, 0, 100, 1, 0, 100].into_iter().chain((0..=10_000).rev());
    for depth in expected {
        assert_eq!(heard.recv(), Ok(depth));
    }
}

fn k5_unhandled_is_counted_and_ignore_is_not() {
    let system = system(1);
    let unhandled = system.events().subscribe::<UnhandledMessage>(8);
    let ignores = system.spawn("ignores", Behaviour::<u32>::ignore).unwrap();
    let picky = system
        .spawn("picky", || {
            receive(|_, number: u32| {
                if number == 0 {
                    Next::Same
                } else {
                    Next::Unhandled(number)
                }
            })
        })
        .unwrap();
    for number in [0u32, 7, 0, 8] {
        ignores.tell(number);
        picky.tell(number);
    }
    for number in [7u32, 8] {
        let letter = unhandled.next_deadline(LONG).unwrap();
        assert_eq!(
            (letter.to().as_str(), letter.take::<u32>()),
            ("/picky", Some(number))
        );
    }
    system.stop_and_wait(&ignores, LONG).unwrap();
    assert_eq!(system.events().unhandled(), 2);
    assert_eq!(unhandled.try_next().map(|letter| letter.to().clone()), None);
}

fn k5_stop_from_anywhere() {
    let system = system(2);
    // By what it returns, by the context, in its setup, by another actor, from outside.
    let one = system.spawn("one", || receive(|_, ()| Next::Stop)).unwrap();
    one.tell(());
    let two = system.spawn("two", mute()).unwrap();
    two.make(|_, context| {
        context.stop();
        Next::Same
    });
    let three = system
        .spawn("three", || {
            setup(|context| {
                context.stop();
                receive(|_, ()| panic!("it stopped before"))
            })
        })
        .unwrap();
    three.tell(());
    let four = system.spawn("four", mute()).unwrap();
    let stopped = four.clone();
    let other = system.spawn("other", mute()).unwrap();
    other.make(move |_, context| {
        context.stop_actor(&stopped);
        Next::Same
    });
    let five = system.spawn("five", mute()).unwrap();
    system.stop(&five);
    for end in [
        system.wait_stopped(&one, LONG),
        system.wait_stopped(&two, LONG),
        system.wait_stopped(&three, LONG),
        system.wait_stopped(&four, LONG),
        system.wait_stopped(&five, LONG),
    ] {
        assert_eq!(end.unwrap().reason, StopReason::Stopped);
    }
    other.get(|_, _| ());
}

fn k7_a_panic_stops_the_actor_and_nobody_else() {
    let system = system(1);
    let neighbour = system.spawn("neighbour", mute()).unwrap();
    let actor = system.spawn("actor", mute()).unwrap();
    actor.fail("broken");
    let end = system.wait_stopped(&actor, LONG).unwrap();
    let StopReason::Failed(failure) = end.reason else {
        panic!("{end:?}")
    };
    assert!(failure.is_panic());
    assert_eq!(failure.to_string(), "panicked: broken");
    let polite = system.spawn("polite", mute()).unwrap();
    polite.make(|_, _| Next::Fail(Failure::new("no line")));
    let end = system.wait_stopped(&polite, LONG).unwrap();
    assert_eq!(end.reason, StopReason::Failed(Failure::new("no line")));
    neighbour.get(|_, _| ());
}

fn k7_what_waited_for_a_failed_actor_is_a_dead_letter() {
    let system = system(1);
    let actor = system.spawn("actor", mute()).unwrap();
    let held = actor.hold();
    actor.fail("broken");
    for _ in 0..5 {
        actor.make(|_, _| Next::Same);
    }
    drop(held);
    system.wait_stopped(&actor, LONG).unwrap();
    assert_eq!(system.events().dead_letters(), 5);
}

fn k8_a_restart_keeps_the_mailbox_and_the_children_and_loses_the_state() {
    let system = system(1);
    let (told, heard) = mpsc();
    let options = SpawnOptions::new().supervisor(OneForOne::default());
    let actor = system.spawn_with("actor", puppet(told), options).unwrap();
    let child = actor.get(|_, context| context.spawn("child", mute()).unwrap());
    let held = actor.hold();
    actor.fail("broken");
    let (sender, sums) = mpsc();
    for _ in 0..5 {
        let sender = sender.clone();
        actor.make(move |puppet, context| {
            sender.send((puppet.handled, context.children().len())).unwrap();
            Next::Same
        });
    }
    drop(held);
    let seen: Vec<_> = sums.iter().take(5).collect();
    assert_eq!(seen, [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]);
    child.get(|_, _| ());
    assert_eq!(system.lookup("/actor"), Ok(actor.clone()));
    system.stop_and_wait(&actor, LONG).unwrap();
    assert!(child.is_stopped());
    let lives = life(heard);
    assert_eq!(lives.iter().filter(|life| **life == Life::Created).count(), 2);
    assert_eq!(system.events().dead_letters(), 0);
}

fn k8_a_restart_carries_the_failure() {
    let system = system(1);
    let restarts = system.events().subscribe::<ActorRestarted>(8);
    let options = SpawnOptions::new().supervisor(OneForOne::default());
    let actor = system.spawn_with("actor", mute(), options).unwrap();
    actor.fail("broken");
    let restart = restarts.next_deadline(LONG).unwrap();
    assert_eq!(restart.path.as_str(), "/actor");
    assert_eq!(restart.failure.unwrap().message(), "broken");
    actor.make(|_, _| Next::Restart);
    assert_eq!(restarts.next_deadline(LONG).unwrap().failure, None);
}

fn k9_children_stop_first() {
    let system = system(2);
    let stopped = system.events().subscribe::<ActorStopped>(8);
    let parent = system.spawn("a", mute()).unwrap();
    let child = parent.get(|_, context| {
        context
            .spawn_with("b", mute(), SpawnOptions::new().on_worker(1))
            .unwrap()
    });
    child.get(|_, context| {
        context
            .spawn_with("c", mute(), SpawnOptions::new().on_worker(0))
            .unwrap()
    });
    system.stop_and_wait(&parent, LONG).unwrap();
    for path in ["/a/b/c", "/a/b", "/a"] {
        let end = stopped.next_deadline(LONG).unwrap();
        assert_eq!((end.path.as_str(), end.reason), (path, StopReason::Stopped));
    }
}

/// Makes a child as it stops.
struct Late(std::sync::mpsc::Sender<Life>);

impl millstream::Actor for Late {
    type Msg = ();

    fn receive(&mut self, _: &mut millstream::Context<'_, ()>, (): ()) -> Next<Self> {
        Next::Stop
    }

    fn on_stop(&mut self, context: &mut millstream::Context<'_, ()>) {
        self.0.send(Life::Said("stop hook")).unwrap();
        let options = SpawnOptions::new().on_worker(1);
        context
            .spawn_with("child", puppet(self.0.clone()), options)
            .unwrap();
    }
}

fn k9_children_that_the_stop_hook_makes_stop_too() {
    let system = system(2);
    let (told, heard) = mpsc();
    let options = SpawnOptions::new().on_worker(0);
    let actor = system
        .spawn_with("late", move || Late(told.clone()), options)
        .unwrap();
    actor.tell(());
    let end = system.wait_stopped(&actor, LONG).unwrap();
    assert_eq!(end.reason, StopReason::Stopped);
    // Whoever hears that the parent has stopped finds the child gone too.
    assert_eq!(system.actors(), []);
    let lives = life(heard);
    assert_eq!(
        lives.iter().filter(|life| matches!(life, Life::Said(_))).count(),
        1,
        "{lives:?}"
    );
    system.shutdown(LONG).unwrap();
}

fn k9_nothing_is_handled_while_the_children_stop() {
    let system = system(2);
    let (told, heard) = mpsc();
    let parent = system
        .spawn_with("parent", puppet(told), SpawnOptions::new().on_worker(0))
        .unwrap();
    let child = parent.get(|_, context| {
        let child = context
            .spawn_with("child", mute(), SpawnOptions::new().on_worker(1))
            .unwrap();
        // A restart at this point would bring the parent back to life.
        context.watch_with(&child, |_| {
            crate::support::order(|puppet, _| {
                puppet.say("handled");
                Next::Restart
            })
        });
        context.every("tick", std::time::Duration::from_micros(50), || {
            crate::support::order(|puppet, context| {
                if context.children().is_empty() {
                    puppet.say("handled");
                }
                Next::Same
            })
        });
        child
    });
    let held = child.hold();
    system.stop(&parent);
    parent.make(|puppet, _| {
        puppet.say("handled");
        Next::Same
    });
    drop(held);
    system.wait_stopped(&parent, LONG).unwrap();
    let lives = life(heard);
    assert_eq!(
        lives,
        [Life::Created, Life::Started, Life::Stopped, Life::Dropped]
    );
    assert_eq!(system.events().dead_letters(), 1);
}

fn k13_starts_stops_and_restarts_are_told() {
    let system = system(1);
    let started = system.events().subscribe::<ActorStarted>(8);
    let restarted = system.events().subscribe::<ActorRestarted>(8);
    let stopped = system.events().subscribe::<ActorStopped>(8);
    let options = SpawnOptions::new().supervisor(OneForOne::default());
    let actor = system.spawn_with("actor", mute(), options).unwrap();
    assert_eq!(started.next_deadline(LONG).unwrap().path, *actor.path());
    actor.fail("broken");
    assert_eq!(restarted.next_deadline(LONG).unwrap().path, *actor.path());
    system.stop(&actor);
    assert_eq!(stopped.next_deadline(LONG).unwrap().path, *actor.path());
    assert!(started.try_next().is_none() && restarted.try_next().is_none() && stopped.try_next().is_none());
}

fn k21_the_hooks_run_in_order() {
    let system = system(1);
    let (told, heard) = mpsc();
    let options = SpawnOptions::new().supervisor(OneForOne::default());
    let actor = system.spawn_with("actor", puppet(told), options).unwrap();
    actor.fail("broken");
    actor.make(|_, _| Next::Restart);
    actor.make(|_, _| Next::Stop);
    assert_eq!(
        life(heard),
        [
            Life::Created,
            Life::Started,
            Life::Restarts(Some("broken".to_owned())),
            Life::Dropped,
            Life::Created,
            Life::Started,
            Life::Restarted,
            Life::Restarts(None),
            Life::Dropped,
            Life::Created,
            Life::Started,
            Life::Restarted,
            Life::Stopped,
            Life::Dropped,
        ]
    );
}

fn k21_the_stop_hook_runs_once_however_it_ends() {
    type End = fn(&millstream::ActorSystem, &millstream::ActorRef<crate::support::Do>);
    let ends: [End; 4] = [
        |_, actor| actor.make(|_, _| Next::Stop),
        |_, actor| actor.fail("broken"),
        |system, actor| {
            for _ in 0..100 {
                system.stop(actor);
            }
        },
        |_, actor| {
            actor.make(|_, context| {
                context.stop();
                context.stop_actor(&context.me().clone());
                Next::Stop
            });
        },
    ];
    for end in ends {
        let system = system(1);
        let (told, heard) = mpsc();
        let actor = system.spawn("actor", puppet(told)).unwrap();
        actor.get(|_, _| ());
        end(&system, &actor);
        assert_eq!(
            life(heard),
            [Life::Created, Life::Started, Life::Stopped, Life::Dropped]
        );
    }
    // And when the system ends.
    let system = system(1);
    let (told, heard) = mpsc();
    let actor = system.spawn("actor", puppet(told)).unwrap();
    actor.get(|_, _| ());
    let stopped = system.events().subscribe::<ActorStopped>(1);
    system.shutdown(LONG).unwrap();
    assert_eq!(stopped.try_next().unwrap().reason, StopReason::Shutdown);
    assert_eq!(
        life(heard),
        [Life::Created, Life::Started, Life::Stopped, Life::Dropped]
    );
}

/// Says which of its hooks run, and fails in one.
struct Hooked {
    told: std::sync::mpsc::Sender<&'static str>,
    start_fails: bool,
    stops_in: &'static str,
}

impl Hooked {
    fn hook(&self, context: &mut millstream::Context<'_, ()>, name: &'static str) {
        self.told.send(name).unwrap();
        if self.stops_in == name {
            context.stop();
        }
    }
}

impl millstream::Actor for Hooked {
    type Msg = ();

    fn receive(&mut self, _: &mut millstream::Context<'_, ()>, (): ()) -> Next<Self> {
        Next::Fail(Failure::new("told to"))
    }

    fn on_start(&mut self, context: &mut millstream::Context<'_, ()>) {
        self.hook(context, "start");
        assert!(!self.start_fails, "no start");
    }

    fn on_stop(&mut self, context: &mut millstream::Context<'_, ()>) {
        self.hook(context, "stop");
    }

    fn before_restart(&mut self, context: &mut millstream::Context<'_, ()>, _: Option<&Failure>) {
        self.hook(context, "before");
    }

    fn after_restart(&mut self, context: &mut millstream::Context<'_, ()>) {
        self.hook(context, "after");
    }
}

fn k21_no_stop_hook_after_a_failed_start() {
    let system = system(1);
    let (told, heard) = mpsc();
    let hooked = move || Hooked {
        told: told.clone(),
        start_fails: true,
        stops_in: "",
    };
    let options = SpawnOptions::new().supervisor(OneForOne::new(2, LONG));
    let actor = system.spawn_with("hooked", hooked, options).unwrap();
    system.wait_stopped(&actor, LONG).unwrap();
    drop(system);
    assert_eq!(heard.iter().collect::<Vec<_>>(), ["start", "start", "start"]);
}

fn k21_a_stop_asked_for_in_a_hook_is_heard() {
    for (stops_in, expected) in [
        ("start", &["start", "stop"][..]),
        ("before", &["start", "before", "stop"]),
        ("after", &["start", "before", "start", "after", "stop"]),
    ] {
        let system = system(1);
        let (told, heard) = mpsc();
        let hooked = move || Hooked {
            told: told.clone(),
            start_fails: false,
            stops_in,
        };
        let options = SpawnOptions::new().supervisor(OneForOne::default());
        let actor = system.spawn_with("hooked", hooked, options).unwrap();
        if stops_in != "start" {
            actor.tell(());
        }
        system.wait_stopped(&actor, LONG).unwrap();
        drop(system);
        assert_eq!(heard.iter().collect::<Vec<_>>(), expected, "{stops_in}");
    }
}
