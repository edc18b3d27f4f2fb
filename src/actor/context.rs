//! What an actor can do besides handling messages.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use super::ask::{AskError, ReplyTo};
use super::blocking::{self, TaskPanicked};
use super::deadline::Deadline;
use super::failure::{StopReason, quietly};
#[cfg(unix)]
use super::io::Interest;
use super::io::{IoId, Readiness};
use super::messages::{Notify, Signal};
use super::path::ActorPath;
use super::props::Props;
use super::reference::{ActorRef, AnyAddress, Recipient};
use super::spawn::{self, Parent, SpawnError, SpawnOptions};
use super::spy::SpyEvent;
use super::system::{self, SystemRef};
use super::timer::{Due, TimerKey, next_tick};
use super::watch::{Terminated, WatchId};
use super::worker::Worker;
use crate::primitive::Mutex;

/// What belongs to an actor besides itself.
pub(super) struct Body<M> {
    pub(super) me: ActorRef<M>,
    pub(super) children: BTreeMap<u64, Arc<dyn AnyAddress>>,
    pub(super) watches: HashMap<u64, Watched<M>>,
    pub(super) watchers: Vec<(u64, Notify)>,
    /// The actor asked to be stopped.
    pub(super) is_to_stop: bool,
    /// Why it stops, once that is certain.
    pub(super) stop_reason: Option<StopReason>,
    timers: HashMap<u64, Timer<M>>,
    keys: HashMap<Cow<'static, str>, u64>,
    descriptors: HashMap<usize, Descriptor<M>>,
    children_spy: Option<Recipient<SpyEvent>>,
    numbers: u64,
}

/// Another actor that this one watches.
pub(super) struct Watched<M> {
    target: Arc<dyn AnyAddress>,
    pub(super) make: Box<dyn FnOnce(Terminated) -> M>,
}

struct Timer<M> {
    at: TimerKey,
    key: Option<Cow<'static, str>>,
    make: Make<M>,
}

enum Make<M> {
    /// `None` when there is nothing to say any more.
    Once(Box<dyn FnOnce() -> Option<M>>),
    Each(Duration, Box<dyn FnMut() -> M>),
}

struct Descriptor<M> {
    make: Box<dyn FnMut(Readiness) -> M>,
    #[cfg(unix)]
    fd: std::os::fd::RawFd,
}

impl<M: Send + 'static> Body<M> {
    pub(super) fn new(me: ActorRef<M>, children_spy: Option<Recipient<SpyEvent>>) -> Self {
        Self {
            me,
            children: BTreeMap::new(),
            watches: HashMap::new(),
            watchers: Vec::new(),
            is_to_stop: false,
            stop_reason: None,
            timers: HashMap::new(),
            keys: HashMap::new(),
            descriptors: HashMap::new(),
            children_spy,
            numbers: 0,
        }
    }

    fn number(&mut self) -> u64 {
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

    fn set_timer(
        &mut self,
        worker: &mut Worker,
        at: Instant,
        key: Option<Cow<'static, str>>,
        make: Make<M>,
    ) -> u64 {
        if let Some(key) = &key
            && let Some(before) = self.keys.get(key).copied()
        {
            self.cancel_timer(worker, before);
        }
        let number = self.number();
        let actor = self.me.id();
        let at = worker.timers.set(at, Due::Actor { actor, timer: number });
        if let Some(key) = &key {
            self.keys.insert(key.clone(), number);
        }
        self.timers.insert(number, Timer { at, key, make });
        number
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
                if let Some(at) = next_tick(timer.at.0, interval, Instant::now()) {
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
fn forget_descriptor<M>(worker: &mut Worker, id: IoId, descriptor: &Descriptor<M>) {
    // Otherwise the actor closed it before, and its number stands for another one by now.
    if worker.io.remove(id, descriptor.fd) {
        // Refused when it was closed before, which made the kernel forget it.
        let registry = worker.poll.registry();
        let _ = registry.deregister(&mut mio::unix::SourceFd(&descriptor.fd));
    }
}

/// Elsewhere there are none.
#[cfg(not(unix))]
fn forget_descriptor<M>(_: &mut Worker, _: IoId, _: &Descriptor<M>) {}

/// What an actor can do while one of its methods runs.
pub struct Context<'a, M> {
    pub(super) body: &'a mut Body<M>,
    pub(super) worker: &'a mut Worker,
}

impl<M: Send + 'static> Context<'_, M> {
    /// The actor itself, for others to send to.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("feed", || setup(|context| {
    ///     context.me().tell("begin");
    ///     receive(|_, _: &'static str| Next::Same)
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn me(&self) -> &ActorRef<M> {
        &self.body.me
    }

    /// The system: to find, ask and make other actors.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("feed", || setup(|context| {
    ///     println!("in {}", context.system().name());
    ///     receive(|_, _: u32| Next::Same)
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn system(&self) -> SystemRef {
        SystemRef(self.worker.system.clone())
    }

    /// Makes a child, on this worker. A parent stops after its children.
    ///
    /// # Errors
    /// `NameTaken` by another child, `InvalidName`.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("feed", || setup(|context| {
    ///     let line = context.spawn("line", || receive(|_, _: u32| Next::Same)).unwrap();
    ///     assert_eq!(line.path().as_str(), "/feed/line");
    ///     receive(|_, _: u32| Next::Same)
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn<P: Props>(&mut self, name: &str, props: P) -> Result<ActorRef<P::Msg>, SpawnError> {
        self.spawn_with(name, props, SpawnOptions::new())
    }

    /// Makes a child with options; [`on_worker`](SpawnOptions::on_worker) may place it elsewhere.
    ///
    /// # Errors
    /// As [`SystemRef::spawn_with`].
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, OneForOne, SpawnOptions, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("feed", || setup(|context| {
    ///     let options = SpawnOptions::new().supervisor(OneForOne::default());
    ///     context.spawn_with("line", || receive(|_, _: u32| Next::Same), options).unwrap();
    ///     receive(|_, _: u32| Next::Same)
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_with<P: Props>(
        &mut self,
        name: &str,
        props: P,
        options: SpawnOptions<P::Msg>,
    ) -> Result<ActorRef<P::Msg>, SpawnError> {
        let parent = Parent {
            address: self.body.me.any(),
            worker: self.worker.number,
            spy: self.body.children_spy.clone(),
        };
        let child = spawn::spawn(&self.worker.system, Some(parent), name, props, options)?;
        self.body.children.insert(child.id(), child.any());
        Ok(child)
    }

    /// The paths of the children, in the order in which they were made.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("feed", || setup(|context| {
    ///     assert!(context.children().is_empty());
    ///     receive(|_, _: u32| Next::Same)
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn children(&self) -> Vec<ActorPath> {
        let children = self.body.children.values();
        children.map(|child| child.path().clone()).collect()
    }

    /// Stops this actor after the present message.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("once", || setup(|context| {
    ///     context.stop();
    ///     receive(|_, _: u32| Next::Same)
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop(&mut self) {
        self.body.is_to_stop = true;
    }

    /// Why the actor stops; `None` before its stop hook runs.
    ///
    /// ```
    /// # use millstream::{Actor, Context, Next, StopReason};
    /// struct Feed;
    /// impl Actor for Feed {
    ///     type Msg = u32;
    ///     fn receive(&mut self, _: &mut Context<'_, u32>, _: u32) -> Next<Self> {
    ///         Next::Same
    ///     }
    ///     fn on_stop(&mut self, context: &mut Context<'_, u32>) {
    ///         if let Some(StopReason::Failed(failure)) = context.stop_reason() {
    ///             println!("{failure}");
    ///         }
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn stop_reason(&self) -> Option<&StopReason> {
        self.body.stop_reason.as_ref()
    }

    /// Stops another actor, after the message that it handles now. Never waits.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("feed", || setup(|context| {
    ///     let line = context.spawn("line", || receive(|_, _: u32| Next::Same)).unwrap();
    ///     context.stop_actor(&line);
    ///     receive(|_, _: u32| Next::Same)
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop_actor<N: Send + 'static>(&self, actor: &ActorRef<N>) {
        actor.address.stop(StopReason::Stopped);
    }

    /// Asks to be told when `actor` stops; at once if it has stopped already. Once for each call.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, Terminated, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let feed = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// system.spawn("watcher", move || {
    ///     let feed = feed.clone();
    ///     setup(move |context| {
    ///         context.watch(&feed);
    ///         receive(|_, end: Terminated| {
    ///             println!("{}: {}", end.path, end.reason);
    ///             Next::Same
    ///         })
    ///     })
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn watch<N: Send + 'static>(&mut self, actor: &ActorRef<N>) -> WatchId
    where
        M: From<Terminated>,
    {
        self.watch_with(actor, M::from)
    }

    /// As [`watch`](Self::watch), with a message made by `make`.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let feed = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// system.spawn("watcher", move || {
    ///     let feed = feed.clone();
    ///     setup(move |context| {
    ///         context.watch_with(&feed, |end| format!("{} is gone", end.path));
    ///         receive(|_, _: String| Next::Same)
    ///     })
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn watch_with<N: Send + 'static>(
        &mut self,
        actor: &ActorRef<N>,
        make: impl FnOnce(Terminated) -> M + 'static,
    ) -> WatchId {
        self.watch_any(actor.any(), make)
    }

    /// As [`watch_with`](Self::watch_with), for a recipient.
    pub(crate) fn watch_recipient<N: 'static>(
        &mut self,
        actor: &Recipient<N>,
        make: impl FnOnce(Terminated) -> M + 'static,
    ) -> WatchId {
        self.watch_any(actor.any(), make)
    }

    fn watch_any(
        &mut self,
        target: Arc<dyn AnyAddress>,
        make: impl FnOnce(Terminated) -> M + 'static,
    ) -> WatchId {
        // Of the whole system, for it tells one watcher's watches from another's at the target.
        let watch = system::number();
        let me = self.body.me.clone();
        let id = WatchId {
            watch,
            target: target.id(),
        };
        let make = Box::new(make);
        let watched = Watched {
            target: target.clone(),
            make,
        };
        self.body.watches.insert(watch, watched);
        target.watch(
            watch,
            Box::new(move |terminated| {
                if !me.is_stopped() {
                    me.address.signal(Signal::Terminated(watch, terminated));
                }
            }),
        );
        id
    }

    /// Gives a watch up: it says nothing any more, also if the actor has stopped meanwhile.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, Terminated, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let feed = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// system.spawn("watcher", move || {
    ///     let feed = feed.clone();
    ///     setup(move |context| {
    ///         let watch = context.watch(&feed);
    ///         context.unwatch(watch);
    ///         receive(|_, _: Terminated| Next::Same)
    ///     })
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unwatch(&mut self, watch: WatchId) {
        if let Some(watched) = self.body.watches.remove(&watch.watch) {
            watched.target.unwatch(watch.watch);
        }
    }

    /// Sends itself a message made by `make` each `interval`, the first after one interval. A timer of the same key is
    /// replaced. Ticks that come too late are not made up for.
    ///
    /// Timers end with the actor, and when it is restarted. They are as exact as the worker is idle: it looks at them once a turn,
    /// and sleeps in whole milliseconds.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use millstream::{ActorSystem, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("ticker", || setup(|context| {
    ///     context.every("tick", Duration::from_millis(10), || "tick");
    ///     receive(|_, _: &'static str| Next::Same)
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn every(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        interval: Duration,
        make: impl FnMut() -> M + 'static,
    ) {
        // A timer that is always due would keep the worker from everything else.
        let interval = interval.max(Duration::from_micros(1));
        self.set(key.into(), interval, Make::Each(interval, Box::new(make)));
    }

    /// Sends itself `message` once, `delay` from now. A timer of the same key is replaced.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use millstream::{ActorSystem, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("late", || setup(|context| {
    ///     context.after("wake", Duration::from_millis(10), "wake");
    ///     receive(|_, _: &'static str| Next::Stop)
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn after(&mut self, key: impl Into<Cow<'static, str>>, delay: Duration, message: M) {
        self.set(key.into(), delay, Make::Once(Box::new(move || Some(message))));
    }

    fn set(&mut self, key: Cow<'static, str>, delay: Duration, make: Make<M>) {
        match Instant::now().checked_add(delay) {
            Some(at) => {
                self.body.set_timer(self.worker, at, Some(key), make);
            }
            // Later than can be told: never.
            None => self.cancel_timer(key),
        }
    }

    /// Cancels the timer of this key, if there is one.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use millstream::{ActorSystem, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("late", || setup(|context| {
    ///     context.after("wake", Duration::from_millis(10), "wake");
    ///     context.cancel_timer("wake");
    ///     receive(|_, _: &'static str| Next::Stop)
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel_timer(&mut self, key: impl Into<Cow<'static, str>>) {
        if let Some(timer) = self.body.keys.get(&key.into()).copied() {
            self.body.cancel_timer(self.worker, timer);
        }
    }

    /// Asks another actor. What it answers, or why it does not, becomes a message to this actor by `map`; this never waits.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use millstream::{ActorSystem, Next, ReplyTo, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// struct Best(ReplyTo<f64>);
    /// let book = system.spawn("book", || receive(|_, Best(reply)| {
    ///     reply.send(142.5);
    ///     Next::Same
    /// }))?;
    /// system.spawn("trader", move || {
    ///     let book = book.clone();
    ///     setup(move |context| {
    ///         context.ask(&book, Best, Duration::from_secs(1), |best| best.ok());
    ///         receive(|_, _best: Option<f64>| Next::Same)
    ///     })
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ask<N, Q, R>(
        &mut self,
        to: &ActorRef<N>,
        make: impl FnOnce(ReplyTo<R>) -> Q,
        deadline: impl Into<Deadline>,
        map: impl FnOnce(Result<R, AskError>) -> M + Send + 'static,
    ) where
        N: Send + 'static,
        Q: Into<N>,
        R: Send + 'static,
    {
        type Map<R, M> = Box<dyn FnOnce(Result<R, AskError>) -> M + Send>;
        // Whoever comes first, the answer or the timer, takes it.
        let map: Arc<Mutex<Option<Map<R, M>>>> = Arc::new(Mutex::new(Some(Box::new(map))));
        let take = |map: &Mutex<Option<Map<R, M>>>| map.lock().ok().and_then(|mut map| map.take());
        let timer = deadline.into().instant().map(|at| {
            let late = map.clone();
            let make = move || take(&late).map(|map| map(Err(AskError::TimedOut)));
            self.body
                .set_timer(self.worker, at, None, Make::Once(Box::new(make)))
        });
        let me = self.body.me.clone();
        let reply = ReplyTo::hooked(move |answer| {
            let Some(map) = take(&map) else { return };
            me.address.signal_made(Signal::Message, || map(answer));
            if let Some(timer) = timer {
                me.address.signal(Signal::CancelTimer(timer));
            }
        });
        super::ask::put(to, make, reply);
    }

    /// Runs `task` on a thread of its own. What it returns, or that it panicked, becomes a message to this actor by `map`, on
    /// that thread.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("loader", || setup(|context| {
    ///     context.spawn_blocking(|| std::fs::read("/etc/hostname"), |read| read.is_ok_and(|read| read.is_ok()));
    ///     receive(|_, _is_read: bool| Next::Stop)
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_blocking<R: Send + 'static>(
        &mut self,
        task: impl FnOnce() -> R + Send + 'static,
        map: impl FnOnce(Result<R, TaskPanicked>) -> M + Send + 'static,
    ) {
        let (me, name) = (self.body.me.clone(), self.body.me.path().name());
        blocking::spawn(&self.worker.system, name, task, move |result| {
            me.address.signal_made(Signal::Message, || map(result));
        });
    }

    /// As [`spawn_blocking`](Self::spawn_blocking); what comes of it is dropped in silence where the actor has stopped.
    pub(crate) fn spawn_blocking_quietly<R: Send + 'static>(
        &mut self,
        task: impl FnOnce() -> R + Send + 'static,
        map: impl FnOnce(Result<R, TaskPanicked>) -> M + Send + 'static,
    ) {
        let (me, name) = (self.body.me.clone(), self.body.me.path().name());
        blocking::spawn(&self.worker.system, name, task, move |result| {
            me.tell_past(map(result));
        });
    }

    /// A waker that sends this actor a message made by `make`: for whatever wakes tasks.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("feed", || setup(|context| {
    ///     let waker = context.waker(|| "woken");
    ///     std::thread::spawn(move || waker.wake());
    ///     receive(|_, _: &'static str| Next::Stop)
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn waker(&self, make: impl Fn() -> M + Send + Sync + 'static) -> Waker {
        struct Tell<M, F>(ActorRef<M>, F);
        impl<M: Send + 'static, F: Fn() -> M + Send + Sync> Wake for Tell<M, F> {
            fn wake(self: Arc<Self>) {
                // Nobody misses a wake-up that came too late.
                if !self.0.is_stopped() {
                    self.0.address.signal_made(Signal::Control, &self.1);
                }
            }
        }
        Waker::from(Arc::new(Tell(self.body.me.clone(), make)))
    }

    /// Counts a message of this actor's that has reached nobody.
    pub(crate) fn dead_letter(&self, message: M) {
        self.body.me.address.bury_one(message);
    }

    /// Lets the worker watch a file descriptor, which the actor keeps: each time that it becomes ready, `make` makes a message
    /// of it. Read, or write, until it would block: readiness is told once.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`: among them a descriptor that is watched on this worker already, and a regular file.
    ///
    /// ```
    /// # use std::net::UdpSocket;
    /// # use millstream::{ActorSystem, Interest, Next, Readiness, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("feed", || setup(|context| {
    ///     let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    ///     socket.set_nonblocking(true).unwrap();
    ///     context.watch_io(&socket, Interest::Readable, |ready| ready).unwrap();
    ///     receive(move |_, _: Readiness| {
    ///         let mut packet = [0; 1500];
    ///         while let Ok(length) = socket.recv(&mut packet) {
    ///             println!("{length} bytes");
    ///         }
    ///         Next::Same
    ///     })
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(unix)]
    pub fn watch_io(
        &mut self,
        descriptor: &impl std::os::fd::AsFd,
        interest: Interest,
        make: impl FnMut(Readiness) -> M + 'static,
    ) -> std::io::Result<IoId> {
        use std::os::fd::AsRawFd;
        let fd = descriptor.as_fd().as_raw_fd();
        let id = self.worker.io.add(self.body.me.id());
        let registry = self.worker.poll.registry();
        if let Err(refused) =
            registry.register(&mut mio::unix::SourceFd(&fd), mio::Token(id.0), interest.mio())
        {
            self.worker.io.remove(id, fd);
            return Err(refused);
        }
        self.worker.io.registered(id, fd);
        let make = Box::new(make);
        self.body.descriptors.insert(id.0, Descriptor { make, fd });
        Ok(id)
    }

    /// Lets the worker watch a descriptor no more. Do it before the descriptor is closed.
    ///
    /// ```
    /// # use std::net::UdpSocket;
    /// # use millstream::{ActorSystem, Interest, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("feed", || setup(|context| {
    ///     let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    ///     let watched = context.watch_io(&socket, Interest::Readable, |_| ()).unwrap();
    ///     context.unwatch_io(watched);
    ///     receive(|_, ()| Next::Same)
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unwatch_io(&mut self, id: IoId) {
        if let Some(descriptor) = self.body.descriptors.remove(&id.0) {
            forget_descriptor(self.worker, id, &descriptor);
        }
    }
}

impl<M> fmt::Debug for Context<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("me", &self.body.me)
            .finish_non_exhaustive()
    }
}
