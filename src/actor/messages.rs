//! What an actor is told besides its messages.

use std::fmt;

use super::failure::{Failure, StopReason};
use super::io::Readiness;
use super::path::ActorPath;
use super::question::Answered;
use super::watch::Terminated;

/// What passes an actor's mailbox by: it is never dropped, and attended to before messages.
pub(super) enum Signal<M> {
    /// It is to stop.
    Stop(StopReason),
    /// A message that must not be lost: the result of a task, an answer, a wake-up.
    Message(M),
    /// A message of which nobody wants to hear when the actor has stopped.
    Control(M),
    /// Somebody is to be told when it has stopped.
    Watch(u64, Notify),
    /// That is not wanted any more.
    Unwatch(u64),
    /// One that it watches has stopped.
    Terminated(u64, Terminated),
    /// A timer of it is due. The message is made only now, so that one cancelled in between says nothing.
    Timer(u64),
    /// A descriptor of it is ready; made into a message only now, as above.
    Ready(usize, Readiness),
    /// A function of it that makes messages has failed.
    Failed(Failure),
    /// A question of its has come home.
    Answered(Box<dyn Answered<M>>),
    /// A child has stopped.
    ChildStopped(u64),
    /// A child has failed, and its supervisor leaves it to the parent what is to be done.
    Escalated(ActorPath, Failure),
}

/// Tells a watcher.
pub(super) type Notify = Box<dyn FnOnce(Terminated) + Send>;

impl<M> fmt::Debug for Signal<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stop(_) => "Stop",
            Self::Message(_) => "Message",
            Self::Control(_) => "Control",
            Self::Watch(..) => "Watch",
            Self::Unwatch(_) => "Unwatch",
            Self::Terminated(..) => "Terminated",
            Self::Timer(_) => "Timer",
            Self::Ready(..) => "Ready",
            Self::Failed(_) => "Failed",
            Self::Answered(_) => "Answered",
            Self::ChildStopped(_) => "ChildStopped",
            Self::Escalated(..) => "Escalated",
        })
    }
}
