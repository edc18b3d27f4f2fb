//! Messages that reached nobody.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::Arc;

use super::path::ActorPath;
use crate::primitive::Mutex;

/// A message, for the first who takes it.
type Payload = Arc<Mutex<Option<Box<dyn Any + Send>>>>;

macro_rules! letter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name {
            to: ActorPath,
            message_type: &'static str,
            payload: Payload,
        }

        impl $name {
            pub(super) fn new<M: Send + 'static>(to: ActorPath, message: M) -> Self {
                Self {
                    to,
                    message_type: type_name::<M>(),
                    payload: Arc::new(Mutex::new(Some(Box::new(message)))),
                }
            }

            /// Whom it was for.
            ///
            /// ```
            /// # use millstream::{ActorSystem, DeadLetter, Next, receive};
            /// # let system = ActorSystem::builder("prices").build()?;
            /// # let letters = system.events().subscribe::<DeadLetter>(8);
            /// # let actor = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
            /// # system.stop_and_wait(&actor, std::time::Duration::from_secs(9))?;
            /// actor.tell(7u32);
            /// let letter = letters.next_deadline(std::time::Duration::from_secs(9)).unwrap();
            /// assert_eq!(letter.to().as_str(), "/feed");
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            #[must_use]
            pub fn to(&self) -> &ActorPath {
                &self.to
            }

            /// The name of the message's type.
            ///
            /// ```
            /// # use millstream::{ActorSystem, DeadLetter, Next, receive};
            /// # let system = ActorSystem::builder("prices").build()?;
            /// # let letters = system.events().subscribe::<DeadLetter>(8);
            /// # let actor = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
            /// # system.stop_and_wait(&actor, std::time::Duration::from_secs(9))?;
            /// actor.tell(7u32);
            /// let letter = letters.next_deadline(std::time::Duration::from_secs(9)).unwrap();
            /// assert_eq!(letter.message_type(), "u32");
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            #[must_use]
            pub fn message_type(&self) -> &'static str {
                self.message_type
            }

            /// The message, if it is an `M` and nobody took it before. All subscribers share it.
            ///
            /// ```
            /// # use millstream::{ActorSystem, DeadLetter, Next, receive};
            /// # let system = ActorSystem::builder("prices").build()?;
            /// # let letters = system.events().subscribe::<DeadLetter>(8);
            /// # let actor = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
            /// # system.stop_and_wait(&actor, std::time::Duration::from_secs(9))?;
            /// actor.tell(7u32);
            /// let letter = letters.next_deadline(std::time::Duration::from_secs(9)).unwrap();
            /// assert_eq!(letter.take::<String>(), None);
            /// assert_eq!(letter.take::<u32>(), Some(7));
            /// assert_eq!(letter.take::<u32>(), None);
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            #[must_use]
            pub fn take<M: 'static>(&self) -> Option<M> {
                let mut payload = self.payload.lock().ok()?;
                match payload.take()?.downcast::<M>() {
                    Ok(message) => Some(*message),
                    Err(other) => {
                        *payload = Some(other);
                        None
                    }
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("to", &self.to)
                    .field("message_type", &self.message_type)
                    .finish_non_exhaustive()
            }
        }
    };
}

letter! {
    /// A message for an actor that had stopped, or that a full mailbox refused. The system counts them always, and carries the
    /// message along when somebody has [subscribed](crate::Events::subscribe).
    DeadLetter
}
letter! {
    /// A message that an actor gave back by [`Next::Unhandled`](crate::Next::Unhandled). Counted and carried as [`DeadLetter`]s
    /// are; read it as shown there.
    UnhandledMessage
}
