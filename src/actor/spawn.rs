//! How actors come into being.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::address::{Address, AnyAddress};
use super::cell::Cell;
use super::lane::Note;
use super::mailbox::{MOST_MESSAGES, Mailbox};
use super::path::{ActorPath, InvalidActorName};
use super::props::Props;
use super::recipient::Recipient;
use super::reference::ActorRef;
use super::registry::Unclaimed;
use super::service::ServiceKey;
use super::spy::{Spy, SpyEvent};
use super::supervision::Supervisor;
use super::system_core::{self, SystemCore};

/// Swallows a message, if it returns true.
pub(super) type Intercept<M> = Box<dyn FnMut(&M) -> bool + Send>;

/// How an actor is to live: see [`SystemRef::spawn_with`](crate::SystemRef::spawn_with).
#[must_use]
pub struct SpawnOptions<M> {
    pub(super) worker: Option<usize>,
    pub(super) mailbox: Mailbox,
    pub(super) supervisor: Option<Box<dyn Supervisor>>,
    pub(super) services: Vec<ServiceKey<M>>,
    pub(super) spy: Option<Spy<M>>,
    pub(super) spies_on_children: bool,
    pub(super) intercept: Option<Intercept<M>>,
}

impl<M: Send + 'static> SpawnOptions<M> {
    /// Placed by the system (a child: with its parent), an unbounded mailbox, stopped by its first failure.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, SpawnOptions, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn_with("feed", || receive(|_, _: u32| Next::Same), SpawnOptions::new())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self {
            worker: None,
            mailbox: Mailbox::unbounded(),
            supervisor: None,
            services: Vec::new(),
            spy: None,
            spies_on_children: false,
            intercept: None,
        }
    }

    /// At the worker of this number, from 0 on.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, SpawnError, SpawnOptions, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let options = SpawnOptions::new().on_worker(7);
    /// let refused = system.spawn_with("feed", || receive(|_, _: u32| Next::Same), options);
    /// assert_eq!(refused, Err(SpawnError::NoSuchWorker { asked: 7, workers: 1 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_worker(mut self, worker: usize) -> Self {
        self.worker = Some(worker);
        self
    }

    /// With this mailbox.
    ///
    /// ```
    /// use millstream::{Mailbox, Overflow, SpawnOptions};
    /// let options = SpawnOptions::<u32>::new().mailbox(Mailbox::bounded(8, Overflow::DropNew));
    /// ```
    pub fn mailbox(mut self, mailbox: Mailbox) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// Asks `supervisor` what is to be done when the actor fails.
    ///
    /// ```
    /// use millstream::{OneForOne, SpawnOptions};
    /// let options = SpawnOptions::<u32>::new().supervisor(OneForOne::default());
    /// ```
    pub fn supervisor(mut self, supervisor: impl Supervisor) -> Self {
        self.supervisor = Some(Box::new(supervisor));
        self
    }

    /// Found by this key from its start until it stops; can be given several times.
    ///
    /// ```
    /// use millstream::{ServiceKey, SpawnOptions};
    /// let options = SpawnOptions::new().discoverable(ServiceKey::<u32>::new("feed"));
    /// ```
    pub fn discoverable(mut self, key: ServiceKey<M>) -> Self {
        self.services.push(key);
        self
    }

    /// Tells `observer` of each message after it was handled, with a copy of it.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, SpawnOptions, SpyEvent, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let observer = system.spawn("observer", || receive(|_, event: SpyEvent| {
    ///     println!("{} handled a {}", event.path(), event.message_type());
    ///     Next::Same
    /// }))?;
    /// let options = SpawnOptions::new().spy((&observer).into());
    /// system.spawn_with("feed", || receive(|_, _: u32| Next::Same), options)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spy(mut self, observer: Recipient<SpyEvent>) -> Self
    where
        M: Clone,
    {
        self.spy = Some(Spy {
            observer,
            copy: Some(|message| Box::new(message.clone()) as Box<dyn Any + Send>),
        });
        self
    }

    /// Lets the observer given to [`spy`](Self::spy) see the children too, and theirs: when they handled something, and of
    /// what type.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, SpawnOptions, SpyEvent, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// # let observer = system.spawn("observer", || receive(|_, _: SpyEvent| Next::Same))?;
    /// let options = SpawnOptions::<u32>::new().spy((&observer).into()).spy_children();
    /// # drop(options);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spy_children(mut self) -> Self {
        self.spies_on_children = true;
        self
    }

    /// Shows each message to `swallow` before it is handled, and drops it if that returns true. For tests.
    ///
    /// ```
    /// use millstream::SpawnOptions;
    /// let options = SpawnOptions::new().intercept(|price: &f64| price.is_nan());
    /// # drop(options);
    /// ```
    pub fn intercept(mut self, swallow: impl FnMut(&M) -> bool + Send + 'static) -> Self {
        self.intercept = Some(Box::new(swallow));
        self
    }
}

impl<M: Send + 'static> Default for SpawnOptions<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M> fmt::Debug for SpawnOptions<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnOptions")
            .field("worker", &self.worker)
            .field("mailbox", &self.mailbox)
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

/// The parent of an actor that is made.
pub(super) struct Parent {
    pub(super) address: Arc<dyn AnyAddress>,
    pub(super) worker: usize,
    pub(super) spy: Option<Recipient<SpyEvent>>,
}

/// Makes an actor. It exists, and can be told things, when this returns; its start hook runs on its worker.
pub(super) fn spawn<P: Props>(
    system: &Arc<SystemCore>,
    parent: Option<Parent>,
    name: &str,
    props: P,
    mut options: SpawnOptions<P::Msg>,
) -> Result<ActorRef<P::Msg>, SpawnError> {
    let workers = system.posts.len();
    if let Some(asked) = options.worker
        && asked >= workers
    {
        return Err(SpawnError::NoSuchWorker { asked, workers });
    }
    if let Some((asked, _)) = options.mailbox.0
        && !(1..=MOST_MESSAGES).contains(&asked)
    {
        return Err(SpawnError::MailboxSize { asked });
    }
    let path = ActorPath::of(parent.as_ref().map(|parent| parent.address.path()), name)?;
    let placed = || {
        parent
            .as_ref()
            .map_or_else(|| system.place(), |parent| parent.worker)
    };
    let worker = options.worker.unwrap_or_else(placed);
    let id = system_core::number();
    let address = Arc::new(Address::new(
        id,
        path.clone(),
        worker,
        options.mailbox,
        system.clone(),
    ));
    match system.registry.claim(&address, parent.is_none()) {
        Ok(()) => {}
        Err(Unclaimed::Taken) => return Err(SpawnError::NameTaken { path }),
        Err(Unclaimed::Closed) => {
            return Err(SpawnError::ShutDown {
                system: system.name.clone(),
            });
        }
    }
    if let Some(observer) = parent.as_ref().and_then(|parent| parent.spy.clone())
        && options.spy.is_none()
    {
        options.spy = Some(Spy { observer, copy: None });
        options.spies_on_children = true;
    }
    let actor = ActorRef { address };
    for key in &options.services {
        system.services.register(key, &actor);
    }
    let (me, parent) = (actor.clone(), parent.map(|parent| parent.address));
    let make = move |worker: &mut super::worker::Worker| {
        worker.adopt(id, Box::new(Cell::new(me, parent, props, options)));
    };
    system.send(worker, Note::Make(Box::new(make)));
    Ok(actor)
}

/// Why an actor was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// Another one has that path.
    #[error("an actor stands at {path} already; stop it and wait for its end, or choose another name")]
    NameTaken {
        /// The path.
        path: ActorPath,
    },
    /// The name cannot be one.
    #[error(transparent)]
    InvalidName(#[from] InvalidActorName),
    /// There is no such worker.
    #[error("worker {asked} was asked for, where there are {workers}, from 0 on")]
    NoSuchWorker {
        /// The worker asked for.
        asked: usize,
        /// How many there are.
        workers: usize,
    },
    /// A bounded mailbox holds 1 to 2^24 messages.
    #[error("a mailbox of {asked} messages was asked for; bounded ones hold 1 to 16777216")]
    MailboxSize {
        /// Messages asked for.
        asked: usize,
    },
    /// The system takes no new actors any more.
    #[error("the system {system:?} was shut down")]
    ShutDown {
        /// The system.
        system: String,
    },
}
