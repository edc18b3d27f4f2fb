//! What is done about an actor that fails.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::path::ActorPath;
use crate::primitive::time::now;

/// What is to be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Directive {
    /// Make the actor anew; what waits for it stays. The message at which it failed is gone with the old one.
    Restart,
    /// Stop it.
    Stop,
    /// Stop it, and let its parent fail with the same failure; without a parent, as `Stop`.
    Escalate,
}

/// Decides what is done when the actor fails that was spawned with it. Without one, a failure stops the actor.
pub trait Supervisor: Send + 'static {
    /// The directive for `actor`, which has just failed.
    fn decide(&mut self, actor: &ActorPath, failure: &Failure) -> Directive;
}

impl<F> Supervisor for F
where
    F: FnMut(&ActorPath, &Failure) -> Directive + Send + 'static,
{
    fn decide(&mut self, actor: &ActorPath, failure: &Failure) -> Directive {
        self(actor, failure)
    }
}

type Decider = Box<dyn FnMut(&Failure) -> Directive + Send>;

/// Restarts an actor that fails, but not more than so many times within so long: then it stops.
///
/// ```
/// use std::time::Duration;
/// use millstream::{ActorSystem, Directive, Next, OneForOne, SpawnOptions, receive};
/// let system = ActorSystem::builder("prices").build()?;
/// let supervisor = OneForOne::new(5, Duration::from_secs(1))
///     .decider(|failure| if failure.is_panic() { Directive::Restart } else { Directive::Stop });
/// let options = SpawnOptions::new().supervisor(supervisor);
/// system.spawn_with("feed", || receive(|_, _: u32| Next::Same), options)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct OneForOne {
    max_restarts: usize,
    within: Duration,
    decider: Option<Decider>,
    /// When each actor was restarted, within the window.
    restarts: HashMap<ActorPath, VecDeque<Instant>>,
}

impl OneForOne {
    /// At most `max_restarts` in any time of length `within`.
    ///
    /// ```
    /// use std::time::Duration;
    /// let supervisor = millstream::OneForOne::new(3, Duration::from_secs(60));
    /// # drop(supervisor);
    /// ```
    #[must_use]
    pub fn new(max_restarts: usize, within: Duration) -> Self {
        Self {
            max_restarts,
            within,
            decider: None,
            restarts: HashMap::new(),
        }
    }

    /// Asks `decide` first. When it says restart, the limit still holds.
    ///
    /// ```
    /// use millstream::{Directive, OneForOne};
    /// let supervisor = OneForOne::default().decider(|_| Directive::Escalate);
    /// # drop(supervisor);
    /// ```
    #[must_use]
    pub fn decider(mut self, decide: impl FnMut(&Failure) -> Directive + Send + 'static) -> Self {
        self.decider = Some(Box::new(decide));
        self
    }
}

impl Default for OneForOne {
    /// Three restarts within 60 seconds.
    fn default() -> Self {
        Self::new(3, Duration::from_secs(60))
    }
}

impl Supervisor for OneForOne {
    fn decide(&mut self, actor: &ActorPath, failure: &Failure) -> Directive {
        let directive = self
            .decider
            .as_mut()
            .map_or(Directive::Restart, |decide| decide(failure));
        if directive != Directive::Restart {
            return directive;
        }
        let now = now();
        let restarts = self.restarts.entry(actor.clone()).or_default();
        while restarts
            .front()
            .is_some_and(|first| now.saturating_duration_since(*first) > self.within)
        {
            restarts.pop_front();
        }
        if restarts.len() >= self.max_restarts {
            return Directive::Stop;
        }
        restarts.push_back(now);
        Directive::Restart
    }
}

impl fmt::Debug for OneForOne {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneForOne")
            .field("max_restarts", &self.max_restarts)
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}
