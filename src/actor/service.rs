//! Actors found by what they do rather than by where they stand.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use super::reference::ActorRef;
use crate::primitive::Mutex;

/// The name of a service whose actors take messages of type `M`.
///
/// ```
/// use millstream::{ActorSystem, Next, ServiceKey, SpawnOptions, receive};
/// let feeds = ServiceKey::<u32>::new("feed");
/// let system = ActorSystem::builder("prices").build()?;
/// let options = SpawnOptions::new().discoverable(feeds.clone());
/// let actor = system.spawn_with("cme", || receive(|_, _: u32| Next::Same), options)?;
/// assert_eq!(system.find(&feeds), [actor]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ServiceKey<M> {
    name: String,
    messages: PhantomData<fn(M)>,
}

impl<M> ServiceKey<M> {
    /// The key of this name. Keys of one name and different messages are different.
    ///
    /// ```
    /// let feeds = millstream::ServiceKey::<u32>::new("feed");
    /// assert_eq!(feeds.name(), "feed");
    /// ```
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            messages: PhantomData,
        }
    }

    /// The name.
    ///
    /// ```
    /// let feeds = millstream::ServiceKey::<u32>::new("feed");
    /// assert_eq!(feeds.name(), "feed");
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<M> Clone for ServiceKey<M> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            messages: PhantomData,
        }
    }
}

impl<M> fmt::Debug for ServiceKey<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceKey({:?})", self.name)
    }
}

/// The actors of each service, in the order in which they were registered.
#[derive(Default)]
pub(super) struct Services(Mutex<HashMap<(String, TypeId), Vec<Entry>>>);

struct Entry {
    id: u64,
    /// An `ActorRef<M>`.
    actor: Box<dyn Any + Send>,
}

impl Services {
    pub(super) fn register<M: Send + 'static>(&self, key: &ServiceKey<M>, actor: &ActorRef<M>) {
        if let Ok(mut services) = self.0.lock() {
            let entries = services.entry((key.name.clone(), TypeId::of::<M>())).or_default();
            entries.push(Entry {
                id: actor.id(),
                actor: Box::new(actor.clone()),
            });
        }
    }

    pub(super) fn deregister<M: Send + 'static>(&self, key: &ServiceKey<M>, actor: &ActorRef<M>) {
        let Ok(mut services) = self.0.lock() else { return };
        let full_key = (key.name.clone(), TypeId::of::<M>());
        if let Some(entries) = services.get_mut(&full_key) {
            entries.retain(|entry| entry.id != actor.id());
            if entries.is_empty() {
                services.remove(&full_key);
            }
        }
    }

    pub(super) fn find<M: Send + 'static>(&self, key: &ServiceKey<M>) -> Vec<ActorRef<M>> {
        let services = self.0.lock();
        let full_key = (key.name.clone(), TypeId::of::<M>());
        services.map_or_else(
            |_| Vec::new(),
            |services| {
                let entries = services.get(&full_key).into_iter().flatten();
                entries
                    .filter_map(|entry| entry.actor.downcast_ref::<ActorRef<M>>().cloned())
                    .collect()
            },
        )
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Services")
    }
}
