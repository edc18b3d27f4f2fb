//! Which actor has which path.

use std::any::{Any, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::address::{Address, AnyAddress};
use super::path::ActorPath;
use super::reference::ActorRef;
use crate::primitive::Mutex;

/// All actors of a system by their paths.
#[derive(Default)]
pub(super) struct Registry(Mutex<Names>);

#[derive(Default)]
struct Names {
    actors: HashMap<ActorPath, Registered>,
    closed: bool,
}

struct Registered {
    /// An `ActorRef<M>`.
    actor: Box<dyn Any + Send + Sync>,
    messages: &'static str,
    address: Arc<dyn AnyAddress>,
    is_root: bool,
}

/// Why a path was not given.
pub(super) enum Unclaimed {
    Taken,
    Closed,
}

impl Registry {
    /// Gives the actor its path.
    pub(super) fn claim<M: Send + 'static>(
        &self,
        address: &Arc<Address<M>>,
        is_root: bool,
    ) -> Result<(), Unclaimed> {
        let Ok(mut names) = self.0.lock() else {
            return Err(Unclaimed::Closed);
        };
        if names.closed {
            return Err(Unclaimed::Closed);
        }
        if names.actors.contains_key(&address.path) {
            return Err(Unclaimed::Taken);
        }
        let actor = ActorRef {
            address: address.clone(),
        };
        let registered = Registered {
            actor: Box::new(actor),
            messages: type_name::<M>(),
            address: address.clone(),
            is_root,
        };
        names.actors.insert(address.path.clone(), registered);
        Ok(())
    }

    /// Takes the path back.
    pub(super) fn release(&self, path: &ActorPath) {
        let released = self.0.lock().ok().and_then(|mut names| names.actors.remove(path));
        // Outside of the lock: what goes with the last reference may be a message whose drop sends another.
        drop(released);
    }

    /// Gives no more paths. The actors at the root, in the order in which they were made.
    pub(super) fn close(&self) -> Vec<Arc<dyn AnyAddress>> {
        let Ok(mut names) = self.0.lock() else {
            return Vec::new();
        };
        names.closed = true;
        let mut roots: Vec<_> = names
            .actors
            .values()
            .filter(|registered| registered.is_root)
            .map(|registered| registered.address.clone())
            .collect();
        roots.sort_by_key(|root| root.id());
        roots
    }

    /// The paths of all actors, sorted.
    pub(super) fn paths(&self) -> Vec<ActorPath> {
        let names = self.0.lock();
        let mut paths: Vec<_> =
            names.map_or_else(|_| Vec::new(), |names| names.actors.keys().cloned().collect());
        paths.sort();
        paths
    }

    /// The path of the actor of this number.
    pub(super) fn path_of(&self, id: u64) -> Option<ActorPath> {
        let names = self.0.lock().ok()?;
        let found = names
            .actors
            .values()
            .find(|registered| registered.address.id() == id)?;
        Some(found.address.path().clone())
    }

    pub(super) fn lookup<M: Send + 'static>(&self, path: &str) -> Result<ActorRef<M>, LookupError> {
        let none = || LookupError::NotFound {
            path: path.to_owned(),
        };
        let names = self.0.lock().map_err(|_| none())?;
        let found = names.actors.get(path).ok_or_else(none)?;
        match found.actor.downcast_ref::<ActorRef<M>>() {
            Some(actor) => Ok(actor.clone()),
            None => Err(LookupError::OtherMessages {
                path: path.to_owned(),
                asked: type_name::<M>(),
                takes: found.messages,
            }),
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.paths()).finish()
    }
}

/// Why [`lookup`](crate::SystemRef::lookup) found no actor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// No actor has the path now.
    #[error("no actor stands at {path:?}; paths begin with a slash, and a stopped actor has none")]
    NotFound {
        /// The path.
        path: String,
    },
    /// The actor takes messages of another type.
    #[error("the actor at {path:?} takes messages of type {takes}, not {asked}")]
    OtherMessages {
        /// The path.
        path: String,
        /// The type asked for.
        asked: &'static str,
        /// The type it takes.
        takes: &'static str,
    },
}
