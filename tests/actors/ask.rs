//! Row K3: questions and answers, waited for, awaited, and as messages.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::channel as mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use millstream::{AskError, Behaviour, DeadLetter, Mailbox, Next, Overflow, ReplyTo, SpawnOptions, receive};

use crate::support::{LONG, Strings, echo, mute, nothing, order, system, tests, until};

tests! {
    k3_an_answer_is_waited_for
    k3_a_deadline_passes
    k3_a_late_answer_is_ignored
    k3_a_stopped_actor_is_an_error_at_once
    k3_a_question_that_waits_as_its_actor_stops
    k3_a_full_mailbox_is_an_error_at_once
    k3_a_question_can_be_refused_dropped_or_passed_on
    k3_a_worker_does_not_wait
    k3_an_answer_is_awaited
    k3_awaiting_ends_at_the_deadline
    k3_awaiting_ends_when_the_actor_stops
    k3_a_future_can_be_dropped_at_any_time
    k3_many_awaited_answers_leave_nothing_behind
    k3_an_actor_asks_and_goes_on
    k3_an_actors_question_has_a_deadline
    k3_an_answer_of_every_size_goes_home_from_everywhere
    k3_an_answer_that_comes_after_the_end_is_a_dead_letter
    a_handle_that_outlives_its_system_gets_an_error
}

/// Runs a future on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

fn k3_an_answer_is_waited_for() {
    let system = system(2);
    let echo = echo(&system, "echo", SpawnOptions::new());
    for number in 0..1000 {
        assert_eq!(system.ask(&echo, |reply| (number, reply), LONG).unwrap(), number);
    }
    let answers: Vec<_> = (0..100)
        .map(|number| system.ask_later(&echo, |reply| (number, reply), LONG))
        .collect();
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.wait().unwrap(), number as u64);
    }
}

fn k3_a_deadline_passes() {
    let system = system(1);
    let mute = system
        .spawn("mute", || {
            let mut kept = Vec::new();
            receive(move |_, reply: ReplyTo<u32>| {
                kept.push(reply);
                Next::Same
            })
        })
        .unwrap();
    for deadline in [Duration::ZERO, Duration::from_millis(5)] {
        let error = system.ask(&mute, |reply| reply, deadline).unwrap_err();
        assert!(matches!(error, AskError::TimedOut), "{error}");
    }
}

fn k3_a_late_answer_is_ignored() {
    let system = system(1);
    let echo = echo(&system, "echo", SpawnOptions::new());
    let busy = system.spawn("busy", mute()).unwrap();
    let held = busy.hold();
    let error = system
        .ask(&echo, |reply| (1, reply), Duration::from_millis(1))
        .unwrap_err();
    assert!(matches!(error, AskError::TimedOut));
    drop(held);
    assert_eq!(system.ask(&echo, |reply| (2, reply), LONG).unwrap(), 2);
    assert_eq!(system.events().dead_letters(), 0);
}

fn k3_a_stopped_actor_is_an_error_at_once() {
    let system = system(1);
    let echo = echo(&system, "echo", SpawnOptions::new());
    system.stop_and_wait(&echo, LONG).unwrap();
    // However much payload somebody keeps.
    let letters = system.events().subscribe::<DeadLetter>(8);
    let error = system.ask(&echo, |reply| (1, reply), LONG).unwrap_err();
    assert!(matches!(error, AskError::Stopped), "{error}");
    let error = block_on(system.ask_later(&echo, |reply| (1, reply), LONG)).unwrap_err();
    assert!(matches!(error, AskError::Stopped), "{error}");
    drop(letters);
}

fn k3_a_question_that_waits_as_its_actor_stops() {
    let system = system(1);
    let echo = echo(&system, "echo", SpawnOptions::new());
    let busy = system.spawn("busy", mute()).unwrap();
    let held = busy.hold();
    let waits = system.ask_later(&echo, |reply| (1, reply), LONG);
    let awaits = system.ask_later(&echo, |reply| (1, reply), LONG);
    system.stop(&echo);
    drop(held);
    assert!(matches!(waits.wait(), Err(AskError::Stopped)));
    assert!(matches!(block_on(awaits), Err(AskError::Stopped)));
    assert_eq!(system.events().dead_letters(), 2);
}

fn k3_a_full_mailbox_is_an_error_at_once() {
    let system = system(1);
    let options = SpawnOptions::new().mailbox(Mailbox::bounded(1, Overflow::Reject));
    let echo = echo(&system, "echo", options);
    let busy = system.spawn("busy", mute()).unwrap();
    let held = busy.hold();
    let first = system.ask_later(&echo, |reply| (1, reply), LONG);
    let error = system.ask(&echo, |reply| (2, reply), LONG).unwrap_err();
    assert!(matches!(error, AskError::Full), "{error}");
    drop(held);
    assert_eq!(first.wait().unwrap(), 1);
    // One that is dropped for another is not answered.
    let options = SpawnOptions::new().mailbox(Mailbox::bounded(1, Overflow::DropOldest));
    let echo = crate::support::echo(&system, "oldest", options);
    let held = busy.hold();
    let first = system.ask_later(&echo, |reply| (1, reply), LONG);
    let second = system.ask_later(&echo, |reply| (2, reply), LONG);
    assert!(matches!(first.wait(), Err(AskError::Unanswered)));
    drop(held);
    assert_eq!(second.wait().unwrap(), 2);
}

fn k3_a_question_can_be_refused_dropped_or_passed_on() {
    let system = system(2);
    let second = echo(&system, "second", SpawnOptions::new());
    let first = system
        .spawn("first", move || {
            let second = second.clone();
            receive(move |_, (number, reply): (u64, ReplyTo<u64>)| match number {
                0 => {
                    reply.refuse("not zero");
                    Next::Same
                }
                1 => Next::Same,
                2 => panic!("broken, with the question in hand"),
                _ => {
                    second.tell((number, reply));
                    Next::Stop
                }
            })
        })
        .unwrap();
    let ask = |number| system.ask(&first, |reply| (number, reply), LONG);
    let refused = ask(0).unwrap_err();
    assert_eq!(refused.to_string(), "refused: not zero");
    assert!(std::error::Error::source(&refused).is_some());
    assert!(matches!(ask(1), Err(AskError::Unanswered)));
    // It goes on to another, and the answer comes although the first has stopped.
    assert_eq!(ask(3).unwrap(), 3);
    system.wait_stopped(&first, LONG).unwrap();
    let first = system
        .spawn("third", || {
            receive(|_, reply: ReplyTo<u64>| -> Next<Behaviour<ReplyTo<u64>>> {
                let _reply = reply;
                panic!("broken, with the question in hand")
            })
        })
        .unwrap();
    assert!(matches!(
        system.ask(&first, |reply| reply, LONG),
        Err(AskError::Unanswered)
    ));
}

fn k3_a_worker_does_not_wait() {
    let (system, other) = (system(2), system(1));
    let echo = echo(&system, "echo", SpawnOptions::new().on_worker(1));
    let actor = system
        .spawn_with("actor", mute(), SpawnOptions::new().on_worker(0))
        .unwrap();
    let asked = echo.clone();
    let error = actor.get(move |_, context| {
        context
            .system()
            .ask(&asked, |reply| (1, reply), LONG)
            .unwrap_err()
    });
    assert!(matches!(error, AskError::OnWorker), "{error}");
    let asked = echo.clone();
    let waited = actor.get(move |_, context| {
        context
            .system()
            .ask_later(&asked, |reply| (1, reply), LONG)
            .wait()
    });
    assert!(matches!(waited, Err(AskError::OnWorker) | Ok(1)), "{waited:?}");
    // A worker of another system is any thread.
    let foreign = other.spawn("foreign", mute()).unwrap();
    let handle = system.handle();
    assert_eq!(
        foreign.get(move |_, _| handle.ask(&echo, |reply| (5, reply), LONG).unwrap()),
        5
    );
}

fn k3_an_answer_is_awaited() {
    let system = system(2);
    let echo = echo(&system, "echo", SpawnOptions::new());
    let sum = block_on(async {
        let mut sum = 0;
        for number in 0..1000 {
            sum += system
                .ask_later(&echo, |reply| (number, reply), LONG)
                .await
                .unwrap();
        }
        sum
    });
    assert_eq!(sum, 499_500);
}

fn k3_awaiting_ends_at_the_deadline() {
    let system = system(2);
    let actor = system.spawn("actor", mute()).unwrap();
    let (kept, keeps) = mpsc();
    for worker_parks in [false, true] {
        if worker_parks {
            let parks = system.workers()[0].parks;
            until(|| system.workers()[0].parks > parks);
        }
        let kept = kept.clone();
        let question = move |reply: ReplyTo<u32>| {
            order(move |_, _| {
                kept.send(reply).unwrap();
                Next::Same
            })
        };
        let error = block_on(system.ask_later(&actor, question, Duration::from_millis(5))).unwrap_err();
        assert!(matches!(error, AskError::TimedOut), "{error}");
        keeps.recv().unwrap().send(3);
    }
}

fn k3_awaiting_ends_when_the_actor_stops() {
    let system = system(2);
    let actor = system.spawn("actor", mute()).unwrap();
    let held = actor.hold();
    let question = |reply: ReplyTo<u32>| {
        order(move |_, _| {
            Next::Unhandled(order(move |_, _| {
                reply.send(1);
                Next::Same
            }))
        })
    };
    let answer = system.ask_later(&actor, question, LONG);
    let handle = system.handle();
    let stopped = actor.clone();
    let stopper = thread::spawn(move || {
        handle.stop(&stopped);
        drop(held);
    });
    assert!(matches!(
        block_on(answer),
        Err(AskError::Stopped | AskError::Unanswered)
    ));
    stopper.join().unwrap();
}

fn k3_a_future_can_be_dropped_at_any_time() {
    let system = system(2);
    let echo = echo(&system, "echo", SpawnOptions::new());
    for turn in 0..1000 {
        let mut answer = Box::pin(system.ask_later(&echo, |reply| (turn, reply), LONG));
        for _ in 0..turn % 3 {
            let _ = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
    }
    assert_eq!(system.ask(&echo, |reply| (7, reply), LONG).unwrap(), 7);
}

/// A waker that counts how many of it there are.
struct Counted;

impl Wake for Counted {
    fn wake(self: Arc<Self>) {}
}

fn k3_many_awaited_answers_leave_nothing_behind() {
    let system = system(1);
    let echo = echo(&system, "echo", SpawnOptions::new());
    let counted = Arc::new(Counted);
    let waker = Waker::from(counted.clone());
    for number in 0..1000 {
        let mut answer = Box::pin(system.ask_later(&echo, |reply| (number, reply), LONG));
        until(|| answer.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    }
    drop(waker);
    until(|| Arc::strong_count(&counted) == 1);
}

fn k3_an_actor_asks_and_goes_on() {
    let system = system(2);
    let echo = echo(&system, "echo", SpawnOptions::new().on_worker(1));
    let actor = system
        .spawn_with("actor", mute(), SpawnOptions::new().on_worker(0))
        .unwrap();
    let (told, heard) = mpsc();
    for number in 0..1000 {
        let (echo, told) = (echo.clone(), told.clone());
        actor.make(move |_, context| {
            context.ask(
                &echo,
                |reply| (number, reply),
                LONG,
                move |answer| {
                    order(move |_, _| {
                        told.send(answer.unwrap()).unwrap();
                        Next::Same
                    })
                },
            );
            Next::Same
        });
    }
    let mut answers: Vec<_> = heard.iter().take(1000).collect();
    answers.sort_unstable();
    assert!(answers.into_iter().eq(0..1000));
}

fn k3_an_actors_question_has_a_deadline() {
    let system = system(1);
    let actor = system.spawn("actor", mute()).unwrap();
    let asked = system.spawn("asked", mute()).unwrap();
    let (kept, keeps) = mpsc();
    let (told, heard) = mpsc();
    actor.make(move |_, context| {
        let question = |reply: ReplyTo<u32>| {
            order(move |_, _| {
                kept.send(reply).unwrap();
                Next::Same
            })
        };
        let map = move |answer: Result<u32, AskError>| {
            order(move |_, _| {
                told.send(answer).unwrap();
                Next::Same
            })
        };
        context.ask(&asked, question, Duration::from_millis(2), map);
        Next::Same
    });
    assert!(matches!(heard.recv().unwrap(), Err(AskError::TimedOut)));
    keeps.recv().unwrap().send(3);
    actor.get(|_, _| ());
    assert!(heard.recv().is_err(), "once only");
    assert_eq!(system.events().dead_letters(), 0);
}

/// Answers a question from an actor of worker 0 with `answer`, on the asker's worker, the other one, a worker of another system, and a
/// thread that is no worker.
fn answered_from_everywhere<R: Clone + PartialEq + std::fmt::Debug + Send + 'static>(answer: R) {
    let (system, another) = (system(2), crate::support::system(2));
    let spawn = |name: &str, worker: usize| {
        let options = SpawnOptions::new().on_worker(worker);
        system.spawn_with(name, mute(), options).unwrap()
    };
    let (asker, beside, elsewhere) = (spawn("asker", 0), spawn("beside", 0), spawn("elsewhere", 1));
    let stranger = another
        .spawn_with("stranger", mute(), SpawnOptions::new().on_worker(1))
        .unwrap();
    let (told, heard) = mpsc();
    for round in 0..100 {
        let (kept, keeps) = mpsc();
        for to in [&beside, &elsewhere, &stranger] {
            let (to, kept, told, answer) = (to.clone(), kept.clone(), told.clone(), answer.clone());
            asker.make(move |_, context| {
                let question = move |reply: ReplyTo<R>| {
                    order(move |_, _| {
                        match round % 2 {
                            0 => reply.send(answer),
                            _ => kept.send((reply, answer)).unwrap(),
                        }
                        Next::Same
                    })
                };
                let map = move |answer: Result<R, AskError>| {
                    order(move |_, _| {
                        told.send(answer.unwrap()).unwrap();
                        Next::Same
                    })
                };
                context.ask(&to, question, LONG, map);
                Next::Same
            });
        }
        drop(kept);
        keeps.iter().for_each(|(reply, answer)| reply.send(answer));
        assert_eq!(
            [0; 3].map(|_| heard.recv().unwrap()),
            [0; 3].map(|_| answer.clone())
        );
    }
}

fn k3_an_answer_of_every_size_goes_home_from_everywhere() {
    answered_from_everywhere(());
    answered_from_everywhere(7u64);
    answered_from_everywhere([1u64, 2, 3]);
    answered_from_everywhere([1u64, 2, 3, 4]);
    answered_from_everywhere([5u8; 300]);
    answered_from_everywhere(1u128 << 100);
    answered_from_everywhere("a text".to_owned());
}

fn k3_an_answer_that_comes_after_the_end_is_a_dead_letter() {
    let system = system(2);
    let on = |worker| SpawnOptions::new().on_worker(worker);
    let asker = system.spawn_with("asker", mute(), on(0)).unwrap();
    let asked = system.spawn_with("asked", mute(), on(1)).unwrap();
    let letters = system.events().subscribe::<DeadLetter>(8);
    let (begun, begins) = mpsc();
    let (release, released) = mpsc::<()>();
    let (told, heard) = mpsc();
    asker.make(move |_, context| {
        let question = move |reply: ReplyTo<u64>| {
            order(move |_, _| {
                begun.send(()).unwrap();
                let _ = released.recv();
                reply.send(7);
                Next::Same
            })
        };
        let map = move |answer: Result<u64, AskError>| {
            told.send(answer).unwrap();
            nothing()
        };
        context.ask(&asked, question, LONG, map);
        Next::Same
    });
    begins.recv().unwrap();
    // Who does not stop is left behind.
    let left = system.shutdown(Duration::from_millis(50)).unwrap_err();
    assert!(left.to_string().contains("/asked"), "{left}");
    until(|| asker.is_stopped());
    release.send(()).unwrap();
    assert!(
        matches!(heard.recv(), Ok(Ok(7))),
        "what is made of it is what is buried"
    );
    let letter = letters.next_deadline(LONG).unwrap();
    assert_eq!(letter.to().as_str(), "/asker");
}

fn a_handle_that_outlives_its_system_gets_an_error() {
    let system = system(2);
    let echo = echo(&system, "echo", SpawnOptions::new());
    let handle = system.handle();
    system.shutdown(LONG).unwrap();
    assert!(matches!(
        handle.ask(&echo, |reply| (1, reply), LONG),
        Err(AskError::Stopped)
    ));
    assert!(matches!(
        block_on(handle.ask_later(&echo, |reply| (1, reply), LONG)),
        Err(AskError::Stopped)
    ));
    assert!(matches!(
        handle.spawn("late", mute()),
        Err(millstream::SpawnError::ShutDown { .. })
    ));
    assert!(handle.lookup::<(u64, ReplyTo<u64>)>("/echo").is_err());
    assert!(handle.stop_and_wait(&echo, LONG).unwrap().is(&echo));
    assert!(echo.is_stopped());
    assert_eq!(handle.actors(), []);
    assert_eq!(handle.name(), "test");
    assert_eq!(handle.workers().len(), 2);
}
