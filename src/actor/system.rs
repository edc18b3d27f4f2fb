//! `ActorSystem`: workers, and the actors on them.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::address::AnyAddress as _;
use super::ask::{Answer, AskError, ReplyTo, put};
use super::deadline::Deadline;
use super::event::Events;
use super::failure::StopReason;
use super::path::ActorPath;
use super::props::Props;
use super::reference::ActorRef;
use super::registry::LookupError;
use super::route;
use super::service::ServiceKey;
use super::shutdown::{self, NotStopped, ShutdownReport, ShutdownTimeout};
use super::spawn::{self, SpawnError, SpawnOptions};
use super::system_core::SystemCore;
use super::telemetry::WorkerReport;
use super::watch::Terminated;
use super::workers::{Downgrade, SystemBuilder};
use crate::primitive::channel::Receiver;
use crate::primitive::thread::JoinHandle;

/// Worker threads, and the actors on them.
///
/// Dropping it shuts it down, and waits for that (5 seconds at most, unless the builder said otherwise). It can do all that a
/// [`SystemRef`] can.
///
/// ```
/// use std::time::Duration;
/// use millstream::{ActorSystem, Next, receive};
/// let system = ActorSystem::builder("prices").workers(1).build()?;
/// let actor = system.spawn("feed", || receive(|_, price: f64| {
///     println!("{price}");
///     Next::Same
/// }))?;
/// actor.tell(142.5);
/// system.shutdown(Duration::from_secs(5))?;
/// assert!(actor.is_stopped());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ActorSystem {
    pub(super) system: SystemRef,
    pub(super) threads: Vec<JoinHandle<()>>,
    /// Workers that have ended say so.
    pub(super) leaving: Receiver<usize>,
    pub(super) drop_deadline: Duration,
}

impl ActorSystem {
    /// Begins a system. The name is that of its threads, with the worker's number.
    ///
    /// ```
    /// let system = millstream::ActorSystem::builder("prices").workers(1).build()?;
    /// assert_eq!(system.name(), "prices");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(name: impl Into<String>) -> SystemBuilder {
        SystemBuilder::new(name.into())
    }

    /// The system as a handle that can be cloned and sent about.
    ///
    /// ```
    /// let system = millstream::ActorSystem::builder("prices").build()?;
    /// let handle = system.handle();
    /// std::thread::spawn(move || println!("{}", handle.name()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn handle(&self) -> SystemRef {
        self.system.clone()
    }

    /// Stops all actors, those at the root in the order in which they were made, each after its children; then ends the workers.
    ///
    /// # Errors
    /// What has not stopped when the deadline is over. It is left to itself: its worker ends when the actor lets it. An actor of
    /// the system that calls this does not wait for itself: it gets all that has not stopped yet, and a thread sees to the rest.
    ///
    /// ```
    /// use std::time::Duration;
    /// let system = millstream::ActorSystem::builder("prices").build()?;
    /// let report = system.shutdown(Duration::from_secs(5))?;
    /// assert_eq!(report.dead_letters, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown(mut self, deadline: impl Into<Deadline>) -> Result<ShutdownReport, ShutdownTimeout> {
        let threads = std::mem::take(&mut self.threads);
        self.shut_down(threads, deadline.into())
    }

    fn shut_down(
        &self,
        threads: Vec<JoinHandle<()>>,
        deadline: Deadline,
    ) -> Result<ShutdownReport, ShutdownTimeout> {
        if route::is_worker_of(self.system.0.id) {
            return Err(shutdown::hand_over(
                self.system.0.clone(),
                threads,
                self.leaving.clone(),
                deadline,
            ));
        }
        shutdown::shut_down(&self.system.0, threads, &self.leaving, deadline)
    }
}

impl Drop for ActorSystem {
    fn drop(&mut self) {
        let threads = std::mem::take(&mut self.threads);
        if threads.is_empty() {
            return;
        }
        let is_own_worker = route::is_worker_of(self.system.0.id);
        match self.shut_down(threads, Deadline::from(self.drop_deadline)) {
            Err(timeout) if !is_own_worker => log::error!("system {}: {timeout}", self.system.name()),
            _ => {}
        }
    }
}

impl Deref for ActorSystem {
    type Target = SystemRef;

    fn deref(&self) -> &SystemRef {
        &self.system
    }
}

/// A handle of a system: makes, finds and asks actors, and says how the system is. It does not keep the system running.
#[derive(Clone)]
pub struct SystemRef(pub(super) Arc<SystemCore>);

impl SystemRef {
    /// The system's name.
    ///
    /// ```
    /// let system = millstream::ActorSystem::builder("prices").build()?;
    /// assert_eq!(system.name(), "prices");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Makes an actor at the root, at one of the workers, each in turn. It can be told things when this returns.
    ///
    /// # Errors
    /// `NameTaken`, `InvalidName`, `ShutDown`.
    ///
    /// ```
    /// use millstream::{ActorSystem, Next, SpawnError, receive};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let actor = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// let again = system.spawn("feed", || receive(|_, _: u32| Next::Same));
    /// assert!(matches!(again, Err(SpawnError::NameTaken { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn<P: Props>(&self, name: &str, props: P) -> Result<ActorRef<P::Msg>, SpawnError> {
        self.spawn_with(name, props, SpawnOptions::new())
    }

    /// Makes an actor at the root with options: its worker, its mailbox, its supervisor.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn), and `NoSuchWorker`, `MailboxSize`.
    ///
    /// ```
    /// use millstream::{ActorSystem, Next, OneForOne, SpawnOptions, receive};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let options = SpawnOptions::new().on_worker(0).supervisor(OneForOne::default());
    /// system.spawn_with("feed", || receive(|_, _: u32| Next::Same), options)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_with<P: Props>(
        &self,
        name: &str,
        props: P,
        options: SpawnOptions<P::Msg>,
    ) -> Result<ActorRef<P::Msg>, SpawnError> {
        spawn::spawn(&self.0, None, name, props, options)
    }

    /// Asks an actor, and waits for its answer. `make` makes the question, which says where the answer goes.
    ///
    /// Waits by spinning a little, then sleeping.
    ///
    /// # Errors
    /// See [`AskError`]; at once when the actor has stopped.
    ///
    /// ```
    /// use std::time::Duration;
    /// use millstream::{ActorSystem, Next, ReplyTo, receive};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let book = system.spawn("book", || receive(|_, reply: ReplyTo<f64>| {
    ///     reply.send(142.5);
    ///     Next::Same
    /// }))?;
    /// assert_eq!(system.ask(&book, |reply| reply, Duration::from_secs(5))?, 142.5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ask<M, Q, R>(
        &self,
        to: &ActorRef<M>,
        make: impl FnOnce(ReplyTo<R>) -> Q,
        deadline: impl Into<Deadline>,
    ) -> Result<R, AskError>
    where
        M: Send + 'static,
        Q: Into<M>,
        R: Send + 'static,
    {
        if route::is_worker_of(self.0.id) {
            return Err(AskError::OnWorker);
        }
        self.ask_later(to, make, deadline).wait()
    }

    /// Asks an actor. What is returned is a future, and can be waited for.
    ///
    /// ```
    /// use std::time::Duration;
    /// use millstream::{ActorSystem, Next, ReplyTo, receive};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let book = system.spawn("book", || receive(|_, reply: ReplyTo<f64>| {
    ///     reply.send(142.5);
    ///     Next::Same
    /// }))?;
    /// let answer = system.ask_later(&book, |reply| reply, Duration::from_secs(5));
    /// assert_eq!(answer.wait()?, 142.5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ask_later<M, Q, R>(
        &self,
        to: &ActorRef<M>,
        make: impl FnOnce(ReplyTo<R>) -> Q,
        deadline: impl Into<Deadline>,
    ) -> Answer<R>
    where
        M: Send + 'static,
        Q: Into<M>,
        R: Send + 'static,
    {
        // Its worker's number, or some other one where the actor is of another system.
        let worker = to.worker() % self.0.posts.len();
        let (answer, reply) = Answer::new(deadline.into(), self.0.clone(), worker);
        put(to, make, reply);
        answer
    }

    /// The actor at `path`, such as `/parent/child`.
    ///
    /// # Errors
    /// `NotFound`; `OtherMessages` when it takes messages of another type.
    ///
    /// ```
    /// use millstream::{ActorSystem, LookupError, Next, receive};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let actor = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// assert_eq!(system.lookup::<u32>("/feed")?, actor);
    /// assert!(matches!(system.lookup::<f64>("/feed"), Err(LookupError::OtherMessages { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lookup<M: Send + 'static>(&self, path: &str) -> Result<ActorRef<M>, LookupError> {
        self.0.registry.lookup(path)
    }

    /// The actors that are discoverable by `key`, in the order in which they were made.
    ///
    /// ```
    /// use millstream::{ActorSystem, ServiceKey};
    /// let system = ActorSystem::builder("prices").build()?;
    /// assert!(system.find(&ServiceKey::<u32>::new("feed")).is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn find<M: Send + 'static>(&self, key: &ServiceKey<M>) -> Vec<ActorRef<M>> {
        self.0.services.find(key)
    }

    /// The paths of all actors, sorted.
    ///
    /// ```
    /// use millstream::{ActorSystem, Next, receive};
    /// let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// assert_eq!(system.actors()[0].as_str(), "/feed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn actors(&self) -> Vec<ActorPath> {
        self.0.registry.paths()
    }

    /// Tells an actor to stop, after the message that it handles now. What waits for it becomes dead letters. Never waits.
    ///
    /// ```
    /// use millstream::{ActorSystem, Next, receive};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let actor = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// system.stop(&actor);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop<M: Send + 'static>(&self, actor: &ActorRef<M>) {
        actor.address.stop(StopReason::Stopped);
    }

    /// Tells an actor to stop, and waits until it has.
    ///
    /// # Errors
    /// `TimedOut` when the deadline passed first; `OnWorker`, at once, to an actor that would keep others from running.
    ///
    /// ```
    /// use std::time::Duration;
    /// use millstream::{ActorSystem, Next, receive};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let actor = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// let end = system.stop_and_wait(&actor, Duration::from_secs(5))?;
    /// assert!(end.is(&actor));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop_and_wait<M: Send + 'static>(
        &self,
        actor: &ActorRef<M>,
        deadline: impl Into<Deadline>,
    ) -> Result<Terminated, NotStopped> {
        self.stop(actor);
        self.wait_stopped(actor, deadline)
    }

    /// Waits until an actor has stopped.
    ///
    /// # Errors
    /// `TimedOut` when the deadline passed first; `OnWorker`, at once, to an actor that would keep others from running.
    ///
    /// ```
    /// use std::time::Duration;
    /// use millstream::{ActorSystem, Next, receive};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let actor = system.spawn("once", || receive(|_, _: u32| Next::Stop))?;
    /// actor.tell(1u32);
    /// system.wait_stopped(&actor, Duration::from_secs(5))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_stopped<M: Send + 'static>(
        &self,
        actor: &ActorRef<M>,
        deadline: impl Into<Deadline>,
    ) -> Result<Terminated, NotStopped> {
        let path = || actor.path().clone();
        if route::is_worker_of(self.0.id) {
            return Err(NotStopped::OnWorker { path: path() });
        }
        let stopped = shutdown::wait_stopped(&actor.any(), deadline.into());
        stopped.ok_or_else(|| NotStopped::TimedOut { path: path() })
    }

    /// The events of the system: dead letters, starts, stops, restarts.
    ///
    /// ```
    /// let system = millstream::ActorSystem::builder("prices").build()?;
    /// assert_eq!(system.events().dead_letters(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.0.events
    }

    /// Messages that full mailboxes dropped, over all actors.
    ///
    /// ```
    /// let system = millstream::ActorSystem::builder("prices").build()?;
    /// assert_eq!(system.dropped(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    /// How the workers stand. Readable at any moment, also while one of them hangs in an actor.
    ///
    /// ```
    /// let system = millstream::ActorSystem::builder("prices").workers(2).build()?;
    /// for worker in system.workers() {
    ///     println!("{}: {} actors, {} turns", worker.worker, worker.actors, worker.turns);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerReport> {
        let telemetry = self.0.telemetry.iter().enumerate();
        let path = |actor| self.0.registry.path_of(actor);
        telemetry
            .map(|(worker, telemetry)| telemetry.report(worker, path))
            .collect()
    }

    /// What the system does otherwise than was asked for.
    ///
    /// ```
    /// let system = millstream::ActorSystem::builder("prices").build()?;
    /// assert!(system.downgrades().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn downgrades(&self) -> Vec<Downgrade> {
        let downgrades = self.0.downgrades.lock();
        downgrades.map_or_else(|_| Vec::new(), |downgrades| downgrades.clone())
    }
}

impl fmt::Debug for SystemRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemRef")
            .field("name", &self.0.name)
            .field("workers", &self.0.posts.len())
            .finish_non_exhaustive()
    }
}
