//! A panic wherever a user's code is called is the failure of one actor; its worker, and everybody else on it, goes on.

use std::panic::panic_any;
use std::sync::mpsc::channel as mpsc;
use std::time::Duration;

use millstream::{
    Actor, ActorPath, ActorRef, ActorSystem, AskError, Context, Directive, Failure, Next, ReplyTo,
    SpawnOptions, SpyEvent, StopReason, TaskPanicked, receive,
};

use crate::support::{Do, LONG, Strings, assert_lives, mute, order, probe, system, tests};

tests! {
    in_any_method
    in_create
    in_a_timers_closure
    in_a_descriptors_closure
    in_a_watchs_closure
    in_the_map_of_a_question
    in_the_map_of_a_task
    in_a_wakers_closure
    in_the_making_of_a_question
    in_a_supervisor
    in_an_interceptor
    in_the_copy_for_a_spy
    while_a_question_is_held
}

/// A value that panics as it is dropped, once.
pub(crate) struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

/// Two workers' worth of bystanders, one of them on the worker of whatever fails; all at worker 0 but the last.
pub(crate) fn stage() -> (ActorSystem, impl Fn()) {
    let system = system(2);
    let bystanders: Vec<_> = [0, 0, 1]
        .into_iter()
        .enumerate()
        .map(|(number, worker)| {
            let options = SpawnOptions::new().on_worker(worker);
            system
                .spawn_with(&format!("bystander {number}"), mute(), options)
                .unwrap()
        })
        .collect();
    (system, move || bystanders.iter().for_each(assert_lives))
}

pub(crate) fn at_0() -> SpawnOptions<Do> {
    SpawnOptions::new().on_worker(0)
}

pub(crate) fn failure(system: &ActorSystem, actor: &ActorRef<impl Send + 'static>) -> Failure {
    match system.wait_stopped(actor, LONG).unwrap().reason {
        StopReason::Failed(failure) => failure,
        other => panic!("{other}"),
    }
}

/// Panics in the method of this name.
pub(crate) struct Broken(pub(crate) &'static str);

impl Broken {
    pub(crate) fn at(&self, method: &'static str) {
        assert!(self.0 != method, "in {method}");
    }
}

impl Actor for Broken {
    type Msg = &'static str;

    fn receive(&mut self, _: &mut Context<'_, &'static str>, message: &'static str) -> Next<Self> {
        self.at("receive");
        match message {
            "restart" => Next::Restart,
            _ => Next::Stop,
        }
    }

    fn on_start(&mut self, _: &mut Context<'_, &'static str>) {
        self.at("on_start");
    }

    fn on_stop(&mut self, _: &mut Context<'_, &'static str>) {
        self.at("on_stop");
    }

    fn before_restart(&mut self, _: &mut Context<'_, &'static str>, _: Option<&Failure>) {
        self.at("before_restart");
    }

    fn after_restart(&mut self, _: &mut Context<'_, &'static str>) {
        self.at("after_restart");
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        self.at("drop");
    }
}

fn in_any_method() {
    let (system, all_is_well) = stage();
    for method in [
        "receive",
        "on_start",
        "on_stop",
        "before_restart",
        "after_restart",
        "drop",
    ] {
        let options = SpawnOptions::new().on_worker(0);
        let broken = system
            .spawn_with("broken", move || Broken(method), options)
            .unwrap();
        for message in ["restart", "stop"] {
            broken.tell(message);
        }
        let reason = system.wait_stopped(&broken, LONG).unwrap().reason;
        let fails = matches!(method, "receive" | "on_start" | "after_restart");
        assert_eq!(
            matches!(reason, StopReason::Failed(_)),
            fails,
            "{method}: {reason}"
        );
        all_is_well();
    }
}

fn in_create() {
    let (system, all_is_well) = stage();
    let create = || -> millstream::Behaviour<()> { panic!("not made") };
    let broken = system
        .spawn_with("broken", create, SpawnOptions::new().on_worker(0))
        .unwrap();
    assert_eq!(failure(&system, &broken).message(), "not made");
    all_is_well();
}

fn in_a_timers_closure() {
    let (system, all_is_well) = stage();
    let actor = system.spawn_with("actor", mute(), at_0()).unwrap();
    actor.make(|_, context| {
        context.every("tick", Duration::from_micros(1), || panic!("no tick"));
        Next::Same
    });
    assert_eq!(failure(&system, &actor).message(), "no tick");
    all_is_well();
}

#[cfg(unix)]
fn in_a_descriptors_closure() {
    let (system, all_is_well) = stage();
    let actor = system.spawn_with("actor", mute(), at_0()).unwrap();
    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    actor.get(move |_, context| {
        near.set_nonblocking(true).unwrap();
        let interest = millstream::Interest::Readable;
        context
            .watch_io(&near, interest, |_| panic!("not ready"))
            .unwrap();
        std::mem::forget(near);
    });
    drop(far);
    assert_eq!(failure(&system, &actor).message(), "not ready");
    all_is_well();
}

#[cfg(not(unix))]
fn in_a_descriptors_closure() {}

fn in_a_watchs_closure() {
    let (system, all_is_well) = stage();
    let actor = system.spawn_with("actor", mute(), at_0()).unwrap();
    let watched = system.spawn("watched", mute()).unwrap();
    let gone = watched.clone();
    actor.get(move |_, context| {
        context.watch_with(&gone, |_| panic!("it ended"));
    });
    system.stop_and_wait(&watched, LONG).unwrap();
    assert_eq!(failure(&system, &actor).message(), "it ended");
    all_is_well();
}

/// The asker fails, and the one who answers does not.
fn in_the_map_of_a_question() {
    let (system, all_is_well) = stage();
    let echo = crate::support::echo(&system, "echo", SpawnOptions::new().on_worker(1));
    let silent = system.spawn("silent", mute()).unwrap();
    let asker = system.spawn_with("asker", mute(), at_0()).unwrap();
    let asked = echo.clone();
    asker.make(move |_, context| {
        context.ask(&asked, |reply| (1, reply), LONG, |_| panic!("no answer to that"));
        Next::Same
    });
    assert_eq!(failure(&system, &asker).message(), "no answer to that");
    assert_eq!(system.ask(&echo, |reply| (2, reply), LONG).unwrap(), 2);
    all_is_well();
    // At its deadline.
    let asker = system.spawn_with("late", mute(), at_0()).unwrap();
    asker.make(move |_, context| {
        let question = |reply: ReplyTo<()>| {
            order(move |_, _| {
                std::mem::forget(reply);
                Next::Same
            })
        };
        context.ask(&silent, question, Duration::from_millis(1), |_| {
            panic!("too late")
        });
        Next::Same
    });
    assert_eq!(failure(&system, &asker).message(), "too late");
    all_is_well();
}

fn in_the_map_of_a_task() {
    let (system, all_is_well) = stage();
    let actor = system.spawn_with("actor", mute(), at_0()).unwrap();
    actor.make(|_, context| {
        context.spawn_blocking(|| (), |_: Result<(), TaskPanicked>| panic!("no message of that"));
        Next::Same
    });
    assert_eq!(failure(&system, &actor).message(), "no message of that");
    all_is_well();
}

fn in_a_wakers_closure() {
    let (system, all_is_well) = stage();
    let actor = system.spawn_with("actor", mute(), at_0()).unwrap();
    let waker = actor.get(|_, context| context.waker(|| panic!("not awake")));
    waker.wake();
    assert_eq!(failure(&system, &actor).message(), "not awake");
    all_is_well();
}

fn in_the_making_of_a_question() {
    let (system, all_is_well) = stage();
    let echo = crate::support::echo(&system, "echo", SpawnOptions::new().on_worker(1));
    let actor = system.spawn_with("actor", mute(), at_0()).unwrap();
    let asked = echo.clone();
    let (told, heard) = mpsc();
    actor.make(move |_, context| {
        let question = |_: ReplyTo<u64>| -> (u64, ReplyTo<u64>) { panic!("no question") };
        context.ask(&asked, question, LONG, move |answer: Result<u64, AskError>| {
            told.send(answer.is_err()).unwrap();
            crate::support::nothing()
        });
        Next::Same
    });
    assert_eq!(failure(&system, &actor).message(), "no question");
    assert!(heard.recv().unwrap());
    all_is_well();
}

fn in_a_supervisor() {
    let (system, all_is_well) = stage();
    for bomb in [false, true] {
        let decide = move |_: &ActorPath, _: &Failure| -> Directive {
            if bomb {
                panic_any(Grenade)
            } else {
                panic!("undecided")
            }
        };
        let actor = system
            .spawn_with("actor", mute(), at_0().supervisor(decide))
            .unwrap();
        actor.fail("broken");
        assert_eq!(failure(&system, &actor).message(), "broken");
        all_is_well();
    }
}

fn in_an_interceptor() {
    let (system, all_is_well) = stage();
    let options = SpawnOptions::new()
        .on_worker(0)
        .intercept(|number: &u32| match number {
            0 => panic!("not seen"),
            1 => panic_any(Grenade),
            _ => false,
        });
    let (actor, heard) = crate::support::probe_with::<u32>(&system, "actor", options);
    for number in 0..3u32 {
        actor.tell(number);
    }
    // It is for tests, and swallows nothing by failing.
    assert_eq!(heard.iter().take(3).collect::<Vec<_>>(), [0, 1, 2]);
    all_is_well();
}

/// Cannot be copied, and its copies cannot be dropped.
struct Unique(u32);

impl Clone for Unique {
    fn clone(&self) -> Self {
        assert!(self.0 != 1, "there is one only");
        Self(self.0 + 10)
    }
}

impl Drop for Unique {
    fn drop(&mut self) {
        if self.0 >= 10 && !std::thread::panicking() {
            panic!("not to be dropped");
        }
    }
}

fn in_the_copy_for_a_spy() {
    let (system, all_is_well) = stage();
    let (observer, events) = probe::<SpyEvent>(&system, "observer");
    let (told, heard) = mpsc();
    let spied = move || {
        let told = told.clone();
        receive(move |_, message: Unique| {
            told.send(message.0).unwrap();
            if message.0 == 3 { Next::Stop } else { Next::Same }
        })
    };
    let options = SpawnOptions::new().on_worker(0).spy((&observer).into());
    let actor = system.spawn_with("actor", spied, options).unwrap();
    actor.tell(Unique(1));
    assert_eq!(heard.recv().unwrap(), 1, "it is handled, copied or not");
    assert!(events.recv().unwrap().message::<Unique>().is_none());
    system.stop_and_wait(&observer, LONG).unwrap();
    // The copies that nobody takes are dropped.
    for number in [2, 3] {
        actor.tell(Unique(number));
        assert_eq!(heard.recv().unwrap(), number);
    }
    assert_eq!(
        system.wait_stopped(&actor, LONG).unwrap().reason,
        StopReason::Stopped
    );
    all_is_well();
}

/// The asker hears of it at once, and its own panic in turn does not meet the first one.
fn while_a_question_is_held() {
    let (system, all_is_well) = stage();
    let asked = system.spawn_with("asked", mute(), at_0()).unwrap();
    let asker = system.spawn("asker", mute()).unwrap();
    let to = asked.clone();
    asker.make(move |_, context| {
        let question = |reply: ReplyTo<()>| {
            order(move |_, _| {
                let _reply = reply;
                panic!("broken")
            })
        };
        context.ask(&to, question, LONG, |_| panic!("too"));
        Next::Same
    });
    assert_eq!(failure(&system, &asked).message(), "broken");
    assert_eq!(failure(&system, &asker).message(), "too");
    all_is_well();
}
