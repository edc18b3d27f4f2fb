//! Rows K15, K16 and K17: what is done about an actor that fails.

use std::sync::mpsc::channel as mpsc;
use std::time::Duration;

use millstream::{
    ActorPath, ActorRestarted, Directive, Failure, Next, OneForOne, SpawnOptions, StopReason, Supervisor,
};

use crate::support::{Do, LONG, Life, Strings, assert_lives, life, mute, puppet, system, tests};

tests! {
    k15_the_supervisor_decides
    k15_a_supervisor_can_be_a_type_with_a_state
    k16_one_for_one_restarts_so_many_times
    k16_the_window_slides
    k16_the_decider_is_asked_first_and_the_limit_still_holds
    k16_siblings_go_on
    k17_escalation_is_the_parents_failure
    k17_escalation_goes_up_as_far_as_it_is_passed_on
    k17_escalation_at_the_root_is_a_stop
}

fn supervised(supervisor: impl Supervisor) -> SpawnOptions<Do> {
    SpawnOptions::new().supervisor(supervisor)
}

fn k15_the_supervisor_decides() {
    let system = system(1);
    let (told, heard) = mpsc();
    let decide = move |actor: &ActorPath, failure: &Failure| {
        told.send((actor.to_string(), failure.clone())).unwrap();
        if failure.is_panic() {
            Directive::Restart
        } else {
            Directive::Stop
        }
    };
    let actor = system.spawn_with("actor", mute(), supervised(decide)).unwrap();
    actor.fail("one");
    assert_lives(&actor);
    actor.make(|_, _| Next::Fail(Failure::new("two")));
    system.wait_stopped(&actor, LONG).unwrap();
    let (path, failure) = heard.recv().unwrap();
    assert_eq!(
        (path.as_str(), failure.message(), failure.is_panic()),
        ("/actor", "one", true)
    );
    assert_eq!(heard.recv().unwrap().1, Failure::new("two"));
}

fn k15_a_supervisor_can_be_a_type_with_a_state() {
    struct Twice(u32);
    impl Supervisor for Twice {
        fn decide(&mut self, _: &ActorPath, _: &Failure) -> Directive {
            self.0 += 1;
            if self.0 <= 2 {
                Directive::Restart
            } else {
                Directive::Stop
            }
        }
    }
    let system = system(1);
    let actor = system.spawn_with("actor", mute(), supervised(Twice(0))).unwrap();
    for _ in 0..2 {
        actor.fail("broken");
        assert_lives(&actor);
    }
    actor.fail("broken");
    system.wait_stopped(&actor, LONG).unwrap();
}

fn k16_one_for_one_restarts_so_many_times() {
    for (limit, supervisor) in [
        (3, OneForOne::default()),
        (0, OneForOne::new(0, LONG)),
        (7, OneForOne::new(7, Duration::MAX)),
    ] {
        let system = system(1);
        let restarts = system.events().subscribe::<ActorRestarted>(16);
        let actor = system
            .spawn_with("actor", mute(), supervised(supervisor))
            .unwrap();
        for _ in 0..=limit {
            actor.fail("broken");
        }
        let end = system.wait_stopped(&actor, LONG).unwrap();
        assert!(matches!(end.reason, StopReason::Failed(_)));
        assert_eq!(std::iter::from_fn(|| restarts.try_next()).count(), limit);
    }
}

fn k16_the_window_slides() {
    let system = system(1);
    // Every restart is out of a window of no length by the time of the next.
    let actor = system
        .spawn_with("actor", mute(), supervised(OneForOne::new(1, Duration::ZERO)))
        .unwrap();
    for _ in 0..20 {
        actor.fail("broken");
        assert_lives(&actor);
        let moment = std::time::Instant::now();
        crate::support::until(|| moment.elapsed() > Duration::from_micros(1));
    }
}

fn k16_the_decider_is_asked_first_and_the_limit_still_holds() {
    let system = system(1);
    let decide = |failure: &Failure| match failure.message() {
        "again" => Directive::Restart,
        _ => Directive::Stop,
    };
    let options = || supervised(OneForOne::new(2, LONG).decider(decide));
    let stops = system.spawn_with("stops", mute(), options()).unwrap();
    stops.fail("for good");
    system.wait_stopped(&stops, LONG).unwrap();
    let limited = system.spawn_with("limited", mute(), options()).unwrap();
    for _ in 0..2 {
        limited.fail("again");
        assert_lives(&limited);
    }
    limited.fail("again");
    system.wait_stopped(&limited, LONG).unwrap();
}

fn k16_siblings_go_on() {
    let system = system(1);
    let parent = system.spawn("parent", mute()).unwrap();
    let (one, two) = parent.get(|_, context| {
        let one = context
            .spawn_with("one", mute(), supervised(OneForOne::default()))
            .unwrap();
        (one, context.spawn("two", mute()).unwrap())
    });
    assert_eq!(two.get(|puppet, _| puppet.handled), 1);
    one.fail("broken");
    assert_eq!(one.get(|puppet, _| puppet.handled), 1, "made anew");
    assert_eq!(two.get(|puppet, _| puppet.handled), 2);
    assert_eq!(parent.get(|puppet, _| puppet.handled), 2);
    // A child that is stopped for good does not stop its parent.
    two.fail("broken");
    system.wait_stopped(&two, LONG).unwrap();
    assert_lives(&parent);
}

fn k17_escalation_is_the_parents_failure() {
    for (worker, supervisor_restarts) in [(0, true), (1, true), (0, false), (1, false)] {
        let system = system(2);
        let (told, heard) = mpsc();
        let options = SpawnOptions::new().on_worker(0);
        let options = if supervisor_restarts {
            options.supervisor(OneForOne::default())
        } else {
            options
        };
        let parent = system.spawn_with("parent", puppet(told), options).unwrap();
        let child = parent.get(move |_, context| {
            let options = supervised(OneForOne::default().decider(|_| Directive::Escalate)).on_worker(worker);
            context.spawn_with("child", mute(), options).unwrap()
        });
        child.fail("broken");
        let end = system.wait_stopped(&child, LONG).unwrap();
        assert!(matches!(end.reason, StopReason::Failed(_)));
        if supervisor_restarts {
            crate::support::until(|| parent.get(|_, context| context.children().is_empty()));
            system.stop(&parent);
        }
        let end = system.wait_stopped(&parent, LONG).unwrap();
        let lives = life(heard);
        let restarts = Life::Restarts(Some("broken".to_owned()));
        assert_eq!(lives.contains(&restarts), supervisor_restarts, "{lives:?}");
        if !supervisor_restarts {
            let StopReason::Failed(failure) = end.reason else {
                panic!("{end:?}")
            };
            assert_eq!(failure.message(), "broken");
        }
    }
}

fn k17_escalation_goes_up_as_far_as_it_is_passed_on() {
    let system = system(2);
    let escalating = || supervised(|_: &ActorPath, _: &Failure| Directive::Escalate);
    let top = system
        .spawn_with("top", mute(), supervised(OneForOne::default()))
        .unwrap();
    let middle = top.get(move |_, context| context.spawn_with("middle", mute(), escalating()).unwrap());
    let low = middle.get(move |_, context| {
        context
            .spawn_with("low", mute(), escalating().on_worker(1))
            .unwrap()
    });
    let restarts = system.events().subscribe::<ActorRestarted>(4);
    low.fail("broken");
    system.wait_stopped(&middle, LONG).unwrap();
    assert!(low.is_stopped());
    assert_eq!(restarts.next_deadline(LONG).unwrap().path, *top.path());
    assert!(restarts.try_next().is_none());
    assert_lives(&top);
}

fn k17_escalation_at_the_root_is_a_stop() {
    let system = system(1);
    let options = supervised(|_: &ActorPath, _: &Failure| Directive::Escalate);
    let actor = system.spawn_with("actor", mute(), options).unwrap();
    actor.fail("broken");
    let end = system.wait_stopped(&actor, LONG).unwrap();
    assert!(matches!(end.reason, StopReason::Failed(_)));
}
