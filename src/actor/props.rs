//! What an actor is made of.

use super::definition::Actor;

/// How to make an actor, as often as it is restarted.
///
/// What the closure captures it needs again at the next restart: clone it inside.
///
/// A closure that returns an actor is one: `system.spawn("feed", || Feed::new())`. It is sent to the worker, and runs
/// there; the actor itself never leaves its worker, so it need not be `Send`.
///
/// ```
/// use millstream::{Actor, ActorSystem, Context, Next};
///
/// struct Counter(u64);
///
/// impl Actor for Counter {
///     type Msg = u64;
///     fn receive(&mut self, _: &mut Context<'_, u64>, by: u64) -> Next<Self> {
///         self.0 += by;
///         Next::Same
///     }
/// }
///
/// let system = ActorSystem::builder("prices").build()?;
/// let counter = system.spawn("counter", || Counter(0))?;
/// counter.tell(5u64);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how to make an actor",
    note = "give a closure that makes the actor, such as `|| receive(...)` or `move || Feed::new(address.clone())`: it runs on the worker, and again at each restart, so it is sent there and clones what it captured"
)]
pub trait Props: Send + 'static {
    /// What the actor is told.
    type Msg: Send + 'static;
    /// The actor.
    type Actor: Actor<Msg = Self::Msg>;

    /// Makes the actor, on its worker. A panic here is a failure of the actor.
    fn create(&mut self) -> Self::Actor;
}

impl<F, A> Props for F
where
    F: FnMut() -> A + Send + 'static,
    A: Actor,
{
    type Msg = A::Msg;
    type Actor = A;

    fn create(&mut self) -> A {
        self()
    }
}
