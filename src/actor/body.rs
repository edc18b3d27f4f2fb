//! What belongs to an actor besides itself: its children, timers, watches, descriptors.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::address::AnyAddress;
use super::failure::{StopReason, quietly};
use super::io::{IoId, Readiness};
use super::messages::Notify;
use super::number::Numbered;
use super::recipient::Recipient;
use super::reference::ActorRef;
use super::spy::SpyEvent;
use super::timer::{Due, TimerKey, next_tick};
use super::watch::Terminated;
use super::worker::Worker;
use crate::primitive::time::now;

/// What belongs to an actor besides itself.
pub(super) struct Body<M> {
    pub(super) me: ActorRef<M>,
    pub(super) children: BTreeMap<u64, Arc<dyn AnyAddress>>,
    pub(super) watches: Numbered<Watched<M>>,
    pub(super) watchers: Vec<(u64, Notify)>,
    /// The actor asked to be stopped.
    pub(super) is_to_stop: bool,
    /// Why it stops, once that is certain.
    pub(super) stop_reason: Option<StopReason>,
    pub(super) timers: Numbered<Timer<M>>,
    pub(super) keys: HashMap<Cow<'static, str>, u64>,
    pub(super) descriptors: HashMap<usize, Descriptor<M>>,
    pub(super) children_spy: Option<Recipient<SpyEvent>>,
    pub(super) numbers: u64,
}

/// Another actor that this one watches.
pub(super) struct Watched<M> {
    pub(super) target: Arc<dyn AnyAddress>,
    pub(super) make: Box<dyn FnOnce(Terminated) -> M>,
}

pub(super) struct Timer<M> {
    pub(super) at: TimerKey,
    pub(super) key: Option<Cow<'static, str>>,
    pub(super) make: Make<M>,
}

pub(super) enum Make<M> {
    /// `None` when there is nothing to say any more.
    Once(Box<dyn FnOnce() -> Option<M>>),
    Each(Duration, Box<dyn FnMut() -> M>),
}

pub(super) struct Descriptor<M> {
    pub(super) make: Box<dyn FnMut(Readiness) -> M>,
    #[cfg(unix)]
    pub(super) fd: std::os::fd::RawFd,
}

impl<M: Send + 'static> Body<M> {
    pub(super) fn new(me: ActorRef<M>, children_spy: Option<Recipient<SpyEvent>>) -> Self {
        Self {
            me,
            children: BTreeMap::new(),
            watches: Numbered::default(),
            watchers: Vec::new(),
            is_to_stop: false,
            stop_reason: None,
            timers: Numbered::default(),
            keys: HashMap::new(),
            descriptors: HashMap::new(),
            children_spy,
            numbers: 0,
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Lets go of what an instance of the actor has set up: timers, watches, descriptors. Its children stay.
    pub(super) fn clear(&mut self, worker: &mut Worker) {
        for (_, timer) in self.timers.drain() {
            worker.timers.cancel(timer.at);
            // Closures of the user's are dropped one by one: what one of them panics with does not reach the others.
            quietly(|| drop(timer));
        }
        self.keys.clear();
        for (watch, watched) in self.watches.drain() {
            watched.target.unwatch(watch);
            quietly(|| drop(watched));
        }
        for (token, descriptor) in self.descriptors.drain() {
            forget_descriptor(worker, IoId(token), &descriptor);
            quietly(|| drop(descriptor));
        }
        self.is_to_stop = false;
    }

    pub(super) fn set_timer(
        &mut self,
        worker: &mut Worker,
        at: Instant,
        key: Option<Cow<'static, str>>,
        make: Make<M>,
    ) {
        if let Some(key) = &key
            && let Some(before) = self.keys.get(key).copied()
        {
            self.cancel_timer(worker, before);
        }
        let number = self.number();
        if let Some(key) = &key {
            self.keys.insert(key.clone(), number);
        }
        self.set_timer_of(number, worker, at, key, make);
    }

    /// Sets a timer of a [number](Self::number) of its own.
    pub(super) fn set_timer_of(
        &mut self,
        number: u64,
        worker: &mut Worker,
        at: Instant,
        key: Option<Cow<'static, str>>,
        make: Make<M>,
    ) {
        let actor = self.me.id();
        let at = worker.timers.set(at, Due::Actor { actor, timer: number });
        self.timers.insert(number, Timer { at, key, make });
    }

    pub(super) fn cancel_timer(&mut self, worker: &mut Worker, timer: u64) {
        if let Some(timer) = self.timers.remove(&timer) {
            worker.timers.cancel(timer.at);
            if let Some(key) = &timer.key {
                self.keys.remove(key);
            }
            quietly(|| drop(timer));
        }
    }

    /// The message of a timer that is due.
    pub(super) fn timer_is_due(&mut self, worker: &mut Worker, number: u64) -> Option<M> {
        let timer = self.timers.remove(&number)?;
        match timer.make {
            Make::Once(make) => {
                if let Some(key) = timer.key {
                    self.keys.remove(&key);
                }
                make()
            }
            Make::Each(interval, mut make) => {
                let message = make();
                if let Some(at) = next_tick(timer.at.0, interval, now()) {
                    let actor = self.me.id();
                    let at = worker.timers.set(at, Due::Actor { actor, timer: number });
                    let (key, make) = (timer.key, Make::Each(interval, make));
                    self.timers.insert(number, Timer { at, key, make });
                }
                Some(message)
            }
        }
    }

    pub(super) fn descriptor_is_ready(&mut self, token: usize, readiness: Readiness) -> Option<M> {
        Some((self.descriptors.get_mut(&token)?.make)(readiness))
    }
}

#[cfg(unix)]
pub(super) fn forget_descriptor<M>(worker: &mut Worker, id: IoId, descriptor: &Descriptor<M>) {
    // Otherwise the actor closed it before, and its number stands for another one by now.
    if worker.io.remove(id, descriptor.fd) {
        // Refused when it was closed before, which made the kernel forget it.
        let registry = worker.poller.registry();
        let _ = registry.deregister(&mut mio::unix::SourceFd(&descriptor.fd));
    }
}

/// Elsewhere there are none.
#[cfg(not(unix))]
pub(super) fn forget_descriptor<M>(_: &mut Worker, _: IoId, _: &Descriptor<M>) {}
