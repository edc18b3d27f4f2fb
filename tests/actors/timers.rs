//! Row K22: timers by key.

use std::sync::mpsc::channel as mpsc;
use std::time::{Duration, Instant};

use millstream::{Next, OneForOne, SpawnOptions, receive, setup};

use crate::support::{LONG, Strings, mute, order, system, tests};

tests! {
    k22_once_and_again_and_again
    k22_not_before_its_time
    k22_the_same_key_replaces
    k22_a_timer_that_is_due_can_still_be_cancelled_or_replaced
    k22_a_timer_can_cancel_itself_and_set_itself_anew
    k22_a_stop_and_a_restart_end_all_timers
    k22_never_is_a_time_too
    k22_ticks_that_come_too_late_are_not_made_up_for
    k22_a_fast_timer_lets_others_run
    k22_many_timers_come_in_order
}

const TICK: Duration = Duration::from_millis(1);

fn k22_once_and_again_and_again() {
    let system = system(1);
    let (told, heard) = mpsc();
    let actor = system
        .spawn("actor", move || {
            let told = told.clone();
            setup(move |context| {
                let mut count = 0;
                context.after("once", TICK, 1000);
                context.every("tick", TICK, move || {
                    count += 1;
                    count
                });
                receive(move |_, number: u32| {
                    told.send(number).unwrap();
                    Next::Same
                })
            })
        })
        .unwrap();
    let (once, ticks): (Vec<_>, Vec<_>) = heard.iter().take(50).partition(|number| *number == 1000);
    assert_eq!(once.len(), 1);
    assert!(ticks.into_iter().eq(1..50));
    system.stop_and_wait(&actor, LONG).unwrap();
}

fn k22_not_before_its_time() {
    let system = system(1);
    let actor = system.spawn("actor", mute()).unwrap();
    for delay in [0, 1, 7, 20].map(Duration::from_millis) {
        let (told, heard) = mpsc();
        let (one, two) = (told.clone(), told);
        let began = Instant::now();
        actor.make(move |_, context| {
            let say = order(move |_, _| {
                one.send(Instant::now()).unwrap();
                Next::Same
            });
            context.after("once", delay, say);
            context.every("tick", delay, move || {
                let two = two.clone();
                order(move |_, context| {
                    two.send(Instant::now()).unwrap();
                    context.cancel_timer("tick");
                    Next::Same
                })
            });
            Next::Same
        });
        for _ in 0..2 {
            assert!(heard.recv().unwrap() - began >= delay);
        }
    }
}

fn k22_the_same_key_replaces() {
    let system = system(1);
    let actor = system.spawn("actor", mute()).unwrap();
    let (told, heard) = mpsc();
    actor.make(move |_, context| {
        for number in 0..10 {
            let told = told.clone();
            let say = order(move |_, _| {
                told.send(number).unwrap();
                Next::Same
            });
            context.after("key", TICK, say);
        }
        // Of the other kind, too, and by an owned key.
        context.every(String::from("other"), TICK, || panic!("replaced"));
        let done = order(move |_, _| {
            drop(told);
            Next::Same
        });
        context.after("other", 2 * TICK, done);
        Next::Same
    });
    assert_eq!(heard.iter().collect::<Vec<_>>(), [9]);
    assert!(!actor.is_stopped());
}

/// Two timers are due at once, and the message of the first cancels or replaces the second: nothing comes of that one.
fn k22_a_timer_that_is_due_can_still_be_cancelled_or_replaced() {
    for replaces in [false, true] {
        let system = system(1);
        let (told, heard) = mpsc();
        let actor = system.spawn("actor", mute()).unwrap();
        actor.make(move |_, context| {
            let (first, second) = (told.clone(), told);
            let begin = order(move |_, context| {
                first.send("first").unwrap();
                if replaces {
                    let third = order(move |_, _| {
                        first.send("third").unwrap();
                        Next::Same
                    });
                    context.after("second", TICK, third);
                } else {
                    context.cancel_timer("second");
                }
                Next::Same
            });
            context.after("first", TICK, begin);
            let never = order(move |_, _| {
                second.send("second").unwrap();
                Next::Same
            });
            context.after("second", TICK, never);
            // Both are due before the worker looks at either.
            let due = Instant::now() + 2 * TICK;
            crate::support::until(|| Instant::now() > due);
            Next::Same
        });
        let expected: &[_] = if replaces { &["first", "third"] } else { &["first"] };
        assert_eq!(heard.iter().collect::<Vec<_>>(), expected);
    }
}

fn k22_a_timer_can_cancel_itself_and_set_itself_anew() {
    let system = system(1);
    let (told, heard) = mpsc();
    let actor = system
        .spawn("actor", move || {
            let told = told.clone();
            setup(move |context| {
                context.every("tick", TICK, || 0u32);
                let mut seen = 0;
                receive(move |context, number| {
                    told.send(number).unwrap();
                    seen += 1;
                    match seen {
                        3 => context.cancel_timer("tick"),
                        _ if number > 0 => return Next::Stop,
                        _ => {}
                    }
                    if seen == 3 {
                        context.after("tick", TICK, 7);
                    }
                    Next::Same
                })
            })
        })
        .unwrap();
    system.wait_stopped(&actor, LONG).unwrap();
    drop(system);
    assert_eq!(heard.iter().collect::<Vec<_>>(), [0, 0, 0, 7]);
}

fn k22_a_stop_and_a_restart_end_all_timers() {
    let system = system(1);
    let options = SpawnOptions::new().supervisor(OneForOne::default());
    let actor = system.spawn_with("actor", mute(), options).unwrap();
    for ends in ["restart", "stop"] {
        let (told, heard) = mpsc::<()>();
        actor.get(move |_, context| {
            let again = told.clone();
            context.every("tick", Duration::from_micros(10), move || {
                let _ = again.send(());
                crate::support::nothing()
            });
            context.after(
                "once",
                LONG,
                order(move |_, _| {
                    drop(told);
                    Next::Same
                }),
            );
        });
        heard.recv().unwrap();
        if ends == "restart" {
            actor.fail("broken");
            actor.get(|_, _| ());
        } else {
            system.stop_and_wait(&actor, LONG).unwrap();
        }
        // Until both closures are gone, which end the channel.
        heard.iter().for_each(drop);
    }
    assert_eq!(system.events().dead_letters(), 0, "a tick for nobody is nothing");
}

fn k22_never_is_a_time_too() {
    let system = system(1);
    let actor = system.spawn("actor", mute()).unwrap();
    actor.get(|_, context| {
        context.after("never", Duration::MAX, order(|_, _| panic!("this is not never")));
        context.every("never too", Duration::MAX, || panic!("this is not never"));
        context.every("key", TICK, || panic!("replaced"));
        context.after("key", Duration::MAX, crate::support::nothing());
        context.cancel_timer("unknown");
    });
    let (told, heard) = mpsc();
    actor.make(move |_, context| {
        context.after(
            "soon",
            2 * TICK,
            order(move |_, _| {
                told.send(()).unwrap();
                Next::Same
            }),
        );
        Next::Same
    });
    heard.recv().unwrap();
    assert!(!actor.is_stopped());
}

fn k22_ticks_that_come_too_late_are_not_made_up_for() {
    let system = system(1);
    let actor = system.spawn("actor", mute()).unwrap();
    let (told, heard) = mpsc();
    actor.get(move |_, context| {
        context.every("tick", TICK, move || {
            let told = told.clone();
            order(move |_, _| {
                told.send(Instant::now()).unwrap();
                Next::Same
            })
        });
    });
    heard.recv().unwrap();
    let held = actor.hold();
    let end = Instant::now() + 50 * TICK;
    crate::support::until(|| Instant::now() > end);
    let so_far = heard.try_iter().count();
    drop(held);
    // Fifty were missed; those that come do so at their pace.
    let ticks: Vec<_> = heard.iter().take(10).collect();
    assert!(so_far <= 1);
    assert!(ticks[9] - ticks[0] >= 7 * TICK, "{:?}", ticks[9] - ticks[0]);
}

fn k22_a_fast_timer_lets_others_run() {
    let system = system(1);
    let fast = system.spawn("fast", mute()).unwrap();
    let other = system.spawn("other", mute()).unwrap();
    fast.get(|_, context| {
        for key in ["a", "b", "c"] {
            context.every(key, Duration::ZERO, crate::support::nothing);
        }
    });
    for _ in 0..1000 {
        other.get(|_, _| ());
        fast.get(|_, _| ());
    }
    system.shutdown(LONG).unwrap();
}

fn k22_many_timers_come_in_order() {
    let system = system(1);
    let (told, heard) = mpsc();
    system
        .spawn("actor", move || {
            let told = told.clone();
            setup(move |context| {
                // Set in another order than they are due in.
                for number in 0..1000u32 {
                    let number = number * 7 % 1000;
                    context.after(
                        number.to_string(),
                        Duration::from_millis(20) + number * Duration::from_micros(20),
                        number,
                    );
                }
                receive(move |_, number: u32| {
                    told.send(number).unwrap();
                    Next::Same
                })
            })
        })
        .unwrap();
    // Each was set a little later than the one before, so neighbours may change places; the far ones may not.
    let order: Vec<_> = heard.iter().take(1000).collect();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    assert!(sorted.iter().copied().eq(0..1000));
}
