//! The life of an actor: it starts, handles messages, fails, is restarted, stops.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::context::{Body, Context};
use super::event::{ActorRestarted, ActorStarted, ActorStopped};
use super::failure::{Failure, StopReason, quietly};
use super::io::Readiness;
use super::messages::Signal;
use super::props::Props;
use super::reference::{ActorRef, AnyAddress};
use super::service::ServiceKey;
use super::spawn::{Intercept, SpawnOptions};
use super::spy::Spy;
use super::supervision::{Directive, Supervisor};
use super::worker::Worker;

/// Messages that an actor handles before the next one has its turn.
const MESSAGES_A_RUN: usize = 64;

/// Wake-ups, results and answers that an actor handles in a row while messages wait: each may bring about the next.
const SIGNALS_IN_A_ROW: usize = 16;

/// What an actor is to do after a message.
#[derive(Debug)]
#[non_exhaustive]
pub enum Next<A: Actor> {
    /// Go on.
    Same,
    /// Go on as this one.
    Become(A),
    /// Stop.
    Stop,
    /// Be made anew, without having failed.
    Restart,
    /// The message was not for it: the system counts it, and tells who listens.
    Unhandled(A::Msg),
    /// It has failed: its supervisor decides, as after a panic.
    Fail(Failure),
}

/// What handles one message at a time, with a state of its own.
///
/// It is owned by one worker, and runs on that one's thread alone: `&mut self` needs no lock. It must not block; what blocks
/// goes to [`Context::spawn_blocking`]. A panic in any method is a failure: the actor's
/// [supervisor](crate::SpawnOptions::supervisor) decides, and nobody else on the worker notices.
///
/// ```
/// use millstream::{Actor, ActorSystem, Context, Next};
///
/// struct Book {
///     best: f64,
/// }
///
/// impl Actor for Book {
///     type Msg = f64;
///
///     fn receive(&mut self, _: &mut Context<'_, f64>, price: f64) -> Next<Self> {
///         self.best = self.best.max(price);
///         Next::Same
///     }
///
///     fn on_stop(&mut self, _: &mut Context<'_, f64>) {
///         println!("best: {}", self.best);
///     }
/// }
///
/// let system = ActorSystem::builder("prices").build()?;
/// let book = system.spawn("book", || Book { best: 0.0 })?;
/// book.tell(142.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Actor: Sized + 'static {
    /// What it is told.
    type Msg: Send + 'static;

    /// Handles a message.
    fn receive(&mut self, context: &mut Context<'_, Self::Msg>, message: Self::Msg) -> Next<Self>;

    /// Runs before the first message, also after a restart.
    fn on_start(&mut self, _context: &mut Context<'_, Self::Msg>) {}

    /// Runs once, when the actor stops, however that comes about; its children have stopped by then. Not after a failure to
    /// start, and not for what a restart replaces.
    fn on_stop(&mut self, _context: &mut Context<'_, Self::Msg>) {}

    /// Runs before the actor is replaced by a new one. `failure` is `None` when it asked for that itself.
    fn before_restart(&mut self, _context: &mut Context<'_, Self::Msg>, _failure: Option<&Failure>) {}

    /// Runs after the start hook of one that replaced another.
    fn after_restart(&mut self, _context: &mut Context<'_, Self::Msg>) {}
}

/// What a worker knows of an actor that has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    /// Nothing is left to do: whoever brings something sends a note.
    Idle,
    /// There is more to do.
    More,
    /// It has stopped.
    Gone,
}

/// An actor whose type does not matter.
pub(super) trait AnyCell {
    /// Attends to what waits, for one turn.
    fn run(&mut self, worker: &mut Worker) -> Ran;
    /// Lets the actor fail in its next turn.
    fn fail_later(&self, failure: Failure);
    /// A timer of it is due.
    fn timer_is_due(&mut self, worker: &mut Worker, timer: u64, now: Instant);
    /// A descriptor of it is ready.
    fn descriptor_is_ready(&mut self, io: usize, readiness: Readiness);
}

/// Where an actor stands in its life.
#[derive(Debug)]
enum Phase {
    /// To be made: for the first time, or again.
    New(Option<Again>),
    Running,
    /// Waits for its children to stop.
    Stopping(StopReason),
    Gone,
}

/// Why an actor is made again.
#[derive(Debug)]
struct Again(Option<Failure>);

/// An actor, and all that belongs to it.
pub(super) struct Cell<P: Props> {
    body: Body<P::Msg>,
    props: P,
    actor: Option<P::Actor>,
    phase: Phase,
    parent: Option<Arc<dyn AnyAddress>>,
    supervisor: Option<Box<dyn Supervisor>>,
    services: Vec<ServiceKey<P::Msg>>,
    spy: Option<Spy<P::Msg>>,
    intercept: Option<Intercept<P::Msg>>,
}

impl<P: Props> Cell<P> {
    pub(super) fn new(
        me: ActorRef<P::Msg>,
        parent: Option<Arc<dyn AnyAddress>>,
        props: P,
        options: SpawnOptions<P::Msg>,
    ) -> Self {
        let spy = options.spy.as_ref();
        let children_spy = spy
            .filter(|_| options.spies_on_children)
            .map(|spy| spy.observer.clone());
        Self {
            body: Body::new(me, children_spy),
            props,
            actor: None,
            phase: Phase::New(None),
            parent,
            supervisor: options.supervisor,
            services: options.services,
            spy: options.spy,
            intercept: options.intercept,
        }
    }

    /// Calls into the actor; what it panics with is its failure.
    fn call<R>(
        &mut self,
        worker: &mut Worker,
        call: impl FnOnce(&mut P::Actor, &mut Context<'_, P::Msg>) -> R,
    ) -> Option<Result<R, Failure>> {
        let actor = self.actor.as_mut()?;
        let body = &mut self.body;
        // Whatever the panic left half-done goes with the actor: a failed one is replaced or stopped.
        let called = catch_unwind(AssertUnwindSafe(|| call(actor, &mut Context { body, worker })));
        Some(called.map_err(Failure::of_panic))
    }

    fn start(&mut self, worker: &mut Worker, again: Option<Again>) {
        let made = catch_unwind(AssertUnwindSafe(|| self.props.create()));
        let is_again = again.is_some();
        self.phase = Phase::Running;
        let started = made.map_err(Failure::of_panic).and_then(|actor| {
            self.actor = Some(actor);
            let started = self.call(worker, |actor, context| {
                actor.on_start(context);
                if is_again {
                    actor.after_restart(context);
                }
            });
            started.unwrap_or(Ok(()))
        });
        if let Err(failure) = started {
            return self.fail(worker, failure);
        }
        let (path, events) = (self.body.me.path().clone(), &worker.system.events);
        match again {
            None => events.publish(ActorStarted { path }),
            Some(Again(failure)) => events.publish(ActorRestarted { path, failure }),
        }
        self.stop_if_asked(worker);
    }

    fn stop_if_asked(&mut self, worker: &mut Worker) {
        if self.body.is_to_stop {
            self.stop(worker, StopReason::Stopped);
        }
    }

    fn handle(&mut self, worker: &mut Worker, message: P::Msg) {
        worker.handled += 1;
        if let Some(intercept) = &mut self.intercept
            && matches!(catch_unwind(AssertUnwindSafe(|| intercept(&message))), Ok(true))
        {
            return quietly(|| drop(message));
        }
        let copy = self.spy.as_ref().map(|spy| spy.copy(&message));
        let next = self.call(worker, |actor, context| actor.receive(context, message));
        match next {
            Some(Ok(Next::Fail(failure)) | Err(failure)) => return self.fail(worker, failure),
            Some(Ok(next)) => {
                if let (Some(spy), Some(copy)) = (&self.spy, copy) {
                    spy.tell(self.body.me.path(), copy);
                }
                self.follow(worker, next);
            }
            // It has not started, so nothing is handled.
            None => {}
        }
        self.stop_if_asked(worker);
    }

    fn follow(&mut self, worker: &mut Worker, next: Next<P::Actor>) {
        match next {
            Next::Same => {}
            Next::Become(actor) => {
                let before = self.actor.replace(actor);
                quietly(|| drop(before));
            }
            Next::Stop => self.stop(worker, StopReason::Stopped),
            Next::Restart => self.restart(worker, None),
            Next::Unhandled(message) => {
                let (events, path) = (&worker.system.events, self.body.me.path());
                quietly(|| events.unhandled_message(path, message));
            }
            Next::Fail(failure) => self.fail(worker, failure),
        }
    }

    fn fail(&mut self, worker: &mut Worker, failure: Failure) {
        if matches!(self.phase, Phase::Stopping(_) | Phase::Gone) {
            return;
        }
        log::warn!("actor {}: {failure}", self.body.me.path());
        let path = self.body.me.path();
        let decided = self.supervisor.as_mut().map(|supervisor| {
            // A supervisor that fails itself cannot be asked again.
            catch_unwind(AssertUnwindSafe(|| supervisor.decide(path, &failure))).unwrap_or(Directive::Stop)
        });
        match decided.unwrap_or(Directive::Stop) {
            Directive::Restart => return self.restart(worker, Some(failure)),
            Directive::Stop => {}
            Directive::Escalate => {
                if let Some(parent) = &self.parent {
                    parent.escalate(path.clone(), failure.clone());
                }
            }
        }
        self.stop(worker, StopReason::Failed(failure));
    }

    /// Lets go of the actor; the next turn makes a new one.
    fn restart(&mut self, worker: &mut Worker, failure: Option<Failure>) {
        let said = self.call(worker, |actor, context| {
            actor.before_restart(context, failure.as_ref());
        });
        if let Some(Err(another)) = said {
            log::warn!("actor {}, before its restart: {another}", self.body.me.path());
        }
        self.body.clear(worker);
        quietly(|| drop(self.actor.take()));
        self.phase = Phase::New(Some(Again(failure)));
    }

    fn stop(&mut self, worker: &mut Worker, reason: StopReason) {
        if matches!(self.phase, Phase::Stopping(_) | Phase::Gone) {
            return;
        }
        let childrens = match reason {
            StopReason::Shutdown => StopReason::Shutdown,
            _ => StopReason::Stopped,
        };
        for child in self.body.children.values() {
            child.stop(childrens.clone());
        }
        self.phase = Phase::Stopping(reason);
        self.stop_when_childless(worker);
    }

    fn stop_when_childless(&mut self, worker: &mut Worker) {
        if !self.body.children.is_empty() {
            return;
        }
        let Phase::Stopping(reason) = std::mem::replace(&mut self.phase, Phase::Gone) else {
            return;
        };
        self.body.stop_reason = Some(reason.clone());
        if let Some(Err(failure)) = self.call(worker, |actor, context| actor.on_stop(context)) {
            log::warn!("actor {}, in its stop hook: {failure}", self.body.me.path());
        }
        // A child made by the stop hook has nobody any more who would wait for it.
        for child in std::mem::take(&mut self.body.children).into_values() {
            child.stop(StopReason::Stopped);
        }
        self.body.clear(worker);
        quietly(|| drop(self.actor.take()));
        let me = &self.body.me;
        for key in &self.services {
            worker.system.services.deregister(key, me);
        }
        worker.system.registry.release(me.path());
        me.address.close(&reason);
        for (_, notify) in self.body.watchers.drain(..) {
            notify(me.address.terminated());
        }
        if let Some(parent) = &self.parent {
            parent.child_stopped(me.id());
        }
        worker.system.events.publish(ActorStopped {
            path: me.path().clone(),
            reason,
        });
    }

    fn attend(&mut self, worker: &mut Worker, signal: Signal<P::Msg>) {
        match signal {
            Signal::Stop(reason) => self.stop(worker, reason),
            Signal::Message(message) | Signal::Control(message) if self.is_running() => {
                self.handle(worker, message);
            }
            Signal::Control(message) => quietly(|| drop(message)),
            Signal::Message(message) => self.body.me.address.bury_one(message),
            Signal::Watch(watch, notify) => self.body.watchers.push((watch, notify)),
            Signal::Unwatch(watch) => self.body.watchers.retain(|(known, _)| *known != watch),
            Signal::Terminated(watch, terminated) => {
                if let Some(watched) = self.body.watches.remove(&watch)
                    && let Some(message) = self.made(worker, || (watched.make)(terminated))
                {
                    self.handle(worker, message);
                }
            }
            Signal::Failed(failure) => self.fail(worker, failure),
            Signal::CancelTimer(timer) => self.body.cancel_timer(worker, timer),
            Signal::ChildStopped(child) => {
                self.body.children.remove(&child);
                self.stop_when_childless(worker);
            }
            Signal::Escalated(child, failure) => {
                log::warn!("actor {}: fails with its child {child}", self.body.me.path());
                self.fail(worker, failure);
            }
        }
    }

    /// A message made by the user's function; its panic is the actor's failure.
    fn made(&mut self, worker: &mut Worker, make: impl FnOnce() -> P::Msg) -> Option<P::Msg> {
        match catch_unwind(AssertUnwindSafe(make)) {
            Ok(message) => Some(message),
            Err(payload) => {
                self.fail(worker, Failure::of_panic(payload));
                None
            }
        }
    }

    fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }
}

impl<P: Props> AnyCell for Cell<P> {
    fn run(&mut self, worker: &mut Worker) -> Ran {
        if let Phase::New(again) = &mut self.phase {
            let again = again.take();
            self.start(worker, again);
        }
        let mut left = MESSAGES_A_RUN;
        let mut in_a_row = 0;
        while left > 0 && !matches!(self.phase, Phase::Gone | Phase::New(_)) {
            left -= 1;
            if in_a_row >= SIGNALS_IN_A_ROW && self.is_running() {
                in_a_row = 0;
                if let Some(message) = self.body.me.address.next_message() {
                    self.handle(worker, message);
                    continue;
                }
            }
            if let Some(signal) = self.body.me.address.next_signal() {
                in_a_row += usize::from(matches!(signal, Signal::Message(_) | Signal::Control(_)));
                self.attend(worker, signal);
            } else if !self.is_running() {
                break;
            } else if let Some(message) = self.body.me.address.next_message() {
                in_a_row = 0;
                self.handle(worker, message);
            } else {
                break;
            }
        }
        match self.phase {
            Phase::Gone => Ran::Gone,
            Phase::New(_) => Ran::More,
            _ if left == 0 => Ran::More,
            _ if self.body.me.address.settle(self.is_running()) => Ran::Idle,
            _ => Ran::More,
        }
    }

    fn timer_is_due(&mut self, worker: &mut Worker, timer: u64, now: Instant) {
        let made = catch_unwind(AssertUnwindSafe(|| self.body.timer_is_due(worker, timer, now)));
        match made {
            Ok(Some(message)) => self.body.me.address.signal(Signal::Message(message)),
            Ok(None) => {}
            Err(payload) => self.fail_later(Failure::of_panic(payload)),
        }
    }

    fn fail_later(&self, failure: Failure) {
        self.body.me.address.signal(Signal::Failed(failure));
    }

    fn descriptor_is_ready(&mut self, io: usize, readiness: Readiness) {
        let made = catch_unwind(AssertUnwindSafe(|| self.body.descriptor_is_ready(io, readiness)));
        match made {
            // Nobody misses a wake-up that came too late.
            Ok(Some(message)) => self.body.me.address.signal(Signal::Control(message)),
            Ok(None) => {}
            Err(payload) => self.fail_later(Failure::of_panic(payload)),
        }
    }
}
