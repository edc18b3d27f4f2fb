//! Pinned workers that own actors.
//!
//! An actor is `&mut self` on one worker, so its state needs no lock. Another worker that has a message for it puts that into
//! the lane between the two; any other thread puts it into the actor's mailbox and, if the actor is not scheduled already, a note where
//! its worker looks. A worker looks at lanes, never through its actors, so ten thousand idle ones cost it nothing.

#![forbid(unsafe_code)]

mod address;
mod any_cell;
mod arrivals;
mod ask;
mod behaviour;
mod blocking;
mod body;
mod cell;
mod context;
mod deadline;
mod definition;
mod event;
mod failure;
mod graves;
mod io;
mod lane;
mod letter;
mod mailbox;
mod messages;
mod number;
mod path;
mod phase;
mod pinning;
mod poller;
mod props;
mod question;
mod recipient;
mod reference;
mod registry;
mod route;
mod service;
mod shutdown;
mod spawn;
mod spy;
mod supervision;
mod system;
mod system_core;
mod telemetry;
mod timer;
mod watch;
mod worker;
mod workers;

pub use ask::{Answer, AskError, ReplyTo};
pub use behaviour::{Behaviour, receive, setup};
pub use blocking::TaskPanicked;
pub use context::Context;
pub use deadline::Deadline;
pub use definition::{Actor, Next};
pub use event::{ActorRestarted, ActorStarted, ActorStopped, EventSubscription, Events};
pub(crate) use failure::fenced;
pub use failure::{Failure, StopReason};
pub use io::{Interest, IoId, Readiness};
pub use letter::{DeadLetter, UnhandledMessage};
pub use mailbox::{Mailbox, Overflow};
pub use path::{ActorPath, InvalidActorName};
pub use props::Props;
pub use recipient::Recipient;
pub use reference::{ActorRef, TryTellError};
pub use registry::LookupError;
pub use service::ServiceKey;
pub use shutdown::{NotStopped, ShutdownReport, ShutdownTimeout};
pub use spawn::{SpawnError, SpawnOptions};
pub use spy::SpyEvent;
pub use supervision::{Directive, OneForOne, Supervisor};
pub use system::{ActorSystem, SystemRef};
pub use telemetry::WorkerReport;
pub use watch::{Terminated, WatchId};
pub use workers::{BuildError, Downgrade, Pinning, SystemBuilder, Workers};
