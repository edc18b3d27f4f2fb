//! What an actor can do besides handling messages.

use std::fmt;
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::address::AnyAddress;
use super::ask::{AskError, ReplyTo};
use super::blocking::{self, TaskPanicked};
use super::body::{Body, Make};
use super::deadline::Deadline;
use super::failure::StopReason;
use super::messages::Signal;
use super::path::ActorPath;
use super::props::Props;
use super::question::{Map, Question};
use super::reference::{ActorRef, TryTellError};
use super::route::Home;
use super::spawn::{self, Parent, SpawnError, SpawnOptions};
use super::system::SystemRef;
use super::worker::Worker;

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
        let map = Map::new(map);
        let late = map.clone();
        let timer = self.body.number();
        let home = Home::of(self.worker.system.id, self.worker.number);
        let question = make(ReplyTo::to(
            home,
            Question {
                asker: self.body.me.clone(),
                asked: to.clone(),
                timer,
                map,
                answer: Err(AskError::Unanswered),
            },
        ));
        let (why, question) = match to.try_tell(question) {
            Ok(()) => {
                // Not before the question is on its way: the timer takes as long as that.
                if let Some(at) = deadline.into().instant() {
                    let make = move || late.take().map(|map| map(Err(AskError::TimedOut)));
                    let make = Make::Once(Box::new(make));
                    self.body.set_timer_of(timer, self.worker, at, None, make);
                }
                return;
            }
            Err(TryTellError::Full(question)) => (AskError::Full, question),
            Err(TryTellError::Stopped(question)) => (AskError::Stopped, question),
        };
        if let Some(map) = late.take() {
            let me = &self.body.me.address;
            me.signal_made(Signal::Message, || map(Err(why)));
        }
        drop(question);
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
}

impl<M> fmt::Debug for Context<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("me", &self.body.me)
            .finish_non_exhaustive()
    }
}
