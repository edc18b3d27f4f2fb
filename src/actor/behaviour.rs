//! Actors made of functions.

use std::fmt;

use super::context::Context;
use super::definition::{Actor, Next};

type Receive<M> = Box<dyn FnMut(&mut Context<'_, M>, M) -> Next<Behaviour<M>>>;
type Setup<M> = Box<dyn FnOnce(&mut Context<'_, M>) -> Behaviour<M>>;

/// What an actor does with its next message, as a function: made by [`receive`] or [`setup`], and replaced by
/// [`Next::Become`].
///
/// ```
/// use millstream::{ActorSystem, Behaviour, Next, receive};
/// fn open() -> Behaviour<&'static str> {
///     receive(|_, message| match message {
///         "close" => Next::Become(closed()),
///         _ => Next::Same,
///     })
/// }
/// fn closed() -> Behaviour<&'static str> {
///     receive(|_, message| match message {
///         "open" => Next::Become(open()),
///         other => Next::Unhandled(other),
///     })
/// }
/// let system = ActorSystem::builder("prices").build()?;
/// let door = system.spawn("door", open)?;
/// door.tell("close");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Behaviour<M: Send + 'static>(Kind<M>);

enum Kind<M: Send + 'static> {
    Receive(Receive<M>),
    Setup(Option<Setup<M>>),
    Ignore,
}

/// Handles each message by `handle`.
///
/// ```
/// use millstream::{ActorSystem, Next, receive};
/// let system = ActorSystem::builder("prices").build()?;
/// let (told, heard) = std::sync::mpsc::channel();
/// let adder = system.spawn("adder", move || {
///     let (told, mut sum) = (told.clone(), 0);
///     receive(move |_, by: u64| {
///         sum += by;
///         told.send(sum).unwrap();
///         Next::Same
///     })
/// })?;
/// adder.tell(3u64);
/// adder.tell(4u64);
/// assert_eq!([heard.recv()?, heard.recv()?], [3, 7]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn receive<M, F>(handle: F) -> Behaviour<M>
where
    M: Send + 'static,
    F: FnMut(&mut Context<'_, M>, M) -> Next<Behaviour<M>> + 'static,
{
    Behaviour(Kind::Receive(Box::new(handle)))
}

/// Begins by `begin`, which says how to go on. It runs when the actor starts, or when it becomes this.
///
/// ```
/// use std::time::Duration;
/// use millstream::{ActorSystem, Next, receive, setup};
/// let system = ActorSystem::builder("prices").build()?;
/// system.spawn("ticker", || {
///     setup(|context| {
///         context.every("tick", Duration::from_millis(20), || "tick");
///         receive(|_, _: &'static str| Next::Same)
///     })
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn setup<M, F>(begin: F) -> Behaviour<M>
where
    M: Send + 'static,
    F: FnOnce(&mut Context<'_, M>) -> Behaviour<M> + 'static,
{
    Behaviour(Kind::Setup(Some(Box::new(begin))))
}

impl<M: Send + 'static> Behaviour<M> {
    /// Drops every message.
    ///
    /// ```
    /// use millstream::{ActorSystem, Behaviour};
    /// let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("sink", Behaviour::<u32>::ignore)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn ignore() -> Self {
        Self(Kind::Ignore)
    }

    /// Runs setups until there is something that handles messages.
    fn settle(&mut self, context: &mut Context<'_, M>) {
        while let Kind::Setup(begin) = &mut self.0 {
            *self = match begin.take() {
                Some(begin) => begin(context),
                // It panicked before.
                None => Self::ignore(),
            };
        }
    }
}

impl<M: Send + 'static> Actor for Behaviour<M> {
    type Msg = M;

    fn on_start(&mut self, context: &mut Context<'_, M>) {
        self.settle(context);
    }

    fn receive(&mut self, context: &mut Context<'_, M>, message: M) -> Next<Self> {
        let next = match &mut self.0 {
            Kind::Receive(handle) => handle(context, message),
            Kind::Setup(_) => Next::Unhandled(message),
            Kind::Ignore => Next::Same,
        };
        if let Next::Become(mut next) = next {
            next.settle(context);
            return Next::Become(next);
        }
        next
    }
}

impl<M: Send + 'static> fmt::Debug for Behaviour<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Receive(_) => "receive",
            Kind::Setup(_) => "setup",
            Kind::Ignore => "ignore",
        })
    }
}
