//! The life of an actor: it starts, handles messages, fails, is restarted, stops.

use std::collections::VecDeque;
use std::sync::Arc;

use super::address::AnyAddress;
use super::any_cell::AnyCell;
use super::arrivals::Arrivals;
use super::body::Body;
use super::context::Context;
use super::definition::{Actor, Next};
use super::event::{ActorRestarted, ActorStarted, ActorStopped};
use super::failure::{Failure, StopReason, fenced, quietly};
use super::io::Readiness;
use super::messages::Signal;
use super::phase::{Again, Phase, Ran};
use super::props::Props;
use super::question::Answered;
use super::reference::ActorRef;
use super::service::ServiceKey;
use super::spawn::{Intercept, SpawnOptions};
use super::spy::Spy;
use super::supervision::{Directive, Supervisor};
use super::worker::Worker;
use crate::ring::parcel::Parcel;

/// Messages that an actor handles before the next one has its turn.
const MESSAGES_A_RUN: usize = 64;

/// Signals that an actor attends to in a row while messages wait: each may bring about the next.
const SIGNALS_IN_A_ROW: usize = 16;

/// An actor, and all that belongs to it.
pub(super) struct Cell<P: Props> {
    body: Body<P::Msg>,
    props: P,
    actor: Option<P::Actor>,
    phase: Phase,
    /// The last attempt to start it came to nothing.
    failed_to_start: bool,
    /// The stop hook has run.
    has_said_goodbye: bool,
    /// What came while it could not be started: attended to when it is.
    early: VecDeque<Signal<P::Msg>>,
    arrivals: Arrivals<P::Msg>,
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
            failed_to_start: false,
            has_said_goodbye: false,
            early: VecDeque::new(),
            arrivals: Arrivals::new(),
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
        Some(fenced(|| call(actor, &mut Context { body, worker })))
    }

    fn start(&mut self, worker: &mut Worker, again: Option<Again>) {
        self.phase = Phase::Running;
        let started = fenced(|| self.props.create()).and_then(|actor| {
            self.actor = Some(actor);
            let started = self.call(worker, |actor, context| actor.on_start(context));
            started.unwrap_or(Ok(()))
        });
        self.failed_to_start = started.is_err();
        if let Err(failure) = started {
            // What has not started has nothing to say at a restart or a stop.
            self.let_go(worker);
            return self.fail(worker, failure);
        }
        if again.is_some()
            && let Some(Err(failure)) = self.call(worker, |actor, context| actor.after_restart(context))
        {
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
            && fenced(|| intercept(&message)) == Ok(true)
        {
            return quietly(|| drop(message));
        }
        let spy = self.spy.as_ref();
        // What cannot be copied is told of without the message.
        let copy = spy.map(|spy| fenced(|| spy.copy(&message)).unwrap_or_default());
        let next = self.call(worker, |actor, context| actor.receive(context, message));
        match next {
            Some(Ok(Next::Fail(failure)) | Err(failure)) => {
                quietly(|| drop(copy));
                return self.fail(worker, failure);
            }
            Some(Ok(next)) => {
                if let (Some(spy), Some(copy)) = (&self.spy, copy) {
                    quietly(|| spy.tell(self.body.me.path(), copy));
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
            fenced(|| supervisor.decide(path, &failure)).unwrap_or_else(|another| {
                log::warn!("actor {path}, in its supervisor: {another}");
                Directive::Stop
            })
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

    /// Lets go of the actor and of all that it has set up. In this order: a descriptor is watched no more when it closes.
    fn let_go(&mut self, worker: &mut Worker) {
        self.body.clear(worker);
        quietly(|| drop(self.actor.take()));
    }

    /// Lets go of the actor; the next turn makes a new one.
    fn restart(&mut self, worker: &mut Worker, failure: Option<Failure>) {
        let said = self.call(worker, |actor, context| {
            actor.before_restart(context, failure.as_ref());
        });
        if let Some(Err(another)) = said {
            log::warn!("actor {}, before its restart: {another}", self.body.me.path());
        }
        // It may have wanted to stop, before it failed or in its hook.
        if self.body.is_to_stop {
            return self.stop(worker, failure.map_or(StopReason::Stopped, StopReason::Failed));
        }
        self.let_go(worker);
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

    /// Ends an actor that is to stop when it has no child left.
    fn stop_when_childless(&mut self, worker: &mut Worker) {
        if !matches!(self.phase, Phase::Stopping(_)) || !self.body.children.is_empty() {
            return;
        }
        if !self.has_said_goodbye {
            self.say_goodbye(worker);
            for child in self.body.children.values() {
                child.stop(StopReason::Stopped);
            }
            // Those that the stop hook made are waited for like the others.
            if !self.body.children.is_empty() {
                return;
            }
        }
        if let Phase::Stopping(reason) = std::mem::replace(&mut self.phase, Phase::Gone) {
            self.end(worker, reason);
        }
    }

    fn say_goodbye(&mut self, worker: &mut Worker) {
        self.has_said_goodbye = true;
        if let Phase::Stopping(reason) = &self.phase {
            self.body.stop_reason = Some(reason.clone());
        }
        if let Some(Err(failure)) = self.call(worker, |actor, context| actor.on_stop(context)) {
            log::warn!("actor {}, in its stop hook: {failure}", self.body.me.path());
        }
    }

    fn end(&mut self, worker: &mut Worker, reason: StopReason) {
        self.let_go(worker);
        let me = &self.body.me;
        for key in &self.services {
            worker.system.services.deregister(key, me);
        }
        worker.system.registry.release(me.path());
        // Before anybody can know of the end in another way: so the events of actors that end one after another, on whatever
        // workers, are in that order.
        worker.system.events.publish(ActorStopped {
            path: me.path().clone(),
            reason: reason.clone(),
        });
        me.address.close(reason);
        self.arrivals.bury(&me.address);
        for signal in self.early.drain(..) {
            me.address.bury_signal(signal);
        }
        for (_, notify) in self.body.watchers.drain(..) {
            notify(me.address.terminated());
        }
        if let Some(parent) = &self.parent {
            parent.child_stopped(me.id());
        }
    }

    /// An actor that fails to start can be stopped all the same: looks for that among what waits.
    fn look_for_a_stop(&mut self, worker: &mut Worker) {
        while let Some(signal) = self.body.me.address.next_signal() {
            match signal {
                Signal::Stop(reason) => return self.stop(worker, reason),
                Signal::Message(_)
                | Signal::Answered(_)
                | Signal::Terminated(..)
                | Signal::Failed(_)
                | Signal::Escalated(..) => {
                    self.early.push_back(signal);
                }
                other => self.attend(worker, other),
            }
        }
    }

    /// Whether the actor has something to finish before it stops for a shutdown.
    fn goes_on(&mut self, worker: &mut Worker) -> bool {
        if !self.is_running() {
            return false;
        }
        // One that fails at the question has nothing to finish.
        let is_ready = self.call(worker, |actor, context| actor.is_ready_to_stop(context));
        matches!(is_ready, Some(Ok(false)))
    }

    fn next_signal(&mut self) -> Option<Signal<P::Msg>> {
        let early = self.early.pop_front();
        early.or_else(|| self.arrivals.next_signal(&self.body.me.address))
    }

    fn next_message(&mut self) -> Option<P::Msg> {
        self.arrivals.next_message(&self.body.me.address)
    }

    fn attend(&mut self, worker: &mut Worker, signal: Signal<P::Msg>) {
        match signal {
            Signal::Stop(StopReason::Shutdown) if self.goes_on(worker) => {}
            Signal::Stop(reason) => self.stop(worker, reason),
            Signal::Message(message) | Signal::Control(message) if self.is_running() => {
                self.handle(worker, message);
            }
            Signal::Control(message) => quietly(|| drop(message)),
            Signal::Message(message) => self.body.me.address.bury_one(message),
            Signal::Watch(watch, notify) => self.body.watchers.push((watch, notify)),
            Signal::Unwatch(watch) => self.body.watchers.retain(|(known, _)| *known != watch),
            Signal::Terminated(watch, terminated) => self.made(worker, |body, _| {
                let watched = body.watches.remove(&watch)?;
                Some((watched.make)(terminated))
            }),
            Signal::Timer(timer) => match self.arrivals.answer_before(timer) {
                Some(answered) if self.is_running() => self.hear(worker, answered),
                Some(answered) => self.early.push_back(Signal::Answered(answered)),
                None => self.made(worker, |body, worker| body.timer_is_due(worker, timer)),
            },
            Signal::Ready(io, readiness) => {
                self.made(worker, |body, _| body.descriptor_is_ready(io, readiness))
            }
            Signal::Failed(failure) => self.fail(worker, failure),
            Signal::Answered(answered) => self.hear(worker, answered),
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

    /// Hears the answer to a question.
    fn hear(&mut self, worker: &mut Worker, answered: Box<dyn Answered<P::Msg>>) {
        let timer = answered.timer();
        if self.is_running() {
            self.made(worker, |_, _| answered.into_message());
        } else {
            self.body.me.address.bury_answer(answered);
        }
        // After the answer, which waits for nothing that has time.
        self.body.cancel_timer(worker, timer);
    }

    /// Handles a message made by the user's function, whose panic is the actor's failure. What is to stop makes none.
    fn made(
        &mut self,
        worker: &mut Worker,
        make: impl FnOnce(&mut Body<P::Msg>, &mut Worker) -> Option<P::Msg>,
    ) {
        if !self.is_running() {
            return;
        }
        match fenced(|| make(&mut self.body, worker)) {
            Ok(Some(message)) => self.handle(worker, message),
            Ok(None) => {}
            Err(failure) => self.fail(worker, failure),
        }
    }

    fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }
}

impl<P: Props> AnyCell for Cell<P> {
    fn run(&mut self, worker: &mut Worker) -> Ran {
        self.arrivals.begin_run();
        if let Phase::New(again) = &mut self.phase {
            let again = again.take();
            if self.failed_to_start {
                self.look_for_a_stop(worker);
            }
            if matches!(self.phase, Phase::New(_)) {
                self.start(worker, again);
            }
        }
        let mut left = MESSAGES_A_RUN;
        let mut in_a_row = 0;
        while left > 0 && !matches!(self.phase, Phase::Gone | Phase::New(_)) {
            left -= 1;
            if in_a_row >= SIGNALS_IN_A_ROW && self.is_running() {
                in_a_row = 0;
                if let Some(message) = self.next_message() {
                    self.handle(worker, message);
                    continue;
                }
            }
            if let Some(signal) = self.next_signal() {
                in_a_row += 1;
                self.attend(worker, signal);
            } else if !self.is_running() {
                break;
            } else if let Some(message) = self.next_message() {
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
            _ => Ran::Idle,
        }
    }

    fn has_work(&self) -> bool {
        let takes_messages = self.is_running();
        self.arrivals.has_work(takes_messages) || self.body.me.address.has_work(takes_messages)
    }

    fn settle(&mut self) -> bool {
        let takes_messages = self.is_running();
        let settles = !self.arrivals.has_work(takes_messages) && self.body.me.address.settle(takes_messages);
        if settles {
            self.arrivals.set_known(false);
        }
        settles
    }

    fn deliver(&mut self, parcel: Parcel) -> bool {
        self.arrivals.take_in(&self.body.me.address, parcel)
    }

    fn set_ready(&mut self) {
        self.arrivals.set_known(true);
    }

    fn address(&self) -> Arc<dyn AnyAddress> {
        self.body.me.any()
    }

    fn timer_is_due(&self, timer: u64) {
        self.body.me.address.signal(Signal::Timer(timer));
    }

    fn descriptor_is_ready(&self, io: usize, readiness: Readiness) {
        self.body.me.address.signal(Signal::Ready(io, readiness));
    }

    fn fail_later(&self, failure: Failure) {
        self.body.me.address.signal(Signal::Failed(failure));
    }

    fn abandon(&mut self, worker: &mut Worker) {
        if !self.has_said_goodbye {
            self.say_goodbye(worker);
        }
        match std::mem::replace(&mut self.phase, Phase::Gone) {
            Phase::Gone => {}
            Phase::Stopping(reason) => self.end(worker, reason),
            Phase::New(_) | Phase::Running => self.end(worker, StopReason::Shutdown),
        }
    }
}
