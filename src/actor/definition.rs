//! What defines an actor: the trait that it implements, and what it is to do after a message.

use super::context::Context;
use super::failure::Failure;

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

    /// Runs when the system is shut down: whether the actor can stop at once. One that says no goes on, and stops by itself
    /// ([`Next::Stop`]) when it is done, or at the deadline of the shutdown.
    fn is_ready_to_stop(&mut self, _context: &mut Context<'_, Self::Msg>) -> bool {
        true
    }

    /// Runs before the actor is replaced by a new one. `failure` is `None` when it asked for that itself.
    fn before_restart(&mut self, _context: &mut Context<'_, Self::Msg>, _failure: Option<&Failure>) {}

    /// Runs after the start hook of one that replaced another.
    fn after_restart(&mut self, _context: &mut Context<'_, Self::Msg>) {}
}
